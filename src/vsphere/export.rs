//! An export over an NFC lease.

use crate::error::{Error, Result};
use crate::hv::appliances::{Collect, Export};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::vsphere::Vsphere;

pub fn prepare<'a>(
    _it: &'a Vsphere,
    _call: &Call,
    _what: &Export<'_>,
    _into: Box<dyn Collect + 'a>,
) -> Result<Prepared<'a>> {
    Err(Error::bug("not built"))
}
