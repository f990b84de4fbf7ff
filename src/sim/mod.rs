//! A simulated ESXi host (or vCenter) inside the program: try everything, break everything.
//!
//! It answers the true protocol, so that clients take the path that they take with a real host. It
//! must not know `vsphere`, our client: shared code would hide shared mistakes; only the schema
//! table and values of `vim` are common. Clock and ids are the world's own, so nothing flakes.

pub mod accounts;
pub mod clock;
pub mod console;
pub mod elements;
mod entity;
pub mod fault;
pub mod files;
pub mod guest;
mod guest_http;
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
pub mod line;
mod machine;
mod options;
pub mod ovf;
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
pub mod serial;
pub mod serve;
pub mod service;
mod sessions;
mod setup;
mod task;
pub mod telnet;
mod views;
pub mod vmdk;
mod watch;
mod web_auth;
pub mod world;
pub mod writer;

pub use crate::sim::setup::{Settings, open};
