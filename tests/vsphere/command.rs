//! The real binary: one login, one logout, and an orderly end on a signal.

use std::process::Child;

use crate::rig::{binary, ended, has, run, signal};
use crate::scripted::answer::Answer;
use crate::scripted::tasks::{Round, Script};
use crate::scripted::{PATIENCE, Peer, tcp};

const ON: &str = "PowerOnVM_Task";

fn start(peer: &Peer, args: &[&str]) -> Child {
    binary(&format!("http://127.0.0.1:{}", tcp::plain(peer)), args).spawn().unwrap()
}

#[test]
fn a_call_logs_in_and_out_once_whatever_its_end() {
    for (args, expected) in [
        (&["call", "list_vms"][..], 0),
        (&["call", "get_vm_info", "name=nobody"], 3),
        (&["call", "power_on", "name=web01"], 0),
        (&["call", "power_on", "name=db01", "dry_run=true"], 0),
        (&["call", "reset_vm", "name=db01"], 5),
        (&["call", "power_off", "names=web01,db01", "--json"], 0),
    ] {
        let peer = Peer::esxi();
        let (status, out, err) = run(tcp::plain(&peer), args);
        assert_eq!(status, expected, "{args:?}: {out} {err}");
        assert_eq!((peer.count("Login"), peer.count("Logout")), (1, 1), "{args:?}");
        assert_eq!(peer.open_sessions(), 0);
    }
}

#[test]
fn what_needs_no_server_opens_no_session() {
    let peer = Peer::esxi();
    let port = tcp::plain(&peer);
    for args in [&["tools"][..], &["version"], &["call", "list_servers"], &["call", "no_such_tool"]]
    {
        run(port, args);
    }
    assert!(peer.heard().is_empty(), "{:?}", peer.methods());
}

#[test]
fn unknown_tools_are_told_at_every_start_with_all_else_that_is_wrong() {
    let peer = Peer::esxi();
    let port = tcp::plain(&peer);
    for command in [&["check"][..], &["call", "list_servers"], &["tools"], &[]] {
        let flags = ["--toolsets=vm,bogus", "--exclude-tools=list_vm", "--log-level=LOUD"];
        let (status, _, err) = run(port, &[&flags, command].concat());
        assert_eq!(status, 2, "{command:?}: {err}");
        let toolsets = "\n  --toolsets: no toolset is called `bogus`. Known: default, all, vm";
        let tools = "\n  --exclude-tools: no tool is called `list_vm`. Did you mean `list_vms`?";
        has(&err, &["configuration: 3 problems:\n", "\n  --log-level: ", toolsets, tools]);
    }
    assert!(peer.heard().is_empty());
}

#[test]
fn a_wrong_password_is_sent_once() {
    let peer = Peer::esxi();
    peer.change(|state| state.password = "changed".into());
    let (status, _, err) = run(tcp::plain(&peer), &["call", "power_on", "names=web01,db01"]);
    assert_eq!(status, 4);
    has(&err, &["does not accept user `root`"]);
    assert_eq!((peer.count("Login"), peer.count("Logout")), (1, 0));
}

#[test]
fn a_signal_cancels_the_task_and_logs_out() {
    for name in ["-INT", "-TERM"] {
        let peer = Peer::esxi();
        peer.script(ON, Script::new(&[Round::Progress(Some(5)), Round::Hang]));
        let child = start(&peer, &["call", "power_on", "name=db01"]);
        peer.wait_for("WaitForUpdatesEx", 2);
        signal(&child, name);
        let (status, out, err) = ended(child);
        assert!(status == 130 || status == 143, "{status}: {out} {err}");
        assert_eq!((peer.count("CancelTask"), peer.count("Logout")), (1, 1), "{name}");
        assert_eq!(peer.open_sessions(), 0);
    }
}

#[test]
fn a_signal_ends_a_wait_for_a_task_that_cannot_be_cancelled() {
    let peer = Peer::esxi();
    peer.script(ON, Script::not_cancelable(&[Round::Progress(Some(5)), Round::Hang]));
    let child = start(&peer, &["call", "power_on", "name=db01"]);
    peer.wait_for("WaitForUpdatesEx", 2);
    signal(&child, "-INT");
    let (status, _, err) = ended(child);
    assert_eq!(status, 130, "{err}");
    has(&err, &["goes on on the server"]);
    assert_eq!(peer.count("Logout"), 1);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (name, expected) in [("-INT", 130), ("-TERM", 143)] {
        let peer = Peer::esxi();
        peer.script(ON, Script::new(&[Round::Progress(Some(5)), Round::Hang]));
        peer.rule(|asked, _| {
            if asked.method == "CancelTask" {
                std::thread::sleep(2 * PATIENCE);
            }
            None
        });
        let child = start(&peer, &["call", "power_on", "name=db01"]);
        peer.wait_for("WaitForUpdatesEx", 2);
        signal(&child, name);
        peer.wait_for("CancelTask", 1);
        signal(&child, name);
        let (status, _, err) = ended(child);
        assert_eq!(status, expected, "{err}");
        has(&err, &["ended at once"]);
    }
}

#[test]
fn a_signal_ends_a_read_that_the_server_does_not_answer() {
    let peer = Peer::esxi();
    peer.rule(|asked, _| {
        if asked.method == "RetrievePropertiesEx" {
            std::thread::sleep(2 * PATIENCE);
        }
        None
    });
    let child = start(&peer, &["call", "list_vms"]);
    peer.wait_for("RetrievePropertiesEx", 1);
    signal(&child, "-INT");
    let (status, _, err) = ended(child);
    assert_eq!(status, 130, "{err}");
    assert_eq!(peer.count("Logout"), 1, "the session is not left behind");
}

#[test]
fn a_signal_during_the_login_leaves_no_session() {
    let peer = Peer::esxi();
    peer.rule(|asked, _| {
        if asked.method == "Login" {
            std::thread::sleep(std::time::Duration::from_millis(700));
        }
        None
    });
    let child = start(&peer, &["call", "list_vms"]);
    peer.wait_for("Login", 1);
    signal(&child, "-TERM");
    let (status, _, err) = ended(child);
    assert!(status == 130 || status == 143, "{status} {err}");
    peer.wait_until("no open session", |peer| peer.open_sessions() == 0);
    assert_eq!((peer.count("Login"), peer.count("Logout")), (1, 1));
}

#[test]
fn a_server_that_never_answers_the_logout_does_not_hold_the_shell() {
    let peer = Peer::esxi();
    peer.rule(|asked, _| {
        if asked.method == "Logout" {
            std::thread::sleep(2 * PATIENCE);
        }
        None
    });
    let child = start(&peer, &["call", "list_vms"]);
    let (status, out, _) = ended(child);
    assert_eq!(status, 0);
    has(&out, &["web01"]);
}

#[test]
fn a_connection_lost_in_the_middle_of_a_write_is_told_and_not_repeated() {
    let peer = Peer::esxi();
    peer.always(ON, || Answer::DropBefore);
    let (status, _, err) = run(tcp::plain(&peer), &["call", "power_on", "name=db01"]);
    assert_eq!(status, 7, "{err}");
    has(&err, &["closed the connection before it answered", "look before repeating"]);
    assert_eq!((peer.count(ON), peer.count("Logout")), (1, 1));
}

#[test]
fn a_long_list_does_not_swell_the_program() {
    let peak = |count: usize| -> usize {
        let peer = Peer::esxi();
        peer.change(|state| {
            state.things.retain(|thing| thing.kind != "VirtualMachine");
            for at in 0..count {
                let mut vm = crate::scripted::world::machine(
                    &at.to_string(),
                    &format!("vm{at:05}"),
                    "poweredOn",
                    false,
                );
                vm.props.retain(|path, _| !path.starts_with("config"));
                state.things.push(vm);
            }
            state.page = 500;
        });
        // Held at its end, so that its highest use of memory can be read.
        let twin = peer.clone();
        peer.rule(move |asked, _| {
            if asked.method == "Logout" {
                twin.wait_until("release", |peer| peer.count("GET /release") > 0);
            }
            None
        });
        let child = start(&peer, &["call", "list_vms", "limit=10"]);
        peer.wait_for("Logout", 1);
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        peer.serve(crate::scripted::asked::Asked::new("GET", "/release", Vec::new(), b""));
        assert_eq!(ended(child).0, 0);
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let grown = peak(10_000).saturating_sub(peak(3));
    assert!(grown < 24_000, "{grown} kB more for 10,000 machines, whose answers have 20 MB");
}
