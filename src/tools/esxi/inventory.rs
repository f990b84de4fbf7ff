//! Templates, folders, pools, clusters and networks.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
