//! MCP on standard input and output, until the input ends or the system says stop.

use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::error::Result;
use crate::mcp::stdio::{Settings, Stdio};
use crate::tools::run::Gate;

/// Serves; the exit status. Sessions are ended whichever way it ends.
pub fn stdio(gate: Arc<Gate>, config: &Config) -> Result<u8> {
    let settings = Settings {
        user: crate::app::user(),
        threads: config.max_concurrent_calls,
        ..Settings::default()
    };
    let server = Stdio::new(gate.clone(), settings, std::io::stdout());
    let stopper = server.stopper();
    crate::app::signals::on_signal(move |_| stopper.stop())?;
    server.serve(BufReader::new(std::io::stdin()));
    end_sessions(gate);
    Ok(0)
}

/// Logs out of every server, but never hangs the exit over a dead one.
pub fn end_sessions(gate: Arc<Gate>) {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        gate.consoles.close();
        gate.fleet.close();
        let _ = done.send(());
    });
    // What is left of the two seconds that a client waits between SIGTERM and SIGKILL.
    let _ = ended.recv_timeout(Duration::from_millis(1_500));
}
