//! People at a console: by Unix socket, by telnet, two at a time, slow ones, other processes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use jumpvisor::serial::hub::{Console, Hub, Settings, State, Way, socket_path};

use crate::rig::{
    Folder, Known, PATIENCE, about, accept, connected, every_byte, listener, patient, said, soon,
    until, way,
};

struct Rig {
    folder: Folder,
    known: Arc<Known>,
    hub: Hub,
    console: Console,
    /// The machine's end.
    machine: TcpStream,
    _listener: TcpListener,
}

fn rig() -> Rig {
    let folder = Folder::new();
    let known = Arc::new(Known::default());
    let sockets = Some(folder.0.clone());
    let log_dir = sockets.clone();
    let hub = Hub::with(
        Settings { ring_bytes: 64 << 10, log_dir, sockets, ..Settings::default() },
        known.clone(),
    );
    let (_listener, address) = listener();
    let console = hub.open(&about("7"), way(address, false)).unwrap();
    let machine = accept(&_listener);
    connected(&console);
    Rig { folder, known, hub, console, machine, _listener }
}

fn attach(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_person_sees_the_screen_and_types() {
    let mut rig = rig();
    let path = rig.console.status().socket.unwrap();
    assert_eq!(path, rig.folder.0.join("esxi01+edge_7+7.sock"));
    assert_eq!(path, socket_path(&rig.folder.0, &about("7")));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    rig.machine.write_all(b"booted\r\nlogin: ").unwrap();
    said(&rig.console, 15);
    let mut person = attach(&path);
    until(&mut person, b"booted\r\nlogin: ");
    let all = every_byte();
    person.write_all(&all).unwrap();
    let mut typed = vec![0; all.len()];
    rig.machine.read_exact(&mut typed).unwrap();
    assert_eq!(typed, all);
    rig.machine.write_all(&all).unwrap();
    let mut shown = vec![0; all.len()];
    person.read_exact(&mut shown).unwrap();
    assert_eq!(shown, all);
    assert_eq!(rig.console.status().readers, 1);
    // While this one types, nobody else does; both are told.
    let error = rig.console.write("assistant", b"x", Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("`user "), "{error}");
    let mut second = attach(&path);
    soon("two are here", || rig.console.status().readers == 2);
    second.write_all(b"mine").unwrap();
    until(&mut second, b" is writing\r\n");
    // Who leaves gives the right back.
    drop(person);
    soon("one is here", || rig.console.status().readers == 1);
    rig.console.write("assistant", b"!", PATIENCE).unwrap();
    until(&mut second, b"[jumpvisor] assistant is writing\r\n");
    let mut typed = [0];
    rig.machine.read_exact(&mut typed).unwrap();
    assert_eq!(&typed, b"!", "what the second one typed went nowhere");
    drop(second);
    soon("nobody is here", || rig.console.status().readers == 0);
    rig.hub.close();
    assert!(!path.exists(), "the socket goes with the console");
    let sessions = rig.known.sessions.lock().unwrap().join("\n");
    assert!(sessions.starts_with("7 line Begins\n7 user "), "{sessions}");
    assert!(sessions.contains("Ends { why: \"left\", typed: 267 }"), "{sessions}");
    let log = std::fs::read(path.with_extension("log")).unwrap();
    assert_eq!(log, [b"booted\r\nlogin: ", &all[..]].concat());
}

#[test]
fn a_slow_person_misses_some_and_holds_nobody_up() {
    let mut rig = rig();
    let path = rig.console.status().socket.unwrap();
    let (mut slow, mut quick) = (attach(&path), attach(&path));
    soon("both are here", || rig.console.status().readers == 2);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        while !all.ends_with(b"THE END") {
            let mut buffer = [0; 65536];
            let count = quick.read(&mut buffer).unwrap();
            assert!(count > 0);
            all.extend(&buffer[..count]);
        }
        all
    });
    const FLOOD: usize = 4 << 20;
    let flood: Vec<u8> = (0..FLOOD / 8).flat_map(|it| format!("{it:07}\n").into_bytes()).collect();
    for piece in flood.chunks(4096) {
        rig.machine.write_all(piece).unwrap();
        // The quick one keeps up with this pace.
        std::thread::sleep(Duration::from_micros(500));
    }
    rig.machine.write_all(b"THE END").unwrap();
    let seen = reader.join().unwrap();
    assert!(seen == [&flood[..], b"THE END"].concat(), "{} of {}", seen.len(), flood.len());
    let seen = until(&mut slow, b"THE END");
    let text = String::from_utf8(seen).unwrap();
    let (before, after) = text.split_once("\r\n[jumpvisor] ").unwrap();
    let (skipped, after) = after.split_once(" bytes skipped\r\n").unwrap();
    let skipped: usize = skipped.parse().unwrap();
    assert_eq!(before.len() + skipped + after.len(), FLOOD + 7);
    assert!(flood.starts_with(before.as_bytes()), "what it saw is whole");
}

#[test]
fn another_process_attaches_to_the_console() {
    let mut rig = rig();
    rig.machine.write_all(b"login: ").unwrap();
    said(&rig.console, 7);
    assert_eq!(rig.hub.holder(&about("7")), None, "it is our own");
    let sockets = Some(rig.folder.0.clone());
    let other = Hub::new(Settings { ring_bytes: 1000, sockets, ..Settings::default() });
    let path = other.holder(&about("7")).unwrap();
    assert_eq!(other.holder(&about("8")), None);
    let console = other.open(&about("7"), Way::Socket(path)).unwrap();
    assert_eq!(said(&console, 7), b"login: ");
    connected(&console);
    console.write("admin", b"admin\r", PATIENCE).unwrap();
    let mut typed = [0; 6];
    rig.machine.read_exact(&mut typed).unwrap();
    assert_eq!(&typed, b"admin\r");
    assert!(console.send_break("admin").is_err(), "a socket carries bytes only");
}

#[test]
fn a_socket_of_the_dead_is_replaced_and_one_of_the_living_is_not() {
    let folder = Folder::new();
    let path = socket_path(&folder.0, &about("7"));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let sockets = Some(folder.0.clone());
    let settings = Settings { ring_bytes: 1000, sockets, ..Settings::default() };
    let first = Hub::new(settings.clone());
    let console = first.open(&about("7"), Way::Dialled).unwrap();
    assert_eq!(console.status().socket.as_ref(), Some(&path));
    until(&mut attach(&path), b"\r\n[jumpvisor] not connected: waiting\r\n");
    let second = Hub::new(settings);
    let other = second.open(&about("7"), Way::Dialled).unwrap();
    assert_eq!(other.status().socket, None);
    drop((second, other));
    assert!(path.exists());
    drop(attach(&path));
    first.forget(&about("7").place);
    soon("the socket is gone", || !path.exists());
}

#[test]
fn people_are_bounded_in_number_and_may_leave_their_end_half_open() {
    let mut rig = rig();
    let path = rig.console.status().socket.unwrap();
    let all: Vec<_> = (0..16).map(|_| attach(&path)).collect();
    soon("all are here", || rig.console.status().readers == 16);
    until(&mut attach(&path), b"too many are attached");
    drop(all);
    soon("nobody is here", || rig.console.status().readers == 0);
    // As `echo | nc -N` does it.
    let mut person = attach(&path);
    person.write_all(b"show\r").unwrap();
    person.shutdown(Shutdown::Write).unwrap();
    let mut typed = [0; 5];
    rig.machine.read_exact(&mut typed).unwrap();
    rig.machine.write_all(b"shown\r\n").unwrap();
    let mut answer = Vec::new();
    person.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"shown\r\n");
}

#[test]
fn only_this_machine_is_lent_a_port() {
    let rig = rig();
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let error = rig.hub.lend(&rig.console, address.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("is not an address of this machine alone"), "{error}");
    }
}

/// A real `telnet` on a terminal of its own.
#[test]
fn a_persons_telnet() {
    let mut rig = rig();
    let address = rig.hub.lend(&rig.console, "127.0.0.1:0".parse().unwrap()).unwrap();
    assert_eq!(rig.console.status().tcp, Some(address));
    rig.machine.write_all(b"\xff\0login: ").unwrap();
    said(&rig.console, 9);
    let mut bare = patient(TcpStream::connect(address).unwrap());
    assert!(until(&mut bare, b"login: ").starts_with(&[255, 251, 1]), "it offers to echo");
    drop(bare);
    let there = Command::new("telnet").arg("--version").stdin(Stdio::null()).output();
    assert!(there.is_ok(), "no telnet: run tests/peers/install");
    let line = format!("exec telnet -E 127.0.0.1 {}", address.port());
    let mut command = Command::new("script");
    command.args(["-q", "-c", &line, "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut screen = child.stdout.take().unwrap();
    until(&mut screen, b"login: ");
    // Until both have agreed, Enter may travel otherwise.
    std::thread::sleep(Duration::from_millis(500));
    let typed = b"show run\r\x03\x1b[A\xff\t\x7f";
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(typed).unwrap();
    keys.flush().unwrap();
    let mut came = vec![0; typed.len()];
    rig.machine.read_exact(&mut came).unwrap();
    assert_eq!(came.escape_ascii().to_string(), typed.escape_ascii().to_string());
    rig.machine.write_all(b"running config\r\n").unwrap();
    until(&mut screen, b"running config\r\n");
    let _ = child.kill();
    let _ = child.wait();
}

/// A real `socat`, as people use it in scripts.
#[test]
fn a_persons_socat() {
    let mut rig = rig();
    let path = rig.console.status().socket.unwrap();
    let mut command = Command::new("socat");
    command.args(["-t", "1", "-", &format!("UNIX-CONNECT:{}", path.display())]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("no socat: run tests/peers/install");
    let all = every_byte();
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(&all).unwrap();
    keys.flush().unwrap();
    let mut came = vec![0; all.len()];
    rig.machine.read_exact(&mut came).unwrap();
    assert_eq!(came, all);
    rig.machine.write_all(&all).unwrap();
    let mut shown = vec![0; all.len()];
    child.stdout.take().unwrap().read_exact(&mut shown).unwrap();
    assert_eq!(shown, all);
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn nobody_types_at_a_socket_of_a_hub_that_is_mute() {
    let folder = Folder::new();
    let sockets = Some(folder.0.clone());
    let hub = Hub::new(Settings { ring_bytes: 1000, sockets, mute: true, ..Settings::default() });
    let (listener, address) = listener();
    let console = hub.open(&about("7"), way(address, true)).unwrap();
    let mut machine = accept(&listener);
    connected(&console);
    let path = console.status().socket.unwrap();
    let mut person = attach(&path);
    person.write_all(b"reload\r").unwrap();
    until(&mut person, b"keys are not sent\r\n");
    let mut telnet = patient(TcpStream::connect(hub.lend(&console, loopback()).unwrap()).unwrap());
    telnet.write_all(&[b'x', 255, 243, 255, 244]).unwrap();
    until(&mut telnet, b"keys are not sent\r\n");
    // They look on, and nothing else than the beginning of telnet was sent.
    machine.write_all(b"login: ").unwrap();
    until(&mut person, b"login: ");
    until(&mut telnet, b"login: ");
    let now = console.status();
    assert_eq!((now.bytes_out, now.writer), (0, None));
}

#[test]
fn interrupts_keep_their_place_between_keys() {
    let mut rig = rig();
    let at = rig.hub.lend(&rig.console, loopback()).unwrap();
    let mut telnet = patient(TcpStream::connect(at).unwrap());
    telnet.write_all(b"a\xff\xf4b\xff\xf4c!").unwrap();
    assert_eq!(until(&mut rig.machine, b"!"), b"a\x03b\x03c!");
}

fn loopback() -> std::net::SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn a_machine_that_is_renamed_is_found_by_its_new_name() {
    let mut rig = rig();
    let old = rig.console.status().socket.unwrap();
    let mut person = attach(&old);
    rig.machine.write_all(b"login: ").unwrap();
    until(&mut person, b"login: ");
    let mut renamed = about("7");
    renamed.name = "a/b \u{fc} $(reboot)".to_owned();
    let Some(way) = rig.hub.way(&renamed.place) else { panic!() };
    rig.hub.keep(&renamed, way.clone()).unwrap();
    let new = rig.console.status().socket.unwrap();
    assert_eq!(new, rig.folder.0.join("esxi01+a_b_____reboot_+7.sock"));
    assert_eq!(new, socket_path(&rig.folder.0, &renamed));
    soon("the old one is gone", || !old.exists());
    // Who was there stays, and another process finds it.
    person.write_all(b"root\r").unwrap();
    assert_eq!(until(&mut rig.machine, b"\r"), b"root\r");
    let sockets = Some(rig.folder.0.clone());
    let other = Hub::new(Settings { ring_bytes: 1000, sockets, ..Settings::default() });
    assert_eq!(other.holder(&renamed), Some(new.clone()));
    assert_eq!(other.holder(&about("7")), None);
    rig.hub.keep(&renamed, way).unwrap();
    assert_eq!(rig.console.status().socket, Some(new.clone()));
    rig.hub.close();
    assert!(!new.exists());
}

#[test]
fn no_two_consoles_have_one_socket() {
    let folder = Path::new("/run");
    let mut all = Vec::new();
    for (server, name, id, port) in [
        ("esx", "a", "7", "Serial port 1"),
        ("esx", "a", "7", "Serial port 2"),
        ("esx", "a-7", "2", "Serial port 1"),
        ("esx-a", "b", "7", "Serial port 1"),
        ("esx", "a-b", "7", "Serial port 1"),
        ("esx-frankfurt-datacenter-01.example.com", "a", "7", "Serial port 1"),
        ("esx-frankfurt-datacenter-02.example.com", "a", "7", "Serial port 1"),
        ("\u{e4}", "a", "7", "Serial port 1"),
        ("\u{f6}", "a", "7", "Serial port 1"),
        ("_", "a", "7", "Serial port 1"),
        ("esx", "a", "7", "com 1"),
        ("esx", "a", "7", "com+1"),
        ("esx", "a", "7", "com_1"),
    ] {
        let mut it = about(id);
        (it.place.server, it.place.port) = (server.to_owned(), port.to_owned());
        it.name = name.to_owned();
        let path = socket_path(folder, &it);
        assert!(path.parent() == Some(folder) && path.as_os_str().len() < 100, "{path:?}");
        assert!(!all.contains(&path), "{path:?} for {server} {name} {id} {port}");
        all.push(path);
    }
}

#[test]
fn who_only_looks_whether_somebody_is_here_is_no_session() {
    let rig = rig();
    let path = rig.console.status().socket.unwrap();
    let sockets = Some(rig.folder.0.clone());
    let other = Hub::new(Settings { ring_bytes: 1000, sockets, ..Settings::default() });
    for _ in 0..20 {
        assert!(other.holder(&about("7")).is_some());
    }
    // Who types leaves at once too, and lets others write.
    let mut person = attach(&path);
    person.write_all(b"x").unwrap();
    soon("typed", || rig.console.status().writer.is_some());
    drop(person);
    soon("left", || rig.console.status().readers == 0 && rig.console.status().writer.is_none());
    let told = || rig.known.sessions.lock().unwrap().clone();
    soon("told", || told().iter().any(|it| it.contains("typed: 1")));
    assert_eq!(told().iter().filter(|it| it.contains("at the socket")).count(), 2, "{:?}", told());
}

#[test]
fn who_comes_in_while_the_consoles_end_holds_nobody_up() {
    let rig = rig();
    let ((here, came), (go, going), (done, ended)) = (channel(), channel::<()>(), channel());
    let (hub, console) = (rig.hub.clone(), rig.console.clone());
    // On the thread that lets people in.
    rig.hub.each(PATIENCE, move || {
        here.send(()).unwrap();
        let _ = going.recv();
        hub.lend(&console, "127.0.0.1:0".parse().unwrap()).unwrap();
    });
    came.recv_timeout(PATIENCE).unwrap();
    let hub = rig.hub.clone();
    std::thread::spawn(move || {
        hub.close();
        done.send(()).unwrap();
    });
    soon("the end begins", || rig.console.status().state == State::Lost);
    // Until it waits for that thread.
    std::thread::sleep(Duration::from_millis(100));
    go.send(()).unwrap();
    ended.recv_timeout(PATIENCE).expect("the end");
}
