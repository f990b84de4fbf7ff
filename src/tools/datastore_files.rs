//! Contents of files on datastores: upload from here or from a URL, download to here.

use crate::tools::Tool;

pub static TOOLS: &[Tool] = &[];
