//! A simulated host, the daemon before it, and a client that sees every byte.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};

pub use crate::programs::{Folder, PATIENCE, PROGRAM, Program, free_port, simulate, wait};

/// Keys of the file that [`Rig::keys`] writes; long, as those are that `jumpvisor key` makes.
pub const ADMIN: &str = "admin-key-5rTgb8Uj2kLq9WzXc4Vn7Mh1";
pub const READER: &str = "reader-key-Qa3Ws6Ed9Rf2Tg5Yh8Uj1Ik4";
pub const LAB: &str = "lab-key-Zx7Cv4Bn1Ma8Sd5Fg2Hj9Kl6Qw3";
pub const NOBODY: &str = "nobody-key-Po9Iu6Yt3Re8Wq5Lk2Jh7Gf4";

/// A simulated host, and a folder for what is around it.
pub struct Rig {
    _host: Program,
    pub folder: Folder,
    url: String,
}

/// A daemon, and what it writes.
pub struct Daemon {
    pub program: Program,
    log: PathBuf,
    audit: PathBuf,
}

impl Rig {
    pub fn start() -> Rig {
        let folder = Folder::new();
        let (host, url) = simulate(&folder.0);
        Rig { _host: host, folder, url }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.0.join(name).to_str().unwrap().to_owned()
    }

    /// A program that knows the host, and nothing of who runs the test.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ESXI_HOST", &self.url).env("ESXI_USER", "root").env("ESXI_PASS", "secret");
        command.env("ESXI_NAME", "esx").current_dir(&self.folder.0);
        command.stdin(Stdio::null());
        command
    }

    pub fn call(&self, words: &str) -> String {
        let output = self.command(PROGRAM).arg("call").args(words.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Sessions at the host, without the one that asks.
    pub fn sessions(&self) -> usize {
        let words = "get_object type=SessionManager id=ha-sessionmgr properties=sessionList --json";
        self.call(words).matches("\"userName\"").count() - 1
    }

    /// The file of keys: an admin, a reader, one of the group `lab`, and one without a right.
    pub fn keys(&self) -> String {
        let line = |name: &str, group: &str, key: &str| {
            let hex: String = digest(&SHA256, key.as_bytes())
                .as_ref()
                .iter()
                .map(|it| format!("{it:02x}"))
                .collect();
            format!("{name}:{group}:{hex}\n")
        };
        let text = line("ann", "vsphere-super-admins", ADMIN)
            + &line("rob", "vsphere-readers", READER)
            + &line("leo", "lab", LAB)
            + &line("tim", "strangers", NOBODY);
        fs::write(self.path("keys"), text).unwrap();
        self.path("keys")
    }

    /// A daemon at a port of its choice, unless it is told otherwise.
    pub fn serve(&self, name: &str, settings: &[(&str, &str)]) -> Daemon {
        self.daemon(self.command(PROGRAM), &["serve"], name, settings)
    }

    pub fn daemon(
        &self,
        mut command: Command,
        words: &[&str],
        name: &str,
        settings: &[(&str, &str)],
    ) -> Daemon {
        let (log, audit) = (self.path(name), self.path(&format!("{name}.audit")));
        command.args(words).env("MCP_HOST", "127.0.0.1:0").env("AUDIT_LOG", &audit);
        command.envs(settings.iter().copied());
        command.stderr(fs::File::create(&log).unwrap()).stdout(Stdio::null());
        let program =
            Program(command.spawn().expect("systemd-socket-activate: apt install systemd"));
        Daemon { program, log: log.into(), audit: audit.into() }
    }

    /// What is said where the settings are refused.
    pub fn refused(&self, words: &[&str], settings: &[(&str, &str)]) -> String {
        let mut command = self.command(PROGRAM);
        command.args(words).env("MCP_HOST", "127.0.0.1:0").envs(settings.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut program = Program(child);
        assert_ne!(program.ended(), Some(0), "{settings:?}");
        let mut said = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Daemon {
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn audit(&self) -> String {
        fs::read_to_string(&self.audit).unwrap_or_default()
    }

    pub fn hears(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if said.contains(text) {
                return said;
            }
            assert!(Instant::now() < until, "`{text}` did not come: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it serves.
    pub fn at(&self) -> SocketAddr {
        address(&self.hears("serves MCP at "), "MCP at ")
    }

    pub fn post(&self, key: &str, body: &str) -> Heard {
        post(self.at(), key, body)
    }

    /// One call of a tool, by a client of the older era.
    pub fn tool(&self, key: &str, name: &str, args: &str) -> Heard {
        self.post(key, &calling(name, args))
    }
}

/// The address behind these words of what a daemon serves.
pub fn address(said: &str, words: &str) -> SocketAddr {
    let (_, behind) = said.split_once(words).unwrap();
    let (_, behind) = behind.split_once("://").unwrap();
    behind.split('/').next().unwrap().parse().unwrap()
}

pub fn calling(name: &str, args: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{args}}}}}"#
    )
}

pub const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// An answer.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    /// Status line, headers, body.
    pub text: String,
}

impl Heard {
    #[track_caller]
    pub fn holds(&self, status: u16, parts: &[&str]) -> &Heard {
        assert_eq!(self.status, status, "{}", self.text);
        for part in parts {
            assert!(self.text.contains(part), "{part} in {}", self.text);
        }
        self
    }

    /// The result of a tool that did what it was asked.
    #[track_caller]
    pub fn works(&self, parts: &[&str]) -> &Heard {
        assert!(!self.text.contains("\"isError\":true"), "{}", self.text);
        self.holds(200, &["\"result\":{"]).holds(200, parts)
    }

    /// The text behind `"name":"`.
    pub fn member(&self, name: &str) -> String {
        let (_, behind) = self.text.split_once(&format!("\"{name}\":\"")).expect(&self.text);
        behind.split('"').next().unwrap().to_owned()
    }
}

/// What a client of the older era sends; without a key where it is empty.
pub fn request(key: &str, body: &str) -> String {
    let key = match key {
        "" => String::new(),
        key => format!("Authorization: Bearer {key}\r\n"),
    };
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\n{key}Connection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn post(at: SocketAddr, key: &str, body: &str) -> Heard {
    talk(at, &request(key, body))
}

pub fn get(at: SocketAddr, path: &str, headers: &str) -> Heard {
    talk(
        at,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"),
    )
}

/// Sends these bytes and hears to the end of the connection.
pub fn talk(at: SocketAddr, sent: &str) -> Heard {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    heard(stream, sent)
}

pub fn heard(mut stream: impl Read + Write, sent: &str) -> Heard {
    // Who is refused early may be cut off while he still sends.
    let _ = stream.write_all(sent.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.get(9..12).and_then(|it| it.parse().ok()).unwrap_or(0);
    Heard { status, text }
}

/// The output of a program that must succeed.
pub fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|why| panic!("{program} is needed, apt install it: {why}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {words:?}: {said}");
    said
}

/// A certificate for localhost and its key, with this serial number and for so many days.
pub fn certificate(folder: &Path, serial: &str, days: &str) -> (String, String) {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (chain, key) = (at("tls.pem"), at("tls.key"));
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-set_serial",
            serial,
            "-days",
            days,
            "-out",
            &chain,
            "-keyout",
            &key,
        ],
    );
    (chain, key)
}
