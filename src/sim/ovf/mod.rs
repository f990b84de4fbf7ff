//! The host's OvfManager: descriptors in, specs and descriptors out.
//!
//! Functions of values alone: it knows no inventory, no sockets and no files, and is told what the
//! host has. Surprising: a wrong descriptor is no failed call; what is wrong with it is a list in
//! the result.

mod attach;
mod describe;
mod devices;
mod import;
mod inspect;
mod items;
mod notes;
mod parse;

pub use describe::create_descriptor;
pub use devices::slot;
pub use import::HostFacts;
pub use import::import_spec;
pub use inspect::parse_descriptor;

#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;
