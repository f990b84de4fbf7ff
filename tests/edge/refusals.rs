//! What is refused, with which status, and that the connection then ends.

use std::io::Write;
use std::time::Duration;

use crate::stage::*;

#[test]
fn what_is_wrong_with_a_request_is_told_and_ends_the_connection() {
    let edge = plain();
    let long = "a".repeat(40 << 10);
    let many = "A: b\r\n".repeat(101);
    let cases = [
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned()),
        (400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (
            400,
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
        ),
        (400, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        (400, "\u{16}\u{3}\u{1}\u{0}".to_owned()),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\nA: {long}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
        (501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned()),
        (413, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n".to_owned()),
        (
            413,
            "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n"
                .to_owned()
                + "12345678901234567\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n".to_owned(),
        ),
    ];
    for (expected, text) in cases {
        let heard = edge.talk(&text);
        let shown = &text[..text.len().min(80)];
        assert_eq!(status(&heard), expected, "{shown:?} {heard:?}");
        assert!(heard.contains("Connection: close\r\n"), "{shown:?} {heard:?}");
    }
    assert_eq!(edge.stage.handled.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn what_is_behind_a_refused_request_is_never_served() {
    let edge = plain();
    let heard = edge.talk(format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        last("/echo")
    ));
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard}");
}

#[test]
fn targets_of_every_form() {
    let edge = plain();
    assert!(
        edge.talk("GET http://a/who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .contains("GET 127")
    );
    let heard = edge.talk("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(status(&heard) == 404 && body(&heard) == "*\n", "{heard}");
    let heard = edge.talk("BREW /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(body(&heard).starts_with("BREW "), "{heard}");
}

#[test]
fn requests_come_one_behind_the_other_and_are_answered_in_their_order() {
    let edge = plain();
    let post = |text: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    };
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        2;x=y\r\nth\r\n3\r\nree\r\n0\r\nTrailer: a\r\n\r\n";
    let heard = edge.talk(post("one") + &post("two") + chunked + &last("/stream"));
    let at = |text: &str| heard.find(text).unwrap_or_else(|| panic!("{text} is not in {heard}"));
    assert!(at("one") < at("two") && at("two") < at("three") && at("three") < at("data: 4"));
    assert!(heard.ends_with("\r\n0\r\n\r\n"), "{heard}");
    // Who ends his side behind his requests gets his answers.
    let mut stream = edge.connect();
    stream.write_all((post("one") + &post("two")).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let heard = rest(&mut stream);
    assert!(heard.contains("one") && heard.ends_with("two"), "{heard}");
}

#[test]
fn heads_without_bodies_and_bodies_that_are_waited_for() {
    let edge = plain();
    let mut stream = edge.connect();
    stream.write_all(b"HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.write_all(b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.write_all(last("/who").as_bytes()).unwrap();
    let heard = rest(&mut stream);
    assert!(heard.contains("Content-Length: 1048576\r\n") && heard.len() < 1000, "{heard}");
    let bare = heard.split("HTTP/1.1 ").nth(2).unwrap();
    assert!(
        bare.starts_with("204 No Content\r\nDate: ") && bare.ends_with(" GMT\r\n\r\n"),
        "{bare}"
    );

    let mut stream = edge.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n";
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(answer(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").unwrap();
    assert!(rest(&mut stream).ends_with("\r\n\r\nhi"));
}

#[test]
fn head_and_body_are_one_write() {
    use std::io::Read;
    let edge = plain();
    let mut bytes = [0; 4096];
    for path in ["/who", "/silent"] {
        let mut stream = edge.connect();
        stream.write_all(get(path).as_bytes()).unwrap();
        let count = stream.read(&mut bytes).unwrap();
        let heard = String::from_utf8_lossy(&bytes[..count]).into_owned();
        assert!(heard.ends_with("127.0.0.1:0") || heard.ends_with(": begun\n\n\r\n"), "{heard}");
    }
}

#[test]
fn a_head_that_is_refused_keeps_the_connection_where_it_can() {
    let edge = plain();
    let mut stream = edge.connect();
    stream.write_all(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    let heard = answer(&mut stream);
    assert!(status(&heard) == 401 && heard.contains("WWW-Authenticate: Bearer\r\n"), "{heard}");
    stream.write_all(last("/who").as_bytes()).unwrap();
    assert_eq!(status(&rest(&mut stream)), 200);
    // A body that was only announced, and one that is too much to throw away.
    let head = "POST /refused HTTP/1.1\r\nHost: a\r\n";
    for more in
        ["Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", "Content-Length: 99999999\r\n\r\n"]
    {
        let heard = edge.talk(format!("{head}{more}"));
        assert!(status(&heard) == 401 && heard.contains("Connection: close"), "{heard}");
    }
    assert_eq!(edge.stage.handled.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_defect_of_the_handler_is_an_answer_too() {
    let edge = plain();
    for path in ["/panic", "/admit-panic", "/dropped", "/broken"] {
        assert_eq!(status(&edge.talk(last(path))), 500, "{path}");
    }
    let heard = edge.talk(get("/cut"));
    assert!(heard.contains("and no further") && !heard.ends_with("0\r\n\r\n"), "{heard}");
    assert_eq!(status(&edge.talk(last("/who"))), 200);
}

#[test]
fn who_sends_too_slowly_is_cut() {
    let edge = start(|limits| {
        limits.head = Duration::from_millis(300);
        limits.idle = Duration::from_millis(300);
        limits.receive.grace = Duration::from_millis(300);
    });
    // Nothing at all, and nothing more.
    assert_eq!(edge.talk(""), "");
    let mut stream = edge.connect();
    stream.write_all(get("/echo").as_bytes()).unwrap();
    let heard = rest(&mut stream);
    assert_eq!(status(&heard), 200, "{heard}");
    // A byte now and then, in the head and in the body.
    for head in ["", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"] {
        let mut stream = edge.connect();
        let mut reader = stream.try_clone().unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let writer = std::thread::spawn(move || {
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let heard = whatever(&mut reader);
        assert_eq!(status(&String::from_utf8_lossy(&heard)), 408);
        drop(reader);
        writer.join().unwrap();
    }
    until("all places are free", || edge.connections() == 0);
}

#[test]
fn there_are_so_many_places_and_so_many_bytes() {
    let edge = start(|limits| limits.connections = 2);
    let mut held = [edge.connect(), edge.connect()];
    until("both have a place", || edge.connections() == 2);
    let heard = edge.talk(get("/who"));
    assert!(status(&heard) == 503 && heard.contains("too many connections\n"), "{heard}");
    held[0].write_all(last("/who").as_bytes()).unwrap();
    assert_eq!(status(&rest(&mut held[0])), 200);
    until("a place is free", || edge.connections() == 1);
    assert_eq!(status(&edge.talk(last("/who"))), 200);

    let edge = start(|limits| limits.per_address = Some(1));
    let _held = edge.connect();
    until("there is one", || edge.connections() == 1);
    assert!(edge.talk("").contains("of this address"));

    let edge = start(|limits| limits.bodies = 100);
    let post = |path: &str| {
        let text = "x".repeat(60);
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n{text}")
    };
    let mut waiting = edge.connect();
    waiting.write_all(post("/wait").as_bytes()).unwrap();
    until("the first is handled", || {
        edge.stage.handled.load(std::sync::atomic::Ordering::SeqCst) > 0
    });
    assert_eq!(status(&edge.talk(post("/echo"))), 503);
    edge.stage.release();
    assert!(answer(&mut waiting).ends_with("released"));
    assert_eq!(edge.talk(post("/echo") + &last("/who")).matches(" 200 OK").count(), 2);
}
