//! Network cards of machines.

/// Network cards of machines on one server.
pub trait Nics: Send + Sync {}
