//! The whole vSphere API by its schema.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
