//! How soon the server on standard input ends, with a host that has fallen silent.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::rig::{binary, ended, has, signal};
use crate::scripted::tasks::{Round, Script};
use crate::scripted::{PATIENCE, Peer, tcp};

/// The program as a client runs it, busy with a call of this tool.
fn serving(peer: &Peer, tool: &str, arguments: &str) -> Child {
    let address = format!("http://127.0.0.1:{}", tcp::plain(peer));
    let mut child = binary(&address, &[]).stdin(Stdio::piped()).spawn().unwrap();
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{{arguments}}}}}}}"#
    );
    writeln!(child.stdin.as_mut().unwrap(), "{call}").unwrap();
    child
}

/// A peer that never answers these methods.
fn silent(methods: &'static [&'static str]) -> Peer {
    let peer = Peer::esxi();
    peer.rule(move |asked, _| {
        if methods.contains(&asked.method.as_str()) {
            std::thread::sleep(2 * PATIENCE);
        }
        None
    });
    peer
}

#[test]
fn reading_calls_do_not_hold_it_up() {
    for by_signal in [true, false] {
        let peer = silent(&["RetrievePropertiesEx", "Logout"]);
        let mut child = serving(&peer, "list_vms", "");
        peer.wait_for("RetrievePropertiesEx", 1);
        let begun = Instant::now();
        if by_signal {
            signal(&child, "-TERM");
        } else {
            let cancel =
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
            writeln!(child.stdin.as_mut().unwrap(), "{cancel}").unwrap();
            drop(child.stdin.take());
        }
        let (status, _, err) = ended(child);
        let took = begun.elapsed();
        assert_eq!(status, 0, "{err}");
        has(&err, &["this is still under way: list_vms"]);
        assert!(took < Duration::from_millis(2_500), "{took:?}");
        assert_eq!(peer.count("Logout"), 1, "the session is not left behind");
    }
}

#[test]
fn a_change_has_time_to_stop_what_it_began() {
    let peer = Peer::esxi();
    peer.script("PowerOnVM_Task", Script::new(&[Round::Progress(Some(5)), Round::Hang]));
    peer.rule(|asked, _| {
        if asked.method == "CancelTask" {
            std::thread::sleep(Duration::from_millis(1_500));
        }
        None
    });
    let child = serving(&peer, "power_on", r#""name":"db01""#);
    peer.wait_for("WaitForUpdatesEx", 2);
    signal(&child, "-TERM");
    let (status, out, err) = ended(child);
    assert_eq!(status, 0, "{err}");
    has(&out, &["\"kind\":\"cancelled\""]);
    assert!(!err.contains("still under way"), "{err}");
    assert_eq!((peer.count("CancelTask"), peer.count("Logout")), (1, 1));
}
