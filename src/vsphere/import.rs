//! An import over an NFC lease.

use crate::error::{Error, Result};
use crate::hv::appliances::{Import, Supply};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::vsphere::Vsphere;

pub fn prepare<'a>(
    _it: &'a Vsphere,
    _call: &Call,
    _what: &Import<'_>,
    _files: Box<dyn Supply + 'a>,
) -> Result<Prepared<'a>> {
    Err(Error::bug("not built"))
}
