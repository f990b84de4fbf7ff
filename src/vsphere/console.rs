//! A machine's screen and keyboard, and the state of its guest agent.

use crate::hv::console::Console;
use crate::vsphere::Vsphere;

impl Console for Vsphere {}
