//! Appliances that are imported to the simulated servers: whole, or nothing of them stays.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod failing;
mod plans;
mod public;
mod pull;
mod rig;
mod whole;
mod wire;
