//! Sessions that end under a caller's feet, as a fault or hidden in a good answer.

use std::sync::{Arc, Barrier};

use jumpvisor::error::Kind;
use jumpvisor::hv::machines::{Depth, Machines};

use crate::rig::{gate, has, host, reading, tool};
use crate::scripted::Peer;
use crate::scripted::answer::Answer;

fn not_authenticated() -> Answer {
    Answer::fault("NotAuthenticated", "The session is not authenticated.")
}

#[test]
fn an_expired_session_is_opened_anew_once_for_all_who_wait() {
    for hidden in [false, true] {
        let peer = Peer::esxi();
        peer.change(|state| state.hides_expiry = hidden);
        let host = Arc::new(host(&peer));
        host.list(&reading(), Depth::Names).unwrap();
        peer.expire();
        let start = Arc::new(Barrier::new(16));
        let all: Vec<_> = (0..16)
            .map(|_| {
                let (host, start) = (host.clone(), start.clone());
                std::thread::spawn(move || {
                    start.wait();
                    host.list(&reading(), Depth::Rows).map(|it| it.len())
                })
            })
            .collect();
        for it in all {
            assert_eq!(it.join().unwrap().unwrap(), 3);
        }
        assert_eq!(peer.count("Login"), 2, "hidden: {hidden}");
        assert_eq!(peer.count("CreateContainerView"), 2, "the view died with its session");
        assert_eq!(peer.last("Login").header("Cookie"), None, "the dead cookie is dropped");
    }
}

#[test]
fn a_changing_call_is_replayed_because_it_was_not_carried_out() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    peer.at("PowerOnVM_Task", 1, not_authenticated);
    let shown = tool(&gate, "power_on", &["name=db01"]).unwrap();
    has(&shown.text, &["powered on"]);
    assert_eq!((peer.count("PowerOnVM_Task"), peer.count("Login")), (2, 2));
}

#[test]
fn an_expiry_while_waiting_for_a_task_starts_it_only_once() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    peer.at("WaitForUpdatesEx", 1, not_authenticated);
    tool(&gate, "power_on", &["name=db01"]).unwrap();
    assert_eq!((peer.count("PowerOnVM_Task"), peer.count("Login")), (1, 2));
    assert_eq!(peer.count("CreatePropertyCollector"), 2, "the collector died with its session");
}

#[test]
fn not_authenticated_after_a_fresh_login_is_a_refusal_and_no_loop() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    peer.always("AnswerVM", not_authenticated);
    peer.always("PowerOnVM_Task", not_authenticated);
    let error = tool(&gate, "power_on", &["name=db01"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    has(&error.to_string(), &["NotAuthenticated", "may lack the right"]);
    assert_eq!((peer.count("PowerOnVM_Task"), peer.count("Login")), (2, 2));
    tool(&gate, "list_vms", &[]).unwrap();
    assert_eq!(peer.count("Login"), 2, "the session is used on");
}

#[test]
fn one_hidden_property_is_no_expiry() {
    let peer = Peer::esxi();
    peer.rule(|asked, nth| {
        let missing = "<returnval><objects><obj type=\"VirtualMachine\">1</obj><propSet>\
             <name>name</name><val xsi:type=\"xsd:string\">web01</val></propSet><missingSet>\
             <path>parent</path><fault><fault xsi:type=\"NotAuthenticated\"></fault>\
             <localizedMessage></localizedMessage></fault></missingSet></objects><objects>\
             <obj type=\"VirtualMachine\">2</obj><missingSet><path>name</path><fault>\
             <fault xsi:type=\"NoPermission\"><privilegeId>System.Read</privilegeId></fault>\
             <localizedMessage></localizedMessage></fault></missingSet></objects></returnval>";
        (asked.method == "RetrievePropertiesEx" && nth == 1)
            .then(|| Answer::Result(missing.to_owned()))
    });
    let found = host(&peer).list(&reading(), Depth::Names).unwrap();
    let names: Vec<&str> = found.iter().map(|it| it.at.name.as_str()).collect();
    assert_eq!(names, ["2", "web01"], "what may not be read is absent");
    assert_eq!(peer.count("Login"), 1);
}

#[test]
fn an_expiry_between_two_pages_starts_the_list_over_without_doubles() {
    let peer = Peer::esxi();
    peer.change(|state| state.page = 2);
    let host = host(&peer);
    peer.at("ContinueRetrievePropertiesEx", 2, not_authenticated);
    let found = host.list(&reading(), Depth::Names).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(peer.count("Login"), 2);
}
