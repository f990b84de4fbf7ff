//! HTTP, as a client: one request goes out, one answer comes back, over TLS that is checked. And,
//! for whoever serves, the bytes of HTTP/1.1 without sockets ([`codec`]) and with many of them
//! ([`serve`]).
//!
//! Whoever talks to a hypervisor does it through [`exchange::Exchange`], so that tests and the
//! simulator can answer from memory. Nothing here knows what a hypervisor is, or any setting's full
//! name. Surprising: a request is never sent twice, not even over a connection that turned out to be
//! dead; see [`client`].

pub mod client;
pub mod codec;
pub mod exchange;
pub mod failure;
pub mod inflate;
pub(crate) mod line;
pub mod no_proxy;
pub mod provider;
pub mod serve;
pub mod tls;
mod upload;

mod connect;
mod verify;
