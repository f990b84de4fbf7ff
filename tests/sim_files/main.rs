//! The simulated host's datastores and leases, over SOAP and HTTP in the process.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;
mod host;
mod leases;
mod stores;
