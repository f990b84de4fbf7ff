//! The files on datastores: names, sizes, and contents where they are small or were uploaded.
//!
//! A disk of gigabytes is a size; what a client uploads is counted and hashed, and its bytes are
//! kept only up to a bound. It must not know HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sim::clock::Moment;

/// One file or folder.
#[derive(Clone, Debug)]
pub struct File {
    /// Bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Moment,
    /// A folder has no content.
    pub folder: bool,
    /// The bytes, where they are kept.
    pub content: Option<Arc<Vec<u8>>>,
}

/// Everything on the datastores, by `[datastore1] web01/web01.vmx`; a folder has no slash at its
/// end.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// By path.
    pub all: BTreeMap<String, File>,
}
