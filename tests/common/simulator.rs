//! The public simulator as a Rust test starts it, behind the front of `tests/peers/vcsim`.
//!
//! It speaks plain HTTP, which jumpvisor speaks to its own machine only; TLS is for other tests.
//! It ends with the value, and with the test's process, since its standard input ends then.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jumpvisor::text::json;
use jumpvisor::text::json::Value;

/// What XML, JSON, a shell and a log would each trip over.
pub const PASSWORD: &str = "se<cr&et>'1\"";

/// A running simulator.
pub struct Simulator {
    process: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Simulator {
    /// Starts one: `esx` or `vpx`, and flags of the simulator.
    pub fn start(model: &str, flags: &[&str]) -> Simulator {
        let mut process = Command::new(program())
            .args(["-until-eof", "-no-tls", "-model", model, "-user", "root"])
            .args(["-password", PASSWORD])
            .args(flags)
            .env("TMPDIR", "/tmp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator cannot be run");
        let mut url = String::new();
        let stdout = process.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut url).expect("the simulator says nothing");
        let address = url.trim().strip_prefix("http://").and_then(|it| it.strip_suffix("/sdk"));
        let address = address.unwrap_or_else(|| panic!("the simulator did not start: `{url}`"));
        Simulator { address: address.to_owned(), process }
    }

    /// Asks the front: `GET /count` and its kin.
    pub fn control(&self, method: &str, path: &str) -> String {
        let mut link = TcpStream::connect(&self.address).expect("the simulator is away");
        link.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(link, "{method} {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        link.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("no HTTP answer");
        assert!(head.split(' ').nth(1) == Some("200"), "{method} {path}: {head}");
        body.to_owned()
    }

    /// How many requests of that SOAP method came since the counts were forgotten.
    pub fn count(&self, method: &str) -> i64 {
        match json::parse(&self.control("GET", "/count")) {
            Ok(Value::Object(counts)) => counts.get(method).and_then(json::as_int).unwrap_or(0),
            _ => panic!("the simulator does not count"),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        for _ in 0..500 {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let ours = || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/.build").into();
    let folder: PathBuf = std::env::var_os("JUMPVISOR_PEERS").map_or_else(ours, PathBuf::from);
    let program = folder.join("vcsim");
    assert!(program.is_file(), "the simulator is missing: run tests/peers/install first");
    program
}
