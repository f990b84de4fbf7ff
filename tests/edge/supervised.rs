//! systemd, played: sockets that it opens, and what it is told.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jumpvisor::web::serve::limits::Limits;
use jumpvisor::web::serve::listen::inherited;
use jumpvisor::web::serve::notify::Notifier;
use jumpvisor::web::serve::{Server, Setup};

use crate::clients::{curl, folder};
use crate::stage::*;

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let count = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[test]
fn the_supervisor_is_told_by_path_and_by_abstract_name() {
    let path = folder("notify").join("n");
    let name = format!("edge-{}", std::process::id());
    let abstractly = SocketAddr::from_abstract_name(&name).unwrap();
    let sockets = [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstractly).unwrap(), format!("@{name}")),
    ];
    for (socket, name) in sockets {
        socket.set_read_timeout(Some(SOON)).unwrap();
        let notifier = Notifier::to(OsStr::new(&name), None);
        notifier.ready("serves\nhere");
        assert_eq!(heard(&socket), "READY=1\nSTATUS=serves here");
        notifier.reloading();
        let text = heard(&socket);
        let number = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let up = std::fs::read_to_string("/proc/uptime").unwrap();
        let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
        assert!((number.parse::<f64>().unwrap() / 1e6 - up).abs() < 60.0, "{text} at {up}");
        notifier.status("one");
        notifier.stopping();
        assert_eq!(heard(&socket), "STATUS=one");
        assert!(heard(&socket).starts_with("STOPPING=1"));
    }
    // Nobody there: nothing happens.
    Notifier::to(OsStr::new("/nowhere/n"), None).ready("");
    Notifier::default().ready("");
    std::fs::remove_dir_all(folder("notify")).unwrap();
}

#[test]
fn the_watchdog_is_told_by_the_thread_that_serves() {
    let path = folder("watchdog").join("n");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let every = Some(Duration::from_millis(40));
    let notifier = Arc::new(Notifier::to(path.as_os_str(), every));
    let handler = Arc::new(Tiny::default());
    let server = Server::start(Setup {
        listeners: listen("127.0.0.1:0"),
        identity: None,
        limits: Limits::default(),
        handler,
        notifier,
    });
    let server = server.unwrap();
    for _ in 0..5 {
        assert_eq!(heard(&socket), "WATCHDOG=1");
    }
    assert_eq!(server.stop(Duration::ZERO), 0);
    socket.set_nonblocking(true).unwrap();
    let mut bytes = [0; 64];
    while socket.recv(&mut bytes).is_ok() {}
    std::thread::sleep(Duration::from_millis(100));
    assert!(socket.recv(&mut bytes).is_err(), "the dead are not alive");
    std::fs::remove_dir_all(folder("watchdog")).unwrap();
}

/// Run by the next test in a process of its own: serves what systemd has opened until one request
/// for `/bye` has come.
#[test]
fn child() {
    if std::env::var_os("EDGE_CHILD").is_none() {
        return;
    }
    let listeners = inherited().unwrap();
    assert!(inherited().unwrap().is_empty(), "they are taken once");
    let edge = start_at(listeners, None, |_| ());
    until("it is over", || edge.stage.handled.load(std::sync::atomic::Ordering::SeqCst) >= 2);
}

#[test]
fn sockets_that_systemd_has_opened_are_served_under_their_names() {
    let path = folder("activated").join("s");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("systemd-socket-activate");
    let name = path.to_str().unwrap();
    command.args(["-l", &format!("127.0.0.1:{port}"), "-l", name, "--fdname=web:local"]);
    command.args(["-E", "EDGE_CHILD=1"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "supervised::child", "--nocapture"]);
    let Ok(mut child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return println!("there is no systemd-socket-activate here");
    };
    until("it listens", || path.exists());
    let url = format!("http://127.0.0.1:{port}/who");
    let (tcp, unix) = (curl(&[&url], b""), curl(&["--unix-socket", name, "http://a/who"], b""));
    if let (Some(tcp), Some(unix)) = (tcp, unix) {
        assert!(tcp.starts_with("GET 127.0.0.1 false web"), "{tcp}");
        assert!(unix.starts_with("GET pid ") && unix.ends_with("local"), "{unix}");
        assert!(child.wait().unwrap().success());
    }
    let _ = child.kill();
    let _ = child.wait();
    std::fs::remove_dir_all(folder("activated")).unwrap();
}
