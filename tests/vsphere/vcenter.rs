//! What only a vCenter does to its clients, played by the simulated one of the program itself: its
//! REST sessions and how they end, and dry runs of the tools that the scripted host cannot play.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::error::{Kind, Result};
use jumpvisor::hv::Host;
use jumpvisor::sim::http::Local;
use jumpvisor::text::json::Object;
use jumpvisor::vsphere::Vsphere;
use jumpvisor::vsphere::rest::Ask;
use jumpvisor::web::exchange::{Exchange, Request, Response};

use crate::rig::{changing, gate_of, has, host_with, reading, tool};
use crate::scripted::methods::READS;

type Rule = Box<dyn Fn(&str, usize) -> Option<u16> + Send + Sync>;

/// A vCenter that is listened to, and that a rule may let answer with a status of its own.
#[derive(Clone)]
struct Ear(Arc<Behind>);

struct Behind {
    vcenter: Local,
    /// `POST /api/session`, or the method of a SOAP request.
    heard: Mutex<Vec<String>>,
    rule: Rule,
    counted: AtomicUsize,
}

impl Ear {
    /// `rule` sees each REST request, with how many came before it.
    fn new(rule: impl Fn(&str, usize) -> Option<u16> + Send + Sync + 'static) -> Ear {
        let settings = jumpvisor::sim::Settings {
            vcenter: true,
            clock: Some("2026-01-15T08:00:00Z".to_owned()),
            ..jumpvisor::sim::Settings::default()
        };
        let vcenter = Local(jumpvisor::sim::open(settings).unwrap());
        let (heard, rule) = (Mutex::default(), Box::new(rule));
        Ear(Arc::new(Behind { vcenter, heard, rule, counted: AtomicUsize::new(0) }))
    }

    fn host(&self) -> Vsphere {
        host_with(self.clone(), Duration::from_secs(600), "secret")
    }

    fn heard(&self) -> Vec<String> {
        self.0.heard.lock().unwrap().clone()
    }

    fn count(&self, what: &str) -> usize {
        self.heard().iter().filter(|it| *it == what).count()
    }

    /// The requests that change something.
    fn wrote(&self) -> Vec<String> {
        let reads = |it: &String| {
            READS.contains(&it.as_str())
                || it.starts_with("GET ")
                || it.ends_with("/session")
                || it.contains("action=list-")
        };
        self.heard().into_iter().filter(|it| !reads(it)).collect()
    }
}

impl Exchange for Ear {
    fn exchange(&self, request: &Request) -> Result<Response> {
        let told = format!("{} {}", request.method, request.path);
        let rest = request.path.starts_with("/api") || request.path.starts_with("/rest");
        if rest {
            self.0.heard.lock().unwrap().push(told.clone());
            let before = self.0.counted.fetch_add(1, Ordering::SeqCst);
            if let Some(status) = (self.0.rule)(&told, before) {
                let none = Box::new(Cursor::new(Vec::new()));
                return Ok(Response::new(status, Vec::new(), none));
            }
        } else if request.method == "POST" {
            let body = String::from_utf8_lossy(request.body);
            let method = body.split("Body><").nth(1).and_then(|it| it.split([' ', '>']).next());
            self.0.heard.lock().unwrap().push(method.unwrap_or_default().to_owned());
        }
        self.0.vcenter.exchange(request)
    }
}

fn ask(action: &'static str) -> Ask<'static> {
    Ask { part: "tag", id: None, action, body: Object::new() }
}

/// The tools that need a vCenter, with arguments that get as far as they can.
pub const DRIVEN: &[(&str, &[&str])] = &[
    ("apply_tag_to_vm", &["vm_name=web01", "tag=daily"]),
    ("create_folder", &["folder_name=a/b"]),
    ("create_resource_pool", &["name=gold", "parent=Cluster1", "cpu_shares=high"]),
    ("delete_folder", &["folder_path=empty"]),
    ("delete_resource_pool", &["name=Production"]),
    ("move_vm_to_folder", &["vm_name=web01", "folder_path=Lab"]),
    ("move_vm_to_resource_pool", &["vm_name=web01", "pool=Lab"]),
    ("remove_tag_from_vm", &["vm_name=web01", "tag=Production"]),
];

#[test]
fn a_dry_run_writes_nothing_and_the_tool_does() {
    for (name, words) in DRIVEN {
        let ear = Ear::new(|_, _| None);
        let gate = gate_of(vec![ear.host()]);
        tool(&gate, "create_folder", &["folder_name=empty"]).unwrap();
        ear.0.heard.lock().unwrap().clear();
        let dry: Vec<&str> = words.iter().copied().chain(["dry_run=true"]).collect();
        let told = tool(&gate, name, &dry).unwrap_or_else(|it| panic!("{name}: {it}"));
        has(&told.text, &["Nothing was changed"]);
        assert_eq!(ear.wrote(), [""; 0], "{name}");
        tool(&gate, name, words).unwrap_or_else(|it| panic!("{name}: {it}"));
        assert_eq!(ear.wrote().len(), 1, "{name}: {:?}", ear.wrote());
    }
}

#[test]
fn who_may_only_read_writes_nothing_over_rest() {
    let ear = Ear::new(|_, _| None);
    let host = ear.host();
    for action in ["attach", "detach", "update-tags", "delete"] {
        let error = host.session.rest(&reading(), &ask(action)).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        has(&error.to_string(), &["may only read"]);
    }
    assert_eq!(ear.heard(), [""; 0]);
    host.session.rest(&reading(), &ask("")).unwrap();
}

#[test]
fn a_session_is_opened_once_and_ended_with_the_other() {
    let ear = Ear::new(|_, _| None);
    let host = ear.host();
    for _ in 0..3 {
        assert_eq!(host.tags(&reading(), None).unwrap().len(), 3);
    }
    assert_eq!((ear.count("POST /api/session"), ear.count("DELETE /api/session")), (1, 0));
    host.close();
    host.close();
    assert_eq!((ear.count("DELETE /api/session"), ear.count("Logout")), (1, 1));
    host.tags(&reading(), None).unwrap();
    assert_eq!(ear.count("POST /api/session"), 2);
    host.close();
}

#[test]
fn an_older_vcenter_is_asked_in_the_older_dialect() {
    let ear = Ear::new(|told, _| told.contains("/api/").then_some(404));
    let host = ear.host();
    assert_eq!(host.tags(&reading(), Some("Environment")).unwrap().len(), 2);
    host.apply_tag(&reading(), "web01", "daily", None).unwrap().run(&changing()).unwrap();
    host.close();
    assert_eq!(ear.count("POST /api/session"), 1);
    assert_eq!(ear.count("DELETE /rest/com/vmware/cis/session"), 1);
}

#[test]
fn an_expired_session_is_opened_anew_once_and_no_more() {
    let ear = Ear::new(|_, before| (before == 1).then_some(401));
    assert_eq!(ear.host().tags(&reading(), None).unwrap().len(), 3);
    assert_eq!(ear.count("POST /api/session"), 2);

    let ear = Ear::new(|told, _| (!told.ends_with("session")).then_some(401));
    let error = ear.host().tags(&reading(), None).unwrap_err();
    assert_eq!((error.kind(), ear.count("POST /api/session")), (Kind::Denied, 2), "{error}");
}

#[test]
fn a_refused_account_is_not_tried_again() {
    let ear = Ear::new(|told, _| told.ends_with("session").then_some(401));
    let host = ear.host();
    for _ in 0..3 {
        let error = host.tags(&reading(), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(ear.count("POST /api/session"), 1);
}

#[test]
fn what_answers_in_its_own_way_is_told() {
    for (status, kind) in [(503, Kind::Busy), (500, Kind::Remote), (302, Kind::Remote)] {
        let ear = Ear::new(move |told, _| told.ends_with("session").then_some(status));
        let error = ear.host().tags(&reading(), None).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.next_step().is_some(), "{error}");
    }
}
