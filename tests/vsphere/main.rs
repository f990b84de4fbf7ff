//! Everything that vSphere is known to do to its clients, played by a scripted peer.
//!
//! Requests and logins are counted at the peer, so that a test says what a host would see. It must
//! not need any server but the peer. Surprising: tests that need the program itself run the real
//! binary against the same peer on a loopback port.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod check;
#[cfg(test)]
mod command;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod exits;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gates;
#[cfg(test)]
#[cfg(feature = "demo")]
mod guest;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod rig;
#[cfg(test)]
#[path = "../peers/scripted/mod.rs"]
mod scripted;
#[cfg(test)]
#[path = "../web/server.rs"]
#[allow(dead_code, reason = "only its certificates are used here")]
mod server;
#[cfg(test)]
mod session;
#[cfg(test)]
mod tasks;
#[cfg(test)]
#[cfg(feature = "demo")]
mod vcenter;
#[cfg(test)]
mod versions;
