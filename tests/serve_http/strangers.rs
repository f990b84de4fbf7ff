//! Who has no business here: slow, oversized, garbled, from the wrong page, and too often.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::rig::*;

#[test]
fn whoever_sends_too_slowly_or_too_much_is_cut_off_and_others_are_served() {
    let rig = Rig::start();
    let keys = rig.keys();
    let daemon = rig.serve("d", &[("API_KEYS_FILE", &keys)]);
    let at = daemon.at();
    let mut slow: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(at).unwrap()).collect();
    for it in &mut slow {
        it.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        it.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
    }
    let until = Instant::now() + PATIENCE;
    let mut open = slow.len();
    while open > 0 {
        assert!(Instant::now() < until, "{open} slow senders are still there");
        post(at, READER, LIST).holds(200, &[]);
        slow.retain_mut(|it| {
            let mut piece = [0; 512];
            it.write_all(b"x").is_ok() && !matches!(it.read(&mut piece), Ok(0))
        });
        open = slow.len();
        std::thread::sleep(Duration::from_millis(200));
    }

    let long = "x".repeat(40_000);
    get(at, "/mcp", &format!("X-Long: {long}\r\n")).holds(431, &[]);
    get(at, &format!("/{long}"), "").holds(414, &[]);
    get(at, "/mcp", &"A: b\r\n".repeat(200)).holds(431, &[]);
    let huge = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Accept: application/json, text/event-stream\r\nContent-Length: 99999999999\r\n";
    talk(at, &format!("{huge}\r\n")).holds(401, &[]);
    talk(at, &format!("{huge}X-API-Key: {READER}\r\n\r\n")).holds(413, &[]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    post(at, READER, &deep).holds(400, &["-32"]);
}

#[test]
fn garbage_and_two_lengths_are_refused_and_not_taken_for_a_second_request() {
    let rig = Rig::start();
    let daemon = rig.serve("d", &[]);
    let at = daemon.at();
    let good = request("", LIST).replace("Connection: close\r\n", "");
    let heard = talk(at, &format!("{good}\0\u{1}garbage\r\n\r\n{good}"));
    heard.holds(200, &["HTTP/1.1 400"]);
    assert_eq!(heard.text.matches("HTTP/1.1 ").count(), 2, "{}", heard.text);
    let both = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let heard = talk(at, &format!("{both}{good}"));
    heard.holds(400, &[]);
    assert_eq!(heard.text.matches("HTTP/1.1 ").count(), 1, "{}", heard.text);
    let twice = request("", LIST).replacen("\r\n", "\r\nContent-Length: 3\r\n", 1);
    talk(at, &twice).holds(400, &[]);
    talk(at, "GET /mcp HTTP/1.1\r\n\r\n").holds(400, &[]);
    talk(at, "GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n").holds(505, &[]);
    post(at, "", LIST).holds(200, &[]);
}

#[test]
fn foreign_names_and_pages_are_refused_unless_they_are_listed() {
    let rig = Rig::start();
    let daemon = rig.serve("d", &[]);
    let at = daemon.at();
    let by = |host: &str, origin: &str| {
        let origin = match origin {
            "" => String::new(),
            it => format!("\r\nOrigin: {it}"),
        };
        let named = format!("Host: {host}{origin}");
        talk(at, &request("", LIST).replace("Host: localhost", &named)).status
    };
    for (host, origin, status) in [
        ("localhost", "", 200),
        ("localhost:9", "", 200),
        ("evil.example", "", 403),
        ("localhost.evil.example", "", 403),
        ("localhost", "http://evil.example", 403),
        ("localhost", "null", 403),
        ("localhost", "http://localhost", 200),
    ] {
        assert_eq!(by(host, origin), status, "{host} {origin}");
    }
    let listed = [
        ("MCP_ALLOWED_HOSTS", "jump.example"),
        ("MCP_ALLOWED_ORIGINS", "https://app.example"),
        ("RATE_LIMIT_PER_ADDRESS", "3"),
        ("MCP_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let daemon = rig.serve("e", &listed);
    let at = daemon.at();
    let by = |from: &str, origin: &str| {
        let named = format!("Host: jump.example\r\nX-Forwarded-For: {from}\r\nOrigin: {origin}");
        talk(at, &request("", LIST).replace("Host: localhost", &named))
    };
    by("192.0.2.1", "https://app.example")
        .holds(200, &["Access-Control-Allow-Origin: https://app"]);
    by("192.0.2.1", "https://app.example").holds(200, &[]);
    by("192.0.2.1", "https://app.example").holds(200, &[]);
    by("192.0.2.1", "https://app.example").holds(429, &["Retry-After: "]);
    by("192.0.2.2", "https://app.example").holds(200, &[]);
    // Whoever is not the proxy says nothing of others.
    by("192.0.2.1, 192.0.2.3", "https://app.example").holds(200, &[]);
}
