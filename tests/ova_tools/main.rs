//! Appliances from their source to whoever takes them: every byte arrives, in whatever order the
//! archive has them, checked against a manifest wherever it stands; and what is wrong is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]
#![allow(dead_code, reason = "the pretend fleet serves other tests too")]

#[path = "../common/fleet.rs"]
mod fleet;

mod flow;
mod made;
mod tools;
