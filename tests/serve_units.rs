//! `jumpvisor serve` under a supervisor: what it tells by `NOTIFY_SOCKET`, sockets that systemd
//! listens on, and consoles while it is ended and started again. Every wait has a bound.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/programs.rs"]
mod programs;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use programs::{Folder, PATIENCE, PROGRAM, Program, free_port, simulate, wait};

/// A simulated host whose machine edge01 listens, and a folder for what is around it.
struct Rig {
    _host: Program,
    folder: Folder,
    url: String,
}

impl Rig {
    fn start() -> Rig {
        let folder = Folder::new();
        let (host, url) = simulate(&folder.0);
        let rig = Rig { _host: host, folder, url };
        rig.call("power_off name=edge01");
        rig.call(&format!("setup_serial_port name=edge01 port={}", free_port()));
        rig.call("power_on name=edge01");
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ESXI_HOST", &self.url).env("ESXI_USER", "root").env("ESXI_PASS", "secret");
        command.env("ESXI_NAME", "esx").env("MCP_HOST", "none").current_dir(&self.folder.0);
        command.env("SERIAL_SOCKETS", self.path("sock")).stdin(Stdio::null());
        command
    }

    fn run(&self, mut command: Command, log: &str) -> Program {
        command.stderr(fs::File::create(self.path(log)).unwrap()).stdout(Stdio::null());
        Program(command.spawn().unwrap())
    }

    fn serve(&self, log: &str, settings: &[(&str, &str)]) -> Program {
        let mut command = self.command(PROGRAM);
        command.arg("serve").envs(settings.iter().copied());
        self.run(command, log)
    }

    fn call(&self, words: &str) -> String {
        let output = self.command(PROGRAM).arg("call").args(words.split(' ')).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn socket(&self) -> PathBuf {
        wait("a socket", || {
            let mut all = fs::read_dir(self.path("sock")).ok()?.map(|it| it.unwrap().path());
            all.find(|it| it.extension().is_some_and(|it| it == "sock"))
        })
    }

    /// The prompt comes when Enter is typed, as soon as the line stands.
    fn answers(&self) {
        wait("an answer of the machine", || {
            let mut person = UnixStream::connect(self.socket()).ok()?;
            person.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            person.write_all(b"\r").ok()?;
            let (mut said, mut piece) = (String::new(), [0; 4096]);
            while let Ok(count @ 1..) = person.read(&mut piece) {
                said.push_str(&String::from_utf8_lossy(&piece[..count]));
                if said.contains("Username:") {
                    return Some(());
                }
            }
            None
        });
    }
}

/// What the supervisor is told, up to a message that begins so.
fn told(socket: &UnixDatagram, begin: &str) -> String {
    let mut piece = [0; 4096];
    loop {
        let count = socket.recv(&mut piece).unwrap_or_else(|_| panic!("`{begin}` did not come"));
        let text = String::from_utf8_lossy(&piece[..count]).into_owned();
        if text.starts_with(begin) {
            return text;
        }
    }
}

#[test]
fn a_supervisor_is_told_of_every_step() {
    let rig = Rig::start();
    let notify = rig.path("notify");
    let socket = UnixDatagram::bind(&notify).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let settings = [("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let mut daemon = rig.serve("first", &settings);
    let ready = told(&socket, "READY=1\n");
    assert!(ready.contains("STATUS=sockets of consoles in "), "{ready}");
    // Again and again, by the thread that moves the consoles' bytes.
    assert_eq!(told(&socket, "WATCHDOG=1"), "WATCHDOG=1");
    assert_eq!(told(&socket, "WATCHDOG=1"), "WATCHDOG=1");
    daemon.signal("-HUP");
    let reloading = told(&socket, "RELOADING=1\n");
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(since.parse::<u64>().unwrap() > 0, "{reloading}");
    told(&socket, "READY=1\n");
    told(&socket, "WATCHDOG=1");
    daemon.signal("-TERM");
    told(&socket, "STOPPING=1\n");
    let code = wait("the end of the daemon", || daemon.0.try_wait().unwrap()).code();
    assert_eq!(code, Some(0));
    // Meant for another process, the watchdog is none of ours; and nobody has to listen.
    let other = [settings[0], settings[1], ("WATCHDOG_PID", "1")];
    let mut daemon = rig.serve("second", &other);
    told(&socket, "READY=1\n");
    rig.answers();
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 100]).is_err(), "a watchdog that nobody asked for");
    drop(socket);
    assert_eq!(daemon.end("-TERM"), Some(0));
}

#[test]
fn systemd_may_listen_for_the_concentrator() {
    let rig = Rig::start();
    let port = free_port();
    let mut command = rig.command("systemd-socket-activate");
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--fdname", "serial"]);
    for name in ["ESXI_HOST", "ESXI_USER", "ESXI_PASS", "ESXI_NAME", "MCP_HOST", "SERIAL_SOCKETS"] {
        command.args(["-E", name]);
    }
    let mut log = rig.path("log").into_os_string();
    log.push(".audit");
    command.args(["-E", &format!("AUDIT_LOG={}", log.to_str().unwrap()), PROGRAM, "serve"]);
    let mut daemon = rig.run(command, "log");
    rig.call("power_off name=edge01");
    let proxy = format!("telnet://127.0.0.1:{port}");
    rig.call(&format!("setup_serial_port name=edge01 via=concentrator proxy={proxy}"));
    // The first machine that dials begins the daemon, and is served.
    rig.call("power_on name=edge01");
    wait("the machine", || {
        let audit = fs::read_to_string(&log).unwrap_or_default();
        audit.contains("the machine at 127.0.0.1").then_some(())
    });
    rig.answers();
    let said = fs::read_to_string(rig.path("log")).unwrap();
    assert!(
        said.contains(&format!("serves the concentrator at telnet://127.0.0.1:{port}")),
        "{said}"
    );
    assert_eq!(daemon.end("-TERM"), Some(0));
    // A socket that nothing here serves is told of, not left open unheard.
    let mut command = rig.command("systemd-socket-activate");
    let port = free_port();
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--fdname", "telnet"]);
    command.args([
        "-E",
        "ESXI_HOST",
        "-E",
        "ESXI_USER",
        "-E",
        "ESXI_PASS",
        "-E",
        "MCP_HOST",
        "-E",
        "SERIAL_SOCKETS",
        PROGRAM,
        "serve",
    ]);
    let mut refused = rig.run(command, "refused");
    wait("the end of the daemon", || {
        let _ = TcpStream::connect(("127.0.0.1", port));
        refused.0.try_wait().unwrap()
    });
    let said = fs::read_to_string(rig.path("refused")).unwrap();
    assert!(said.contains("a socket called `telnet`"), "{said}");
}

#[test]
fn people_find_their_console_again_when_the_daemon_does() {
    let rig = Rig::start();
    let mut daemon = rig.serve("first", &[]);
    rig.answers();
    let socket = rig.socket();
    // A person's program is attached through it all.
    let mut person = rig.command(PROGRAM);
    person.args(["console", "edge01"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    person.stderr(fs::File::create(rig.path("person")).unwrap());
    let mut person = Program(person.spawn().unwrap());
    let mut output = person.0.stdout.take().unwrap();
    let (seen, screen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut piece) {
            let _ = seen.send(String::from_utf8_lossy(&piece[..count]).into_owned());
        }
    });
    screen.recv_timeout(PATIENCE).expect("the screen did not come");
    // Killed, it leaves its socket; the next one takes the place, and the person is back.
    assert_eq!(daemon.end("-KILL"), None);
    assert!(socket.exists());
    let mut daemon = rig.serve("second", &[]);
    while screen.try_recv().is_ok() {}
    rig.answers();
    let mut keys = person.0.stdin.take().unwrap();
    wait("the person's prompt", || {
        keys.write_all(b"\r").unwrap();
        let said = screen.recv_timeout(Duration::from_secs(1)).ok()?;
        said.contains("Username:").then_some(())
    });
    // The machine ends and starts again by a tool of this daemon's neighbour, which it sees at its
    // next look; typing meanwhile goes nowhere and says so.
    rig.call("power_off name=edge01");
    wait("the word about it", || {
        keys.write_all(b"\r").unwrap();
        let said = fs::read_to_string(rig.path("person")).unwrap_or_default();
        let screen = screen.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        (said.contains("not connected") || screen.contains("[jumpvisor]")).then_some(())
    });
    drop(keys);
    assert_eq!(daemon.end("-TERM"), Some(0));
    assert!(!socket.exists());
}

#[test]
fn what_is_read_only_or_open_to_everybody() {
    let rig = Rig::start();
    let mut daemon = rig.serve("first", &[("READ_ONLY", "true")]);
    let mut person = UnixStream::connect(rig.socket()).unwrap();
    person.set_read_timeout(Some(PATIENCE)).unwrap();
    person.write_all(b"\radmin\r").unwrap();
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    while !said.contains("keys are not sent") {
        let count = person.read(&mut piece).unwrap();
        assert!(count > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    assert_eq!(daemon.end("-TERM"), Some(0));
    fs::set_permissions(rig.path("sock"), fs::Permissions::from_mode(0o777)).unwrap();
    let mut daemon = rig.serve("second", &[]);
    let code = wait("the end of the daemon", || daemon.0.try_wait().unwrap()).code();
    assert_ne!(code, Some(0));
    let said = fs::read_to_string(rig.path("second")).unwrap();
    assert!(said.contains("SERIAL_SOCKETS") && said.contains("everybody may write"), "{said}");
}
