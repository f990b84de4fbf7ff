//! jumpvisor: full control of hypervisors, for assistants, people and scripts, in one small binary.
//!
//! # Architecture
//!
//! Layers point one way; `tests/layers.rs` holds who may name whom.
//!
//! ```text
//!  cli   app   config   logging        flags, wiring, settings        (know everything)
//!  mcp                                 JSON-RPC over stdio, both eras
//!  tools          tools/esxi           one row a tool, one gate; what only vSphere has
//!  hv                                  the words that all hypervisors share
//!  vsphere                             SOAP client of ESXi and vCenter
//!  sim                                 simulated servers: the other end of the wire
//!  vim                                 the vSphere API's schema, and values
//!  web                                 HTTP exchange and server, TLS trust
//!  serial                              telnet, transcripts, text of consoles: pure
//!  auth                                who asks, and what they may do: sign-in, rights
//!  audit  metrics  text  error         pure helpers
//!  threads                             work beside other work
//! ```
//!
//! One way through, for a call over MCP:
//!
//! ```text
//!  bytes ─► mcp::rpc ─► mcp::server ─► tools::run ─► handler ─► hv trait ─► vsphere ─► web ─► host
//!  bytes ◄─ mcp::rpc ◄─ Shown ◄─────── tools::run ◄─ Reply|Error ◄─ model ◄─ vim values ◄──── answer
//! ```
//!
//! With `--demo` the arrow at the end leads to `sim` in the same process:
//!
//! ```text
//!  request ─► sim::service ─► sim::reader ─► sim::rules ─► sim::rows ─► one family's function
//!  answer  ◄─ sim::writer ◄── value or fault ◄─────────── sim::world (one lock), sim::task
//! ```
//!
//! The command line enters at `tools::run` as well. Nobody calls up: progress and cancelling go
//! down inside [`hv::call::Call`].
//!
//! # What always holds
//!
//! - A tool is one row ([`tools::Tool`]); schema, checks, hints, listing and command line derive.
//! - A plan, like every reading tool, runs with [`hv::call::Rights::ReadOnly`], and the session
//!   refuses every method that is not on the list of reads; so a wrong row cannot change a host.
//! - A request is checked against the schema at the agreed version before it is sent: field order,
//!   types, required fields, nothing newer than the server.
//! - A list is one query whatever its length, read object by object.
//! - A refused password is sent once. A session is ended at exit, on a signal and when idle.
//! - Each call runs under `catch_unwind`; input of a peer is never unwrapped.
//! - Secrets live in [`text::secret::Secret`] and reach no log, error, result or process list.
//!
//! # Where things are
//!
//! Find behaviour by layer and family: snapshots are `tools/snapshot.rs`, `hv/snapshots.rs`,
//! `vsphere/snapshots.rs`. A new tool is a row and a function in `tools`; a new verb adds a trait
//! method in `hv` and its body in `vsphere`; a new hypervisor is a folder beside `vsphere` and one
//! arm in [`app`].

pub mod app;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod error;
pub mod files;
pub mod hv;
pub mod logging;
pub mod mcp;
pub mod metrics;
pub mod ova;
pub mod serial;
#[cfg(feature = "demo")]
pub mod sim;
pub mod text;
pub mod threads;
pub mod tools;
pub mod vim;
pub mod vsphere;
pub mod web;
