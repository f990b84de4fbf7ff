//! `jumpvisor check`: every way to fail, each with its next step, and never more than one login.

use std::net::TcpListener;
use std::process::Command;

use jumpvisor::web::tls::fingerprint_text;

use crate::rig::{binary, has, run, told};
use crate::scripted::answer::Answer;
use crate::scripted::methods::versions;
use crate::scripted::world::licences;
use crate::scripted::{Peer, tcp};
use crate::server::{Identity, TempFile};

/// Runs `check` against the peer; its exit status and what it printed.
fn check(peer: &Peer) -> (i32, String) {
    let (status, text, _) = run(tcp::plain(peer), &["check"]);
    (status, text)
}

fn at(address: &str, more: &[(&str, &str)]) -> (i32, String) {
    let mut command: Command = binary(address, &["check"]);
    let (status, text, _) = told(command.envs(more.iter().copied()).output().unwrap());
    (status, text)
}

#[test]
fn all_is_well() {
    let peer = Peer::esxi();
    let (status, text) = check(&peer);
    assert_eq!(status, 0, "{text}");
    has(&text, &["8.0.3.0", "`root` on VMware ESXi 8.0.3", "ok    licence", "ok    rights"]);
    assert_eq!((peer.count("Login"), peer.count("Logout")), (1, 1));
    assert!(!text.contains("p<&>"), "the password is never shown");
}

#[test]
fn a_wrong_password_costs_one_login() {
    let peer = Peer::esxi();
    peer.change(|state| state.password = "changed".into());
    let (status, text) = check(&peer);
    assert_eq!(status, 1, "{text}");
    has(&text, &["FAIL  login", "does not accept user `root`", "Correct user or password"]);
    assert_eq!((peer.count("Login"), peer.count("Logout")), (1, 0));
}

#[test]
fn no_access() {
    let peer = Peer::esxi();
    peer.always("Login", || Answer::fault("NoPermission", "Permission denied."));
    let (status, text) = check(&peer);
    assert_eq!(status, 1);
    has(&text, &["FAIL  login", "no access to this server", "Give the user a role"]);
    assert_eq!(peer.count("Login"), 1);
}

#[test]
fn a_full_session_table() {
    let peer = Peer::esxi();
    peer.always("Login", || Answer::html(503));
    let (status, text) = check(&peer);
    assert_eq!(status, 1);
    has(&text, &["FAIL  login", "503", "session table is full"]);
    assert_eq!(peer.count("Login"), 1);
}

#[test]
fn a_free_licence_is_a_warning() {
    let peer = Peer::esxi();
    peer.change(|state| {
        state.things.retain(|thing| thing.kind != "LicenseManager");
        state.things.push(licences("esxBasic", "VMware vSphere 8 Hypervisor"));
    });
    let (status, text) = check(&peer);
    assert_eq!(status, 0, "{text}");
    has(
        &text,
        &["warn  licence", "VMware vSphere 8 Hypervisor", "read-only", "paid or evaluation"],
    );
}

#[test]
fn missing_privileges_are_named() {
    let peer = Peer::esxi();
    peer.change(|state| state.lacks = vec!["VirtualMachine.Inventory.Delete".into()]);
    let (status, text) = check(&peer);
    assert_eq!(status, 0, "{text}");
    has(&text, &["warn  rights", "lacks VirtualMachine.Inventory.Delete", "READ_ONLY=true"]);
    assert!(!text.contains("Network.Assign"));
}

#[test]
fn no_vsphere_behind_the_address() {
    let peer = Peer::esxi();
    peer.rule(|_, _| Some(Answer::html(200)));
    let (status, text) = check(&peer);
    assert_eq!(status, 1);
    has(&text, &["FAIL  ", "not XML", "Is this address an ESXi host or a vCenter?"]);
    let peer = Peer::esxi();
    peer.rule(|_, _| Some(Answer::html(404)));
    let (status, text) = check(&peer);
    assert_eq!(status, 1);
    has(&text, &["FAIL  ", "404", "Is this address an ESXi host or a vCenter?"]);
    assert_eq!(peer.count("Login"), 0);
}

#[test]
fn too_old() {
    let peer = Peer::esxi();
    peer.change(|state| state.versions = Some(versions("6.0", &["5.5"])));
    let (status, text) = check(&peer);
    assert_eq!(status, 1);
    has(&text, &["FAIL  version", "6.0", "served from 6.5 on"]);
    assert_eq!(peer.count("Login"), 0);
}

#[test]
fn no_such_name() {
    let (status, text) = at("nobody.invalid", &[]);
    assert_eq!(status, 1);
    has(&text, &["FAIL  name", "`nobody.invalid` has no address", "Check the spelling and DNS"]);
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (status, text) = at(&format!("127.0.0.1:{port}"), &[]);
    assert_eq!(status, 1);
    has(&text, &["FAIL  connect", "refused the connection", "Check the address and the port"]);
}

#[test]
fn no_tls_behind_the_port() {
    let peer = Peer::esxi();
    let (status, text) = at(&format!("127.0.0.1:{}", tls_expected(&peer)), &[]);
    assert_eq!(status, 1);
    has(&text, &["FAIL  ", "does not speak TLS", "it may serve plain HTTP"]);
}

/// A port that answers a TLS hello in plain text.
fn tls_expected(_: &Peer) -> u16 {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut hello = [0; 64];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    port
}

#[test]
fn an_unknown_issuer_shows_the_fingerprint_and_the_fingerprint_is_trusted() {
    let identity = Identity::alone(&["localhost"], |_| ());
    let print = fingerprint_text(&identity.fingerprint());
    let peer = Peer::esxi();
    let port = tcp::serve(&peer, Some(identity.config()), false);
    let address = format!("localhost:{port}");

    let (status, text) = at(&address, &[]);
    assert_eq!(status, 1);
    has(&text, &["FAIL  tls", &print, "_FINGERPRINT"]);
    let wrong = fingerprint_text(&[7; 32]);
    let (status, text) = at(&address, &[("ESXI_FINGERPRINT", &wrong)]);
    assert_eq!(status, 1);
    has(&text, &["FAIL  tls", "is not the expected one", &print]);
    assert!(peer.heard().is_empty(), "nothing was sent to a stranger");

    let (status, text) = at(&address, &[("ESXI_FINGERPRINT", &print)]);
    assert_eq!(status, 0, "{text}");
    has(&text, &["ok    tls", &print, "ok    login"]);
    let file = TempFile::new(&identity.authority);
    let (status, text) = at(&address, &[("ESXI_CA_FILE", file.0.to_str().unwrap())]);
    assert_eq!(status, 0, "{text}");
    assert_eq!((peer.count("Login"), peer.count("Logout")), (2, 2));
}

#[test]
fn a_certificate_for_another_name() {
    let identity = Identity::signed(&["esx9.lab"], |_| ());
    let peer = Peer::esxi();
    let port = tcp::serve(&peer, Some(identity.config()), false);
    let file = TempFile::new(&identity.authority);
    let (status, text) =
        at(&format!("localhost:{port}"), &[("ESXI_CA_FILE", file.0.to_str().unwrap())]);
    assert_eq!(status, 1);
    has(&text, &["FAIL  tls", "is not for `localhost`, but for `esx9.lab`"]);
}

#[test]
fn several_servers_are_tried_side_by_side_and_one_bad_one_fails_the_whole() {
    let (good, bad) = (Peer::esxi(), Peer::esxi());
    bad.change(|state| state.password = "changed".into());
    let second = format!("http://127.0.0.1:{}", tcp::plain(&bad));
    let more =
        [("ESXI_HOST_1", second.as_str()), ("ESXI_USER_1", "root"), ("ESXI_PASS_1", "p<&>\"w")];
    let (status, text) = at(&format!("http://127.0.0.1:{}", tcp::plain(&good)), &more);
    assert_eq!(status, 1, "{text}");
    has(&text, &["ok    login", "FAIL  login"]);
    assert_eq!((good.count("Login"), good.count("Logout"), bad.count("Login")), (1, 1, 1));
}
