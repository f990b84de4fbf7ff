//! Imports that fail: the reason is told, the lease ends and no machine stays.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jumpvisor::error::{Error, Kind};
use jumpvisor::hv::call::Cancel;
use jumpvisor::hv::model::PowerState;

use crate::rig::{Files, Room, changing, descriptor, files, setting, wanted};

/// What an import of `edge` fails with; nothing of it stays.
fn lost(room: &Room, files: Files) -> Error {
    let text = descriptor(&[]);
    let error = room.import(&wanted(&text, "edge"), files).expect_err("it succeeded");
    nothing(room);
    error
}

/// Neither a machine nor a lease: a second try goes as far as the first.
fn nothing(room: &Room) {
    assert!(room.machine("edge").is_none(), "a machine stays");
    let heard = room.heard();
    let count = |name: &str| heard.iter().filter(|it| it.soap == name).count();
    assert_eq!((count("HttpNfcLeaseAbort"), count("HttpNfcLeaseComplete")), (1, 0));
}

fn said(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_status_is_told_with_how_far_it_came() {
    for (status, hint) in [
        (403, "an earlier try"),
        (404, "was ended on the server's side"),
        (409, "remove what an earlier try left"),
        (500, "may be full"),
        (503, "try again later"),
    ] {
        let rules = format!(r#"[{{"path": "/ha-nfc/*/disk-1.vmdk", "status": {status}}}]"#);
        let error = lost(&Room::new(false, &rules), Files::of(files()));
        let answered = format!("the host answered HTTP {status}");
        said(&error, &["it was not made: after ", "with file 2 of 3: `b.vmdk`: ", &answered, hint]);
    }
}

#[test]
fn a_connection_that_is_cut_leaves_nothing() {
    let rules = r#"[{"path": "/ha-nfc/*/disk-1.vmdk", "truncate": 30000}]"#;
    let error = lost(&Room::new(false, rules), Files::of(files()));
    said(&error, &["it was not made: after ", "with file 2 of 3: `b.vmdk`: "]);
}

#[test]
fn a_host_behind_a_vcenter_that_is_out_of_reach_is_named() {
    let room = Room::new(true, "[]");
    room.far.store(true, Ordering::SeqCst);
    let error = lost(&room, Files::of(files()));
    assert_eq!(error.kind(), Kind::Network);
    said(&error, &["`a.vmdk`: the ESXi host `esxi0", "at port 443", "reachable from here"]);
}

#[test]
fn what_the_source_says_comes_out_as_it_is() {
    let broken = |then: fn() -> Error, bytes| Files {
        after: Some((bytes, Box::new(move || Err(then())))),
        ..Files::of(files())
    };
    let cause = || Error::new(Kind::Network, "`http://x/a.ova` has gone").hint("Look there");
    let error = lost(&Room::new(false, "[]"), broken(cause, 40_000));
    assert_eq!(error.kind(), Kind::Network);
    said(&error, &["with file 1 of 3: `a.vmdk`: `http://x/a.ova` has gone. Look there"]);
    // Also behind a vCenter, whose host has nothing to do with it.
    let error = lost(&Room::new(true, "[]"), broken(cause, 40_000));
    said(&error, &["`http://x/a.ova` has gone. Look there"]);
    // Within the first bytes.
    said(&lost(&Room::new(false, "[]"), broken(cause, 0)), &["after 0 B", "has gone"]);
}

#[test]
fn an_appliance_that_is_not_whole() {
    let room = Room::new(false, "[]");
    let without = |name| Files::of(files().into_iter().filter(|it| it.0 != name).collect());
    let error = lost(&room, without("b.vmdk"));
    assert_eq!(error.kind(), Kind::NotFound);
    said(&error, &["`b.vmdk`", "the appliance is not whole"]);
    said(&lost(&room, without("tools.iso").piped()), &["`tools.iso` is not among the files"]);
    let short = Files { short: true, ..Files::of(files()) };
    said(&lost(&room, short), &["`a.vmdk`: it ends after ", "is not whole"]);
    let files_of = Files { wrong: true, ..Files::of(files()) };
    said(&lost(&room, files_of), &["it was not made: `b.vmdk` is not what the manifest says"]);
    let mut flat = files();
    flat[1].1 = vec![0; 100_000];
    said(&lost(&room, Files::of(flat.clone())), &["`b.vmdk`: it is no VMDK", "qemu-img convert"]);
    flat[1].1.clear();
    said(&lost(&room, Files::of(flat)), &["`b.vmdk`: it is no VMDK"]);
}

#[test]
fn who_cancels_in_the_middle_leaves_nothing() {
    for vcenter in [false, true] {
        let room = Room::new(vcenter, "[]");
        let (cancel, text) = (Cancel::default(), descriptor(&[]));
        let call = changing().cancelled_by(cancel.clone());
        let then = move || {
            cancel.cancel();
            Ok(())
        };
        let files = Files { after: Some((50_000, Box::new(then))), ..Files::of(files()) };
        let error = room.import_by(&call, &wanted(&text, "edge"), files).err().unwrap();
        assert_eq!(error.kind(), Kind::Cancelled, "{error}");
        nothing(&room);
    }
}

#[test]
fn a_lease_that_the_host_gives_up_ends_the_transfer() {
    let room = Room::new(false, r#"[{"method": "HttpNfcLeaseProgress", "fault": "Timedout"}]"#);
    let slow = move || {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    };
    let files = Files { after: Some((30_000, Box::new(slow))), ..Files::of(files()) };
    let error = lost(&room, files);
    said(&error, &["it was not made: after ", "`a.vmdk`: the host gave the lease up"]);
}

#[test]
fn a_lease_that_never_begins_says_why() {
    let room = Room::new(false, r#"[{"method": "ImportVApp", "fault": "NoPermission"}]"#);
    let text = descriptor(&[]);
    let error = room.import(&wanted(&text, "edge"), Files::of(files())).err().unwrap();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert!(room.machine("edge").is_none());
}

#[test]
fn a_completion_that_is_refused_leaves_nothing() {
    let rules = r#"[{"method": "HttpNfcLeaseComplete", "fault": "InvalidState"}]"#;
    let room = Room::new(false, rules);
    let text = descriptor(&[]);
    let error = room.import(&wanted(&text, "edge"), Files::of(files())).err().unwrap();
    said(&error, &["it was not made"]);
    assert!(room.machine("edge").is_none());
}

#[test]
fn a_machine_that_cannot_be_set_up_goes_again() {
    let rules = r#"[{"method": "ReconfigVM_Task", "fault": "VmConfigFault", "in_task": true}]"#;
    let room = Room::new(false, rules);
    let (text, settings) = (descriptor(&[]), [setting("hostname", "x", true)]);
    let mut what = wanted(&text, "edge");
    what.settings = &settings;
    let error = room.import(&what, Files::of(files())).err().unwrap();
    said(&error, &["`edge` was made, could not be set up and is gone again: ReconfigVM_Task"]);
    assert!(room.machine("edge").is_none());
    let rules = r#"[{"method": "ReconfigVM_Task", "fault": "VmConfigFault", "in_task": true},
        {"method": "Destroy_Task", "fault": "NoPermission"}]"#;
    let room = Room::new(false, rules);
    let error = room.import(&what, Files::of(files())).err().unwrap();
    said(&error, &["could not be set up and not be removed either", "ReconfigVM_Task"]);
    assert!(room.machine("edge").is_some());
}

#[test]
fn a_machine_that_does_not_start_stays_and_that_is_said() {
    let fault = "InsufficientHostCapacityFault";
    let rules = format!(r#"[{{"method": "PowerOnVM_Task", "fault": "{fault}", "in_task": true}}]"#);
    let room = Room::new(false, &rules);
    let text = descriptor(&[]);
    let mut what = wanted(&text, "edge");
    what.power_on = true;
    let error = room.import(&what, Files::of(files())).err().unwrap();
    said(&error, &["is made and stays, but is not powered on: PowerOnVM_Task"]);
    assert_eq!(room.machine("edge").unwrap().power, PowerState::Off);
}
