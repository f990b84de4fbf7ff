//! The simulated host's server against clients that we did not write, and against rude ones.
//!
//! Everything is on loopback. Surprising: where the machine has no `curl`, its test says so and
//! passes; the others speak for themselves.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::io::{Cursor, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jumpvisor::sim::http::{Answer, Request, Service};
use jumpvisor::sim::identity::Identity;
use jumpvisor::sim::serve::{Limits, Server};
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::codec::range::{Range, content_range, range};
use jumpvisor::web::exchange::{self, Exchange, read_capped};
use jumpvisor::web::tls::Trust;

/// Echoes, counts, waits and breaks, by path.
#[derive(Default)]
struct Tiny {
    over: Mutex<bool>,
    woken: Condvar,
}

fn file() -> Vec<u8> {
    (0..200_000_u32).map(|it| (it % 251) as u8).collect()
}

impl Service for Tiny {
    fn answer(&self, request: &mut Request) -> Answer {
        let number = || request.query().parse::<u64>().ok();
        match request.path() {
            "/echo" => {
                let mut body = Vec::new();
                match request.body.read_to_end(&mut body) {
                    Ok(_) => Answer::of(200, "text/plain", body),
                    Err(error) => Answer::of(400, "", error.kind().to_string().into_bytes()),
                }
            }
            "/count" => {
                let count = std::io::copy(request.body, &mut std::io::sink());
                Answer::of(200, "", format!("{} {:?}", request.method, count.unwrap()).into_bytes())
            }
            "/file" => match range(request.header("Range"), 200_000) {
                Range::Full => Answer::of(200, "", file()),
                Range::Part { start, length } => {
                    let part = &file()[start as usize..][..length as usize];
                    let told = content_range(Some((start, length)), 200_000);
                    Answer::of(206, "", part.to_vec()).header("Content-Range", told)
                }
                Range::Unsatisfiable => {
                    Answer::empty(416).header("Content-Range", content_range(None, 200_000))
                }
            },
            "/stream" => Answer::stream(200, Box::new(Cursor::new(file())), number()),
            "/soap" => Answer::of(200, "text/xml; charset=utf-8", b"<a>b</a>".repeat(1000)),
            "/cut" => Answer { cut: number(), ..Answer::of(200, "text/xml", file()) },
            "/cutstream" => {
                Answer { cut: number(), ..Answer::stream(200, Box::new(Cursor::new(file())), None) }
            }
            "/panic" => panic!("as the test wants"),
            "/broken" => Answer::empty(200).header("A", "b\r\nC: d"),
            "/wait" => {
                let over = self.over.lock().unwrap();
                let _over = self.woken.wait_while(over, |over| !*over).unwrap();
                Answer::of(200, "", b"woken".to_vec())
            }
            path => Answer::of(404, "text/plain", path.as_bytes().to_vec()),
        }
    }

    fn shutdown(&self) {
        *self.over.lock().unwrap() = true;
        self.woken.notify_all();
    }
}

fn start(identity: Option<&Identity>, change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = Limits::default();
    change(&mut limits);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Server::start(listener, identity, Arc::new(Tiny::default()), limits).unwrap()
}

fn plain() -> Server {
    start(None, |_| ())
}

/// Sends these bytes and reads to the end of the connection.
fn talk(server: &Server, text: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that has heard enough may close while this is still writing.
    let _ = stream.write_all(text.as_ref());
    let mut heard = Vec::new();
    let ended = stream.read_to_end(&mut heard);
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(ended.is_ok(), "{ended:?} after {heard:?}");
    heard
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn our_client_trusts_the_fingerprint_and_reuses_the_connection() {
    let identity = Identity::generate(IpAddr::from([127, 0, 0, 1])).unwrap();
    let server = start(Some(&identity), |_| ());
    let client = |trust| {
        let settings = Settings {
            host: "localhost".to_owned(),
            port: server.address().port(),
            tls: true,
            trust,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            proxy: None,
            no_proxy: String::new(),
        };
        Client::new(settings).unwrap()
    };
    let right = client(Trust::Fingerprint(identity.fingerprint()));
    for text in ["one", "two"] {
        let request = exchange::Request::new("POST", "/echo", text.as_bytes());
        let mut answer = right.exchange(&request).unwrap();
        assert_eq!(read_capped(&mut *answer.body, 100).unwrap(), text.as_bytes());
    }
    assert_eq!(server.connections(), 1, "the connection was not used again");
    let mut answer = right.exchange(&exchange::Request::new("GET", "/soap", b"")).unwrap();
    assert_eq!(read_capped(&mut *answer.body, 10_000).unwrap().len(), 8000);
    let mut answer = right.exchange(&exchange::Request::new("GET", "/cutstream?9", b"")).unwrap();
    assert!(read_capped(&mut *answer.body, 1_000_000).is_err(), "a cut answer looks whole");
    let wrong = client(Trust::Fingerprint([7; 32]));
    assert!(wrong.exchange(&exchange::Request::new("GET", "/", b"")).is_err());
}

fn curl(arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>) {
    let mut child = Command::new("curl")
        .args(["-sS", "--max-time", "30", "--noproxy", "*"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut pipe, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn curl_over_tls() {
    if Command::new("curl").arg("--version").output().is_err() {
        return println!("there is no curl here: not tested");
    }
    let identity = Identity::generate(IpAddr::from([127, 0, 0, 1])).unwrap();
    let server = start(Some(&identity), |_| ());
    let base = format!("https://127.0.0.1:{}", server.address().port());
    let url = |path: &str| format!("{base}{path}");
    let ask = |arguments: &[&str], input: &[u8]| {
        let (code, output) = curl(&[arguments, &["-k"]].concat(), input);
        (code, String::from_utf8_lossy(&output).into_owned())
    };
    let good = |text: &str| (Some(0), text.to_owned());
    let pem = std::env::temp_dir().join(format!("jumpvisor-serve-{}.pem", std::process::id()));
    std::fs::write(&pem, identity.pem()).unwrap();
    let trusted = curl(&["--cacert", pem.to_str().unwrap(), "-d", "hello", &url("/echo")], b"");
    std::fs::remove_file(&pem).unwrap();
    assert_eq!(trusted, (Some(0), b"hello".to_vec()), "the certificate as a file of authorities");
    assert_eq!(ask(&["--tls-max", "1.2", "-d", "x", &url("/echo")], b""), good("x"));
    assert_eq!(ask(&["--http1.0", "-d", "x", &url("/echo")], b""), good("x"));
    let megabytes = vec![7; 10 << 20];
    assert_eq!(ask(&["-T", "-", &url("/count")], &megabytes), good("PUT 10485760"));
    let posted = ask(&["--data-binary", "@-", &url("/count")], &megabytes);
    assert_eq!(posted, good("POST 10485760"));
    assert_eq!(ask(&["-T", "-", &url("/nowhere")], &megabytes), good("/nowhere"));
    let (_, part) = curl(&["-k", "-r", "1000-1999", &url("/file")], b"");
    assert!(part == file()[1000..2000], "{} bytes", part.len());
    let (_, part) = curl(&["-k", "-r", "-5", &url("/file")], b"");
    assert_eq!(part, file()[199_995..]);
    let (_, tail) = ask(&["-i", "-r", "200000-", &url("/file")], b"");
    assert!(tail.starts_with("HTTP/1.1 416 Range Not Satisfiable"), "{tail}");
    assert!(tail.contains("Content-Range: bytes */200000"), "{tail}");
    for path in ["/file", "/stream", "/stream?200000"] {
        let (code, whole) = curl(&["-k", &url(path)], b"");
        assert!(code == Some(0) && whole == file(), "{path}: {code:?}, {} bytes", whole.len());
    }
    let (_, old) = curl(&["-k", "--http1.0", &url("/stream")], b"");
    assert!(old == file(), "HTTP/1.0 has no chunks: {} bytes", old.len());
    let (_, soap) = ask(&["--compressed", "-w", "%{size_download}", &url("/soap")], b"");
    let (text, size) = soap.split_at(8000);
    assert!(text.ends_with("<a>b</a>") && size.parse::<usize>().unwrap() < 500, "{size}");
    assert_eq!(ask(&["-w", "%{size_download}", "-o", "/dev/null", &url("/soap")], b"").1, "8000");
    let (_, head) = ask(&["-I", &url("/file")], b"");
    assert!(head.contains("Content-Length: 200000"), "{head}");
    let twice = [url("/nowhere"), url("/nowhere")];
    let (_, told) = ask(&["-w", "%{num_connects}", &twice[0], &twice[1]], b"");
    assert_eq!(told, "/nowhere1/nowhere0");
    // 52: nothing came; 18: the transfer ended early.
    assert_eq!(ask(&[&url("/cut?0")], b""), (Some(52), String::new()));
    for (path, count) in [("/cut?0010", 10), ("/cut?150000", 150_000), ("/cutstream?99999", 99_999)]
    {
        let (code, some) = curl(&["-k", &url(path)], b"");
        assert!(some == file()[..count], "{path}: {} bytes", some.len());
        // TLS without a goodbye is 56 in some versions.
        assert!(matches!(code, Some(18 | 56)), "{path}: {code:?}");
    }
}

#[test]
fn requests_one_behind_the_other() {
    let server = plain();
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    let chunks = "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let unread = "POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ";
    let head = "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n";
    let all = [post, "abc", chunks, "2\r\nde\r\n0\r\n\r\n", unread, head, &last("/last")].concat();
    let heard = talk(&server, &all);
    let bodies: Vec<&str> =
        heard.split("HTTP/1.1 ").skip(1).map(|it| it.split_once("\r\n\r\n").unwrap().1).collect();
    assert_eq!(bodies, ["abc", "de", "/left", "", "/last"]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    for byte in all.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut slowly = String::new();
    stream.read_to_string(&mut slowly).unwrap();
    assert_eq!(slowly, heard, "byte by byte it is something else");
}

#[test]
fn what_cannot_be_understood_is_told_and_closed() {
    let server = plain();
    let long = "a".repeat(60_000);
    for (sent, status) in [
        ("garbage\r\n\r\n".to_owned(), "400 Bad Request"),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), "400 Bad Request"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {long}\r\n\r\n"), "431 "),
        (format!("GET /{long} HTTP/1.1\r\n"), "414 URI Too Long"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400 "),
        ("GET / HTTP/3.0\r\n".to_owned(), "505 "),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz".to_owned(),
            "400 ",
        ),
        (get("/panic"), "500 "),
        (last("/broken"), "500 "),
    ] {
        let heard = talk(&server, &sent);
        let shown = &sent[..sent.len().min(80)];
        assert!(heard.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {heard}");
        assert!(heard.contains("\r\nConnection: close\r\n"), "{shown:?}: {heard}");
    }
    let mut garbage = 7_u64;
    for _ in 0..50 {
        let bytes: Vec<u8> = (0..300)
            .map(|_| {
                garbage = garbage.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (garbage >> 56) as u8
            })
            .collect();
        assert!(talk(&server, &bytes).starts_with("HTTP/1.1 "));
    }
    assert_eq!(body(&talk(&server, last("/still"))), "/still");
}

#[test]
fn slow_and_silent_clients_are_sent_away() {
    let server = start(None, |limits| {
        limits.head = Duration::from_millis(400);
        limits.idle = Duration::from_millis(300);
        limits.silence = Duration::from_millis(300);
        limits.linger = Duration::from_millis(100);
    });
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    for byte in get("/never").bytes().take(30) {
        // Each byte is soon enough, all of them are not.
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    let mut heard = String::new();
    let _ = stream.read_to_string(&mut heard);
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!(talk(&server, "GET /").starts_with("HTTP/1.1 408 "));
    assert_eq!(talk(&server, ""), "", "an idle client is not told anything");
    let short = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
    let heard = talk(&server, short);
    assert!(heard.starts_with("HTTP/1.1 400 ") && body(&heard) == "timed out", "{heard}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while server.connections() > 0 {
        assert!(Instant::now() < deadline, "{} connections are left", server.connections());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_body_that_nobody_wants_is_read_up_to_a_bound() {
    let server = start(None, |limits| limits.discard = 1 << 20);
    let post = |size: usize| {
        format!(
            "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{}",
            "x".repeat(size)
        )
    };
    let kept = talk(&server, post(1 << 19) + &last("/next"));
    assert!(kept.contains("\r\n\r\n/no") && kept.ends_with("/next"), "{kept}");
    let closed = talk(&server, post(3 << 19));
    assert!(closed.contains("Connection: close") && body(&closed) == "/no", "{closed}");
}

#[test]
fn more_connections_than_allowed() {
    let server = start(None, |limits| limits.connections = 2);
    let mut held: Vec<TcpStream> =
        (0..2).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    for stream in &mut held {
        stream.write_all(get("/a").as_bytes()).unwrap();
        assert!(stream.read(&mut [0; 1000]).unwrap() > 0);
    }
    assert!(talk(&server, get("/b")).starts_with("HTTP/1.1 503 "));
    held[0].write_all(get("/still").as_bytes()).unwrap();
    let mut answer = [0; 1000];
    let count = held[0].read(&mut answer).unwrap();
    assert!(answer[..count].ends_with(b"/still"));
}

#[test]
fn stopping_ends_whoever_is_there() {
    let identity = Identity::generate(IpAddr::from([127, 0, 0, 1])).unwrap();
    for identity in [None, Some(&identity)] {
        let server = start(identity, |_| ());
        let address = server.address();
        let mut open: Vec<TcpStream> =
            (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        for (at, stream) in open.iter_mut().enumerate() {
            let text = [String::new(), "GET".to_owned(), get("/wait"), get("/stream")];
            let text = &text[at % 4];
            stream.write_all(text.as_bytes()).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while identity.is_none() && server.connections() < 20 {
            assert!(Instant::now() < deadline, "{}", server.connections());
            thread::sleep(Duration::from_millis(5));
        }
        let began = Instant::now();
        server.stop();
        server.stop();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(server.connections(), 0);
        assert!(TcpStream::connect(address).is_err(), "it still listens");
    }
}
