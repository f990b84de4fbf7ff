//! The simulated server asked over SOAP and REST: events, performance, and what only a vCenter has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(test)]
mod client;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod tags;
