//! Pure helpers over text and bytes: no sockets, no files, no hypervisor's words.

pub mod glob;
pub mod nearest;
pub mod secret;
