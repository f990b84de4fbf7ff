//! A thousand idle connections while others work, and what each of them costs.
//!
//! The server is in this process, so its memory is measured as what the process grows by; the
//! client's ends are bare sockets, which cost it nothing but a number.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::stage::*;

/// Memory of this process in KiB.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_idle_connections_cost_little_and_disturb_nobody() {
    const IDLE: usize = 1000;
    const BUSY: usize = 50;
    const EACH: usize = 40;
    let edge = plain();
    // The kernel's figures for threads and tables are there before it is measured.
    for _ in 0..50 {
        edge.talk(last("/who"));
    }
    until("all have ended", || edge.connections() == 0);
    let before = resident();
    let mut idle: Vec<TcpStream> = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut stream = edge.connect();
        stream.write_all(get("/who").as_bytes()).unwrap();
        assert_eq!(status(&answer(&mut stream)), 200);
        idle.push(stream);
    }
    assert_eq!(edge.connections(), IDLE);
    let each = resident().saturating_sub(before) * 1024 / IDLE;
    println!("{IDLE} idle connections: {each} bytes each");

    let (slowest, start) = (Mutex::new(0), Instant::now());
    thread::scope(|scope| {
        for _ in 0..BUSY {
            scope.spawn(|| {
                let mut stream = edge.connect();
                for _ in 0..EACH {
                    let asked = Instant::now();
                    stream.write_all(get("/who").as_bytes()).unwrap();
                    assert_eq!(status(&answer(&mut stream)), 200);
                    let took = asked.elapsed().as_micros();
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = took.max(*slowest);
                }
            });
        }
    });
    let took = start.elapsed().as_millis();
    println!("{} answers in {took} ms, the slowest {} us", BUSY * EACH, slowest.lock().unwrap());
    // The idle ones are as they were.
    for stream in idle.iter_mut().step_by(100) {
        stream.write_all(get("/who").as_bytes()).unwrap();
        assert_eq!(status(&answer(stream)), 200);
    }
    // Other tests run in this process too; it is a bound against what is grossly wrong.
    assert!(each < 16 << 10, "{each} bytes for an idle connection");
}

#[test]
fn an_answer_is_one_segment() {
    let edge = plain();
    let mut stream = edge.connect();
    let sent = "a".repeat(4096);
    let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\n{sent}");
    for _ in 0..100 {
        stream.write_all(request.as_bytes()).unwrap();
        // Head and body apart would be read apart, at least once in a while.
        let mut heard = vec![0; 16 << 10];
        let count = stream.read(&mut heard).unwrap();
        let heard = String::from_utf8_lossy(&heard[..count]);
        assert!(status(&heard) == 200 && body(&heard) == sent, "{count} bytes came at first");
    }
}
