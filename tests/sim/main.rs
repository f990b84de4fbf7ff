//! The simulated host, asked in SOAP as a client asks it.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clones;
mod devices;
mod machines;
mod snapshots;
mod talk;
