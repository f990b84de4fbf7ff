//! Counts of what this process did: calls, errors and latencies by tool and server, and what the
//! HTTP side saw; read by `get_metrics`, and by Prometheus in its text format 0.0.4.
//!
//! It knows names and numbers only; what stands elsewhere is handed to it as [`Gauges`]. Bounded by
//! the number of tools times that of servers: who counts must name no server that nobody configured.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::text::sorted::Sorted;

/// Bounds of the latencies, in milliseconds and as Prometheus writes seconds.
const BOUNDS: [(u64, &str); 7] = [
    (10, "0.01"),
    (50, "0.05"),
    (250, "0.25"),
    (1_000, "1"),
    (5_000, "5"),
    (30_000, "30"),
    (300_000, "300"),
];

/// The counters of one process.
pub struct Metrics {
    started: Instant,
    since: SystemTime,
    calls: Mutex<Sorted<(&'static str, String), Tally>>,
    running: AtomicU64,
    /// Answers over HTTP, by the first digit of their status less one.
    answers: [AtomicU64; 5],
    limited: AtomicU64,
}

#[derive(Clone, Default)]
struct Tally {
    calls: u64,
    errors: Sorted<&'static str, u64>,
    total: Duration,
    max: Duration,
    /// Calls by the bound that they kept, none twice; slower ones are in none.
    buckets: [u64; BOUNDS.len()],
}

/// One tool's counts on one server.
pub struct ToolCount {
    pub tool: &'static str,
    /// Empty for calls of no server, or of one that nobody knows.
    pub server: String,
    pub calls: u64,
    /// By the kind of error.
    pub errors: Vec<(&'static str, u64)>,
    pub mean_ms: u64,
    pub max_ms: u64,
}

/// All counts at one moment.
pub struct Reading {
    pub uptime_seconds: u64,
    /// Resident memory, where the system tells.
    pub memory_bytes: Option<i64>,
    pub running: u64,
    pub tools: Vec<ToolCount>,
    /// Answers over HTTP from `1xx` to `5xx`.
    pub answers: [u64; 5],
    /// Requests that came too often.
    pub limited: u64,
}

/// What others know at this moment.
#[derive(Default)]
pub struct Gauges {
    pub servers: Vec<ServerNow>,
    /// Serial consoles by the word of their state.
    pub consoles: Vec<(&'static str, u64)>,
    /// People who are attached to them.
    pub people: u64,
    /// Audit lines that were not written, by the sort of the sink.
    pub audit_lost: Vec<(&'static str, u64)>,
    /// Open connections, where HTTP is served.
    pub connections: Option<u64>,
}

/// One server at this moment.
pub struct ServerNow {
    pub name: String,
    pub connected: bool,
    pub requests: u64,
    pub logins: u64,
    pub received: u64,
    pub sent: u64,
    /// Transfers that hold a machine.
    pub leases: u64,
}

/// A call that runs, as long as this lives.
pub struct Running<'a>(&'a AtomicU64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    #[allow(clippy::new_without_default, reason = "a start is an act, not a default")]
    pub fn new() -> Metrics {
        Metrics {
            started: Instant::now(),
            since: SystemTime::now(),
            calls: Mutex::default(),
            running: AtomicU64::new(0),
            answers: Default::default(),
            limited: AtomicU64::new(0),
        }
    }

    /// A call begins.
    pub fn running(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(&self.running)
    }

    /// Counts one call that ended, with the kind of its error if it failed.
    pub fn called(
        &self,
        tool: &'static str,
        server: &str,
        took: Duration,
        error: Option<&'static str>,
    ) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = calls.get_or((tool, server.to_owned()), Tally::default);
        tally.calls += 1;
        tally.total += took;
        tally.max = tally.max.max(took);
        if let Some(kind) = error {
            *tally.errors.get_or(kind, || 0) += 1;
        }
        let kept = BOUNDS.iter().position(|it| took <= Duration::from_millis(it.0));
        if let Some(bucket) = kept.and_then(|it| tally.buckets.get_mut(it)) {
            *bucket += 1;
        }
    }

    /// Counts an answer over HTTP.
    pub fn answered(&self, status: u16) {
        if let Some(count) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request that was refused because there were too many.
    pub fn limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// All counts now.
    pub fn read(&self) -> Reading {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |((tool, server), tally): (&(&'static str, String), &Tally)| ToolCount {
            tool,
            server: server.clone(),
            calls: tally.calls,
            errors: tally.errors.iter().map(|(kind, count)| (*kind, *count)).collect(),
            mean_ms: (tally.total.as_millis() as u64).checked_div(tally.calls).unwrap_or(0),
            max_ms: tally.max.as_millis() as u64,
        };
        Reading {
            uptime_seconds: self.started.elapsed().as_secs(),
            memory_bytes: resident_bytes(),
            running: self.running.load(Ordering::Relaxed),
            tools: calls.iter().map(count).collect(),
            answers: [0, 1, 2, 3, 4].map(|it: usize| {
                self.answers.get(it).map_or(0, |count| count.load(Ordering::Relaxed))
            }),
            limited: self.limited.load(Ordering::Relaxed),
        }
    }

    /// All of it in Prometheus' text format 0.0.4.
    pub fn prometheus(&self, now: &Gauges) -> String {
        let mut text = Text::default();
        text.family("build_info", "gauge", "What runs.");
        text.line("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let read = self.read();
        text.family("calls_total", "counter", "Calls that ended, by tool and server.");
        for it in &read.tools {
            text.line("", &[("tool", it.tool), ("host", &it.server)], it.calls);
        }
        text.family("call_errors_total", "counter", "Calls that failed, by the kind of error.");
        for it in &read.tools {
            for (kind, count) in &it.errors {
                let labels = [("tool", it.tool), ("host", it.server.as_str()), ("kind", kind)];
                text.line("", &labels, *count);
            }
        }
        self.latencies(&mut text);
        text.single("calls_running", "gauge", "Calls that run now.", read.running);
        self.of_servers(&mut text, now);
        text.family("consoles", "gauge", "Serial consoles by state.");
        for (state, count) in &now.consoles {
            text.line("", &[("state", state)], *count);
        }
        text.single("console_people", "gauge", "People attached to serial consoles.", now.people);
        text.family("audit_lines_lost_total", "counter", "Audit lines that were not written.");
        for (sink, lost) in &now.audit_lost {
            text.line("", &[("sink", sink)], *lost);
        }
        if let Some(open) = now.connections {
            text.single("http_connections", "gauge", "Open connections.", open);
            text.family("http_responses_total", "counter", "Answers by the class of their status.");
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(read.answers) {
                text.line("", &[("class", class)], count);
            }
            let help = "Requests refused because there were too many.";
            text.single("rate_limited_total", "counter", help, read.limited);
        }
        text.prefix = "process_";
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        text.single("start_time_seconds", "gauge", "When it began.", since.as_secs());
        if let Some(bytes) = read.memory_bytes {
            text.single("resident_memory_bytes", "gauge", "Resident memory.", bytes.max(0) as u64);
        }
        text.out
    }

    fn latencies(&self, text: &mut Text) {
        text.family("call_duration_seconds", "histogram", "How long calls took.");
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        for ((tool, server), tally) in calls.iter() {
            let labels = [("tool", *tool), ("host", server.as_str())];
            let [first, second] = labels;
            let mut below = 0;
            for ((_, bound), count) in BOUNDS.iter().zip(tally.buckets) {
                below += count;
                text.line("_bucket", &[first, second, ("le", bound)], below);
            }
            text.line("_bucket", &[first, second, ("le", "+Inf")], tally.calls);
            text.sample("_sum", &labels, &tally.total.as_secs_f64().to_string());
            text.line("_count", &labels, tally.calls);
        }
    }

    fn of_servers(&self, text: &mut Text, now: &Gauges) {
        type Pick = fn(&ServerNow) -> u64;
        let rows: [(&str, &str, &str, Pick); 4] = [
            ("sessions", "gauge", "Open sessions, by server.", |it| u64::from(it.connected)),
            ("logins_total", "counter", "Logins, by server.", |it| it.logins),
            ("server_requests_total", "counter", "Requests sent to a server.", |it| it.requests),
            ("leases", "gauge", "Transfers that hold a machine.", |it| it.leases),
        ];
        for (name, kind, help, pick) in rows {
            text.family(name, kind, help);
            for server in &now.servers {
                text.line("", &[("host", &server.name)], pick(server));
            }
        }
        text.family("server_bytes_total", "counter", "Bytes to and from a server.");
        for it in &now.servers {
            for (direction, count) in [("received", it.received), ("sent", it.sent)] {
                text.line("", &[("host", &it.name), ("direction", direction)], count);
            }
        }
    }
}

/// Prometheus' text in the making.
struct Text {
    out: String,
    prefix: &'static str,
    name: &'static str,
}

impl Default for Text {
    fn default() -> Text {
        Text { out: String::new(), prefix: "jumpvisor_", name: "" }
    }
}

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        let prefix = self.prefix;
        self.name = name;
        // Writing to a text cannot fail.
        let _ = writeln!(self.out, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}");
    }

    fn single(&mut self, name: &'static str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.line("", &[], value);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: u64) {
        self.sample(suffix, labels, &value.to_string());
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: &str) {
        for part in [self.prefix, self.name, suffix] {
            self.out.push_str(part);
        }
        for (at, (name, value)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            self.out.push_str(name);
            self.out.push_str("=\"");
            for it in value.chars() {
                match it {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    it => self.out.push(it),
                }
            }
            self.out.push('"');
        }
        self.out.push_str(if labels.is_empty() { " " } else { "} " });
        self.out.push_str(value);
        self.out.push('\n');
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
    fn counts_by_tool_and_server() {
        let metrics = Metrics::new();
        let _running = metrics.running();
        metrics.called("list_vms", "a", Duration::from_millis(10), None);
        metrics.called("list_vms", "a", Duration::from_millis(30), Some("network"));
        metrics.called("list_vms", "b", Duration::from_millis(30), None);
        drop(metrics.running());
        let reading = metrics.read();
        let [first, second] = &reading.tools[..] else { panic!("two servers") };
        assert_eq!((first.calls, first.mean_ms, first.max_ms), (2, 20, 30));
        assert_eq!((&first.errors[..], second.server.as_str()), (&[("network", 1)][..], "b"));
        assert!(reading.memory_bytes.is_some_and(|it| it > 0) && reading.running == 1);
    }

    #[test]
    fn the_histogram_adds_up_and_labels_are_escaped() {
        let metrics = Metrics::new();
        for millis in [1, 10, 11, 900, 400_000] {
            metrics.called("clone_vm", "a\"\\\n{", Duration::from_millis(millis), None);
        }
        let text = metrics.prometheus(&Gauges::default());
        let of = |name: &str, le: &str| {
            let host = r#"tool="clone_vm",host="a\"\\\n{""#;
            format!("\njumpvisor_call_duration_seconds_{name}{{{host}{le}}} ")
        };
        for (bound, count) in [("0.01", 2), ("0.05", 3), ("1", 4), ("300", 4), ("+Inf", 5)] {
            let line = format!("{}{count}\n", of("bucket", &format!(",le=\"{bound}\"")));
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(text.contains(&format!("{}400.922\n", of("sum", ""))), "{text}");
        assert!(text.contains(&format!("{}5\n", of("count", ""))));
        assert!(!text.contains("http_") && text.ends_with('\n'));
    }

    #[test]
    fn answers_by_class_and_nothing_else() {
        let metrics = Metrics::new();
        for status in [200, 204, 404, 429, 503, 0, 99, 600, 65_535] {
            metrics.answered(status);
        }
        metrics.limited();
        assert_eq!(metrics.read().answers, [0, 2, 0, 2, 1]);
        let text = metrics.prometheus(&Gauges { connections: Some(3), ..Gauges::default() });
        for line in [
            "jumpvisor_http_connections 3\n",
            "jumpvisor_http_responses_total{class=\"4xx\"} 2\n",
            "jumpvisor_rate_limited_total 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
