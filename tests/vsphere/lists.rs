//! Lists: round trips, pages, memory, and answers that are too much or too little.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jumpvisor::error::Kind;
use jumpvisor::hv::Host;
use jumpvisor::hv::machines::{Depth, Machines};
use jumpvisor::hv::places::PlaceKind;
use jumpvisor::vsphere::props;
use jumpvisor::vsphere::props::Select;
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::tls::Trust;

use crate::rig::{gate, gate_of, has, host, host_on, reading, tool};
use crate::scripted::answer::Answer;
use crate::scripted::world::machine;
use crate::scripted::{Peer, tcp};

/// What it takes to be logged in.
const OPENING: usize = 3;

fn with_machines(count: usize) -> Peer {
    let peer = Peer::esxi();
    peer.change(|state| {
        state.things.retain(|thing| thing.kind != "VirtualMachine");
        for at in 0..count {
            let (id, name) = (format!("{at}"), format!("vm{at:05}"));
            state.things.push(machine(&id, &name, "poweredOn", false));
        }
    });
    peer
}

#[test]
fn a_list_costs_one_query_and_its_pages() {
    for (count, page, pages) in [(3, 0, 1), (3, 100, 1), (300, 0, 1), (300, 100, 4)] {
        let peer = with_machines(count);
        peer.change(|state| state.page = page);
        let gate = gate(&peer);
        let shown = tool(&gate, "list_vms", &["limit=1000"]).unwrap();
        assert!(shown.text.contains("vm00002"));
        let queries =
            peer.count("RetrievePropertiesEx") + peer.count("ContinueRetrievePropertiesEx");
        assert_eq!(queries, pages, "{count} machines");
        assert_eq!(peer.heard().len(), OPENING + 1 + pages, "{:?}", peer.methods());
        peer.forget();
        tool(&gate, "list_vms", &[]).unwrap();
        assert_eq!(peer.heard().len(), pages, "the second list needs no more");
    }
}

#[test]
fn every_page_is_read_although_the_first_token_is_zero() {
    let peer = with_machines(300);
    peer.change(|state| state.page = 100);
    let host = host(&peer);
    let found = host.list(&reading(), Depth::Rows).unwrap();
    assert_eq!(found.len(), 300);
    assert_eq!((found[0].at.name.as_str(), found[299].at.name.as_str()), ("vm00000", "vm00299"));
    let first = peer.heard().into_iter().find(|it| it.method == "ContinueRetrievePropertiesEx");
    let first = first.unwrap();
    assert_eq!(first.arg("token").as_deref(), Some("0"));
    assert_eq!(first.this, "ha-property-collector", "a token belongs to its collector");
    assert_eq!(
        peer.last("RetrievePropertiesEx").arg("specSet.reportMissingObjectsInResults"),
        Some("true".into())
    );
}

#[test]
fn a_connection_lost_between_or_within_pages_costs_a_new_query_and_no_doubles() {
    let half = || Answer::DropMid("<returnval/>".into());
    for answer in [(|| Answer::DropBefore) as fn() -> Answer, half] {
        let peer = with_machines(300);
        peer.change(|state| state.page = 100);
        peer.at("ContinueRetrievePropertiesEx", 2, answer);
        let found = host(&peer).list(&reading(), Depth::Names).unwrap();
        assert_eq!(found.len(), 300);
        assert_eq!(peer.count("RetrievePropertiesEx"), 2, "a spent token is not sent again");
        assert_eq!(peer.count("ContinueRetrievePropertiesEx"), 5);
    }
    let peer = with_machines(300);
    peer.always("RetrievePropertiesEx", || Answer::DropMid("<returnval/>".into()));
    let error = host(&peer).list(&reading(), Depth::Names).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert_eq!(peer.count("RetrievePropertiesEx"), 2, "and not for ever");
}

#[test]
fn a_server_that_never_stops_paging_is_stopped() {
    let peer = with_machines(1);
    let page = || {
        Answer::Result(
            "<returnval><token>0</token><objects><obj type=\"Folder\">f</obj></objects>\
             </returnval>"
                .into(),
        )
    };
    peer.always("RetrievePropertiesEx", page);
    peer.always("ContinueRetrievePropertiesEx", page);
    let error = host(&peer).list(&reading(), Depth::Names).unwrap_err();
    has(&error.to_string(), &["1000 pages"]);
}

#[test]
fn an_empty_answer_is_an_empty_list() {
    let peer = Peer::esxi();
    peer.always("RetrievePropertiesEx", || Answer::Result(String::new()));
    let host = host(&peer);
    assert!(host.list(&reading(), Depth::Rows).unwrap().is_empty());
    assert!(host.places().list(&reading(), PlaceKind::Datastore).unwrap().is_empty());
    assert_eq!(peer.count("Login"), 1);
}

#[test]
fn names_are_shown_as_people_write_them_and_found_so() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    let shown = tool(&gate, "list_vms", &["response_format=detailed"]).unwrap();
    has(&shown.text, &["a/b", "a%2fb"]);
    for name in ["a/b", "path:ha-datacenter/vm/a%2fb", "moid:3"] {
        let word = format!("name={name}");
        assert!(tool(&gate, "get_vm_info", &[&word]).is_ok(), "{name}");
    }
}

#[test]
fn what_a_newer_server_adds_is_passed_over() {
    let peer = Peer::esxi();
    peer.change(|state| {
        let vm = state.vm("1");
        vm.set(
            "runtime.powerState",
            "<val xsi:type=\"VirtualMachinePowerState\">hibernated</val>".into(),
        );
        let text = "<val xsi:type=\"GuestNicInfo2\"><warp>9</warp></val>";
        vm.set("guest.net", text.into());
        vm.set("summary.storage.committed", "<val xsi:type=\"xsd:long\">much</val>".into());
    });
    let found = host(&peer).list(&reading(), Depth::Full).unwrap();
    let web = found.iter().find(|it| it.at.name == "web01").unwrap();
    assert_eq!(web.native_state, "hibernated");
    assert_eq!((web.power.word(), web.storage_used_bytes), ("unknown", None));
}

/// Objects of a long list, made as they are read.
struct Many {
    made: Arc<AtomicUsize>,
    count: usize,
    padding: usize,
    left: Vec<u8>,
}

impl Read for Many {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.left.is_empty() {
            let at = self.made.load(Ordering::SeqCst);
            let text = match at {
                _ if at > self.count => return Ok(0),
                _ if at == self.count => "</returnval>".to_owned(),
                _ => format!(
                    "{}<objects><obj type=\"VirtualMachine\">{at}</obj><propSet><name>name</name>\
                     <val xsi:type=\"xsd:string\">vm{at}</val></propSet><propSet><name>extra</name>\
                     <val xsi:type=\"xsd:string\">{}</val></propSet></objects>",
                    if at == 0 { "<returnval>" } else { "" },
                    "x".repeat(self.padding)
                ),
            };
            self.made.fetch_add(1, Ordering::SeqCst);
            self.left = text.into_bytes();
        }
        let size = into.len().min(self.left.len());
        into[..size].copy_from_slice(&self.left[..size]);
        self.left.drain(..size);
        Ok(size)
    }
}

fn streaming(peer: &Peer, count: usize, padding: usize) -> Arc<AtomicUsize> {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    peer.rule(move |asked, _| {
        let body = Many { made: counter.clone(), count, padding, left: Vec::new() };
        (asked.method == "RetrievePropertiesEx")
            .then(|| Answer::stream("RetrievePropertiesEx", body))
    });
    made
}

#[test]
fn ten_thousand_objects_pass_through_without_piling_up() {
    const KINDS: &[&str] = &["VirtualMachine"];
    let peer = Peer::esxi();
    let made = streaming(&peer, 10_000, 1_000);
    let host = host(&peer);
    let (mut taken, mut most) = (0, 0);
    let select = [Select { kind: "VirtualMachine", paths: &["name"] }];
    props::all(&host.session, &reading(), KINDS, &select, |_| {
        taken += 1;
        most = most.max(made.load(Ordering::SeqCst) - taken);
    })
    .unwrap();
    assert_eq!(taken, 10_000);
    assert!(most < 200, "{most} objects were held at once");
}

#[test]
fn a_caller_who_gave_up_does_not_read_to_the_end() {
    const KINDS: &[&str] = &["VirtualMachine"];
    let peer = Peer::esxi();
    let made = streaming(&peer, 10_000, 1_000);
    let (host, call) = (host(&peer), reading());
    let select = [Select { kind: "VirtualMachine", paths: &["name"] }];
    let cancel = call.cancel().clone();
    let error = props::all(&host.session, &call, KINDS, &select, |_| cancel.cancel()).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(made.load(Ordering::SeqCst) < 1_000);
}

#[test]
fn one_object_of_fifty_megabytes_is_refused_in_words() {
    let peer = Peer::esxi();
    streaming(&peer, 1, 50 << 20);
    let error = host(&peer).list(&reading(), Depth::Names).unwrap_err();
    assert_eq!(error.kind(), Kind::Remote, "{error}");
    has(&error.to_string(), &["RetrievePropertiesEx", "longer than"]);
}

#[test]
fn a_list_that_does_not_end_is_refused_in_words() {
    for (padding, bound) in [(10, "100000 objects"), (4 << 20, "256 MB")] {
        let peer = Peer::esxi();
        let made = streaming(&peer, usize::MAX, padding);
        let error = host(&peer).list(&reading(), Depth::Names).unwrap_err();
        assert_eq!(error.kind(), Kind::Remote, "{error}");
        has(&error.to_string(), &["RetrievePropertiesEx", "more than", bound]);
        assert!(made.load(Ordering::SeqCst) < 110_000);
    }
}

#[test]
fn a_whole_answer_over_the_cap_is_refused_in_words() {
    let peer = Peer::esxi();
    peer.rule(|asked, _| {
        let body = || std::io::repeat(b' ').take(50 << 20);
        (asked.method == "CreateContainerView")
            .then(|| Answer::stream("CreateContainerView", body()))
    });
    let error = host(&peer).list(&reading(), Depth::Names).unwrap_err();
    has(&error.to_string(), &["CreateContainerView", "larger than"]);
}

#[test]
fn compressed_answers_are_asked_for_and_read() {
    let peer = with_machines(300);
    peer.change(|state| state.page = 100);
    let port = tcp::serve(&peer, None, true);
    let client = Client::new(Settings {
        host: "127.0.0.1".into(),
        port,
        tls: false,
        trust: Trust::Insecure,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(10),
        proxy: None,
        no_proxy: String::new(),
    });
    let host = host_on(client.unwrap(), Duration::from_secs(600));
    assert_eq!(host.list(&reading(), Depth::Rows).unwrap().len(), 300);
    let asked = peer.last("RetrievePropertiesEx");
    assert_eq!(asked.header("Accept-Encoding"), Some("gzip"));
    assert!(asked.header("Expect").is_none() && asked.header("Content-Length").is_some());
}

#[test]
fn a_machine_that_goes_away_meanwhile_is_told_as_gone() {
    let peer = Peer::esxi();
    let gate = gate(&peer);
    let twin = peer.clone();
    peer.rule(move |asked, nth| {
        if asked.method == "RetrievePropertiesEx" && nth == 2 {
            twin.change(|state| state.things.retain(|thing| thing.id != "1"));
        }
        None
    });
    let error = tool(&gate, "get_vm_info", &["name=web01"]).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    has(&error.to_string(), &["gone"]);
}

#[test]
fn a_server_that_fails_is_one_row_among_the_others() {
    let (good, bad) = (Peer::esxi(), Peer::esxi());
    bad.change(|state| state.password = "changed".into());
    let gate = gate_of(vec![host(&good), host(&bad)]);
    let shown = tool(&gate, "list_vms", &["host=all"]).unwrap();
    has(&shown.text, &["web01", "esx1", "does not accept user `root`"]);
    assert_eq!((good.count("Login"), bad.count("Login")), (1, 1));
}
