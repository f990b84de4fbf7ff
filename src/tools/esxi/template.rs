//! Templates and machines made of them.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
