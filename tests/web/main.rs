//! The HTTP client against real sockets on loopback: trust, timeouts, reuse, what goes wrong.
//!
//! Certificates are made as the tests run; nothing here leaves the machine. Surprising: the servers
//! are threads that nobody joins, they end with the process.

#[cfg(test)]
mod failures;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod server;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod trust;
