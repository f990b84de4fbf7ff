//! Files from web servers and standard input, against real sockets on loopback: what is read whole,
//! what is gone on with, where nobody may be led.
//!
//! Nothing here leaves the machine. Surprising: what depends on the process (trusted authorities,
//! standard input) runs in this very program once more, started by the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(test)]
mod gate;
#[cfg(test)]
mod process;
#[cfg(test)]
mod reading;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../web/server.rs"]
mod server;
#[cfg(test)]
mod share;
