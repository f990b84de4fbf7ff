//! What goes wrong while an appliance is deployed: each ends in a clear error, and nothing is left.
//!
//! The whole program against the simulated host over TLS on loopback; appliances come from files and
//! from a web server that misbehaves as asked.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "common/appliance.rs"]
mod appliance;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use appliance::{DISK, SECOND, archive, descriptor, disk, line, whole};

const BINARY: &str = env!("CARGO_BIN_EXE_jumpvisor");
const SIZE: usize = 3 << 20;

/// A simulated host of its own, with rules of what goes wrong.
struct Host {
    process: Child,
    port: String,
    folder: PathBuf,
}

impl Host {
    fn start(name: &str, rules: &str) -> Host {
        let folder = std::env::temp_dir().join(format!("jv-faults-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("rules.json"), rules).unwrap();
        let mut process = Command::new(BINARY)
            .args(["simulate", "--faults"])
            .arg(folder.join("rules.json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.next().unwrap().unwrap();
        let port = address.trim().rsplit(':').next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Host { process, port, folder }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        // Without words it is asked over the protocol.
        command
            .args((!words.is_empty()).then_some("call"))
            .args(words)
            .env_clear()
            .env("ESXI_HOST", format!("127.0.0.1:{}", self.port))
            .env("ESXI_USER", "root")
            .env("ESXI_PASS", "secret")
            .env("ESXI_INSECURE", "true")
            .env("URL_HOSTS", "127.0.0.1")
            .env("IDLE_TIMEOUT", "2")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn call(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn deploy(&self, source: &str, more: &[&str]) -> Output {
        let path = format!("ova_path={source}");
        let mut words = vec!["deploy_ova", &path, "vm_name=victim", "datastore=datastore1"];
        words.extend(more);
        self.call(&words)
    }

    /// Fails with all of these words, and neither machine, file nor lease stays.
    fn refuses(&self, output: &Output, said: &[&str]) {
        let text = told(output);
        assert!(!output.status.success(), "it was deployed: {text}");
        for said in said {
            assert!(text.contains(said), "no `{said}` in: {text}");
        }
        self.is_clean();
    }

    /// Sends these bytes through a pipe, which nobody can look ahead in.
    fn pipe(&self, bytes: Vec<u8>) -> Output {
        let mut child = self
            .command(&["deploy_ova", "ova_path=-", "vm_name=victim", "datastore=datastore1"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || {
            let _ = input.write_all(&bytes);
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }

    /// Until the half machine can be seen.
    fn waits_for_the_machine(&self) {
        for _ in 0..100 {
            if told(&self.call(&["list_vms", "limit=100"])).contains("victim") {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nothing was begun");
    }

    fn is_clean(&self) {
        let machines = told(&self.call(&["list_vms", "limit=100"]));
        assert!(machines.contains("edge01"), "{machines}");
        assert!(!machines.contains("victim"), "{machines}");
        let files = told(&self.call(&["browse_datastore", "datastore=datastore1"]));
        assert!(!files.contains("victim"), "{files}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn told(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A web server that answers every connection by this, given the request's first line and headers.
fn web(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/app.ova", listener.local_addr().unwrap());
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                answer(&String::from_utf8_lossy(&head), &mut stream);
            });
        }
    });
    url
}

/// Where a request wants to begin.
fn from(head: &str) -> usize {
    let range = head
        .lines()
        .find_map(|it| it.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    range.map_or(0, |it| it.trim_end_matches('-').split('-').next().unwrap().parse().unwrap())
}

/// The head of an answer that gives `bytes` from `start` on.
fn head(start: usize, bytes: usize) -> String {
    let status = if start == 0 { "200 OK" } else { "206 Partial Content" };
    let left = bytes - start;
    let range = match start {
        0 => String::new(),
        _ => format!("Content-Range: bytes {start}-{}/{bytes}\r\n", bytes - 1),
    };
    format!(
        "HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nETag: \"1\"\r\n{range}Content-Length: {left}\r\nConnection: close\r\n\r\n"
    )
}

/// The URL of these bytes, on a server that gives parts.
fn serving(all: Vec<u8>) -> String {
    web(move |asked, stream| {
        let start = from(asked);
        let _ = stream.write_all(head(start, all.len()).as_bytes());
        let _ = stream.write_all(&all[start..]);
    })
}

/// The same, in ten seconds or so.
fn trickling(all: Vec<u8>) -> String {
    web(move |asked, stream| {
        let start = from(asked);
        let _ = stream.write_all(head(start, all.len()).as_bytes());
        for piece in all[start..].chunks(32 << 10) {
            std::thread::sleep(Duration::from_millis(100));
            if stream.write_all(piece).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_good_one_is_deployed_and_a_second_of_its_name_is_refused() {
    let host = Host::start("good", "[]");
    let path = host.file("app.ova", &whole(SIZE));
    let output = host.deploy(&path, &[]);
    assert!(output.status.success(), "{}", told(&output));
    let again = told(&host.deploy(&path, &[]));
    assert!(again.contains("victim"), "{again}");
    let info = told(&host.call(&["get_vm_info", "name=victim"]));
    assert!(info.contains("victim"), "{info}");
}

#[test]
fn the_host_cuts_the_connection_in_the_middle_of_a_disk() {
    let rules = r#"[{"path": "/*nfc/*", "truncate": 1000000}]"#;
    let host = Host::start("cut", rules);
    let path = host.file("app.ova", &whole(SIZE));
    host.refuses(&host.deploy(&path, &[]), &[DISK]);
}

#[test]
fn the_host_refuses_the_upload() {
    for (status, said) in [("403", "403"), ("500", "500"), ("503", "503")] {
        let rules = format!(r#"[{{"path": "/*nfc/*", "status": {status}}}]"#);
        let host = Host::start(status, &rules);
        let path = host.file("app.ova", &whole(SIZE));
        host.refuses(&host.deploy(&path, &[]), &[DISK, said]);
    }
}

#[test]
fn the_host_falls_silent() {
    let host = Host::start("silent", r#"[{"path": "/*nfc/*", "delay_ms": 3600000}]"#);
    // More than the buffers between hold, so that it waits for room, and less, so that for an answer.
    for size in [32 << 20, 20_000] {
        let path = host.file("app.ova", &whole(size));
        let output = host.deploy(&path, &[]);
        host.refuses(&output, &[DISK, "was silent for 2 s", "file 1 of 1"]);
    }
}

#[test]
fn the_lease_times_out() {
    let rules = r#"[{"method": "HttpNfcLeaseProgress", "fault": "Timedout"}]"#;
    let host = Host::start("lease", rules);
    // So slowly that the first word to the host comes before the end.
    let url = trickling(whole(SIZE));
    host.refuses(&host.deploy(&url, &[]), &["lease"]);
}

#[test]
fn the_archive_is_not_what_its_manifest_says() {
    let host = Host::start("digest", "[]");
    let (text, data) = (descriptor(&[(DISK, SIZE)]), disk(SIZE));
    let mut wrong = data.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let manifest = line("app.ovf", text.as_bytes()) + &line(DISK, &data);
    let parts = [("app.ovf", text.as_bytes()), ("app.mf", manifest.as_bytes()), (DISK, &wrong[..])];
    for order in [[0, 1, 2], [0, 2, 1]] {
        let bytes = archive(&order.map(|at| parts[at]));
        let said = [DISK, "SHA256", "verify=false"];
        let path = host.file("app.ova", &bytes);
        host.refuses(&host.deploy(&path, &[]), &said);
        host.refuses(&host.deploy(&serving(bytes.clone()), &[]), &said);
        host.refuses(&host.pipe(bytes), &said);
    }
    let bytes = archive(&parts);
    let path = host.file("app.ova", &bytes);
    let output = host.deploy(&path, &["verify=false"]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn the_archive_ends_too_early_or_lacks_a_disk() {
    let host = Host::start("short", "[]");
    let all = whole(SIZE);
    let path = host.file("app.ova", &all[..all.len() / 2]);
    host.refuses(&host.deploy(&path, &[]), &["ends too early", DISK]);
    let (text, data) = (descriptor(&[(DISK, SIZE), (SECOND, SIZE)]), disk(SIZE));
    let bytes = archive(&[("app.ovf", text.as_bytes()), (DISK, &data)]);
    let path = host.file("app.ova", &bytes);
    host.refuses(&host.deploy(&path, &[]), &[SECOND]);
    host.refuses(&host.deploy(&serving(bytes.clone()), &[]), &[SECOND]);
    host.refuses(&host.pipe(bytes), &[SECOND, "after 3.1 MB", "file 2 of 2"]);
    let half = || all[..all.len() / 2].to_vec();
    host.refuses(&host.pipe(half()), &["ends too early", DISK, "file 1 of 1"]);
    host.refuses(&host.deploy(&serving(half()), &[]), &["ends too early", DISK]);
}

#[test]
fn a_url_is_not_there_or_stops_sending_or_changes() {
    let host = Host::start("url", "[]");
    let url = web(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    });
    host.refuses(&host.deploy(&url, &[]), &["404"]);
    let all = whole(SIZE);
    let stalls = {
        let all = all.clone();
        web(move |asked, stream| {
            let start = from(asked);
            let _ = stream.write_all(head(start, all.len()).as_bytes());
            // Each piece is a silence long.
            let end = (start + 600_000).min(all.len() / 2).max(start);
            let _ = stream.write_all(&all[start..end]);
            std::thread::sleep(Duration::from_secs(60));
        })
    };
    host.refuses(&host.deploy(&stalls, &[]), &["silent"]);
    let once = std::sync::atomic::AtomicBool::new(false);
    let changes = web(move |asked, stream| {
        if once.swap(true, std::sync::atomic::Ordering::SeqCst) && from(asked) > 0 {
            // If-Range did not hold: all of another file.
            let _ = stream.write_all(head(0, all.len()).replace("\"1\"", "\"2\"").as_bytes());
            let _ = stream.write_all(&all);
            return;
        }
        let _ = stream.write_all(head(0, all.len()).as_bytes());
        let _ = stream.write_all(&all[..all.len() / 3]);
    });
    host.refuses(&host.deploy(&changes, &[]), &["another file"]);
}

#[test]
fn a_url_that_breaks_off_is_gone_on_with() {
    let host = Host::start("resume", "[]");
    let all = whole(SIZE);
    let url = web(move |asked, stream| {
        let start = from(asked);
        let _ = stream.write_all(head(start, all.len()).as_bytes());
        let end = (start + 1_000_000).min(all.len());
        let _ = stream.write_all(&all[start..end]);
    });
    let output = host.deploy(&url, &[]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn who_interrupts_leaves_nothing() {
    let host = Host::start("signal", "[]");
    let path = format!("ova_path={}", trickling(whole(SIZE)));
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut child = host
            .command(&["deploy_ova", &path, "vm_name=victim", "datastore=datastore1"])
            .spawn()
            .unwrap();
        host.waits_for_the_machine();
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let output = child.wait_with_output().unwrap();
        host.refuses(&output, &["cancelled", "it was not made: after ", "of 3.1 MB", DISK]);
    }
}

#[test]
fn who_cancels_over_the_protocol_leaves_nothing() {
    let host = Host::start("cancel", "[]");
    let url = trickling(whole(SIZE));
    let mut child = host
        .command(&[])
        .args(["--toolsets", "all"])
        .stdin(Stdio::piped())
        .stderr(std::fs::File::create(host.folder.join("audit")).unwrap())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#.to_owned(),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"deploy_ova","arguments":{{"ova_path":"{url}","vm_name":"victim","datastore":"datastore1"}},"_meta":{{"progressToken":1}}}}}}"#),
    ];
    for line in lines {
        writeln!(input, "{line}").unwrap();
    }
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let far = answers.find(|it| it.contains("notifications/progress") && it.contains("/s, "));
    let far = far.expect("no progress");
    assert!(far.contains("app-disk1.vmdk (1 of 1): ") && far.contains(" of 3.1 MB"), "{far}");
    assert!(far.contains(" s left"), "{far}");
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    writeln!(input, "{cancel}").unwrap();
    drop(input);
    assert!(!answers.any(|it| it.contains(r#""id":1"#)), "a cancelled request was answered");
    assert!(child.wait().unwrap().success());
    let audit = std::fs::read_to_string(host.folder.join("audit")).unwrap();
    assert!(audit.contains("it was not made: after ") && audit.contains("cancelled"), "{audit}");
    host.is_clean();
}

#[test]
fn of_two_at_once_with_one_name_one_is_made() {
    let host = Host::start("twice", "[]");
    let path = format!("ova_path={}", host.file("app.ova", &whole(SIZE)));
    let words = ["deploy_ova", &path, "vm_name=victim", "datastore=datastore1"];
    let both = [host.command(&words).spawn().unwrap(), host.command(&words).spawn().unwrap()];
    let both = both.map(|it| it.wait_with_output().unwrap());
    let good = both.iter().filter(|it| it.status.success()).count();
    let all = both.iter().map(told).collect::<String>();
    assert_eq!(good, 1, "{all}");
    assert!(all.contains("already") && !all.contains("WARN"), "{all}");
    let machines = told(&host.call(&["list_vms", "limit=100"]));
    assert_eq!(machines.matches("victim").count(), 2, "name and path of one: {machines}");
}
