//! Pure helpers over text and bytes: no sockets, no files, no hypervisor's words.

pub mod base64;
pub mod crc;
pub mod explain;
pub mod glob;
pub mod hex;
pub mod json;
pub mod nearest;
pub mod order;
pub mod percent;
pub mod reading;
mod scan;
pub mod secret;
pub mod sorted;
pub mod split;
pub mod time;
pub mod uuid;
pub mod words;
pub mod xml;
