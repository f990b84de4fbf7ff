//! Appliances onto a hypervisor, in one pass.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
