//! Network cards of machines.

use crate::hv::nics::Nics;
use crate::vsphere::Vsphere;

impl Nics for Vsphere {}
