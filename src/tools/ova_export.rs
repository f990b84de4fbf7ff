//! Machines out of a hypervisor, as OVA or as a folder of OVF.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
