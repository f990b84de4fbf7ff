//! Leases on the simulated host: whatever happens, they end, and no half machine stays.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use jumpvisor::error::Kind;
use jumpvisor::hv::call::{Call, Cancel, Rights};
use jumpvisor::sim::http::Local;
use jumpvisor::text::secret::Secret;
use jumpvisor::vim::value::{Object, Ref, Value};
use jumpvisor::vsphere::lease::Lease;
use jumpvisor::vsphere::props;
use jumpvisor::vsphere::props::Select;
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;

/// A session with a simulated ESXi on which these things go wrong.
fn session(rules: &str) -> Arc<Session> {
    let settings = jumpvisor::sim::Settings {
        rules: Some(rules.to_owned()),
        ..jumpvisor::sim::Settings::default()
    };
    let service = jumpvisor::sim::open(settings).unwrap();
    let account = Account {
        user: "root".to_owned(),
        password: Secret::new("secret"),
        silence: Duration::from_secs(60),
        idle: Duration::from_secs(600),
    };
    Session::new(Wire::new(Box::new(Local(service))), account)
}

/// Begins the import of a machine without disks.
fn import(session: &Arc<Session>, call: &Call, name: &str) -> Ref {
    let config = Object::new("VirtualMachineConfigSpec")
        .with("name", name)
        .with("files", Object::new("VirtualMachineFileInfo").with("vmPathName", "[datastore1]"))
        .with("numCPUs", 1)
        .with("memoryMB", 512);
    let spec = Object::new("VirtualMachineImportSpec").with("configSpec", config);
    let args = Object::args().with("spec", spec).with("folder", Ref::new("Folder", "ha-folder-vm"));
    let pool = Ref::new("ResourcePool", "ha-root-pool");
    let lease = session.call(call, &pool, "ImportVApp", &args).unwrap();
    lease.as_ref().and_then(Value::as_reference).cloned().unwrap()
}

fn exists(session: &Arc<Session>, call: &Call, name: &str) -> bool {
    let (mut found, paths) = (false, ["name"]);
    let select = [Select { kind: "VirtualMachine", paths: &paths }];
    props::all(session, call, &["VirtualMachine"], &select, |row| {
        found |= row.text("name") == Some(name);
    })
    .unwrap();
    found
}

fn change() -> Call {
    Call::new(Rights::Change).within(Duration::from_secs(60))
}

#[test]
fn a_lease_that_is_completed_leaves_its_machine_and_one_that_is_dropped_leaves_nothing() {
    let (session, call) = (session("[]"), change());
    let lease = Lease::hold(&session, &call, import(&session, &call, "kept")).unwrap();
    assert!(lease.machine().is_some() && lease.files().count() == 0);
    lease.moved(50).unwrap();
    let open = || session.wire.counts.leases.load(std::sync::atomic::Ordering::Relaxed);
    assert!(exists(&session, &call, "kept") && open() == 1);
    lease.complete(&call).unwrap();
    assert!(exists(&session, &call, "kept"));
    let lease = Lease::hold(&session, &call, import(&session, &call, "dropped")).unwrap();
    assert!(exists(&session, &call, "dropped"));
    drop(lease);
    assert!(!exists(&session, &call, "dropped") && open() == 0);
    session.close();
}

#[test]
fn who_cancels_while_it_opens_leaves_nothing() {
    let session = session("[]");
    let (cancel, call) = (Cancel::default(), change());
    let cancelled = change().cancelled_by(cancel.clone());
    let at = import(&session, &call, "cancelled");
    cancel.cancel();
    let error = Lease::hold(&session, &cancelled, at).err().unwrap();
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    std::thread::sleep(Duration::from_millis(800));
    assert!(!exists(&session, &call, "cancelled"));
}

#[test]
fn a_lease_that_the_host_gives_up_is_told_at_the_next_step() {
    let rules = r#"[{"method": "HttpNfcLeaseProgress", "fault": "Timedout"}]"#;
    let (session, call) = (session(rules), change());
    let lease = Lease::hold(&session, &call, import(&session, &call, "lost")).unwrap();
    let mut error = None;
    for _ in 0..80 {
        error = lease.moved(1).err();
        if error.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let error = error.expect("it was never told").to_string();
    assert!(error.contains("the host gave the lease up"), "{error}");
    drop(lease);
    assert!(!exists(&session, &call, "lost"));
}
