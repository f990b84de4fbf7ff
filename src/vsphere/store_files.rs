//! The contents of files on datastores, over HTTP.

use std::io::Read;

use crate::error::{Error, Result};
use crate::hv::call::Call;
use crate::hv::stores::{Slot, Stored};
use crate::vsphere::Vsphere;

/// Whether a text names a file on a datastore, datastore included.
pub fn is_path(text: &str) -> bool {
    text.starts_with('[')
}

pub fn read<'a>(
    _it: &'a Vsphere,
    _call: &Call,
    _store: Option<&str>,
    _path: &str,
) -> Result<Stored<'a>> {
    Err(Error::bug("not built"))
}

pub fn slot(
    _it: &Vsphere,
    _call: &Call,
    _store: Option<&str>,
    _path: &str,
    _overwrite: bool,
) -> Result<Slot> {
    Err(Error::bug("not built"))
}

pub fn write(
    _it: &Vsphere,
    _call: &Call,
    _to: &Slot,
    _size: Option<u64>,
    _body: &mut dyn Read,
) -> Result<Option<String>> {
    Err(Error::bug("not built"))
}
