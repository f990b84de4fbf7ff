//! What goes wrong on the way, what is said about it, and whether it is safe to try again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jumpvisor::error::{Error, Kind};
use jumpvisor::web::client::Client;
use jumpvisor::web::exchange::{Exchange, Request, read_capped};
use jumpvisor::web::failure::was_not_sent;
use jumpvisor::web::tls::Trust;

use crate::server::{Identity, get, hello, plain, serve, settings};

#[track_caller]
fn said(error: &Error, sent: bool, part: &str) {
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    assert!(error.next_step().is_some(), "no hint in: {error}");
    assert_eq!(was_not_sent(error), !sent, "{error}");
}

/// Accepts connections and does just this with each.
fn raw(act: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let act = Arc::new(act);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let act = Arc::clone(&act);
            thread::spawn(move || act(stream));
        }
    });
    port
}

fn client(port: u16, tls: bool, wait: Duration) -> Client {
    let mut settings = settings("127.0.0.1", port, tls, Trust::Insecure);
    settings.connect_timeout = wait;
    settings.idle_timeout = wait;
    Client::new(settings).unwrap()
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(5);

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for tls in [false, true] {
        let error = get(&client(port, tls, LONG), "/").unwrap_err();
        said(&error, false, &format!("`127.0.0.1:{port}` refused the connection"));
    }
}

#[test]
fn the_name_is_unknown() {
    let settings = settings("nowhere.invalid", 443, true, Trust::Insecure);
    let error = get(&Client::new(settings).unwrap(), "/").unwrap_err();
    said(&error, false, "`nowhere.invalid:443` has no address: ");
}

#[test]
fn the_port_does_not_speak_tls() {
    let http = raw(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = get(&client(http, true, LONG), "/").unwrap_err();
    said(&error, false, "does not speak TLS. Check the port; it may serve plain HTTP");

    let closes = raw(drop);
    let error = get(&client(closes, true, LONG), "/").unwrap_err();
    said(&error, false, "closed the connection instead of beginning TLS");

    let mute = raw(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let started = Instant::now();
    let error = get(&client(mute, true, SHORT), "/").unwrap_err();
    said(&error, false, "did not finish the TLS handshake within 0.3 s");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_time_for_connecting_is_for_the_whole_handshake() {
    let dribbles = raw(|mut stream| {
        // The start of a long record, byte by byte: each read makes progress, the handshake none.
        let _ = stream.write_all(&[0x16, 3, 3, 0x10, 0]);
        while stream.write_all(&[2]).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let started = Instant::now();
    let error = get(&client(dribbles, true, SHORT), "/").unwrap_err();
    said(&error, false, "did not finish the TLS handshake within 0.3 s");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_server_knows_only_old_tls() {
    // Fatal alerts: protocol version, handshake failure.
    for alert in [70, 40] {
        let old = raw(move |mut stream| {
            let _ = stream.write_all(&[0x15, 3, 1, 0, 2, 2, alert]);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = get(&client(old, true, LONG), "/").unwrap_err();
        said(&error, false, "has no version or cipher of TLS in common with us");
    }
}

#[test]
fn the_port_does_not_speak_plain_http() {
    let odd = raw(|mut stream| {
        let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = get(&client(odd, false, LONG), "/").unwrap_err();
    said(&error, true, "did not answer in HTTP");
}

#[test]
fn the_connection_ends_before_the_answer() {
    let identity = Identity::alone(&["localhost"], |_| ());
    for tls in [None, Some(identity.config())] {
        let secure = tls.is_some();
        let server = serve(tls, |_, _| false);
        let client = client(server.port, secure, LONG);
        let error = client.exchange(&Request::new("POST", "/sdk", b"<a/>")).unwrap_err();
        said(&error, true, "closed the connection before it answered. The request may have taken");
        assert_eq!(server.heard.lock().unwrap().len(), 1, "a request is sent once");
    }
}

#[test]
fn a_kept_connection_that_dies_in_use_does_not_repeat_the_request() {
    let server = serve(None, |request, wire| request.starts_with("GET") && hello("", wire));
    let client = plain(&server);
    get(&client, "/").unwrap();
    let error = client.exchange(&Request::new("POST", "/sdk", b"<a/>")).unwrap_err();
    said(&error, true, "closed the connection before it answered");
    let posts = server.heard.lock().unwrap().iter().filter(|it| it.starts_with("POST")).count();
    assert_eq!((posts, server.dials()), (1, 1));
}

#[test]
fn the_connection_ends_in_the_middle_of_the_answer() {
    let identity = Identity::alone(&["localhost"], |_| ());
    for head in ["Content-Length: 100\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello"]
    {
        for tls in [None, Some(identity.config())] {
            let secure = tls.is_some();
            let server = serve(tls, move |_, wire| {
                let _ = write!(wire, "HTTP/1.1 200 OK\r\n{head}");
                let _ = wire.flush();
                false
            });
            let error = get(&client(server.port, secure, LONG), "/").unwrap_err();
            said(&error, true, "closed the connection in the middle of the answer");
        }
    }
}

#[test]
fn silence() {
    let server = serve(None, |request, wire| {
        if request.starts_with("GET /slow") {
            thread::sleep(SHORT * 3);
            return hello("", wire);
        }
        let _ = write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        let _ = wire.flush();
        thread::sleep(LONG);
        false
    });
    let client = client(server.port, false, SHORT);
    for path in ["/slow", "/stalls"] {
        let error = get(&client, path).unwrap_err();
        said(&error, true, &format!("`127.0.0.1:{}` was silent for 0.3 s", server.port));
    }
    let mut patient = Request::new("GET", "/slow", b"");
    patient.silence = Some(LONG);
    let mut response = client.exchange(&patient).unwrap();
    assert_eq!(read_capped(&mut response.body, 5).unwrap(), b"hello");
}

#[test]
fn a_slow_answer_that_keeps_coming_is_not_silence() {
    let server = serve(None, |_, wire| {
        let _ = write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        (0..10).all(|_| {
            thread::sleep(SHORT / 3);
            wire.write_all(b"x").and_then(|()| wire.flush()).is_ok()
        })
    });
    assert_eq!(get(&client(server.port, false, SHORT), "/").unwrap().1, b"xxxxxxxxxx");
}

#[test]
fn headers_without_end() {
    for filler in [format!("X: {}\r\n", "a".repeat(100_000)), "X: a\r\n".repeat(20_000)] {
        let server = serve(None, move |_, wire| {
            let _ = write!(wire, "HTTP/1.1 200 OK\r\n{filler}Content-Length: 0\r\n\r\n");
            true
        });
        let error = get(&plain(&server), "/").unwrap_err();
        assert_eq!(error.kind(), Kind::Network);
        let text = error.to_string();
        assert!(
            text.contains("headers of more than 32768 bytes") || text.contains("in HTTP"),
            "{text}"
        );
    }
}

#[test]
fn a_shutdown_ends_what_hangs_and_refuses_the_rest() {
    let server = serve(None, |request, wire| {
        if request.starts_with("GET /body") {
            let _ = write!(wire, "HTTP/1.1 200 OK\r\n\r\nhello");
            let _ = wire.flush();
        }
        thread::sleep(LONG);
        false
    });
    for path in ["/head", "/body"] {
        let client = Arc::new(client(server.port, false, LONG));
        let hung = thread::spawn({
            let client = Arc::clone(&client);
            move || get(&client, path)
        });
        thread::sleep(SHORT);
        let started = Instant::now();
        client.shutdown();
        let error = hung.join().unwrap().unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(1), "{path}");
        assert_eq!(error.kind(), Kind::Cancelled, "{path}: {error}");
        assert_eq!(get(&client, "/").unwrap_err().kind(), Kind::Cancelled);
    }
}
