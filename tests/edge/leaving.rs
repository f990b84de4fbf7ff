//! Clients that leave, clients that do not read, and the end of the server.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::stage::*;

#[test]
fn a_client_that_leaves_is_noticed_whatever_is_under_way() {
    for (count, path) in ["/wait", "/silent", "/endless"].iter().enumerate() {
        let edge = plain();
        let mut stream = edge.connect();
        stream.write_all(get(path).as_bytes()).unwrap();
        if count > 0 {
            assert_eq!(status(&answer(&mut stream)), 200);
        } else {
            until("it is handled", || edge.stage.handled.load(Ordering::SeqCst) == 1);
        }
        assert_eq!(edge.stage.gone.load(Ordering::SeqCst), 0);
        drop(stream);
        until(path, || edge.stage.gone.load(Ordering::SeqCst) == 1);
        edge.stage.release();
        until("its place is free", || edge.connections() == 0);
    }
}

#[test]
fn who_has_his_answer_did_not_leave() {
    let edge = plain();
    for path in ["/who", "/stream", "/large"] {
        assert_eq!(status(&edge.talk(last(path))), 200);
    }
    until("all are gone", || edge.connections() == 0);
    assert_eq!(edge.stage.gone.load(Ordering::SeqCst), 0);
}

#[test]
fn who_does_not_read_is_cut() {
    let edge = start(|limits| limits.send.grace = Duration::from_millis(200));
    let mut stream = edge.connect();
    stream.write_all(get("/huge").as_bytes()).unwrap();
    until("it is handled", || edge.stage.handled.load(Ordering::SeqCst) == 1);
    until("it is cut", || edge.connections() == 0);
    assert!(whatever(&mut stream).len() < 32 << 20);
    assert_eq!(edge.stage.gone.load(Ordering::SeqCst), 1);
}

#[test]
fn the_end_closes_the_idle_waits_for_the_busy_and_cuts_what_does_not_end() {
    let mut edge = plain();
    let mut idle = edge.connect();
    idle.write_all(get("/who").as_bytes()).unwrap();
    assert_eq!(status(&answer(&mut idle)), 200);
    let mut untouched = edge.connect();
    let mut busy = edge.connect();
    busy.write_all(get("/wait").as_bytes()).unwrap();
    let mut endless = edge.connect();
    endless.write_all(get("/endless").as_bytes()).unwrap();
    until("all are there", || {
        edge.connections() == 4 && edge.stage.handled.load(Ordering::SeqCst) == 3
    });
    let (address, server) = (edge.address(), edge.server.take().unwrap());
    let ending = thread::spawn(move || server.stop(Duration::from_secs(2)));
    // These see the end while the busy one is still waited for.
    assert_eq!(rest(&mut idle), "");
    assert_eq!(rest(&mut untouched), "");
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_eq!(edge.stage.stopping.load(Ordering::SeqCst), 1);
    edge.stage.release();
    let heard = rest(&mut busy);
    assert!(heard.ends_with("released") && heard.contains("Connection: close"), "{heard}");
    assert_eq!(ending.join().unwrap(), 1, "only the endless one was cut");
    assert!(!whatever(&mut endless).is_empty());
    until("it is noticed", || edge.stage.gone.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_server_that_nobody_uses_ends_at_once_and_frees_its_port() {
    let mut edge = plain();
    let address = edge.address();
    assert_eq!(edge.server.take().unwrap().stop(SOON), 0);
    let again = listen(&address.to_string());
    let edge = start_at(again, None, |_| ());
    let mut stream = edge.connect();
    stream.write_all(last("/who").as_bytes()).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(status(&heard), 200);
}
