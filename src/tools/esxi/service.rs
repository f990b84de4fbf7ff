//! Services, firewall and clock of ESXi hosts.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
