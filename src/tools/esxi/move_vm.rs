//! Moving machines and disks between hosts and datastores.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
