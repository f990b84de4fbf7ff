//! A simulated ESXi host (or vCenter) inside the program: try everything, break everything.
//!
//! It answers the true protocol, so that clients take the path that they take with a real host. It
//! must not know `vsphere`, our client: shared code would hide shared mistakes; only the schema
//! table and values of `vim` are common. Clock and ids are the world's own, so nothing flakes.

mod alarms;
pub mod clock;
mod collectors;
mod custom;
pub mod elements;
mod entity;
mod events;
pub mod fault;
pub mod files;
mod folders;
pub mod history;
pub mod http;
pub mod inventory;
mod load;
mod machine;
mod path;
mod perf;
mod pools;
mod power;
mod props;
pub mod reader;
mod rest;
mod routes;
mod rows;
pub mod scalar;
pub mod service;
mod sessions;
mod tags;
mod task;
mod vcenter;
mod views;
mod watch;
pub mod world;
pub mod writer;
