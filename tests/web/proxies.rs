//! Tunnels through a proxy, and the hosts that go without one.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jumpvisor::error::{Error, Kind};
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::failure::was_not_sent;
use jumpvisor::web::tls::Trust;

use crate::server::{Identity, get, hear, hello, relay, serve, settings};

struct Tunnels {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

/// A proxy that sends every tunnel to one port, or refuses all with this status.
fn tunnels(target: u16, refusal: Option<&'static str>) -> Tunnels {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let list = Arc::clone(&list);
            thread::spawn(move || {
                let Some(request) = hear(&mut stream) else { return };
                list.lock().unwrap().push(request);
                if let Some(status) = refusal {
                    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    return;
                }
                // In pieces, as a busy proxy may.
                for piece in ["HTTP/1.1 200 Conn", "ection established\r\nVia: x\r", "\n\r\n"] {
                    stream.write_all(piece.as_bytes()).unwrap();
                    thread::sleep(Duration::from_millis(20));
                }
                relay(stream, TcpStream::connect(("127.0.0.1", target)).unwrap());
            });
        }
    });
    Tunnels { port, heard }
}

fn through(proxy: &str, no_proxy: &str, host: &str, port: u16, trust: Trust) -> Settings {
    Settings {
        proxy: Some(proxy.to_owned()),
        no_proxy: no_proxy.to_owned(),
        ..settings(host, port, true, trust)
    }
}

fn attempt(settings: Settings) -> Result<u16, Error> {
    get(&Client::new(settings)?, "/sdk").map(|(status, _)| status)
}

#[test]
fn the_proxy_resolves_the_name_and_the_tunnel_is_kept() {
    let identity = Identity::signed(&["esx7.test"], |_| ());
    let server = serve(Some(identity.config()), hello);
    let proxy = tunnels(server.port, None);
    let trust = Trust::Fingerprint(identity.fingerprint());
    let address = format!("http://user:hunter2@127.0.0.1:{}", proxy.port);
    let client = Client::new(through(&address, "", "esx7.test", 8443, trust)).unwrap();
    for _ in 0..3 {
        assert_eq!(get(&client, "/sdk").unwrap().0, 200);
    }
    let heard = proxy.heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("CONNECT esx7.test:8443 HTTP/1.1\r\n"), "{}", heard[0]);
    assert!(heard[0].contains("Proxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n"), "{}", heard[0]);
    assert!(server.last().contains("host: esx7.test:8443\r\n"), "{}", server.last());
}

#[test]
fn ipv6_and_names_without_scheme() {
    let identity = Identity::signed(&["::1"], |_| ());
    let server = serve(Some(identity.config()), hello);
    let proxy = tunnels(server.port, None);
    let address = format!("localhost:{}", proxy.port);
    let trust = Trust::Fingerprint(identity.fingerprint());
    assert_eq!(attempt(through(&address, "", "::1", 443, trust)).unwrap(), 200);
    let heard = proxy.heard.lock().unwrap();
    assert!(heard[0].starts_with("CONNECT [::1]:443 HTTP/1.1\r\n"), "{}", heard[0]);
}

#[test]
fn the_peers_certificate_is_checked_through_the_tunnel() {
    let identity = Identity::signed(&["esx7.test"], |_| ());
    let server = serve(Some(identity.config()), hello);
    let proxy = tunnels(server.port, None);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let error =
        attempt(through(&address, "", "esx7.test", 443, Trust::Fingerprint([1; 32]))).unwrap_err();
    assert!(error.to_string().starts_with("the certificate of `esx7.test:443` is not"), "{error}");
}

#[test]
fn hosts_on_the_list_go_directly() {
    let identity = Identity::signed(&["localhost"], |_| ());
    let server = serve(Some(identity.config()), hello);
    let proxy = tunnels(server.port, None);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    for (list, host, tunnelled) in [
        ("127.0.0.0/8", "127.0.0.1", 0),
        ("10.0.0.0/8", "127.0.0.1", 1),
        ("localhost", "localhost", 0),
        ("*", "localhost", 0),
        ("example.com,.lab", "localhost", 1),
    ] {
        proxy.heard.lock().unwrap().clear();
        let trust = Trust::Fingerprint(identity.fingerprint());
        assert_eq!(attempt(through(&address, list, host, server.port, trust)).unwrap(), 200);
        assert_eq!(proxy.heard.lock().unwrap().len(), tunnelled, "`{list}` and `{host}`");
    }
}

#[test]
fn the_proxy_fails() {
    let refused = |proxy: &str| {
        let error = attempt(through(proxy, "", "esx7.test", 443, Trust::Insecure)).unwrap_err();
        assert_eq!(error.kind(), Kind::Network);
        assert!(was_not_sent(&error), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        error.to_string()
    };
    let proxy = tunnels(1, Some("407 Proxy Authentication Required"));
    let text = refused(&format!("http://u:hunter2@127.0.0.1:{}", proxy.port));
    let who = format!("the proxy `127.0.0.1:{}` would not connect to `esx7.test:443`", proxy.port);
    assert!(text.starts_with(&format!("{who}: it answered 407. ")), "{text}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = refused(&format!("http://u:hunter2@127.0.0.1:{port}"));
    assert!(text.starts_with(&format!("the proxy `127.0.0.1:{port}` refused the connection")));

    let text = refused("http://u:hunter2@nowhere.invalid:3128");
    assert!(text.starts_with("the proxy `nowhere.invalid:3128` has no address"), "{text}");
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_at_the_start() {
    for proxy in
        ["https://u:hunter2@p:1", "socks5://u:hunter2@p:1", "http://u:hunter2@", "%%", "/x"]
    {
        let made = Client::new(through(proxy, "", "esx7", 443, Trust::Insecure));
        let error = made.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let unused = Client::new(through(proxy, "*", "esx7", 443, Trust::Insecure));
        assert!(unused.is_ok(), "a proxy that is not on the way does not matter");
    }
}

#[test]
fn the_environment_is_not_read() {
    let nowhere = "http://127.0.0.1:1";
    let mut again = Command::new(std::env::current_exe().unwrap());
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
        again.env(name, nowhere);
    }
    again.env_remove("NO_PROXY").env_remove("no_proxy");
    let ran = again.args(["--exact", "traffic::connections_are_kept_and_reused"]).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}
