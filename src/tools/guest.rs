//! Programs, processes and files inside the guest system.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
