//! The vSphere API as data: what types, fields and methods there are, and values made of them.
//!
//! Nothing here knows how a value travels; that is `crate::vsphere::encode` and `decode`.
//! Surprising: no Rust type stands for an API type. The schema is a table that the build packs
//! (see `build.rs`), and every value is a [`value::Value`].

pub(crate) mod arrays;
mod convert;
pub mod effect;
pub mod from_json;
pub mod search;
pub mod table;
pub mod to_json;
mod unpack;
pub mod value;
pub mod version;
