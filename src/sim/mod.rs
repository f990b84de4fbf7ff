//! A simulated ESXi host (or vCenter) inside the program: try everything, break everything.
//!
//! It answers the true protocol, so that clients take the path that they take with a real host. It
//! must not know `vsphere`, our client: shared code would hide shared mistakes; only the schema
//! table and values of `vim` are common. Clock and ids are the world's own, so nothing flakes.

mod backings;
pub mod clock;
mod clone;
mod device_kinds;
mod devices;
mod disks;
pub mod elements;
mod entity;
pub mod fault;
pub mod files;
mod guests;
pub mod history;
pub mod http;
pub mod inventory;
mod lifecycle;
mod machine;
mod machine_more;
mod machine_view;
mod path;
mod power;
mod props;
pub mod reader;
mod routes;
mod rows;
pub mod scalar;
mod search;
pub mod service;
mod sessions;
mod snapshots;
mod spec;
mod task;
mod vapp;
mod views;
mod vmx;
mod watch;
pub mod world;
pub mod writer;
