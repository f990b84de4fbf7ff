//! LOG_FORMAT=json: every line that the program writes to standard error is one JSON object, its
//! panics too.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::process::{Command, Stdio};

use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};

/// What makes this test a helper of itself.
const CHILD: &str = "JUMPVISOR_TEST_PANICS";

fn objects(text: &[u8]) -> Vec<Object> {
    let text = std::str::from_utf8(text).unwrap();
    let object = |line: &str| match json::parse(line) {
        Ok(Value::Object(object)) => object,
        _ => panic!("no object: {line}"),
    };
    text.lines().map(object).collect()
}

fn has(lines: &[Object], level: &str, part: &str) {
    let fits = |it: &Object| {
        json::get_text(it, "level") == Some(level)
            && json::get_text(it, "timestamp").is_some_and(|it| it.contains('T'))
            && json::get_text(it, "message").is_some_and(|it| it.contains(part))
    };
    let all: Vec<String> = lines.iter().map(json::write_object).collect();
    assert!(lines.iter().any(fits), "no {level} with `{part}` in\n{}", all.join("\n"));
}

#[test]
fn every_line_of_a_session_is_an_object() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_jumpvisor"))
        .arg("--demo")
        .env_clear()
        .envs([("LOG_FORMAT", "json"), ("LOG_LEVEL", "DEBUG"), ("AUDIT_LOG", "stderr,/dev/full")])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    for (id, name, args) in [
        (1, "list_vms", r#"{"name":"web*"}"#),
        (2, "get_vm_info", r#"{"name":"no \"such\"\n thing"}"#),
        (3, "suspend_vm", r#"{"name":"web01"}"#),
    ] {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{args}}}}}"#
        );
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let ended = process.wait_with_output().unwrap();
    assert!(ended.status.success());
    let lines = objects(&ended.stderr);
    has(&lines, "ERROR", "could not be written to /dev/full: No space left");
    for name in ["list_vms", "get_vm_info", "suspend_vm"] {
        let told = lines.iter().filter(|it| json::get_text(it, "tool") == Some(name));
        assert_eq!(told.count(), 1, "{name}");
    }
}

#[test]
fn what_ends_the_program_is_an_object_too() {
    let ended = Command::new(env!("CARGO_BIN_EXE_jumpvisor"))
        .args(["--demo", "call", "get_vm_info", "name=nobody"])
        .env_clear()
        .env("LOG_FORMAT", "json")
        .current_dir("/")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(3));
    has(&objects(&ended.stderr), "ERROR", "nobody");
}

#[test]
fn a_panic_is_an_object_with_its_place() {
    if std::env::var_os(CHILD).is_some() {
        jumpvisor::logging::as_json();
        jumpvisor::logging::start(log::LevelFilter::Info);
        log::warn!(target: "rustls::x", "odd \"words\"\nin two lines");
        let _ = std::thread::spawn(|| panic!("broken {}", 7)).join();
        return;
    }
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_panic_is_an_object_with_its_place"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let lines = objects(&ended.stderr);
    has(&lines, "ERROR", "json_logs.rs:");
    has(&lines, "ERROR", "broken 7");
    has(&lines, "WARN", "odd \"words\"\nin two lines");
    assert!(lines.iter().any(|it| json::get_text(it, "target") == Some("rustls::x")));
}
