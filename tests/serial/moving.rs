//! Machines that move to another host, over real sockets: in both orders, given up, cut short.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use jumpvisor::serial::hub::{Console, Hub, State};
use jumpvisor::sim::telnet as host;

use crate::dialled::{Machine, concentrator, identity};
use crate::rig::{PATIENCE, about, connected, is_closed, known, said, soon};

const SEQUENCE: [u8; 3] = [9, 255, 1];

struct Rig {
    hub: Hub,
    address: SocketAddr,
    console: Console,
    old: Machine,
}

/// A machine with its console.
fn rig() -> Rig {
    let (hub, address) = concentrator(&known(&["1"]));
    let mut old = Machine::new(address, identity("1"), "jumpvisor");
    old.open();
    soon("known", || hub.find(&about("1").place).is_some());
    let console = hub.find(&about("1").place).unwrap();
    connected(&console);
    Rig { hub, address, console, old }
}

impl Rig {
    /// The move begins, and something is typed; what the new host has to show.
    fn begin(&mut self) -> host::Telnet {
        self.old.say(b"before,");
        let wire = self.old.telnet.begin_vmotion(&SEQUENCE);
        self.old.stream.write_all(&wire).unwrap();
        self.old.until("go ahead", |it| matches!(it.telnet.vmotion(), host::Vmotion::GoAhead(_)));
        let host::Vmotion::GoAhead(secret) = self.old.telnet.vmotion().clone() else { panic!() };
        assert_eq!(secret.len(), 8);
        self.console.write("admin", b"kept", PATIENCE).unwrap();
        host::Telnet::arriving(identity("1"), &SEQUENCE, &secret)
    }

    fn arrive(&self, telnet: host::Telnet) -> Machine {
        let mut new = Machine::dial(self.address, telnet);
        new.until("greeted", |it| *it.telnet.vmotion() == host::Vmotion::PeerOk);
        new
    }

    /// It goes on at the new host, and nothing typed is lost.
    fn goes_on(&self, mut new: Machine) {
        new.until("what was kept", |it| it.typed == b"kept");
        new.say(b"after");
        assert_eq!(said(&self.console, 12), b"before,after");
        self.console.write("admin", b"!", PATIENCE).unwrap();
        new.until("typed", |it| it.typed == b"kept!");
        assert_eq!(self.console.status().state, State::Connected);
        let notes = self.console.status().notes;
        assert!(notes.iter().any(|it| it.text == "moved to another host"), "{notes:?}");
        assert_eq!(self.hub.all().len(), 1);
    }

    fn old_typed_nothing(&mut self) {
        self.old.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let is_over = is_closed(&mut self.old.stream);
        assert!(is_over && self.old.typed.is_empty(), "the old host got nothing that was kept");
    }
}

#[test]
fn told_on_the_new_connection() {
    let mut rig = rig();
    let telnet = rig.begin();
    let mut new = rig.arrive(telnet);
    let wire = new.telnet.complete_vmotion();
    new.stream.write_all(&wire).unwrap();
    rig.old_typed_nothing();
    rig.goes_on(new);
}

#[test]
fn told_on_the_old_connection() {
    let mut rig = rig();
    let telnet = rig.begin();
    let new = rig.arrive(telnet);
    let wire = rig.old.telnet.complete_vmotion();
    rig.old.stream.write_all(&wire).unwrap();
    rig.old_typed_nothing();
    rig.goes_on(new);
}

#[test]
fn told_on_the_old_connection_before_the_new_one_is_there() {
    let mut rig = rig();
    let telnet = rig.begin();
    let wire = rig.old.telnet.complete_vmotion();
    rig.old.stream.write_all(&wire).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let new = rig.arrive(telnet);
    rig.goes_on(new);
}

#[test]
fn the_old_host_hangs_up_without_a_word() {
    for early in [false, true] {
        let mut rig = rig();
        let telnet = rig.begin();
        let nowhere = Machine::new(rig.address, identity("9"), "jumpvisor");
        let old = std::mem::replace(&mut rig.old, nowhere);
        let new = if early {
            drop(old);
            soon("gone", || rig.console.status().state == State::Waiting);
            rig.arrive(telnet)
        } else {
            let new = rig.arrive(telnet);
            drop(old);
            new
        };
        rig.goes_on(new);
    }
}

#[test]
fn given_up_it_goes_on_where_it_was() {
    for on_new in [false, true] {
        let mut rig = rig();
        let telnet = rig.begin();
        let mut new = rig.arrive(telnet);
        assert!(rig.old.typed.is_empty());
        if on_new {
            let wire = new.telnet.abort_vmotion();
            new.stream.write_all(&wire).unwrap();
        } else {
            let wire = rig.old.telnet.abort_vmotion();
            rig.old.stream.write_all(&wire).unwrap();
        }
        rig.old.until("what was kept", |it| it.typed == b"kept");
        new.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_closed(&mut new.stream));
        rig.old.say(b"after");
        assert_eq!(said(&rig.console, 12), b"before,after");
        assert_eq!(rig.console.status().state, State::Connected);
    }
}

#[test]
fn what_is_kept_has_a_bound() {
    let mut rig = rig();
    let _telnet = rig.begin();
    let error = rig.console.write("admin", &[b'x'; 100_000], Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("65532 of 100000 bytes were accepted"), "{error}");
    // A move that nobody continues is given up by the machine, and all of it is typed.
    let wire = rig.old.telnet.abort_vmotion();
    rig.old.stream.write_all(&wire).unwrap();
    rig.old.until("all of it", |it| it.typed.len() == 65_536);
}
