//! Logging in once, staying logged in, logging out once.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use jumpvisor::error::Kind;
use jumpvisor::hv::Host;
use jumpvisor::hv::machines::{Depth, Machines};

use crate::rig::{gate, has, host, host_on, reading, tool};
use crate::scripted::Peer;
use crate::scripted::answer::Answer;

#[test]
fn a_wrong_password_is_sent_once_however_many_calls_follow() {
    let peer = Peer::esxi();
    peer.change(|state| state.password = "changed".into());
    let gate = gate(&peer);
    for name in ["list_vms", "list_vms", "get_vm_info", "power_on", "delete_vm", "create_vm"] {
        let words = if name == "list_vms" { &[][..] } else { &["name=web01"] };
        let error = tool(&gate, name, words).unwrap_err();
        assert_eq!((error.kind(), error.fault_name()), (Kind::Denied, Some("InvalidLogin")));
        has(&error.to_string(), &["does not accept user `root`", "hosts lock accounts"]);
    }
    let (one, two) = (gate.clone(), gate.clone());
    let other = std::thread::spawn(move || tool(&one, "list_vms", &[]).is_err());
    assert!(tool(&two, "list_vms", &[]).is_err() && other.join().unwrap());
    assert_eq!(peer.count("Login"), 1);
    let servers = tool(&gate, "list_servers", &[]).unwrap().text;
    has(&servers, &["does not accept user `root`"]);
    gate.fleet.close();
    assert!(tool(&gate, "list_vms", &[]).is_err());
    assert_eq!((peer.count("Login"), peer.count("Logout")), (1, 0), "closing forgets nothing");
}

#[test]
fn no_access_is_not_asked_for_again_either() {
    let peer = Peer::esxi();
    peer.always("Login", || {
        let fields = "<object type=\"Folder\">ha-folder-root</object>\
                      <privilegeId>System.View</privilegeId>";
        let text = "Permission to perform this operation was denied.";
        Answer::Fault("NoPermission".into(), fields.into(), text.into())
    });
    let gate = gate(&peer);
    for _ in 0..3 {
        let error = tool(&gate, "list_vms", &[]).unwrap_err();
        has(&error.to_string(), &["password of `root` is right", "no access", "role"]);
    }
    assert_eq!(peer.count("Login"), 1);
}

#[test]
fn a_full_session_table_passes() {
    let peer = Peer::esxi();
    peer.at("Login", 1, || Answer::html(503));
    let gate = gate(&peer);
    let error = tool(&gate, "list_vms", &[]).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    has(&error.to_string(), &["503", "session table is full"]);
    tool(&gate, "list_vms", &[]).unwrap();
    assert_eq!(peer.count("Login"), 2, "one for each call, none by itself");
}

#[test]
fn one_session_for_all_calls_and_the_cookie_to_the_letter() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    for _ in 0..5 {
        tool(&gate, "list_vms", &[]).unwrap();
    }
    assert_eq!((peer.count("Login"), peer.open_sessions()), (1, 1));
    assert_eq!(peer.count("CreateContainerView"), 1, "a view is made once");
    let cookie = format!("vmware_soap_session=\"{:040x}\"", 1);
    assert_eq!(peer.last("RetrievePropertiesEx").header("Cookie"), Some(&*cookie));
    for method in ["GET /sdk/vimServiceVersions.xml", "RetrieveServiceContent", "Login"] {
        assert_eq!(peer.last(method).header("Cookie"), None, "{method}");
    }
    assert_eq!(peer.last("Login").arg("password").as_deref(), Some("p<&>\"w"));
    gate.fleet.close();
    gate.fleet.close();
    assert_eq!((peer.count("Logout"), peer.open_sessions()), (1, 0));
    tool(&gate, "list_vms", &[]).unwrap();
    assert_eq!(peer.count("Login"), 2, "a later call opens anew");
}

#[test]
fn a_cookie_of_a_failed_login_is_no_session() {
    let peer = Peer::esxi();
    peer.at("Login", 1, || {
        let fault = "<faultcode>ServerFaultCode</faultcode><faultstring>busy</faultstring>\
                     <detail><HostConnectFaultFault xmlns=\"urn:vim25\"/></detail>";
        match Answer::odd_fault(fault) {
            Answer::Http(status, mut headers, body) => {
                headers.push(("Set-Cookie".into(), "vmware_soap_session=\"dead\"; Path=/".into()));
                Answer::Http(status, headers, body)
            }
            other => other,
        }
    });
    let host = host(&peer);
    assert!(host.list(&reading(), Depth::Names).is_err());
    assert_eq!(host.list(&reading(), Depth::Names).unwrap().len(), 3);
    let stale = |asked: &Arc<crate::scripted::asked::Asked>| {
        asked.header("Cookie").is_some_and(|it| it.contains("dead"))
    };
    assert!(!peer.heard().iter().any(stale));
}

#[test]
fn many_at_once_log_in_once() {
    let peer = Peer::esxi();
    let host = Arc::new(host(&peer));
    let start = Arc::new(Barrier::new(16));
    let all: Vec<_> = (0..16)
        .map(|_| {
            let (host, start) = (host.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                host.list(&reading(), Depth::Rows).unwrap().len()
            })
        })
        .collect();
    assert!(all.into_iter().all(|it| it.join().unwrap() == 3));
    assert_eq!((peer.count("Login"), peer.count("CreateContainerView")), (1, 1));
}

#[test]
fn an_idle_session_is_ended_and_opened_anew() {
    let peer = Peer::esxi();
    let host = host_on(peer.clone(), Duration::from_millis(150));
    host.list(&reading(), Depth::Names).unwrap();
    peer.wait_for("Logout", 1);
    assert_eq!(peer.open_sessions(), 0);
    assert!(!host.status().connected);
    host.list(&reading(), Depth::Names).unwrap();
    peer.wait_for("Logout", 2);
    assert_eq!((peer.count("Login"), peer.count("Logout")), (2, 2));
    host.close();
    assert_eq!(peer.count("Logout"), 2, "what is ended is not ended again");
}

#[test]
fn a_session_in_use_is_not_idle() {
    let peer = Peer::esxi();
    let host = host_on(peer.clone(), Duration::from_millis(400));
    for _ in 0..8 {
        host.list(&reading(), Depth::Names).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(peer.count("Logout"), 0);
}

#[test]
fn a_call_longer_than_the_idle_time_keeps_its_session() {
    let peer = Peer::esxi();
    let host = host_on(peer.clone(), Duration::from_millis(100));
    peer.rule(|asked, _| {
        if asked.method == "RetrievePropertiesEx" {
            std::thread::sleep(Duration::from_millis(600));
        }
        None
    });
    host.list(&reading(), Depth::Names).unwrap();
    let methods = peer.methods();
    let at = |name: &str| methods.iter().position(|it| it == name);
    assert_eq!(peer.count("Login"), 1);
    assert!(at("Logout").is_none_or(|at| at > methods.len() - 2), "{methods:?}");
}

#[test]
fn closing_during_a_login_ends_that_session_too() {
    let peer = Peer::esxi();
    peer.rule(|asked, _| {
        if asked.method == "Login" {
            std::thread::sleep(Duration::from_millis(500));
        }
        None
    });
    let host = Arc::new(host(&peer));
    let caller = host.clone();
    let call = std::thread::spawn(move || drop(caller.list(&reading(), Depth::Names)));
    peer.wait_for("Login", 1);
    host.close();
    assert_eq!(peer.count("Logout"), 1);
    call.join().unwrap();
    host.close();
    assert_eq!(peer.open_sessions(), 0);
}

#[test]
fn a_server_that_is_gone_does_not_hold_up_the_end() {
    let peer = Peer::esxi();
    let host = host(&peer);
    host.list(&reading(), Depth::Names).unwrap();
    peer.always("Logout", || Answer::DropBefore);
    host.close();
    assert_eq!(peer.count("Logout"), 1, "a logout is not repeated");
    assert!(!host.status().connected);
}
