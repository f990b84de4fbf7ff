//! A simulated ESXi host (or vCenter) inside the program: try everything, break everything.
//!
//! It answers the true protocol, so that clients take the path that they take with a real host. It
//! must not know `vsphere`, our client: shared code would hide shared mistakes; only the schema
//! table and values of `vim` are common. Clock and ids are the world's own, so nothing flakes.

pub mod fault;
pub mod http;
pub mod ovf;
pub mod vmdk;
