//! `jumpvisor serve` as an admin has it: the program itself, beside a simulated host, with `socat` and
//! `telnet` at its ends. Every wait has a bound.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/programs.rs"]
mod programs;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jumpvisor::sim::telnet as host;

use programs::{Folder, PATIENCE, PROGRAM, Program, free_port, simulate, wait};

fn wait_for(path: &Path, text: &str) -> String {
    let what = format!("`{text}` in {}", path.display());
    let until = Instant::now() + PATIENCE;
    loop {
        let said = fs::read_to_string(path).unwrap_or_default();
        if said.contains(text) {
            return said;
        }
        assert!(Instant::now() < until, "{what} did not come: {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn peers() -> PathBuf {
    let at = std::env::var("JUMPVISOR_PEERS").unwrap_or("tests/peers/.build".to_owned());
    let at = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(at);
    assert!(at.join("cert.pem").exists(), "no certificates: run tests/peers/install");
    at
}

/// A simulated host, and a folder for what is around it.
struct Rig {
    _host: Program,
    folder: Folder,
    url: String,
}

impl Rig {
    fn start() -> Rig {
        let folder = Folder::new();
        let (host, url) = simulate(&folder.0);
        Rig { _host: host, folder, url }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ESXI_HOST", &self.url).env("ESXI_USER", "root").env("ESXI_PASS", "secret");
        command.env("ESXI_NAME", "esx").current_dir(&self.folder.0);
        command
    }

    /// A daemon; what it says is in the file of its name.
    fn serve(&self, name: &str, settings: &[(&str, &str)]) -> Program {
        let mut command = self.command(PROGRAM);
        command.arg("serve").envs(settings.iter().copied());
        command.env("MCP_HOST", "none").env("AUDIT_LOG", self.path(&format!("{name}.audit")));
        command.stderr(fs::File::create(self.path(name)).unwrap());
        Program(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn call(&self, words: &str) -> String {
        let mut command = self.command(PROGRAM);
        command.env("SERIAL_SOCKETS", self.path("sock"));
        let output = command.arg("call").args(words.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        said
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("sock")).map(|it| it.map(|it| it.unwrap().path()));
        all.map(|it| it.filter(|it| it.extension().is_some()).collect()).unwrap_or_default()
    }

    fn sessions(&self) -> usize {
        let words = "get_object type=SessionManager id=ha-sessionmgr properties=sessionList --json";
        self.call(words).matches("\"userName\"").count()
    }

    /// Types at a socket, until what comes back says this.
    fn socat(&self, socket: &Path, typed: &str, until: &str) -> String {
        let mut command = Command::new("socat");
        command.args(["-", &format!("UNIX-CONNECT:{}", socket.display())]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut person = Program(child.expect("no socat: tests/peers/install"));
        let screen = Screen::of(person.0.stdout.take().unwrap());
        person.0.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        screen.until(until)
    }
}

/// What a program says, read on a thread so that there is a bound.
struct Screen(std::sync::mpsc::Receiver<Vec<u8>>);

impl Screen {
    fn of(mut output: impl Read + Send + 'static) -> Screen {
        let (seen, from) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                let _ = seen.send(piece[..count].to_vec());
            }
        });
        Screen(from)
    }

    fn until(&self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            match self.0.recv_timeout(PATIENCE) {
                Ok(piece) => seen.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => panic!("`{text}` did not come: {seen}"),
            }
        }
        seen
    }
}

#[test]
fn consoles_are_held_lent_and_left() {
    let rig = Rig::start();
    let port = free_port();
    rig.call("power_off name=edge01");
    rig.call(&format!("setup_serial_port name=edge01 port={port}"));
    rig.call("power_on name=edge01");
    let (sock, logs) = (rig.path("sock"), rig.path("logs"));
    let folders =
        [("SERIAL_SOCKETS", sock.to_str().unwrap()), ("SERIAL_LOG_DIR", logs.to_str().unwrap())];
    let mut daemon = rig.serve("first", &folders);
    wait_for(&rig.path("first"), "serves sockets of consoles in");
    wait_for(&rig.path("first.audit"), "SESSION_BEGIN");
    let sockets = rig.sockets();
    let [socket] = &sockets[..] else { panic!("{sockets:?}") };
    assert!(socket.to_str().unwrap().contains("/esx+edge01+"), "{socket:?}");
    let said = rig.socat(socket, "\radmin\radmin\rshow version\r", "Configuration register");
    assert!(said.contains("System image file is"), "{said}");

    // Who has left holds the keyboard no more.
    wait_for(&rig.path("first.audit"), "SESSION_END");

    // Others attach at the socket: a tool, and a person's pipe.
    let listed = rig.call("list_serial_consoles --json");
    assert!(listed.contains("open in another process") && listed.contains(".sock"), "{listed}");
    let read = rig.call("read_serial name=edge01");
    assert!(read.contains("Configuration register"), "{read}");

    // A second one leaves the first its consoles, and says whose they are.
    let mut second = rig.serve("second", &folders);
    wait_for(
        &rig.path("second"),
        &format!("process {} holds the console at {}", daemon.0.id(), socket.display()),
    );
    assert_eq!(second.end("-TERM"), Some(0));
    assert!(socket.exists(), "the second one took the socket away");

    // Lent to telnet, on the daemon's line.
    let mut lent = rig.command(PROGRAM);
    lent.env("SERIAL_SOCKETS", &sock).args(["console", "edge01", "--listen", "127.0.0.1:0"]);
    let mut lent = Program(lent.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let at = Screen::of(lent.0.stdout.take().unwrap()).until("\n");
    let (ip, number) = at.trim().rsplit_once(':').unwrap();
    let mut telnet = Command::new("script");
    telnet.args(["-q", "-c", &format!("exec telnet -E {ip} {number}"), "/dev/null"]);
    let telnet = telnet.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut telnet = Program(telnet.expect("no script or telnet: tests/peers/install"));
    let screen = Screen::of(telnet.0.stdout.take().unwrap());
    screen.until("edge01>");
    telnet.0.stdin.as_mut().unwrap().write_all(b"show clock\r").unwrap();
    screen.until("show clock\r\n");
    drop(telnet);
    assert_eq!(lent.end("-INT"), Some(0));

    // All of this was one line to the host.
    assert_eq!(rig.sessions(), 2, "the daemon's and our own");
    assert_eq!(daemon.end("-TERM"), Some(0));
    let audit = fs::read_to_string(rig.path("first.audit")).unwrap();
    let of_line = |event: &str| {
        let all = audit.lines().filter(|it| it.contains(event) && it.contains(r#""user":"line""#));
        all.count()
    };
    assert_eq!((of_line("SESSION_BEGIN"), of_line("SESSION_END")), (1, 1), "{audit}");
    let person =
        audit.lines().find(|it| it.contains("SESSION_END") && it.contains("at the socket"));
    let person = person.unwrap();
    for part in [
        r#""tool":"console""#,
        r#""host":"esx""#,
        r#""args":{"name":"edge01","port_label":"Serial port 1"}"#,
        r#""bytes_typed":26"#,
        r#""duration_ms":"#,
        r#""result":"success""#,
    ] {
        assert!(person.contains(part), "{part} in {person}");
    }
    assert_eq!(rig.sockets(), Vec::<PathBuf>::new());
    assert_eq!(rig.sessions(), 1, "the daemon has logged out");
    let log = fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read_to_string(log).unwrap().contains("System image file is"));
}

/// Lets edge01 dial this concentrator.
fn dial_in(rig: &Rig, more: &str) {
    rig.call("power_off name=edge01");
    rig.call(&format!("setup_serial_port name=edge01 via=concentrator{more}"));
    rig.call("power_on name=edge01");
}

/// Where the daemon that says this in its file listens.
fn listening(said: &str) -> String {
    let (_, behind) = said.split_once("telnet").unwrap();
    let (_, behind) = behind.split_once("://").unwrap();
    behind.split([',', '\n']).next().unwrap().to_owned()
}

#[test]
fn machines_dial_in_and_strangers_do_not() {
    let rig = Rig::start();
    let sock = rig.path("sock");
    let place = format!("127.0.0.1:{}", free_port());
    let mut daemon = rig
        .serve("first", &[("SERIAL_SOCKETS", sock.to_str().unwrap()), ("SERIAL_LISTEN", &place)]);
    let said = wait_for(&rig.path("first"), "serves the concentrator at telnet://");
    assert!(said.contains(&format!("hosts dial telnet://{place}")), "{said}");
    assert_eq!(listening(&said), place);
    // What SERIAL_ADVERTISE says stands in for `proxy`.
    let mut setup = rig.command(PROGRAM);
    setup.env("SERIAL_ADVERTISE", &place);
    rig.call("power_off name=edge01");
    let words = ["call", "setup_serial_port", "name=edge01", "via=concentrator"];
    let output = setup.args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    rig.call("power_on name=edge01");
    let audit = wait_for(&rig.path("first.audit"), "the machine at 127.0.0.1");
    assert!(audit.contains(r#""name":"edge01""#), "{audit}");
    let socket = wait("a socket", || rig.sockets().pop());
    let said = rig.socat(&socket, "\radmin\radmin\rshow version\r", "Configuration register");
    assert!(said.contains("System image file is"), "{said}");

    // From elsewhere nothing is heard at all.
    let mut command = Command::new("socat");
    command.args(["-u", &format!("TCP:{place},bind=127.0.0.2"), "-"]);
    let output = command.stdin(Stdio::null()).output().expect("no socat: tests/peers/install");
    assert_eq!(output.stdout, b"");
    let refused = wait_for(&rig.path("first.audit"), "127.0.0.2 dialled in");
    assert!(refused.contains("SESSION_REFUSED"), "{refused}");

    // A machine that nobody knows.
    std::thread::sleep(Duration::from_millis(1_100));
    let who = host::Identity {
        name: "stranger".to_owned(),
        bios_uuid: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        vc_uuid: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        ..host::Identity::default()
    };
    let mut theirs = host::Telnet::proxied(who, true, "jumpvisor");
    let mut line = TcpStream::connect(&place).unwrap();
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    line.write_all(&theirs.start()).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let count = match line.read(&mut buffer) {
            // A machine that was paused in between.
            Err(why) if why.kind() == ErrorKind::Interrupted => continue,
            count => count.unwrap(),
        };
        let answer = theirs.receive(&buffer[..count]).wire;
        if count == 0 || line.write_all(&answer).is_err() {
            break;
        }
    }
    wait_for(&rig.path("first.audit"), "no machine is known with the UUIDs of `stranger`");
    // SIGHUP ends nothing: the daemon would have no status of its own then.
    let pid = daemon.0.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    rig.socat(&socket, "show clock\r", "show clock");
    assert!(daemon.0.try_wait().unwrap().is_none());
    assert_eq!(daemon.end("-INT"), Some(0));
    assert!(rig.sockets().is_empty());
}

#[test]
fn machines_dial_in_over_tls() {
    let rig = Rig::start();
    let (sock, peers) = (rig.path("sock"), peers());
    let (chain, key) = (rig.path("chain.pem"), rig.path("key.pem"));
    fs::copy(peers.join("cert.pem"), &chain).unwrap();
    fs::copy(peers.join("key.pem"), &key).unwrap();
    let mut daemon = rig.serve(
        "first",
        &[
            ("SERIAL_SOCKETS", sock.to_str().unwrap()),
            ("SERIAL_LISTEN", "127.0.0.1:0"),
            ("SERIAL_TLS_CERT", chain.to_str().unwrap()),
            ("SERIAL_TLS_KEY", key.to_str().unwrap()),
        ],
    );
    let place = listening(&wait_for(&rig.path("first"), "the concentrator at telnets://"));
    // The simulated host leaves TLS to somebody beside it.
    let port = free_port();
    let mut tls = Command::new("socat");
    tls.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"));
    tls.arg(format!("OPENSSL:{place},verify=0"));
    let _tls = Program(tls.stderr(Stdio::null()).spawn().expect("no socat: tests/peers/install"));
    dial_in(&rig, &format!(" proxy=telnet://127.0.0.1:{port}"));
    wait_for(&rig.path("first.audit"), "the machine at 127.0.0.1");
    let socket = wait("a socket", || rig.sockets().pop());
    rig.socat(&socket, "\r", "Username:");
    // Without TLS nobody comes in.
    let mut plain = TcpStream::connect(&place).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(&[255, 251, 37, 255, 251, 37, 255, 251, 37]).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.windows(2).any(|it| it == [255, 253]), "telnet without TLS");
    // A certificate that is of no use leaves the one before it.
    fs::write(&chain, "nothing").unwrap();
    let pid = daemon.0.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    wait_for(&rig.path("first"), "goes on with the certificate that was read before");
    assert_eq!(daemon.end("-TERM"), Some(0));
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_the_next_step() {
    let rig = Rig::start();
    let refused = |settings: &[(&str, &str)], said: &str| {
        let mut command = rig.command(PROGRAM);
        command.arg("serve").env("MCP_HOST", "none").envs(settings.iter().copied());
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(said), "{said}: {told}");
    };
    // What stands in the working directory is not read.
    fs::write(rig.path(".env"), "SERIAL_LISTEN=127.0.0.1:0\n").unwrap();
    refused(&[], "nothing to serve. MCP_HOST=none leaves HTTP out");
    let listens = ("SERIAL_LISTEN", "127.0.0.1:0");
    refused(
        &[("ESXI_HOST", ""), ("ESXI_USER", ""), ("ESXI_PASS", ""), ("ESXI_NAME", ""), listens],
        "no server",
    );
    refused(&[("SERIAL_LISTEN", "a b")], "SERIAL_LISTEN: is no place to listen");
    refused(&[("SERIAL_LISTEN", "203.0.113.1")], "This machine has no such address");
    refused(&[listens, ("SERIAL_TLS_CERT", "/x")], "is of no use without `SERIAL_TLS_KEY`");
    refused(&[listens, ("SERIAL_TLS_KEY", "/x")], "is of no use without `SERIAL_TLS_CERT`");
    let pair = [listens, ("SERIAL_TLS_CERT", "/nowhere/c"), ("SERIAL_TLS_KEY", "/nowhere/k")];
    refused(&pair, "cannot read the certificate file `/nowhere/c`");
    refused(&[listens, ("SERIAL_ADVERTISE", "0.0.0.0")], "name an address that hosts can dial");
    refused(&[listens, ("SERIAL_ADVERTISE", "http://x")], "nothing that hosts can dial");
    let plain = [pair[0], pair[1], pair[2], ("SERIAL_ADVERTISE", "telnet://a:1")];
    refused(&plain, "says telnet://");
    let alone = [("SERIAL_SOCKETS", rig.folder.0.to_str().unwrap()), ("SERIAL_ADVERTISE", "a:1")];
    refused(&alone, "SERIAL_ADVERTISE is set, but nothing listens there. Set SERIAL_LISTEN");
    refused(&[("SERIAL_SOCKETS", "/nowhere/at/all")], "SERIAL_SOCKETS: the folder /nowhere/at/all");
    let file = rig.path("file");
    fs::write(&file, "").unwrap();
    refused(&[("SERIAL_LOG_DIR", file.to_str().unwrap())], "SERIAL_LOG_DIR: the folder");
}
