//! The protocol over HTTP against raw sockets of this machine, in both eras.
//!
//! The edge is real, the hypervisor behind the gate is pretended. No test measures time: what must
//! not happen is shown by what happens instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(dead_code, reason = "the pretend fleet serves other tests too")]

mod calls;
mod clients;
mod elsewhere;
mod ending;
#[path = "../common/fleet.rs"]
mod fleet;
mod legacy;
mod modern;
mod news;
mod people;
mod places;
mod sessions;
mod stage;
mod tasks;
