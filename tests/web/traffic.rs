//! What goes over the wire when all is well: headers, reuse, compression, cookies.

use std::io::Write;
use std::sync::Mutex;

use flate2::Compression;
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use jumpvisor::error::Kind;
use jumpvisor::web::client::Client;
use jumpvisor::web::exchange::{Exchange, Request, Upload, read_capped};
use jumpvisor::web::tls::Trust;

use crate::server::{Identity, Server, Wire, get, hello, plain, reply, serve, serve_at, settings};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compressed(body: Vec<u8>) -> Server {
    serve(None, move |_, wire| reply(wire, "200 OK", "Content-Encoding: gzip\r\n", &body))
}

#[test]
fn a_post_as_the_hypervisor_gets_it() {
    let server = serve(None, |_, wire| {
        let cookies = "Set-Cookie: vmware_soap_session=\"abc\"; Path=/; HttpOnly; Secure;\r\n\
                       Set-Cookie: second=2\r\n";
        reply(wire, "200 OK", cookies, b"<a/>")
    });
    let client = plain(&server);
    let request = Request::new("POST", "/sdk?x=%2f", b"<soap/>")
        .header("Cookie", "vmware_soap_session=\"abc\"")
        .header("SOAPAction", "\"urn:vim25/8.0.2.0\"");
    let mut response = client.exchange(&request).unwrap();
    let cookies: Vec<&str> = response.all("Set-Cookie").collect();
    assert_eq!(cookies, ["vmware_soap_session=\"abc\"; Path=/; HttpOnly; Secure;", "second=2"]);
    assert_eq!(read_capped(&mut response.body, 10).unwrap(), b"<a/>");
    let heard = server.last();
    assert!(heard.starts_with("POST /sdk?x=%2f HTTP/1.1\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n<soap/>"), "{heard}");
    for line in [
        &format!("host: 127.0.0.1:{}", server.port),
        "cookie: vmware_soap_session=\"abc\"",
        "soapaction: \"urn:vim25/8.0.2.0\"",
        "accept-encoding: gzip",
        "content-length: 7",
        concat!("user-agent: jumpvisor/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(heard.contains(&format!("\r\n{line}\r\n")), "no `{line}` in {heard}");
    }
    let lower = heard.to_lowercase();
    assert!(!lower.contains("expect:") && !lower.contains("transfer-encoding:"), "{heard}");
}

#[test]
fn a_body_that_is_read_while_it_is_sent_has_its_length_and_all_of_it() {
    let server = serve(None, hello);
    let client = plain(&server);
    let body = "0123456789".repeat(20_000);
    let upload = Upload::new(std::io::Cursor::new(body.clone().into_bytes()), Some(200_000));
    let request = Request::new("PUT", "/guestFile?id=1", b"").sending(upload);
    assert_eq!(client.exchange(&request).unwrap().status, 200);
    let heard = server.last();
    assert!(heard.contains("\r\ncontent-length: 200000\r\n") && heard.ends_with(&body));
    let lower = heard[..1_000].to_lowercase();
    assert!(!lower.contains("transfer-encoding") && !lower.contains("expect:"), "{lower}");
    // Nothing at all is a body too.
    let empty = Request::new("PUT", "/x", b"").sending(Upload::new(std::io::empty(), Some(0)));
    assert_eq!(client.exchange(&empty).unwrap().status, 200);
    assert!(server.last().contains("\r\ncontent-length: 0\r\n"));
    // One that ends early says so at once, and the peer is not left waiting.
    let short = Request::new("PUT", "/x", b"").sending(Upload::new(&b"abc"[..], Some(10)));
    let error = client.exchange(&short).unwrap_err();
    assert!(
        error.kind() == Kind::Conflict && error.to_string().contains("7 bytes early"),
        "{error}"
    );
}

#[test]
fn a_body_is_announced_only_where_there_is_one() {
    let server = serve(None, hello);
    let client = plain(&server);
    for method in ["POST", "PUT"] {
        client.exchange(&Request::new(method, "/", b"")).unwrap();
        assert!(server.last().contains("content-length: 0\r\n"), "{}", server.last());
    }
    for method in ["GET", "DELETE", "HEAD"] {
        client.exchange(&Request::new(method, "/", b"")).unwrap();
        assert!(!server.last().contains("content-length"), "{}", server.last());
    }
    client.exchange(&Request::new("DELETE", "/", b"12")).unwrap();
    assert!(server.last().contains("content-length: 2\r\n"), "{}", server.last());
    assert!(server.last().ends_with("\r\n\r\n12"), "{}", server.last());
}

#[test]
fn connections_are_kept_and_reused() {
    let identity = Identity::alone(&["localhost"], |_| ());
    for tls in [false, true] {
        let server = serve(tls.then(|| identity.config()), hello);
        let trust = Trust::Fingerprint(identity.fingerprint());
        let client = Client::new(settings("localhost", server.port, tls, trust)).unwrap();
        for _ in 0..5 {
            assert_eq!(get(&client, "/").unwrap(), (200, b"hello".to_vec()));
        }
        assert_eq!(server.dials(), 1, "tls: {tls}");
    }
}

#[test]
fn a_longer_wait_for_one_request_does_not_cost_a_connection() {
    let server = serve(None, hello);
    let client = plain(&server);
    get(&client, "/").unwrap();
    let mut long = Request::new("POST", "/", b"1");
    long.silence = Some(std::time::Duration::from_secs(60));
    read_capped(&mut client.exchange(&long).unwrap().body, 9).unwrap();
    get(&client, "/").unwrap();
    assert_eq!(server.dials(), 1);
}

#[test]
fn a_connection_that_the_peer_closed_while_idle_is_not_used() {
    let server = serve(None, |_, wire| {
        hello("", wire);
        false
    });
    let client = plain(&server);
    for _ in 0..3 {
        get(&client, "/").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.dials(), 3);
}

#[test]
fn compressed_answers_are_inflated_and_free_the_connection() {
    let text = "<returnval>".repeat(10_000).into_bytes();
    let server = {
        let body = gzip(&text);
        serve(None, move |request, wire| {
            if request.starts_with("GET /whole") {
                return reply(wire, "200 OK", "Content-Encoding: gzip\r\n", &body);
            }
            let head =
                "HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\nTransfer-Encoding: chunked\r\n";
            let sent = write!(wire, "{head}\r\n{:x}\r\n", body.len())
                .and_then(|()| wire.write_all(&body))
                .and_then(|()| wire.write_all(b"\r\n0\r\n\r\n"));
            sent.is_ok()
        })
    };
    let client = plain(&server);
    for path in ["/whole", "/chunked", "/whole", "/chunked"] {
        let mut response = client.exchange(&Request::new("GET", path, b"")).unwrap();
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(response.header("content-length"), None);
        assert_eq!(read_capped(&mut response.body, 1_000_000).unwrap(), text);
    }
    assert_eq!(server.dials(), 1);
}

#[test]
fn members_follow_one_another_and_headers_have_all_that_they_may() {
    // Extra field, name, comment, and a sum of the header.
    let text = b"second".repeat(1_000);
    let mut encoder = GzBuilder::new()
        .extra(vec![1, 2, 3])
        .filename("name")
        .comment("comment")
        .write(Vec::new(), Compression::best());
    encoder.write_all(&text).unwrap();
    let mut dressed = encoder.finish().unwrap();
    dressed[3] |= 2;
    let end = 10 + 2 + 3 + 5 + 8;
    let mut sum = flate2::Crc::new();
    sum.update(&dressed[..end]);
    dressed.splice(end..end, sum.sum().to_le_bytes()[..2].to_vec());
    let body = [gzip(b"first"), dressed.clone(), gzip(b"third")].concat();
    let expected = [b"first", &text[..], b"third"].concat();
    assert_eq!(get(&plain(&compressed(body)), "/").unwrap(), (200, expected));
    dressed[end] ^= 1;
    let error = get(&plain(&compressed(dressed)), "/").unwrap_err();
    assert!(error.to_string().contains("damaged or cut short"), "{error}");
}

#[test]
fn damaged_compression_is_an_error() {
    let whole = gzip(&b"0123456789".repeat(5_000));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xff;
    let cut = whole[..whole.len() - 5].to_vec();
    let [mut sum, mut length] = [whole.clone(), whole.clone()];
    sum[whole.len() - 8] ^= 1;
    length[whole.len() - 1] ^= 1;
    let behind = [&whole, &b"more"[..]].concat();
    for body in
        [cut, flipped, sum, length, behind, b"not gzip at all".to_vec(), whole[..4].to_vec()]
    {
        let server = compressed(body);
        let error = get(&plain(&server), "/").unwrap_err();
        assert!(error.to_string().contains("damaged or cut short"), "{error}");
        assert_eq!(error.kind(), Kind::Network);
    }
}

#[test]
fn a_small_answer_that_swells_stops_at_the_readers_limit() {
    let bomb = gzip(&vec![0; 50_000_000]);
    assert!(bomb.len() < 100_000);
    let server = compressed(bomb);
    let error = get(&plain(&server), "/").unwrap_err();
    assert!(error.to_string().contains("larger than the 1000000 bytes"), "{error}");
}

#[test]
fn an_empty_answer_that_names_a_compression_is_empty() {
    let server = compressed(Vec::new());
    assert_eq!(get(&plain(&server), "/").unwrap(), (200, Vec::new()));
}

#[test]
fn faults_and_redirects_are_answers() {
    let server = serve(None, |request, wire| match request.split(' ').nth(1) {
        Some("/fault") => reply(wire, "500 Internal Server Error", "", b"<fault/>"),
        Some("/busy") => reply(wire, "503 Service Unavailable", "", b""),
        _ => reply(wire, "302 Found", "Location: /fault\r\n", b"moved"),
    });
    let client = plain(&server);
    assert_eq!(get(&client, "/fault").unwrap(), (500, b"<fault/>".to_vec()));
    assert_eq!(get(&client, "/busy").unwrap(), (503, Vec::new()));
    assert_eq!(get(&client, "/moved").unwrap(), (302, b"moved".to_vec()));
    let response = client.exchange(&Request::new("GET", "/moved", b"")).unwrap();
    assert_eq!(response.header("location"), Some("/fault"));
    assert_eq!(server.heard.lock().unwrap().len(), 4);
}

#[test]
fn over_ipv6() {
    let identity = Identity::signed(&["::1"], |_| ());
    for tls in [false, true] {
        let server = serve_at("[::1]:0", tls.then(|| identity.config()), hello);
        for host in ["::1", "[::1]"] {
            let trust = Trust::Fingerprint(identity.fingerprint());
            let client = Client::new(settings(host, server.port, tls, trust)).unwrap();
            assert_eq!(get(&client, "/").unwrap().0, 200);
            let named = format!("host: [::1]:{}\r\n", server.port);
            assert!(server.last().contains(&named), "{}", server.last());
        }
    }
}

#[test]
fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    let server = serve(None, hello);
    let client = plain(&server);
    let bad = Request::new("GET", "/", b"").header("Cookie", "a=b\r\nEvil: hunter2");
    let error = client.exchange(&bad).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("header `Cookie`"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let error = client.exchange(&Request::new("GET", "/a b?token=hunter2", b"")).unwrap_err();
    assert!(error.to_string().contains("`/a b` cannot be asked for"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(server.dials(), 0);
    for host in ["", "a b", "user@esx7", "esx7/x", "https://esx7", "esx7:443", "[::1", "::1]"] {
        let made = Client::new(settings(host, 443, false, Trust::Insecure));
        assert_eq!(made.err().map(|error| error.kind()), Some(Kind::Usage), "`{host}`");
    }
}

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        LOGGED.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

#[test]
fn nothing_secret_is_logged_at_any_level() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let server = serve(None, |_: &str, wire: &mut dyn Wire| {
        reply(wire, "200 OK", "Set-Cookie: vmware_soap_session=\"hunter3\"\r\n", b"hunter4")
    });
    let request = Request::new("POST", "/guestFile?token=hunter1", b"<password>hunter2</password>")
        .header("Cookie", "vmware_soap_session=\"hunter3\"")
        .header("Authorization", "Basic hunter5");
    let mut response = plain(&server).exchange(&request).unwrap();
    read_capped(&mut response.body, 100).unwrap();
    log::warn!("what libraries say is heard here");
    let logged = LOGGED.lock().unwrap();
    assert!(logged.iter().any(|line| line.contains("heard here")), "{logged:?}");
    for line in logged.iter() {
        // The client would tell requests at debug, and at trace every byte.
        assert!(!line.contains("hunter") && line.starts_with("WARN"), "{line}");
    }
}
