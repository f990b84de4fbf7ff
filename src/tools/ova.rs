//! Appliances before they are deployed: what is in an OVA or OVF, which networks it wants.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
