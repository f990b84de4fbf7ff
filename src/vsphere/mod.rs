//! The client of ESXi and vCenter: SOAP over the web layer, driven by the schema in `crate::vim`.
//!
//! It never sees a tool's arguments or an assistant's protocol. Surprising: there is no code for
//! single API types; requests and answers are [`crate::vim::value::Object`]s all the way.

pub mod decode;
pub mod encode;
mod scalar;
