//! The Model Context Protocol: messages in, messages out.
//!
//! One way through: bytes, [`rpc`], [`server`], [`work`] on the [`pool`], and back by the
//! [`link`]. It knows the tools as rows behind their gate and no hypervisor's product. Surprising:
//! two eras of the protocol are served side by side, told apart message by message; nothing that
//! a client said before is remembered, because clients do mix them on one connection.

pub mod ask;
pub mod body;
pub mod complete;
pub mod era;
pub mod http;
pub mod lines;
pub mod link;
pub mod lists;
pub mod pool;
pub mod progress;
pub mod rpc;
pub mod server;
pub mod stdio;
pub mod tasks;
pub mod turn;
pub mod watch;
pub mod work;
