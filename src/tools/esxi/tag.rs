//! Tags of machines.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
