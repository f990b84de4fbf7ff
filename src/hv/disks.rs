//! Virtual disks and removable drives of machines.

/// Virtual disks and removable drives of machines on one server.
pub trait Disks: Send + Sync {}
