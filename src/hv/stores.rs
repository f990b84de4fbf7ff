//! Files on datastores.

/// Files on datastores on one server.
pub trait Stores: Send + Sync {}
