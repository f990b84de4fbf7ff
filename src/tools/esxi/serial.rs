//! Serial ports of machines, as only vSphere configures them.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
