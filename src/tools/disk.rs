//! Disks, CD/DVD drives and what is in them.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
