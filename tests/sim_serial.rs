//! Serial ports of the simulated host over real sockets, with clients made by hand.
//!
//! Every wait has a bound of five seconds; nothing depends on how fast the machine is but the test
//! that closing takes less than about a second.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jumpvisor::sim::console::Program;
use jumpvisor::sim::console::appliance::Appliance;
use jumpvisor::sim::line::{Guest, Line, Settings};
use jumpvisor::sim::telnet::Identity;

const PATIENCE: Duration = Duration::from_secs(5);

struct Router {
    program: Mutex<Appliance>,
    carriers: AtomicUsize,
}

impl Guest for Router {
    fn typed(&self, bytes: &[u8]) -> Vec<u8> {
        self.program.lock().unwrap().feed(bytes, 1_000)
    }
    fn carrier(&self, up: bool) {
        if up {
            self.carriers.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Answers every byte with a megabyte.
struct Flood;

impl Guest for Flood {
    fn typed(&self, bytes: &[u8]) -> Vec<u8> {
        vec![b'x'; bytes.len() << 20]
    }
}

fn router() -> Arc<Router> {
    let mut program = Appliance::new("edge01");
    program.boot(0);
    Arc::new(Router { program: Mutex::new(program), carriers: AtomicUsize::new(0) })
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn connect(line: &Line) -> TcpStream {
    patient(TcpStream::connect(line.address().unwrap()).unwrap())
}

/// Reads until this has come.
fn until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while !all.windows(end.len()).any(|it| it == end) {
        let count = stream.read(&mut buffer).unwrap_or(0);
        assert!(count > 0, "{} did not come: {}", end.escape_ascii(), all.escape_ascii());
        all.extend(&buffer[..count]);
    }
    all
}

fn soon(what: &str, mut test: impl FnMut() -> bool) {
    let began = Instant::now();
    while !test() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn closed(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 64]).is_ok_and(|it| it == 0)
}

/// A port that nothing listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_raw_port_leads_to_the_appliance() {
    let guest = router();
    let line = Line::open(Settings::new("tcp://:0", true), guest.clone()).unwrap();
    assert_eq!((line.status(), line.connected()), ("ok", false));
    let mut client = connect(&line);
    client.write_all(b"\radmin\radmin\rterminal length 0\r").unwrap();
    until(&mut client, b"edge01>terminal length 0\r\nedge01>");
    line.print(b"\r\n%LINK-3-UPDOWN\r\n");
    until(&mut client, b"%LINK-3-UPDOWN");
    // One at a time; the first one stays.
    assert!(closed(&mut connect(&line)));
    client.write_all(b"show clock\r").unwrap();
    until(&mut client, b"1970");
    // The next one finds the session as it was left.
    drop(client);
    soon("the line is free again", || !line.connected());
    line.print(b"lost");
    let mut client = connect(&line);
    client.write_all(b"\r").unwrap();
    assert_eq!(until(&mut client, b"edge01>"), b"\r\nedge01>");
    assert_eq!(guest.carriers.load(Ordering::SeqCst), 2);
}

#[test]
fn a_telnet_port_negotiates() {
    let line = Line::open(Settings::new("telnet://:0", true), router()).unwrap();
    let mut client = connect(&line);
    let offers = until(&mut client, &[255, 253, 0]);
    assert_eq!(offers, [255, 251, 1, 255, 251, 3, 255, 253, 3, 255, 251, 0, 255, 253, 0]);
    // Yes to all, and the window's size, which is refused.
    client.write_all(&[255, 253, 1, 255, 253, 3, 255, 251, 3, 255, 253, 0, 255, 251, 0]).unwrap();
    client.write_all(&[255, 251, 31]).unwrap();
    until(&mut client, &[255, 254, 31]);
    client.write_all(b"\radmin\r").unwrap();
    until(&mut client, b"Username: admin\r\nPassword: ");
}

#[test]
fn what_cannot_be_opened_says_so() {
    let guest = router();
    let first = Line::open(Settings::new("tcp://:0", true), guest.clone()).unwrap();
    let port = first.address().unwrap().port();
    let again = Settings::new(&format!("telnet://:{port}"), true);
    let text = Line::open(again.clone(), guest.clone()).err().unwrap();
    assert!(
        text.starts_with(&format!("Serial port: cannot listen on 127.0.0.1:{port}: ")),
        "{text}"
    );
    first.close();
    Line::open(again, guest.clone()).unwrap();
    for (uri, server) in [("telnets://:5", true), ("telnet://:5", false), ("tcp://5000", true)] {
        assert!(Line::open(Settings::new(uri, server), guest.clone()).is_err(), "{uri}");
    }
}

#[test]
fn a_client_port_dials_until_somebody_listens() {
    let port = free_port();
    let guest = router();
    let line = Line::open(Settings::new(&format!("tcp://127.0.0.1:{port}"), false), guest).unwrap();
    soon("the attempt failed", || line.status() == "recoverableError");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for _ in 0..2 {
        let mut peer = patient(listener.accept().unwrap().0);
        peer.write_all(b"\r").unwrap();
        until(&mut peer, b"Username: ");
        assert_eq!((line.status(), line.connected()), ("ok", true));
        // Left alone, it dials again.
    }
}

/// Commands as a concentrator sends them.
fn sub(code: u8, payload: &[u8]) -> Vec<u8> {
    [&[255, 250, 232, code], payload, &[255, 240]].concat()
}

#[test]
fn a_concentrator_is_told_who_calls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = Identity {
        name: "web01".to_owned(),
        vc_uuid: "01234567-89ab-cdef-fedc-ba9800000000".to_owned(),
        bios_uuid: "11111111-2222-3333-4444-555555555555".to_owned(),
        location_uuid: String::new(),
    };
    let proxy = Some(format!("telnet://{}", listener.local_addr().unwrap()));
    let settings = Settings { proxy, identity, ..Settings::new("vSPC.py?port=com2", true) };
    let line = Line::open(settings, router()).unwrap();

    // A concentrator that refuses is asked again later.
    let mut peer = patient(listener.accept().unwrap().0);
    until(&mut peer, &[255, 251, 37]);
    peer.write_all(&[255, 253, 232]).unwrap();
    peer.write_all(&sub(1, &[0, 1, 2, 3, 70, 71, 73])).unwrap();
    until(&mut peer, b"com2\xff\xf0");
    assert!(!line.connected());
    peer.write_all(&sub(73, b"")).unwrap();
    assert!(closed(&mut peer));

    let mut peer = patient(listener.accept().unwrap().0);
    until(&mut peer, &[255, 251, 37]);
    for (verb, option) in [(251, 0), (251, 3), (251, 1), (253, 0), (253, 3), (253, 232), (254, 37)]
    {
        peer.write_all(&[255, verb, option]).unwrap();
    }
    let answers = until(&mut peer, &[255, 251, 232]);
    assert_eq!(answers.len(), 18, "{answers:?}");
    peer.write_all(&sub(1, &[0, 1, 2, 3, 70, 71, 73, 80, 81, 82, 83])).unwrap();
    let list = [0, 1, 2, 3, 40, 41, 43, 44, 45, 46, 48, 70, 71, 73, 80, 81, 84, 85, 86, 87, 82, 83];
    let asked = until(&mut peer, b"com2\xff\xf0");
    assert_eq!(asked, [sub(0, &list), sub(70, b"SvSPC.py?port=com2")].concat());
    peer.write_all(&sub(81, b"")).unwrap();
    peer.write_all(&sub(83, b"")).unwrap();
    let uuid = until(&mut peer, &sub(82, b"web01"));
    assert!(uuid.starts_with(&sub(80, b"01 23 45 67 89 ab cd ef-fe dc ba 98 00 00 00 00")));
    peer.write_all(&sub(71, b"")).unwrap();
    peer.write_all(b"\r").unwrap();
    until(&mut peer, b"Username: ");
    assert!(line.connected());
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    let line = Line::open(Settings::new("tcp://:0", true), Arc::new(Flood)).unwrap();
    let mut client = connect(&line);
    client.write_all(b"12345678").unwrap();
    soon("connected", || line.connected());
    let began = Instant::now();
    for _ in 0..1000 {
        line.print(&[b'y'; 1000]);
    }
    line.close();
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

#[test]
fn closing_is_quick_and_frees_the_port() {
    let guest = router();
    let listening = Line::open(Settings::new("tcp://:0", true), guest.clone()).unwrap();
    let connected = Line::open(Settings::new("telnet://:0", true), guest.clone()).unwrap();
    let mut client = connect(&connected);
    soon("connected", || connected.connected());
    let uri = format!("tcp://127.0.0.1:{}", free_port());
    let dialling = Line::open(Settings::new(&uri, false), guest).unwrap();
    soon("it waits for its next attempt", || dialling.status() == "recoverableError");
    for line in [&listening, &connected, &dialling] {
        let began = Instant::now();
        line.close();
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    }
    TcpListener::bind(listening.address().unwrap()).unwrap();
    until(&mut client, &[255, 253, 0]);
    assert!(closed(&mut client));
}
