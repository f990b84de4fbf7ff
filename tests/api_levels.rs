//! Who may read and call what through the API tools: one gate, callers of every level.
//!
//! The server is the simulated vCenter of the program itself.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::auth::principal::Principal;
use jumpvisor::files::Files;
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::sim;
use jumpvisor::sim::http::Local;
use jumpvisor::text::json::{self, Value};
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::Level;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Vsphere};

fn gate() -> Gate {
    let settings = sim::Settings {
        vcenter: true,
        clock: Some("2026-01-15T08:00:00Z".to_owned()),
        ..sim::Settings::default()
    };
    let service = sim::open(settings).unwrap();
    let account = Account {
        user: "root".to_owned(),
        password: Secret::new("secret"),
        silence: Duration::from_secs(60),
        idle: Duration::from_secs(600),
    };
    let session = Session::new(Wire::new(Box::new(Local(service))), account);
    let address = Address {
        shown: "memory".to_owned(),
        host: "memory".to_owned(),
        port: 443,
        proxied: true,
        kind: "vcenter",
    };
    let host = Vsphere::new(
        session,
        Defaults::default(),
        address,
        Box::new(|| None),
        jumpvisor::vsphere::nowhere(),
    );
    Gate {
        fleet: Fleet::new(vec![Server { name: "vc".to_owned(), host: Box::new(host) }]),
        files: Files::anywhere(),
        offer: Offer::everything(),
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: jumpvisor::serial::hub::Hub::default(),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: Duration::from_secs(30),
        cap: 60_000,
    }
}

fn ask(gate: &Gate, level: Level, tool: &str, args: &str) -> String {
    let Ok(Value::Object(args)) = json::parse(args) else { panic!("not an object: {args}") };
    let caller = Caller::new(Principal::limited("test", level));
    match gate.call(tool, args, caller) {
        Outcome::Answer(shown) => shown.text,
        Outcome::Asks { question, .. } => question,
        Outcome::Failed { error, .. } | Outcome::Unknown(error) => format!("error: {error}"),
    }
}

/// The id of a machine, which only lists tell.
fn web01(gate: &Gate) -> String {
    let text = ask(gate, Level::Read, "list_vms", r#"{"name":"web01"}"#);
    text.lines().nth(1).and_then(|line| line.rsplit(" | ").next()).unwrap().to_owned()
}

#[test]
fn secrets_are_withheld_below_an_admin() {
    let gate = gate();
    let id = web01(&gate);
    let set = format!(
        r#"{{"object":"VirtualMachine:{id}","method":"ReconfigVM_Task","arguments":{{"spec":
        {{"extraConfig":[{{"key":"guestinfo.x","value":"hunter2"}}]}}}}}}"#
    );
    let said = ask(&gate, Level::Admin, "call_api", &set);
    assert!(said.ends_with("ReconfigVM_Task: done"), "{said}");
    let read = |level, what: &str| {
        let args = format!(r#"{{"type":"VirtualMachine","id":"{id}","properties":["{what}"]}}"#);
        ask(&gate, level, "get_object", &args)
    };
    for level in [Level::Read, Level::Power, Level::Vm, Level::Host] {
        for path in ["config.extraConfig", r#"config.extraConfig[\"guestinfo.x\"].value"#] {
            let said = read(level, path);
            assert!(said.starts_with("error: ") && said.contains("needs full_admin"), "{said}");
        }
        let whole = read(level, "config");
        assert!(!whole.contains("\"extraConfig\"") && !whole.contains("hunter2"), "{whole}");
        assert!(whole.contains("withheld, as only an admin may see it: extraConfig"), "{whole}");
        assert!(read(level, "runtime.powerState").contains("poweredOn"));
    }
    assert!(read(Level::Admin, "config.extraConfig").contains("hunter2"));
    let closed = [
        ("HostSystem", "config.option"),
        ("HostSnmpSystem", "configuration.trapTargets.community"),
        ("HttpNfcLease", "info.deviceUrl"),
        ("Task", "info.result"),
        ("EventManager", "latestEvent.fullFormattedMessage"),
        ("ScheduledTask", "info.action.argument"),
    ];
    for (kind, property) in closed {
        let args = format!(r#"{{"type":"{kind}","id":"x-1","properties":["{property}"]}}"#);
        let said = ask(&gate, Level::Host, "get_object", &args);
        let wanted = match property {
            // Lists have no path to what is in an item; items are shown without it.
            "configuration.trapTargets.community" => "follows a list",
            // Known only by what it is called in its items.
            "info.action.argument" => "there is no ScheduledTask:x-1",
            _ => "needs full_admin",
        };
        assert!(said.contains(wanted), "{property}: {said}");
    }
    for (kind, property) in [
        ("SessionManager", "sessionList"),
        ("SessionManager", "currentSession"),
        ("OptionManager", "setting"),
    ] {
        let args = format!(r#"{{"type":"{kind}","properties":["{property}"]}}"#);
        let said = ask(&gate, Level::Host, "get_object", &args);
        assert!(said.contains("needs full_admin"), "{said}");
        let said = ask(&gate, Level::Admin, "get_object", &args);
        assert!(said.contains(property) && !said.starts_with("error"), "{said}");
    }
}

#[test]
fn what_is_too_large_says_what_to_ask_instead() {
    let gate = gate();
    let read = |path: &str| {
        let args = format!(r#"{{"type":"PerformanceManager","properties":["{path}"]}}"#);
        ask(&gate, Level::Read, "get_object", &args)
    };
    let all = read("perfCounter");
    let said = "items shown; one item can be asked for by its key: perfCounter[KEY]";
    assert!(all.len() < 30_000 && all.ends_with(said), "{all}");
    assert!(read("perfCounter[6]").contains("\"key\":6"));
}

#[test]
fn reads_are_for_all_changes_for_admins_and_sessions_for_nobody() {
    let gate = gate();
    let id = web01(&gate);
    let call = |level, object: &str, method: &str, args: &str| {
        let object = object.replace("ID", &id);
        let args = format!(r#"{{"object":"{object}","method":"{method}","arguments":{args}}}"#);
        ask(&gate, level, "call_api", &args)
    };
    let time = call(Level::Read, "ServiceInstance", "CurrentTime", "{}");
    assert!(time.contains("2026-01-15T08:"), "{time}");
    let events = call(Level::Read, "EventManager", "QueryEvents", r#"{"filter":{}}"#);
    assert!(events.contains("withheld") && !events.contains("\"sessionId\""), "{events}");
    let everywhere = [
        ("VirtualMachine:ID", "PowerOffVM_Task", "{}"),
        ("VirtualMachine:ID", "Destroy_Task", "{}"),
        ("VirtualDiskManager", "DeleteVirtualDisk_Task", r#"{"name":"[datastore1] a.vmdk"}"#),
        ("VirtualMachine:ID", "Reload", "{}"),
    ];
    let guarded = [
        ("OptionManager", "QueryOptions", "{}"),
        ("VirtualMachine:ID", "Fetch", r#"{"prop":"config.extraConfig"}"#),
        ("ViewManager", "CreateListView", "{}"),
        ("StorageResourceManager", "RecommendDatastores", "{}"),
        ("PropertyCollector", "CancelWaitForUpdates", "{}"),
    ];
    for level in [Level::Read, Level::Power, Level::Vm, Level::Host] {
        for (object, method, args) in everywhere.iter().chain(&guarded) {
            let said = call(level, object, method, args);
            assert!(said.contains("needs full_admin; you have"), "{method}: {said}");
        }
    }
    let never = [
        ("SessionManager", "Logout", "{}"),
        ("SessionManager", "TerminateSession", r#"{"sessionId":["a"]}"#),
        ("SessionManager", "AcquireCloneTicket", "{}"),
        ("SessionManager", "SetLocale", r#"{"locale":"de"}"#),
        ("VirtualMachine:ID", "AcquireTicket", r#"{"ticketType":"webmks"}"#),
    ];
    for level in [Level::Read, Level::Admin] {
        for (object, method, args) in never {
            let said = call(level, object, method, args);
            assert!(said.contains("is never called on request"), "{method}: {said}");
        }
    }
    let off = call(Level::Admin, "VirtualMachine:ID", "PowerOffVM_Task", "{}");
    assert!(off.ends_with("PowerOffVM_Task: done"), "{off}");
    assert!(!call(Level::Admin, "OptionManager", "QueryOptions", "{}").starts_with("error"));
}
