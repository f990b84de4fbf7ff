//! The end: what runs is finished, or stopped and told so; nothing is left at the host.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::appliance::whole;
use crate::rig::*;

/// The URL of an appliance that comes in pieces of 32 KiB with this pause between them.
fn trickling(pause: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let all = whole(3 << 20);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let all = all.clone();
            thread::spawn(move || send(stream, &all, Duration::from_millis(pause)));
        }
    });
    format!("http://{at}/app.ova")
}

fn send(mut stream: TcpStream, all: &[u8], pause: Duration) {
    let mut asked = Vec::new();
    let mut piece = [0; 1024];
    while !asked.windows(4).any(|it| it == b"\r\n\r\n") {
        match std::io::Read::read(&mut stream, &mut piece) {
            Ok(count @ 1..) => asked.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    let asked = String::from_utf8_lossy(&asked).to_lowercase();
    let start = asked.split_once("bytes=").and_then(|it| it.1.split('-').next()?.parse().ok());
    let start: usize = start.unwrap_or(0).min(all.len());
    let (rest, whole) = (all.len() - start, all.len());
    let range = match start {
        0 => "200 OK\r\n".to_owned(),
        _ => {
            format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{whole}\r\n", whole - 1)
        }
    };
    let head = format!(
        "HTTP/1.1 {range}Accept-Ranges: bytes\r\nContent-Length: {rest}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes());
    for piece in all[start..].chunks(32 << 10) {
        thread::sleep(pause);
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

/// A deploy that has begun at the host, and the client that waits for it.
fn deploying(rig: &Rig, at: SocketAddr, pause: u64) -> thread::JoinHandle<Heard> {
    let args = format!(
        r#"{{"ova_path":"{}","vm_name":"victim","datastore":"datastore1"}}"#,
        trickling(pause)
    );
    let client = thread::spawn(move || post(at, "", &calling("deploy_ova", &args)));
    wait("the machine", || rig.call("list_vms --json").contains("victim").then_some(()));
    client
}

const SETTINGS: [(&str, &str); 2] = [("URL_HOSTS", "127.0.0.1"), ("APPROVAL", "off")];

#[test]
fn what_ends_in_time_is_finished_and_the_daemon_logs_out() {
    let rig = Rig::start();
    let mut daemon = rig.serve("d", &SETTINGS);
    let at = daemon.at();
    let client = deploying(&rig, at, 40);
    assert_eq!(rig.sessions(), 1);
    daemon.program.signal("-TERM");
    daemon.hears("INFO ends");
    wait("the listener's end", || TcpStream::connect(at).is_err().then_some(()));
    client.join().unwrap().works(&["victim"]);
    assert_eq!(daemon.program.ended(), Some(0));
    assert!(rig.call("list_vms --json").contains("victim"));
    assert_eq!(rig.sessions(), 0, "the daemon has logged out");
}

/// What a client that knows tasks sends for a call.
fn knowing(body: &str) -> String {
    let able = r#""extensions":{"io.modelcontextprotocol/tasks":{}}"#;
    let key = "io.modelcontextprotocol/";
    let meta = format!(
        r#""params":{{"_meta":{{"{key}protocolVersion":"2026-07-28","{key}clientCapabilities":{{{able}}}}},"#
    );
    let headers = "2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: deploy_ova\r\n";
    request("", &body.replace(r#""params":{"#, &meta)).replace("2025-11-25\r\n", headers)
}

#[test]
fn a_task_that_ends_in_time_is_finished_though_no_request_is_open() {
    let rig = Rig::start();
    let mut daemon = rig.serve("d", &SETTINGS);
    let args = format!(r#"{{"ova_path":"{}","vm_name":"victim"}}"#, trickling(50));
    talk(daemon.at(), &knowing(&calling("deploy_ova", &args))).works(&["\"taskId\""]);
    assert_eq!(daemon.program.end("-TERM"), Some(0));
    let audit = daemon.audit();
    let line = audit.lines().rfind(|it| it.contains("deploy_ova")).unwrap();
    assert!(line.contains(r#""result":"success""#), "{line}");
    assert!(rig.call("list_vms --json").contains("victim"));
    assert_eq!(rig.sessions(), 0, "the daemon has logged out");
}

#[test]
fn what_does_not_is_stopped_and_told_and_nothing_is_left() {
    let rig = Rig::start();
    let mut daemon = rig.serve("d", &SETTINGS);
    let client = deploying(&rig, daemon.at(), 400);
    assert_eq!(daemon.program.end("-TERM"), Some(0));
    let heard = client.join().unwrap();
    heard.holds(200, &["isError\":true", "cancelled", "it was not made: after "]);
    let audit = daemon.audit();
    let line = audit.lines().rfind(|it| it.contains("deploy_ova")).unwrap();
    assert!(line.contains(r#""result":"error""#), "{line}");
    assert!(!daemon.said().contains("was still at work"), "{}", daemon.said());
    assert!(!rig.call("list_vms --json").contains("victim"));
    let files = rig.call("browse_datastore datastore=datastore1 --json");
    assert!(!files.contains("victim"), "{files}");
    assert_eq!(rig.sessions(), 0, "the daemon has logged out");
}

#[test]
fn who_insists_has_it_end_at_once() {
    let rig = Rig::start();
    let mut daemon = rig.serve("d", &SETTINGS);
    let client = deploying(&rig, daemon.at(), 400);
    daemon.program.signal("-TERM");
    daemon.hears("INFO ends");
    assert_eq!(daemon.program.end("-TERM"), Some(143));
    assert!(daemon.said().contains("ended at once, without logging out"), "{}", daemon.said());
    assert_eq!(client.join().unwrap().status, 0);
}
