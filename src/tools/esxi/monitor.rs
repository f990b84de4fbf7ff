//! Counters, tasks, events and alarms.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
