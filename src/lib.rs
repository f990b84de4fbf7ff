//! jumpvisor

pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod error;
pub mod hv;
pub mod logging;
pub mod metrics;
pub mod text;
pub mod tools;
pub mod vim;
pub mod vsphere;
pub mod web;
