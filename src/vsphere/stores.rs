//! Files on datastores.

use crate::hv::stores::Stores;
use crate::vsphere::Vsphere;

impl Stores for Vsphere {}
