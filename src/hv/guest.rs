//! Inside the guest system: programs, processes and files, through its agent.

/// Inside the guest system: programs, processes and files, through its agent on one server.
pub trait Guest: Send + Sync {}
