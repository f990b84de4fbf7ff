//! Pure helpers over text and bytes: no sockets, no files, no hypervisor's words.

pub mod base64;
mod scan;
pub mod secret;
pub mod split;
pub mod xml;
