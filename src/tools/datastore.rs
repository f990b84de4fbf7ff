//! Files on datastores.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
