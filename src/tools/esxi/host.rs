//! ESXi hosts: what they are and how they do.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
