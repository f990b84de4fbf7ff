//! Network cards and where they are plugged in.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
