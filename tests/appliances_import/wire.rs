//! The same over sockets and TLS: lengths, chunks, and connections that end in the middle.

use std::net::TcpListener;

use jumpvisor::error::Kind;
use jumpvisor::hv::Host;
use jumpvisor::hv::appliances::Appliances;
use jumpvisor::hv::machines::{Depth, Machines};
use jumpvisor::sim::identity::Identity;
use jumpvisor::sim::serve::{Limits, Server};
use jumpvisor::vsphere::Vsphere;

use crate::rig::{Files, changing, connected, descriptor, files, reading, wanted};

/// A server with these rules, and somebody connected to it.
fn served(vcenter: bool, rules: &str) -> (Server, Vsphere) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let settings = jumpvisor::sim::Settings {
        vcenter,
        rules: Some(rules.to_owned()),
        address: Some(address.to_string()),
        ..jumpvisor::sim::Settings::default()
    };
    let service = jumpvisor::sim::open(settings).unwrap();
    let identity = Identity::generate(address.ip()).unwrap();
    let server = Server::start(listener, Some(&identity), service, Limits::default()).unwrap();
    (server, connected(address.port(), Some(identity.fingerprint()), "secret"))
}

fn there(host: &Vsphere, name: &str) -> bool {
    host.list(&reading(), Depth::Names).unwrap().iter().any(|it| it.at.name == name)
}

#[test]
fn with_lengths_and_in_chunks() {
    for vcenter in [false, true] {
        let (_server, host) = served(vcenter, "[]");
        for (name, sizeless) in [("whole", false), ("chunked", true)] {
            let text = descriptor(&[]);
            let files = Files { sizeless, ..Files::of(files()).piped() };
            let done = host.import(&reading(), &wanted(&text, name), Box::new(files));
            let done = done.and_then(|it| it.run(&changing())).unwrap();
            assert!(done[1].starts_with("3 files sent, 1.1 MB"), "{done:?}");
            assert!(there(&host, name));
        }
        host.close();
    }
}

#[test]
fn a_host_that_hangs_up_or_refuses_in_the_middle_leaves_nothing() {
    for (effect, cause) in [
        (r#""drop": 0"#, "before it answered. Nothing of it stays"),
        (r#""truncate": 30000"#, "Nothing of it stays"),
        (r#""status": 500"#, "the host answered HTTP 500"),
    ] {
        let rules = format!(r#"[{{"path": "/ha-nfc/*/disk-1.vmdk", {effect}}}]"#);
        let (_server, host) = served(false, &rules);
        let text = descriptor(&[]);
        let import = host.import(&reading(), &wanted(&text, "edge"), Box::new(Files::of(files())));
        let error = import.and_then(|it| it.run(&changing())).unwrap_err();
        assert!(matches!(error.kind(), Kind::Network | Kind::Remote), "{error}");
        let said = error.to_string();
        assert!(said.starts_with("it was not made: after ") && said.contains(cause), "{said}");
        assert!(!there(&host, "edge"));
        host.close();
    }
}
