//! `jumpvisor serve` over HTTP as strangers, careless admins, auditors and systemd meet it: the program
//! itself on sockets of its own, beside a simulated host. Every wait has a bound.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(dead_code, reason = "appliances serve other tests too")]

#[path = "../common/appliance.rs"]
mod appliance;
mod ending;
mod people;
mod places;
#[path = "../common/programs.rs"]
mod programs;
mod rig;
mod settings;
mod strangers;
mod supervised;
mod tokens;
mod units;
