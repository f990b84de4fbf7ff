//! The formats of an appliance: the archive, its descriptor, its manifest.
//!
//! Pure: bytes in, what they mean out; nothing here opens, connects or waits. It must not know any
//! hypervisor. Surprising: an OVA is read once, front to back, because it may come through a pipe
//! and is larger than the machine that it passes through; where more is possible ([`input`]), it is
//! done only if it spares something.

pub mod flow;
pub mod header;
pub mod input;
pub mod manifest;
pub mod ovf;
pub mod pack;
pub mod package;
pub mod parts;
pub mod properties;
pub mod tar;
pub mod write;
