//! The HTTP edge against raw sockets, curl and systemd's tools, on loopback.
//!
//! Surprising: where the machine lacks a tool, its test says so and passes; the others speak for
//! themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod clients;
mod garbage;
mod leaving;
mod many;
mod refusals;
mod stage;
mod supervised;
mod trust;
