//! The formats of an appliance: the archive, its descriptor, its manifest.
//!
//! Pure: bytes in, what they mean out; nothing here opens, connects or waits. It must not know any
//! hypervisor. Surprising: an OVA is read once, front to back, because it may come through a pipe
//! and is larger than the machine that it passes through.

pub mod header;
pub mod manifest;
pub mod ovf;
pub mod pack;
pub mod tar;
pub mod write;
