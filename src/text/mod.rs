//! Pure helpers over text and bytes: no sockets, no files, no hypervisor's words.

pub mod secret;
