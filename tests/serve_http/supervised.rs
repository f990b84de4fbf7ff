//! systemd, played: the sockets that it opens, and what it is told.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::rig::*;

fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let count = socket.recv(&mut bytes).expect("the supervisor hears nothing");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[test]
fn the_supervisor_hears_of_every_turn() {
    let rig = Rig::start();
    let name = rig.path("n");
    let socket = UnixDatagram::bind(&name).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let settings = [("NOTIFY_SOCKET", name.as_str()), ("WATCHDOG_USEC", "400000")];
    let mut daemon = rig.serve("d", &settings);
    let turn = |wanted: &str| {
        loop {
            let said = told(&socket);
            if said.starts_with(wanted) {
                return said;
            }
            assert_eq!(said, "WATCHDOG=1", "{wanted} is waited for");
        }
    };
    let ready = turn("READY=1");
    assert!(ready.contains("STATUS=MCP at http://127.0.0.1:"), "{ready}");
    for _ in 0..3 {
        turn("WATCHDOG=1");
    }
    daemon.program.signal("-HUP");
    assert!(turn("RELOADING=1").contains("MONOTONIC_USEC="));
    turn("READY=1");
    assert_eq!(daemon.program.end("-TERM"), Some(0));
    turn("STOPPING=1");
}

/// A daemon with a socket of this name, or of none; systemd starts it at the first connection.
fn activated(rig: &Rig, name: Option<&str>) -> (Daemon, SocketAddr) {
    let at = format!("127.0.0.1:{}", free_port());
    let mut words = vec!["-l".to_owned(), at.clone()];
    words.extend(name.map(|it| format!("--fdname={it}")));
    let program = rig.command(PROGRAM);
    let passed = program.get_envs().filter_map(|it| it.0.to_str());
    for it in passed.chain(["MCP_HOST", "AUDIT_LOG"]).filter(|it| *it != "PATH") {
        words.extend(["-E".to_owned(), it.to_owned()]);
    }
    words.extend([PROGRAM.to_owned(), "serve".to_owned()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let file = name.unwrap_or("none");
    let daemon = rig.daemon(rig.command("systemd-socket-activate"), &words, file, &[]);
    daemon.hears("Listening on ");
    (daemon, at.parse().unwrap())
}

#[test]
fn sockets_of_systemd_are_what_their_names_say() {
    let rig = Rig::start();
    for name in [None, Some("http"), Some("jumpvisor.socket")] {
        let (mut daemon, at) = activated(&rig, name);
        post(at, "", LIST).holds(200, &["list_vms"]);
        assert_eq!(daemon.at(), at);
        assert_eq!(daemon.program.end("-TERM"), Some(0), "{name:?}");
    }
    // What is called so has metrics and nothing else, whatever METRICS says.
    let (daemon, at) = activated(&rig, Some("metrics"));
    get(at, "/metrics", "").holds(200, &["jumpvisor_build_info"]);
    post(at, "", LIST).holds(404, &[]);
    assert_ne!(daemon.at(), at);
    assert_eq!(address(&daemon.said(), "metrics at "), at);
    let (mut daemon, at) = activated(&rig, Some("web"));
    let _ = std::net::TcpStream::connect(at);
    daemon.hears("a socket called `web`, which nothing here serves");
    assert_ne!(daemon.program.ended(), Some(0));
}

#[test]
fn the_tools_of_systemd_are_here() {
    for program in ["systemd-socket-activate", "systemd-analyze"] {
        let found = Command::new(program).arg("--version").output();
        assert!(found.is_ok(), "{program} is needed: apt install systemd");
    }
}
