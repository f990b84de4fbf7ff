//! Which version is spoken, and what is refused.

use jumpvisor::error::Kind;
use jumpvisor::hv::machines::{Depth, Machines};

use crate::rig::{has, host, reading};
use crate::scripted::Peer;
use crate::scripted::answer::Answer;
use crate::scripted::methods::versions;

/// The `SOAPAction` that a server with these versions sees.
#[track_caller]
fn spoken(list: Option<String>) -> String {
    let peer = Peer::esxi();
    peer.change(|state| state.versions = list);
    host(&peer).list(&reading(), Depth::Full).unwrap();
    let all: Vec<String> = peer
        .heard()
        .iter()
        .filter(|asked| asked.verb == "POST")
        .map(|asked| asked.header("SOAPAction").unwrap().to_owned())
        .collect();
    assert!(all.iter().all(|it| *it == all[0]), "one version for all: {all:?}");
    all[0].clone()
}

#[test]
fn the_highest_that_both_know() {
    for (list, expected) in [
        (Some(versions("9.1.1.0", &["9.1.0.0", "8.0.3.0", "6.5"])), "\"urn:vim25/9.1.1.0\""),
        (Some(versions("uA046D008", &["8.0.3.0", "8.0.2.0", "6.5"])), "\"urn:vim25/8.0.3.0\""),
        (Some(versions("12.0.0.0", &["9.0.0.0", "6.5"])), "\"urn:vim25/9.0.0.0\""),
        (Some(versions("6.5", &["6.0", "5.5"])), "\"urn:vim25/6.5\""),
        (None, "\"urn:vim25/6.5\""),
    ] {
        assert_eq!(spoken(list), expected);
    }
}

#[test]
fn what_is_too_old_or_no_vsphere_is_refused_before_any_login() {
    let refused = |answer: fn() -> Answer, kind: Kind, parts: &[&str]| {
        let peer = Peer::esxi();
        peer.always("GET /sdk/vimServiceVersions.xml", answer);
        let error = host(&peer).list(&reading(), Depth::Names).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        has(&error.to_string(), parts);
        assert_eq!(peer.count("Login"), 0);
    };
    let old = || Answer::http(200, &[], &versions("6.0", &["5.5", "5.1"]));
    refused(old, Kind::Unsupported, &["6.0", "6.5"]);
    refused(|| Answer::html(200), Kind::Network, &["not XML", "ESXi host or a vCenter"]);
    refused(|| Answer::html(401), Kind::Network, &["401"]);
    refused(|| Answer::html(502), Kind::Network, &["502", "proxy"]);
    refused(|| Answer::html(503), Kind::Busy, &["503"]);
    let away = || Answer::http(302, &[("Location", "https://login.example.com/")], "");
    refused(away, Kind::Network, &["302", "login.example.com"]);
    let strange = || Answer::http(200, &[], "<namespaces version=\"1.0\"/>");
    refused(strange, Kind::Unsupported, &["none"]);
}

#[test]
fn paths_newer_than_the_server_are_not_asked_for() {
    let peer = Peer::esxi();
    peer.change(|state| state.versions = Some(versions("6.5", &[])));
    host(&peer).detail(&reading(), "web01").unwrap();
    let asked = peer.heard();
    let paths = asked
        .iter()
        .filter(|it| it.method == "RetrievePropertiesEx")
        .flat_map(|it| it.args("specSet.propSet.pathSet"))
        .collect::<Vec<_>>();
    assert!(paths.contains(&"config.hardware.device".to_owned()));
    assert!(paths.iter().all(|it| !it.contains("uplink")), "{paths:?}");
}
