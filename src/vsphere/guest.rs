//! Inside the guest system: programs, processes and files, through its agent.

use crate::hv::guest::Guest;
use crate::vsphere::Vsphere;

impl Guest for Vsphere {}
