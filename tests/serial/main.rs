//! The hub of serial consoles over real sockets: the simulated host's ports, scripted ends, people.
//!
//! Everything is on loopback, and every wait has a bound.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bench;
mod callers;
mod dialled;
mod direct;
mod load;
mod moving;
#[path = "../common/only_ports.rs"]
mod only_ports;
mod peers;
mod people;
mod rig;
