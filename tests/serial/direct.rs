//! Lines that we dial: what comes through, what happens when they break, what they may cost.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jumpvisor::error::Kind;
use jumpvisor::serial::hub::{Hub, Outside, State, Way};
use jumpvisor::sim::line::{Line, Settings};
use jumpvisor::sim::telnet as host;
use jumpvisor::web::tls::{Tls, Trust};

use crate::rig::{
    Echo, Kept, PATIENCE, about, accept, connected, drip, every_byte, hub, is_closed, listener,
    said, settings, soon, tls_of, until, way,
};

#[test]
fn every_byte_goes_both_ways() {
    for uri in ["tcp://:0", "telnet://:0"] {
        let line = Line::open(Settings::new(uri, true), Arc::new(Echo)).unwrap();
        let hub = hub();
        let telnet = uri.starts_with("telnet");
        let console = hub.open(&about("7"), way(line.address().unwrap(), telnet)).unwrap();
        connected(&console);
        let all = every_byte();
        // Not before both have agreed on what Enter is.
        std::thread::sleep(Duration::from_millis(200));
        for part in [1, 2, 3, 7, all.len()] {
            let from = console.status().position;
            for piece in all.chunks(part) {
                console.write("admin", piece, PATIENCE).unwrap();
            }
            let back = said(&console, from + all.len() as u64).split_off(from as usize);
            assert_eq!(back.escape_ascii().to_string(), all.escape_ascii().to_string(), "{uri}");
        }
        let status = console.status();
        assert_eq!((status.bytes_in, status.bytes_out), (1335, 1335), "{uri}");
        assert_eq!(status.writer.as_deref(), Some("admin"));
        hub.close();
        soon("hung up", || !line.connected());
    }
}

#[test]
fn a_hosts_telnet_in_single_bytes() {
    let (listener, address) = listener();
    let hub = hub();
    let console = hub.open(&about("7"), way(address, true)).unwrap();
    let mut host = host::Telnet::direct(host::Identity::default());
    let mut stream = accept(&listener);
    drip(&mut stream, &host.start());
    let hello = until(&mut stream, &[255, 251, 0]);
    let answer = host.receive(&hello).wire;
    drip(&mut stream, &answer);
    let all = every_byte();
    let wire = host.send(&all);
    drip(&mut stream, &wire);
    assert_eq!(said(&console, all.len() as u64), all);
    console.write("admin", b"\xff", PATIENCE).unwrap();
    until(&mut stream, &[255, 255]);
    console.send_break("admin").unwrap();
    until(&mut stream, &[255, 243]);
}

#[test]
fn a_lost_line_is_dialled_again_and_the_transcript_goes_on() {
    let (listener, address) = listener();
    let hub = hub();
    let console = hub.open(&about("7"), way(address, false)).unwrap();
    accept(&listener).write_all(b"one").unwrap();
    said(&console, 3);
    accept(&listener).write_all(b"two").unwrap();
    assert_eq!(said(&console, 6), b"onetwo");
    drop(listener);
    soon("refused", || console.status().why.is_some_and(|it| it.contains("refused")));
    let status = console.status();
    assert!(matches!(status.state, State::Lost | State::Dialling));
    let notes: Vec<_> = status.notes.iter().map(|it| (it.at, it.text.as_str())).collect();
    let hung = "the other end hung up";
    assert_eq!(notes[..4], [(0, "connected"), (3, hung), (3, "connected"), (6, hung)]);
    let error = console.write("admin", b"x", Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains("cannot reach 127.0.0.1:"), "{error}");
    assert_eq!(console.send_break("admin").unwrap_err().kind(), Kind::Network);
    // Another port of the same machine: the console stays, the line is another.
    let (other, address) = crate::rig::listener();
    let same = hub.open(&about("7"), way(address, false)).unwrap();
    accept(&other).write_all(b"three").unwrap();
    assert_eq!(said(&same, 11), b"onetwothree");
    assert_eq!((hub.all().len(), console.status().position), (1, 11));
    assert!(hub.find(&about("7").place).is_some() && hub.find(&about("8").place).is_none());
    hub.forget(&about("7").place);
    assert!(hub.all().is_empty());
    let error = console.write("admin", b"x", PATIENCE).unwrap_err();
    assert!(error.to_string().contains("the console was closed"), "{error}");
}

#[test]
fn a_flood_costs_the_ring_and_nothing_else() {
    let (listener, address) = listener();
    let hub = Hub::new(settings(64 << 10));
    let console = hub.open(&about("7"), way(address, false)).unwrap();
    let mut stream = accept(&listener);
    const FLOOD: usize = 16 << 20;
    let flood: Vec<u8> = (0..FLOOD / 4).flat_map(|it| (it as u32).to_be_bytes()).collect();
    stream.write_all(&flood).unwrap();
    soon("all of it", || console.status().position == FLOOD as u64);
    let read = console.read(Some(0), usize::MAX, Duration::ZERO, &|| false);
    assert_eq!((read.bytes.len(), read.dropped), (64 << 10, (FLOOD - (64 << 10)) as u64));
    assert!(flood.ends_with(&read.bytes));
    console.write("admin", b"stop", PATIENCE).unwrap();
    let mut typed = [0; 4];
    stream.read_exact(&mut typed).unwrap();
    assert_eq!(&typed, b"stop");
}

#[test]
fn a_machine_that_takes_nothing_stalls_only_who_types() {
    let (listener, address) = listener();
    let hub = hub();
    let console = hub.open(&about("7"), way(address, false)).unwrap();
    let mut stream = accept(&listener);
    connected(&console);
    let mut typed = 0;
    let error = loop {
        match console.write("admin", &[b'x'; 100_000], Duration::from_millis(100)) {
            Ok(()) => typed += 100_000,
            Err(error) => break error,
        }
        assert!(typed < 64 << 20, "it takes everything");
    };
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("of 100000 bytes were accepted"), "{error}");
    stream.write_all(b"still here").unwrap();
    assert_eq!(said(&console, 10), b"still here");
    // Another one may not write meanwhile.
    let error = console.write("second", b"x", Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("`admin` is writing"), "{error}");
}

/// Each question is answered by three bytes; who never reads them must not be asked on.
#[test]
fn one_that_asks_without_end_is_not_read_any_more() {
    let (listener, address) = listener();
    let hub = hub();
    let _console = hub.open(&about("7"), way(address, true)).unwrap();
    let mut stream = accept(&listener);
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let questions = [255, 253, 6].repeat(10_000);
    let mut asked = 0;
    while let Ok(count) = stream.write(&questions) {
        asked += count;
        assert!(asked < 64 << 20, "it is answered without end");
    }
}

#[test]
fn a_reader_waits_until_something_comes_or_it_is_stopped() {
    let (listener, address) = listener();
    let hub = hub();
    let console = hub.open(&about("7"), way(address, false)).unwrap();
    let mut stream = accept(&listener);
    let nothing = console.read(Some(0), 10, Duration::from_millis(50), &|| false);
    assert_eq!((nothing.bytes.len(), nothing.next), (0, 0));
    let began = Instant::now();
    console.read(Some(0), 10, PATIENCE, &|| began.elapsed() > Duration::from_millis(50));
    assert!(began.elapsed() < PATIENCE / 2);
    let reader = std::thread::spawn(move || console.read(Some(0), 10, PATIENCE, &|| false));
    stream.write_all(b"at last").unwrap();
    assert!(b"at last".starts_with(&reader.join().unwrap().bytes));
}

struct Trusting(Arc<Tls>);

impl Outside for Trusting {
    fn client_tls(
        &self,
        _server: &str,
        _host: &str,
    ) -> jumpvisor::error::Result<Arc<rustls::ClientConfig>> {
        Ok(self.0.config())
    }
}

#[test]
fn a_line_in_tls() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let config = tls_of(&made);
    let (listener, address) = listener();
    let serve = move |rounds: usize| {
        for _ in 0..rounds {
            let mut tcp = accept(&listener);
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
            if stream.write_all(&[b'x'; 100_000]).is_ok() {
                let mut typed = [0; 5];
                if stream.read_exact(&mut typed).is_ok() {
                    stream.write_all(&typed).unwrap();
                }
            }
        }
    };
    let server = std::thread::spawn(move || serve(2));
    let Way::Dial { host, port, .. } = way(address, false) else { return };
    let way = Way::Dial { host, port, telnet: false, tls: true };
    // Another certificate than the pinned one: nothing is said to it.
    let pinned = Trusting(Arc::new(Tls::new(&Trust::Fingerprint([7; 32])).unwrap()));
    let strict = Hub::with(settings(1000), Arc::new(pinned));
    let refused = strict.open(&about("7"), way.clone()).unwrap();
    soon("refused", || refused.status().state == State::Lost);
    assert_eq!(refused.status().position, 0);
    strict.close();
    let trusting = Trusting(Arc::new(Tls::new(&Trust::Insecure).unwrap()));
    let hub = Hub::with(settings(256 << 10), Arc::new(trusting));
    let console = hub.open(&about("7"), way).unwrap();
    said(&console, 100_000);
    console.write("admin", b"hello", PATIENCE).unwrap();
    assert!(said(&console, 100_005).ends_with(b"xhello"));
    server.join().unwrap();
}

#[test]
fn what_was_typed_for_a_lost_line_is_not_typed_later() {
    let (listener, address) = listener();
    let hub = hub();
    let console = hub.open(&about("7"), way(address, false)).unwrap();
    let stream = accept(&listener);
    connected(&console);
    while console.write("admin", &[b'x'; 65_536], Duration::from_millis(50)).is_ok() {}
    drop(stream);
    let mut stream = accept(&listener);
    connected(&console);
    console.write("admin", b"new", PATIENCE).unwrap();
    let mut typed = [0; 3];
    stream.read_exact(&mut typed).unwrap();
    assert_eq!(&typed, b"new");
    let notes = console.status().notes;
    assert!(notes.iter().any(|it| it.text.ends_with("typed bytes were not sent")), "{notes:?}");
    drop(hub);
    assert!(is_closed(&mut stream), "the last handle ends the line");
}

#[test]
fn a_guest_behind_the_simulated_host() {
    let kept = Arc::new(Kept::default());
    let line = Line::open(Settings::new("telnet://:0", true), kept.clone()).unwrap();
    let hub = hub();
    let console = hub.open(&about("7"), way(line.address().unwrap(), true)).unwrap();
    connected(&console);
    soon("heard", || line.connected());
    line.print(b"one\r\ntwo\r\nlogin: ");
    said(&console, 17);
    assert_eq!(console.screen(1), b"login: ");
    assert_eq!(console.screen(2), b"two\r\nlogin: ");
    std::thread::sleep(Duration::from_millis(200));
    console.write("admin", b"admin\r", PATIENCE).unwrap();
    soon("typed", || *kept.0.lock().unwrap() == b"admin\r");
}
