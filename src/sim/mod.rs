//! A simulated ESXi host (or vCenter) inside the program: try everything, break everything.
//!
//! It answers the true protocol, so that clients take the path that they take with a real host. It
//! must not know `vsphere`, our client: shared code would hide shared mistakes; only the schema
//! table and values of `vim` are common. Clock and ids are the world's own, so nothing flakes.

pub mod accounts;
mod backings;
pub mod clock;
mod clone;
pub mod console;
mod datastore;
mod device_kinds;
mod devices;
mod disks;
pub mod elements;
mod entity;
pub mod fault;
pub mod files;
mod folder_http;
pub mod guest;
mod guest_http;
pub mod guest_names;
mod guest_ops;
pub mod guests;
pub mod history;
mod host;
mod host_network;
mod host_services;
mod host_storage;
pub mod http;
pub mod identity;
pub mod inventory;
mod licence;
mod lifecycle;
pub mod line;
mod machine;
mod machine_more;
mod machine_view;
pub mod nfc;
mod nfc_http;
mod options;
pub mod ovf;
mod ovf_manager;
mod path;
pub mod permissions;
mod power;
mod props;
pub mod reader;
mod routes;
mod rows;
pub mod rules;
pub mod scalar;
mod screen_http;
mod search;
pub mod serial;
pub mod serve;
pub mod service;
mod sessions;
mod setup;
mod snapshots;
mod spec;
pub mod sums;
mod task;
pub mod telnet;
mod vapp;
mod views;
pub mod vmdk;
mod vmx;
mod watch;
mod web_auth;
pub mod world;
pub mod writer;

pub use crate::sim::setup::{Settings, open};
