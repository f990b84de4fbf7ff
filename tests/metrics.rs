//! What Prometheus reads of calls to the simulated servers: by its own client's parser, too.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use jumpvisor::text::json;
use jumpvisor::tools::run::{Caller, Gate, Outcome};

#[path = "common/fleet.rs"]
#[allow(dead_code)]
mod fleet;

fn call(gate: &Gate, name: &str, words: &[(&str, &str)]) -> bool {
    let words = words.iter().map(|(key, value)| ((*key).to_owned(), json::text(*value))).collect();
    matches!(gate.call(name, words, Caller::local("ryan")), Outcome::Answer(_))
}

fn after_some_calls() -> String {
    let (gate, stage) = fleet::gate(jumpvisor::tools::offer::Offer::everything());
    stage.release();
    for _ in 0..3 {
        assert!(call(&gate, "list_vms", &[]));
    }
    assert!(call(&gate, "list_vms", &[("host", "all")]));
    assert!(!call(&gate, "list_vms", &[("host", "n\"o\\w\nhere")]));
    assert!(!call(&gate, "get_vm_info", &[("name", "nobody")]));
    assert!(!call(&gate, "get_vm_info", &[("nonsense", "1")]));
    let caller = Caller::local("ryan");
    gate.noted(&caller.who, "resources/read", json::object([])).end(None);
    // Ends by itself.
    drop(gate.noted(&caller.who, "resources/read", json::object([])));
    gate.metrics.answered(200);
    gate.metrics.answered(429);
    gate.metrics.limited();
    gate.prometheus(Some(2))
}

#[test]
fn calls_are_counted_by_tool_and_server_and_no_name_that_a_caller_made_up_is_kept() {
    let text = after_some_calls();
    for line in [
        r#"jumpvisor_calls_total{tool="list_vms",host="lab"} 3"#,
        r#"jumpvisor_calls_total{tool="list_vms",host="all"} 1"#,
        r#"jumpvisor_calls_total{tool="list_vms",host=""} 1"#,
        r#"jumpvisor_call_errors_total{tool="list_vms",host="",kind="not_found"} 1"#,
        r#"jumpvisor_call_errors_total{tool="get_vm_info",host="lab",kind="not_found"} 1"#,
        r#"jumpvisor_call_errors_total{tool="get_vm_info",host="",kind="usage"} 1"#,
        r#"jumpvisor_calls_total{tool="resources/read",host=""} 2"#,
        r#"jumpvisor_call_errors_total{tool="resources/read",host="",kind="bug"} 1"#,
        r#"jumpvisor_sessions{host="lab"} 0"#,
        r#"jumpvisor_consoles{state="connected"} 0"#,
        r#"jumpvisor_http_responses_total{class="4xx"} 1"#,
        "jumpvisor_calls_running 0",
        "jumpvisor_http_connections 2",
        "jumpvisor_rate_limited_total 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
    assert!(!text.contains("nhere"), "{text}");
}

#[test]
fn consoles_are_counted_by_state() {
    use jumpvisor::serial::hub::{About, Place, Way};
    let (gate, _) = fleet::gate(jumpvisor::tools::offer::Offer::everything());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = |it: &str| it.to_owned();
    let place = Place { server: text("lab"), machine: text("1"), port: text("Serial port 1") };
    let about = About { place, name: text("web"), uuids: Vec::new() };
    let (host, port_number) = (text("127.0.0.1"), port.local_addr().unwrap().port());
    let way = Way::Dial { host, port: port_number, telnet: false, tls: false };
    gate.consoles.open(&about, way).unwrap();
    let (_line, _) = port.accept().unwrap();
    let connected = "jumpvisor_consoles{state=\"connected\"} 1\n";
    let soon = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        gate.prometheus(None).contains(connected)
    });
    let text = gate.prometheus(None);
    assert!(soon && text.contains("jumpvisor_console_people 0\n"), "{text}");
    gate.consoles.close();
}

#[test]
fn prometheus_own_parser_reads_it_and_the_histograms_add_up() {
    let ours = || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/.build").into();
    let folder: PathBuf = std::env::var_os("JUMPVISOR_PEERS").map_or_else(ours, PathBuf::from);
    let python = folder.join("venv/bin/python");
    assert!(python.is_file(), "Python is missing: run tests/peers/install first");
    let mut judge = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(after_some_calls().as_bytes()).unwrap();
    let ended = judge.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}; tests/peers/install brings what is missing");
    let found = String::from_utf8(ended.stdout).unwrap();
    assert!(found.trim().parse::<u32>().is_ok_and(|it| it >= 18), "families: {found}");
}
