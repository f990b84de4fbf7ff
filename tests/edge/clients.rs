//! curl, as people and programs use it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::stage::*;

/// What curl prints; nothing where there is no curl.
pub fn curl(arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "--noproxy", "*"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("there is no curl here");
        return None;
    };
    // It may know before the end that it need not send more.
    let _ = child.stdin.take().unwrap().write_all(input);
    let out = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(text(&out.stdout) + &text(&out.stderr))
}

/// A folder of its own for a test.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("edge-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn curl_keeps_its_connection_sends_chunks_and_speaks_the_old_version() {
    let edge = plain();
    let url = |path: &str| format!("http://{}{path}", edge.address());
    let Some(heard) =
        curl(&["-v", &url("/who"), &url("/stream"), &url("/empty"), &url("/who")], b"")
    else {
        return;
    };
    assert!(
        heard.contains("data: 4") && heard.matches("GET 127.0.0.1 false").count() == 2,
        "{heard}"
    );
    assert_eq!(heard.matches("Re-using existing connection").count(), 3, "{heard}");

    let input = vec![b'z'; 3 << 20];
    let chunked = ["-T", "-", "-X", "POST", &url("/echo")];
    assert_eq!(curl(&chunked, &input).unwrap().len(), input.len());
    // curl asks first here, because the body is large.
    let asked =
        curl(&["-v", "--data-binary", "@-", &url("/echo"), "-o", "/dev/null"], &input).unwrap();
    assert!(
        asked.contains("< HTTP/1.1 100 Continue") && asked.contains("< HTTP/1.1 200"),
        "{asked}"
    );

    let old = curl(&["-i", "--http1.0", &url("/stream")], b"").unwrap();
    assert!(!old.contains("chunked") && old.contains("Connection: close"), "{old}");
    assert!(old.ends_with("data: 4\n\n"), "{old}");
    let newer = curl(&["-i", "--http2", &url("/who")], b"").unwrap();
    assert!(newer.starts_with("HTTP/1.1 200 OK") && newer.contains("GET 127"), "{newer}");
    let head = curl(&["-I", &url("/large")], b"").unwrap();
    assert!(head.contains("Content-Length: 1048576"), "{head}");
    let large = curl(&["-i", "-T", "-", "-H", "Expect:", &url("/small")], &input).unwrap();
    assert!(large.contains("HTTP/1.1 413 "), "{large}");
}

#[test]
fn a_unix_socket_has_its_mode_names_who_asks_and_replaces_only_a_stale_one() {
    use jumpvisor::web::serve::listen::{Listener, Place};
    use std::os::unix::fs::PermissionsExt;
    let path = folder("unix").join("mcp sock#1");
    let place = format!("unix:{}", path.display());
    // What a killed server leaves.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    // A child that another test starts has it too, for the moment before it is another program.
    until("it is stale", || std::os::unix::net::UnixStream::connect(&path).is_err());
    let mut edge = start_at(listen(&place), None, |_| ());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    if let Some(heard) = curl(&["--unix-socket", path.to_str().unwrap(), "http://a/who"], b"") {
        assert!(heard.starts_with("GET pid ") && heard.contains(" false unix:"), "{heard}");
    }
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(last("/who").as_bytes()).unwrap();
    assert!(rest(&mut stream).contains(&format!("GET pid {} ", std::process::id())));

    let refused = |path: &std::path::Path| {
        let opened = Listener::open(&Place::Unix(path.to_owned()), "a", 0o600);
        opened.map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&path).contains("listens there"), "{}", refused(&path));
    let file = folder("unix").join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(refused(&file).contains("a file that is no socket"), "{}", refused(&file));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    drop(edge.server.take());
    assert!(!path.exists());
    std::fs::remove_dir_all(folder("unix")).unwrap();
}

#[test]
fn several_listeners_of_every_kind_at_once() {
    let path = folder("several").join("s");
    let mut listeners = listen("127.0.0.1:0");
    listeners.extend(listen("[::1]:0"));
    listeners.extend(listen(&format!("unix:{}", path.display())));
    let edge = start_at(listeners, None, |_| ());
    let places = edge.server.as_ref().unwrap().places().to_vec();
    assert_eq!(places.len(), 3);
    for place in &places[..2] {
        let mut stream = std::net::TcpStream::connect(place.to_string()).unwrap();
        stream.write_all(last("/who").as_bytes()).unwrap();
        let heard = rest(&mut stream);
        let name =
            if place.to_string().starts_with('[') { "::1 false [::1]:0" } else { "127.0.0.1:0" };
        assert!(heard.ends_with(name), "{heard}");
    }
    drop(edge);
    std::fs::remove_dir_all(folder("several")).unwrap();
}
