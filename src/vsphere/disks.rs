//! Virtual disks and removable drives of machines.

use crate::hv::disks::Disks;
use crate::vsphere::Vsphere;

impl Disks for Vsphere {}
