//! Maintenance mode, reboot and shutdown of ESXi hosts.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
