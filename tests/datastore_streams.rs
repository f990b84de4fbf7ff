//! Uploads from URLs and pipes, and downloads that are called off, by the program itself.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_jumpvisor");
const SIZE: usize = 3 << 20;

fn bytes() -> Vec<u8> {
    (0..SIZE).map(|at| (at % 251) as u8).collect()
}

fn digest() -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes());
    digest.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}

/// A web server that sends at most so many bytes at once, of parts too if it can.
fn web(most: usize, parts: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a%20b.iso?token=hunter2", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut from = 0;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_ascii_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=").filter(|_| parts) {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let (left, last) = (SIZE - from, SIZE - 1);
            let status = match parts {
                true => format!("206 Part\r\nContent-Range: bytes {from}-{last}/{SIZE}"),
                false => "200 OK".to_owned(),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {left}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&bytes()[from..SIZE.min(from + most)]);
        }
    });
    url
}

/// An upload to the simulated host of a process that may write no byte to any file.
fn upload(word: &str, more: &[&str], input: Option<&[u8]>) -> (bool, String) {
    let limited = r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", limited, BINARY, "--demo", "call", "upload_to_datastore", word]);
    let mut child = command
        .args(["datastore=nas01"])
        .args(more)
        .env_clear()
        .env("URL_HOSTS", "127.0.0.1")
        .env("IDLE_TIMEOUT", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input.unwrap_or_default());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (output.status.success(), told(&output))
}

fn told(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn a_url_goes_to_a_datastore_without_a_file_here() {
    for most in [SIZE, 1 << 20] {
        let url = format!("url={}", web(most, true));
        let (well, said) = upload(&url, &["remote_path=up/"], None);
        let wanted = format!("3145728 bytes, SHA-256 {}", digest());
        assert!(well && said.contains(&wanted) && said.contains("[nas01] up/a b.iso"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let url = format!("url={}", web(1 << 20, false));
    let (well, said) = upload(&url, &["remote_path=up/"], None);
    assert!(
        !well && said.contains("after 1048576 bytes") && said.contains("from their beginning only"),
        "{said}"
    );
    let wrong = format!("sha256={}", "0".repeat(64));
    let url = format!("url={}", web(SIZE, true));
    let (well, said) = upload(&url, &["remote_path=up/x", &wrong], None);
    assert!(!well && said.contains("nothing of it is kept"), "{said}");
    let (well, said) = upload("url=/etc/hostname", &["remote_path=up/x"], None);
    assert!(!well && said.contains("is no http or https URL"), "{said}");
}

#[test]
fn a_pipe_goes_to_a_datastore_unless_nothing_comes() {
    let to = ["remote_path=up/x"];
    let (well, said) = upload("local_path=-", &to, Some(&bytes()));
    assert!(well && said.contains(&digest()) && said.contains("from standard input"), "{said}");
    let (well, said) = upload("local_path=-", &to, None);
    assert!(!well && said.contains("nothing came from standard input"), "{said}");
}

struct Ends(Child, PathBuf);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

#[test]
fn a_download_that_is_interrupted_leaves_no_file() {
    let folder = std::env::temp_dir().join(format!("jv-streams-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rules = folder.join("rules.json");
    // Asked twice: how large it is, and for its bytes.
    std::fs::write(&rules, r#"[{"path": "/folder/web01/*", "nth": 2, "delay_ms": 5000}]"#).unwrap();
    let mut host = Command::new(BINARY);
    host.args(["simulate", "--faults"]).arg(&rules).stdout(Stdio::piped());
    let mut host = Ends(host.spawn().unwrap(), folder.clone());
    let mut lines = BufReader::new(host.0.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    let mut call = Command::new(BINARY);
    call.args(["call", "download_from_datastore", "datastore=datastore1"])
        .args(["path=web01/vmware.log", "save_to=out"])
        .env_clear()
        .env("ESXI_HOST", address.trim())
        .env("ESXI_USER", "root")
        .env("ESXI_PASS", "secret")
        .env("ESXI_INSECURE", "true")
        .current_dir(&folder)
        .stderr(Stdio::piped());
    let mut child = call.spawn().unwrap();
    let files = || std::fs::read_dir(&folder).unwrap().count();
    // Its part is there before the host is asked.
    while files() == 1 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(700));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert_eq!(files(), 1, "{said}");
}
