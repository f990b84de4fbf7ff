//! Screen, keyboard and the guest agent.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
