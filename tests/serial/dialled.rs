//! Machines that dial in: who is let in, whose console it is, who is turned away.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jumpvisor::serial::hub::{Hub, State, Way};
use jumpvisor::sim::line::{Line, Settings};
use jumpvisor::sim::telnet as host;

use crate::rig::{
    Echo, Kept, Known, PATIENCE, about, bios, connected, every_byte, is_closed, known, patient,
    said, settings, soon,
};

pub fn identity(machine: &str) -> host::Identity {
    host::Identity {
        name: format!("edge {machine}"),
        bios_uuid: bios(machine),
        ..host::Identity::default()
    }
}

/// A machine's end of a connection, by hand.
pub struct Machine {
    pub stream: TcpStream,
    pub telnet: host::Telnet,
    /// What was typed.
    pub typed: Vec<u8>,
}

impl Machine {
    pub fn dial(address: SocketAddr, mut telnet: host::Telnet) -> Machine {
        let mut stream = patient(TcpStream::connect(address).unwrap());
        let _ = stream.write_all(&telnet.start());
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Machine { stream, telnet, typed: Vec::new() }
    }

    pub fn new(address: SocketAddr, identity: host::Identity, uri: &str) -> Machine {
        Machine::dial(address, host::Telnet::proxied(identity, true, uri))
    }

    /// Talks until this is so.
    #[track_caller]
    pub fn until(&mut self, what: &str, test: impl Fn(&Machine) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while !test(self) {
            assert!(Instant::now() < until, "{what}");
            match self.stream.read(&mut buffer) {
                Ok(0) => assert!(test(self), "{what}: hung up"),
                Ok(count) => {
                    let got = self.telnet.receive(&buffer[..count]);
                    self.typed.extend(got.data);
                    let _ = self.stream.write_all(&got.wire);
                }
                Err(_) => {}
            }
        }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        let wire = self.telnet.send(bytes);
        self.stream.write_all(&wire).unwrap();
    }

    pub fn open(&mut self) {
        self.until("it is served", |it| it.telnet.open());
    }

    /// It is told so, and hung up on.
    #[track_caller]
    pub fn refused(mut self) {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut wire, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = self.stream.read(&mut buffer) {
            wire.extend_from_slice(&buffer[..count]);
            let got = self.telnet.receive(&buffer[..count]);
            let _ = self.stream.write_all(&got.wire);
        }
        let told = [&[255, 250, 232, 73, 255, 240][..], &[255, 250, 232, 3, 44, 255, 240]];
        assert!(told.iter().any(|it| wire.ends_with(it)), "{}", wire.escape_ascii());
    }
}

pub fn concentrator(known: &Arc<Known>) -> (Hub, SocketAddr) {
    let hub = Hub::with(settings(256 << 10), known.clone());
    let address = hub.listen("127.0.0.1:0".parse().unwrap(), None).unwrap();
    (hub, address)
}

#[test]
fn a_simulated_machine_dials_in_and_starts_again() {
    let known = known(&["1", "2"]);
    let (hub, address) = concentrator(&known);
    let proxy = Some(format!("telnet://{address}"));
    let dial = |machine: &str| Settings {
        proxy: proxy.clone(),
        identity: identity(machine),
        ..Settings::new("jumpvisor", true)
    };
    let line = Line::open(dial("1"), Arc::new(Echo)).unwrap();
    let other = Line::open(dial("2"), Arc::new(Kept::default())).unwrap();
    soon("both are known", || {
        hub.all().iter().filter(|it| it.state == State::Connected).count() == 2
    });
    let console = hub.find(&about("1").place).unwrap();
    let all = every_byte();
    console.write("admin", &all, PATIENCE).unwrap();
    assert_eq!(said(&console, all.len() as u64), all);
    assert_eq!(hub.find(&about("2").place).unwrap().status().position, 0);
    other.close();
    // It is switched off and on: the same console, the same transcript.
    line.close();
    soon("gone", || console.status().state == State::Waiting);
    let error = console.write("admin", b"x", Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("not connected: the other end"), "{error}");
    let line = Line::open(dial("1"), Arc::new(Echo)).unwrap();
    connected(&console);
    console.write("admin", b"again", PATIENCE).unwrap();
    assert!(said(&console, all.len() as u64 + 5).ends_with(b"again"));
    let sessions = known.sessions.lock().unwrap().join("\n");
    assert!(sessions.contains("1 the machine at 127.0.0.1 Begins"), "{sessions}");
    // Opened by a tool, it is the same one, and stays connected.
    let same = hub.open(&about("1"), Way::Dialled).unwrap();
    assert_eq!(same.status().state, State::Connected);
    hub.close();
    soon("hung up", || !line.connected());
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn strangers_are_turned_away() {
    let known = known(&["1"]);
    let (hub, address) = concentrator(&known);
    Machine::new(address, identity("9"), "jumpvisor").refused();
    assert!(hub.all().is_empty());
    // Another address than a configured host's: not a word.
    *known.closed.lock().unwrap() = true;
    let mut stranger = patient(TcpStream::connect(address).unwrap());
    assert_eq!(stranger.read(&mut [0; 64]).unwrap_or(0), 0);
    *known.closed.lock().unwrap() = false;
    // No extension, no UUID.
    let mut plain = patient(TcpStream::connect(address).unwrap());
    plain.write_all(&[255, 252, 232]).unwrap();
    plain.write_all(&[255, 251, 232, 255, 252, 232]).unwrap();
    assert!(is_closed(&mut plain));
    // A guess at a move.
    let telnet = host::Telnet::arriving(identity("1"), b"seq", b"secret!!");
    Machine::dial(address, telnet).refused();
    let mut machine = Machine::new(address, identity("1"), "jumpvisor");
    machine.open();
    machine.say(b"hello");
    soon("known", || hub.find(&about("1").place).is_some());
    assert_eq!(said(&hub.find(&about("1").place).unwrap(), 5), b"hello");
}

#[test]
fn two_with_one_uuid_and_one_that_starts_again() {
    let known = known(&["1"]);
    let (hub, address) = concentrator(&known);
    let mut first = Machine::new(address, identity("1"), "jumpvisor");
    first.open();
    soon("known", || hub.find(&about("1").place).is_some());
    let console = hub.find(&about("1").place).unwrap();
    connected(&console);
    let copy = host::Identity { name: "a copy".to_owned(), ..identity("1") };
    Machine::new(address, copy, "jumpvisor").refused();
    first.say(b"still mine");
    assert_eq!(said(&console, 10), b"still mine");
    // At once it may be a second port that says the same; later it is the machine that starts again.
    Machine::new(address, identity("1"), "jumpvisor").refused();
    std::thread::sleep(Duration::from_secs(5));
    let mut again = Machine::new(address, identity("1"), "jumpvisor");
    again.open();
    again.say(b", again");
    assert_eq!(said(&console, 17), b"still mine, again");
    first.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(is_closed(&mut first.stream), "its old connection is let go");
    assert_eq!(console.status().state, State::Connected);
    console.write("admin", b"x", PATIENCE).unwrap();
    again.until("typed", |it| it.typed == b"x");
}

#[test]
fn two_ports_of_one_machine() {
    let known = known(&["1", "1"]);
    known.machines.lock().unwrap()[1].place.port = "com2".to_owned();
    let (hub, address) = concentrator(&known);
    let mut one = Machine::new(address, identity("1"), "jumpvisor");
    let mut two = Machine::new(address, identity("1"), "jumpvisor?port=com2");
    one.open();
    two.open();
    one.say(b"one");
    two.say(b"second");
    soon("both are there", || hub.all().iter().map(|it| it.position).sum::<u64>() == 9);
    let mut said: Vec<_> =
        hub.all().into_iter().map(|it| (it.about.place.port, it.position)).collect();
    said.sort();
    assert_eq!(said, [("Serial port 1".to_owned(), 3), ("com2".to_owned(), 6)]);
}

/// 64 that do not say who they are, and no 65th; after 20 s they are hung up on.
#[test]
fn those_who_do_not_say_who_they_are() {
    let known = known(&["1"]);
    let (_hub, address) = concentrator(&known);
    let mut silent: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = patient(TcpStream::connect(address).unwrap());
            stream.read_exact(&mut [0; 18]).unwrap();
            stream
        })
        .collect();
    let mut more = patient(TcpStream::connect(address).unwrap());
    assert_eq!(more.read(&mut [0; 64]).unwrap_or(0), 0, "no more than 64");
    drop(silent.pop());
    soon("there is room again", || {
        let mut more = patient(TcpStream::connect(address).unwrap());
        matches!(more.read(&mut [0; 64]), Ok(18))
    });
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "hung up");
    }
    Machine::new(address, identity("1"), "jumpvisor").open();
}
