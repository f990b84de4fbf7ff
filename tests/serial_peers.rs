//! Our telnet against others': the simulated host's own, and real programs, without which it fails.
//!
//! The real ones are a person's `telnet`, and QEMU, whose firmware prints on a serial port behind
//! its own telnet server. Every wait has a bound.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jumpvisor::serial::find::Finder;
use jumpvisor::serial::moves::{Moved, Moves};
use jumpvisor::serial::proxy::{Event, Proxy};
use jumpvisor::serial::telnet::{BREAK, IAC, KEEPALIVE, Role, Telnet};
use jumpvisor::serial::text;
use jumpvisor::sim::telnet as host;

const PATIENCE: Duration = Duration::from_secs(20);

fn who() -> host::Identity {
    host::Identity {
        name: "edge 01\u{ff}".to_owned(),
        vc_uuid: "01234567-89ab-CDEF-fedc-ba9800000000".to_owned(),
        bios_uuid: "564D0000-0000-0000-0000-000000000001".to_owned(),
        ..host::Identity::default()
    }
}

#[test]
fn the_simulated_hosts_port() {
    let (mut ours, mut theirs) = (Telnet::new(Role::Client), host::Telnet::direct(who()));
    let (mut to_host, mut to_us) = (ours.start(), theirs.start());
    for round in 0.. {
        let (answer, back) = (theirs.receive(&to_host), ours.feed(&to_us));
        assert_eq!((answer.data.len(), back.data.len()), (0, 0));
        (to_us, to_host) = (answer.wire, back.wire);
        if to_us.is_empty() && to_host.is_empty() {
            break;
        }
        assert!(round < 5, "they talk for ever");
    }
    assert!(ours.is_binary());
    let all: Vec<u8> = (0..=255).chain([13, 10, 13, 0, 13]).collect();
    assert_eq!(theirs.receive(&ours.send(&all)).data, all);
    assert_eq!(ours.feed(&theirs.send(&all)).data, all);
}

/// Carries bytes between both until nobody has more to say; what we were told.
fn talk(ours: &mut Proxy, theirs: &mut host::Telnet, first: Vec<u8>) -> Vec<Event> {
    let (mut to_us, mut told) = (first, Vec::new());
    for _ in 0..10 {
        let got = ours.feed(&to_us);
        told.extend(got.events.into_iter().map(|it| it.1));
        to_us = theirs.receive(&got.wire).wire;
    }
    told
}

fn dialled(ours: &mut Proxy, theirs: &mut host::Telnet) -> Vec<Event> {
    let hello = theirs.start();
    let answer = theirs.receive(&ours.start()).wire;
    talk(ours, theirs, [hello, answer].concat())
}

#[test]
fn a_simulated_machine_that_dials_in_and_moves() {
    let (mut old, mut from) = (Proxy::new(), host::Telnet::proxied(who(), true, "jumpvisor"));
    let told = dialled(&mut old, &mut from);
    let [Event::Wanted { server: true, uri }, Event::Identified(them)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((uri.as_str(), them.name.as_deref()), ("jumpvisor", Some("edge 01\u{ff}")));
    assert_eq!(them.vc_uuid.as_deref(), Some("0123456789abcdeffedcba9800000000"));
    assert_eq!(them.bios_uuid.as_deref(), Some("564d0000000000000000000000000001"));
    assert_eq!(them.location_uuid, None);
    assert!(from.open() && *from.vmotion() == host::Vmotion::None);

    let sequence = [9, IAC, 1];
    let told = old.feed(&from.begin_vmotion(&sequence)).events;
    assert_eq!(told, [(0, Event::MoveBegins { sequence: sequence.to_vec() })]);
    let (wire, token) = Proxy::go_ahead(&sequence, &[IAC, 2, 3, 4]);
    let mut moves = Moves::default();
    assert!(moves.begin(1, token, 0));
    from.receive(&wire);
    let host::Vmotion::GoAhead(secret) = from.vmotion().clone() else { panic!() };

    let (mut new, mut to) = (Proxy::new(), host::Telnet::arriving(who(), &sequence, &secret));
    let told = dialled(&mut new, &mut to);
    let [Event::Peer { token }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(moves.peer(2, token), Some((1, None)));
    to.receive(&Proxy::peer_ok(token));
    assert!(to.open() && *to.vmotion() == host::Vmotion::PeerOk);
    let told = new.feed(&to.complete_vmotion()).events;
    let [(0, Event::MoveDone { sequence })] = &told[..] else { panic!("{told:?}") };
    assert_eq!(moves.complete(2, sequence), Some(Moved { old: 1, new: 2 }));

    // One that shows another token is turned away.
    let mut liar = host::Telnet::arriving(who(), sequence, b"guess");
    let told = dialled(&mut Proxy::new(), &mut liar);
    let [Event::Peer { token }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(moves.peer(3, token), None);
    liar.receive(&Proxy::refuse_peer());
    assert_eq!(liar.proxy(), host::Proxy::Refused);
}

/// Ended however the test ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, which must be there.
fn program(command: &mut Command) -> Program {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    match piped.spawn() {
        Ok(child) => Program(child),
        Err(error) => panic!("{:?}: {error}; run tests/peers/install", command.get_program()),
    }
}

/// Reads for a while into the machine; what it answers goes back. Whether the end was seen.
fn hear(line: &mut TcpStream, telnet: &mut Telnet, enough: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let until = Instant::now() + PATIENCE;
    line.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (mut data, mut buffer) = (Vec::new(), [0; 4096]);
    while !enough(&data) && Instant::now() < until {
        match line.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let got = telnet.feed(&buffer[..count]);
                data.extend(got.data);
                line.write_all(&got.wire).unwrap();
            }
            Err(_) => {}
        }
    }
    data
}

/// A real `telnet`, on a terminal of its own, where Enter is a key and 0xFF a byte.
#[test]
fn a_persons_telnet() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command = Command::new("script");
    command.args(["-q", "-c", &format!("exec telnet -E 127.0.0.1 {port}"), "/dev/null"]);
    let there = Command::new("telnet").arg("--version").stdin(Stdio::null()).output();
    assert!(there.is_ok(), "no telnet: run tests/peers/install");
    let mut person = program(&mut command);
    listener.set_nonblocking(true).unwrap();
    let until = Instant::now() + PATIENCE;
    let mut line = loop {
        match listener.accept() {
            Ok((line, _)) => break line,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    line.set_nonblocking(false).unwrap();
    let mut telnet = Telnet::new(Role::Person);
    line.write_all(&telnet.start()).unwrap();
    // Until both have agreed, keys may travel either way.
    let until = Instant::now() + PATIENCE;
    while !telnet.is_binary() && Instant::now() < until {
        hear(&mut line, &mut telnet, &{
            let soon = Instant::now() + Duration::from_millis(150);
            move |_| Instant::now() > soon
        });
    }
    assert!(telnet.is_binary(), "BINARY was not agreed");
    line.write_all(&telnet.send(b"login: \xff\0\x1b[1mX\r\nready")).unwrap();
    let mut screen = person.0.stdout.take().unwrap();
    let (seen, from) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            let _ = seen.send(buffer[..count].to_vec());
        }
    });
    let mut shown = Vec::new();
    while !shown.ends_with(b"ready") {
        shown.extend(from.recv_timeout(PATIENCE).expect("the screen stays without it"));
    }
    let expected = b"login: \xff\0\x1b[1mX\r\nready";
    assert!(shown.ends_with(expected), "{}", shown.escape_ascii());
    let keys = person.0.stdin.as_mut().unwrap();
    let typed = b"show run\r\x03\x1b[A\xff\xfe\0\t\x7f\x1d";
    keys.write_all(&typed[..typed.len() - 1]).unwrap();
    keys.flush().unwrap();
    let wanted = typed.len() - 1;
    let data = hear(&mut line, &mut telnet, &|data| data.len() >= wanted);
    assert_eq!(data.escape_ascii().to_string(), typed[..wanted].escape_ascii().to_string());
}

/// A port that only echoes, as `socat` and raw TCP do: what we ask comes back and ends there.
#[test]
fn a_port_that_speaks_no_telnet() {
    let mut telnet = Telnet::new(Role::Client);
    let opening = telnet.start();
    let back = telnet.feed(&opening);
    assert!(back.data.is_empty(), "an echo of commands is no data");
    assert!(back.wire.len() <= opening.len() && telnet.feed(&back.wire).wire.is_empty());
}

/// A boot sector that sends every byte back: reads 0x3f8 whenever 0x3fd says that one is there.
const ECHO: [u8; 16] = [
    0xfa, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1,
];

/// As QEMU_SYSTEM says, or the one that tests/peers/install has unpacked, or the system's.
fn qemu() -> String {
    let peers = std::env::var("JUMPVISOR_PEERS").unwrap_or("tests/peers/.build".to_owned());
    let unpacked = format!("{peers}/qemu-system-x86_64");
    let there = std::path::Path::new(&unpacked).exists();
    let other = if there { unpacked } else { "qemu-system-x86_64".to_owned() };
    std::env::var("QEMU_SYSTEM").unwrap_or(other)
}

/// QEMU's telnet server with real firmware and a guest of 16 bytes behind it. QEMU_FIRMWARE says
/// where its firmware is, if that is not where it looks.
///
/// It does not double 0xFF on its way out, so none is sent back here.
#[test]
fn firmware_on_a_real_serial_port() {
    let qemu = qemu();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new(&qemu);
    command.args(["-nodefaults", "-display", "none", "-monitor", "none", "-m", "16"]);
    command.args(["-machine", "pc,graphics=off", "-serial"]);
    command.arg(format!("telnet:127.0.0.1:{port},server=on,wait=on"));
    if let Ok(firmware) = std::env::var("QEMU_FIRMWARE") {
        command.args(["-L", &firmware]);
    }
    let image = std::env::temp_dir().join(format!("jumpvisor-echo-{port}.img"));
    let mut disk = vec![0; 1_474_560];
    disk[..ECHO.len()].copy_from_slice(&ECHO);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&image, disk).unwrap();
    command.arg("-drive").arg(format!("if=floppy,format=raw,file={}", image.display()));
    let running = program(&mut command);
    let until = Instant::now() + PATIENCE;
    let mut line = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(line) => break line,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut telnet = Telnet::new(Role::Client);
    line.write_all(&telnet.start()).unwrap();
    let booted =
        |data: &[u8]| Finder::new(&["Booting from Floppy"], 0).unwrap().feed(data).is_some();
    let data = hear(&mut line, &mut telnet, &booted);
    let (shown, _) = text::clean(&data, 0);
    assert!(shown.starts_with("SeaBIOS (version ") && shown.contains("\nBooting from "), "{shown}");
    assert!(booted(&data) && !shown.contains('\u{1b}') && !shown.contains('^'), "{shown}");
    // What is typed before the guest runs is lost in the firmware.
    let until = Instant::now() + PATIENCE;
    let mut answered = false;
    while !answered && Instant::now() < until {
        line.write_all(&telnet.send(b"?")).unwrap();
        let soon = Instant::now() + Duration::from_millis(300);
        let enough = |data: &[u8]| data.ends_with(b"?") || Instant::now() > soon;
        answered = hear(&mut line, &mut telnet, &enough).ends_with(b"?");
    }
    // An echo that was late.
    let soon = Instant::now() + Duration::from_millis(300);
    hear(&mut line, &mut telnet, &|_| Instant::now() > soon);
    let typed: Vec<u8> = (0..0xff).chain(*b"\r\n\r\0\rend").collect();
    assert!(telnet.is_binary());
    line.write_all(&KEEPALIVE).unwrap();
    let mut back = Vec::new();
    // Its port holds a few bytes at a time.
    for keys in typed.chunks(8) {
        line.write_all(&telnet.send(keys)).unwrap();
        back.extend(hear(&mut line, &mut telnet, &|data| data.len() >= keys.len()));
    }
    assert_eq!(back.escape_ascii().to_string(), typed.escape_ascii().to_string());
    line.write_all(&BREAK).unwrap();
    assert_eq!(hear(&mut line, &mut telnet, &|data| !data.is_empty()), [0], "a break reads as NUL");
    drop(running);
    drop(std::fs::remove_file(image));
}
