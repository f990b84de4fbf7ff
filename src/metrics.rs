//! Counts of what this process did: calls, errors and latencies by tool.
//!
//! It knows names and numbers only. Bounded by the number of tools.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::text::sorted::Sorted;

/// The counters of one process.
pub struct Metrics {
    started: Instant,
    tools: Mutex<Sorted<&'static str, Tally>>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    calls: u64,
    errors: u64,
    total: Duration,
    max: Duration,
}

/// One tool's counts.
pub struct ToolCount {
    pub tool: &'static str,
    pub calls: u64,
    pub errors: u64,
    pub mean_ms: u64,
    pub max_ms: u64,
}

/// All counts at one moment.
pub struct Reading {
    pub uptime_seconds: u64,
    /// Resident memory, where the system tells.
    pub memory_bytes: Option<i64>,
    pub tools: Vec<ToolCount>,
}

impl Metrics {
    #[allow(clippy::new_without_default, reason = "a start is an act, not a default")]
    pub fn new() -> Metrics {
        Metrics { started: Instant::now(), tools: Mutex::default() }
    }

    /// Counts one call that ended.
    pub fn called(&self, tool: &'static str, took: Duration, failed: bool) {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tools.get_or(tool, Tally::default);
        tally.calls += 1;
        tally.errors += u64::from(failed);
        tally.total += took;
        tally.max = tally.max.max(took);
    }

    /// All counts now.
    pub fn read(&self) -> Reading {
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |(tool, tally): (&&'static str, &Tally)| ToolCount {
            tool,
            calls: tally.calls,
            errors: tally.errors,
            mean_ms: (tally.total.as_millis() as u64).checked_div(tally.calls).unwrap_or(0),
            max_ms: tally.max.as_millis() as u64,
        };
        Reading {
            uptime_seconds: self.started.elapsed().as_secs(),
            memory_bytes: resident_bytes(),
            tools: tools.iter().map(count).collect(),
        }
    }
}

/// `VmRSS` of this process, from the kernel.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_tool() {
        let metrics = Metrics::new();
        metrics.called("list_vms", Duration::from_millis(10), false);
        metrics.called("list_vms", Duration::from_millis(30), true);
        let reading = metrics.read();
        let [tool] = &reading.tools[..] else { panic!("one tool") };
        assert_eq!((tool.calls, tool.errors, tool.mean_ms, tool.max_ms), (2, 1, 20, 30));
        assert!(reading.memory_bytes.is_some_and(|it| it > 0));
    }
}
