//! The second gate: what may only read sends no writing method, whatever asks for it.

use std::collections::BTreeSet;

use jumpvisor::error::Kind;
use jumpvisor::hv::Host;
use jumpvisor::hv::lifecycle::{BootDevice, Changes, Firmware, Lifecycle, NewClone, NewMachine};
use jumpvisor::hv::machines::Machines;
use jumpvisor::hv::power::{Power, Verb};
use jumpvisor::hv::snapshots::NewSnapshot;
use jumpvisor::tools;
use jumpvisor::tools::Effect;
use jumpvisor::vim::effect::Effect as ListedAs;
use jumpvisor::vim::value::{Object, Ref};

use crate::rig::{gate, has, host, reading, tool};
use crate::scripted::Peer;
use crate::scripted::methods::READS;
use crate::scripted::world::{plugged, question};

#[track_caller]
fn nothing_was_written(peer: &Peer, by: &str) {
    let wrote: BTreeSet<String> =
        peer.methods().into_iter().filter(|it| !READS.contains(&it.as_str())).collect();
    assert!(wrote.is_empty(), "{by} sent {wrote:?}");
}

/// Arguments with which a changing tool gets as far as it can.
fn words(name: &str) -> &'static [&'static str] {
    match name {
        "answer_vm_question" => &["name=db01", "choice=2"],
        "call_api" => {
            &["object=VirtualMachine:2", "method=Rename_Task", "arguments={\"newName\":\"db02\"}"]
        }
        "clone_vm" => &["template_name=a/b", "new_name=copy", "power_on=true"],
        "create_snapshot" => &["names=web01,db01", "snapshot_name=s"],
        "create_vm" => &["name=new", "iso_path=iso/x.iso"],
        "delete_snapshot" | "revert_to_snapshot" => &["name=db01", "snapshot_name=before"],
        "reconfigure_vm" => &["name=db01", "cpu=4", "memory_mb=8192", "annotation=x"],
        "register_vm" => &["path=[datastore1] old/old.vmx", "name=old"],
        "rename_snapshot" => &["name=db01", "snapshot_name=before", "new_name=after"],
        "rename_vm" => &["name=db01", "new_name=db02"],
        "get_console_url" => &["name=web01"],
        "send_keys" => &["name=web01", "text=a"],
        "set_boot_order" => &["name=db01", "order=cdrom,disk,network"],
        "shutdown_guest" | "reboot_guest" | "standby_guest" | "reset_vm" | "suspend_vm"
        | "power_off" => &["name=web01"],
        "add_nic" => &["vm_name=db01", "network=VM Network"],
        "remove_nic" => &["vm_name=db01", "nic_label=4000"],
        "connect_nic" => &["vm_name=db01", "nic_label=4000", "connected=true"],
        "change_nic_network" => &["vm_name=db01", "nic_label=4000", "new_network=VM Network"],
        "set_nic_mac" => &["vm_name=db01", "nic_label=4000", "mac_address=00:50:56:01:02:03"],
        "setup_serial_port" => &["name=db01", "port=2005"],
        _ => &["name=db01"],
    }
}

/// The families that the scripted peer plays; dry runs of all others are among `tests/requests`.
const SCRIPTED: &[&str] = &["vm", "power", "snapshot"];

#[test]
fn a_dry_run_of_a_changing_tool_writes_nothing() {
    let mut tried = 0;
    let played = tools::all().filter(|(family, _)| SCRIPTED.contains(&family.name));
    for (_, row) in played.filter(|(_, row)| row.effect != Effect::Reads) {
        let peer = Peer::esxi();
        if row.name == "answer_vm_question" {
            peer.change(|state| state.vm("2").set("runtime.question", question()));
        }
        if row.name.contains("_nic") || row.name.ends_with("_serial_port") {
            peer.change(|state| state.vm("2").set("config.hardware.device", plugged()));
        }
        let gate = gate(&peer);
        let with_dry: Vec<&str> = words(row.name).iter().copied().chain(["dry_run=true"]).collect();
        let told = tool(&gate, row.name, &with_dry);
        let told = told.unwrap_or_else(|error| panic!("{}: {error}", row.name));
        has(&told.text, &["Nothing was changed"]);
        has(&told.data, &["\"dry_run\":true"]);
        nothing_was_written(&peer, row.name);
        tried += 1;
        // The same without dry_run does write: the arguments above are not idle.
        tool(&gate, row.name, words(row.name)).unwrap_or_else(|it| panic!("{}: {it}", row.name));
        let wrote = peer.methods().iter().any(|it| !READS.contains(&it.as_str()));
        assert!(wrote, "{} changed nothing at all", row.name);
    }
    assert!(tried >= 20, "{tried}");
}

#[test]
fn a_call_that_may_only_read_is_stopped_at_the_session() {
    let peer = Peer::esxi();
    let host = host(&peer);
    let call = reading();
    let machine = |name: &str| host.find(&call, name).unwrap().at;
    let (web, db) = (machine("web01"), machine("db01"));
    let denied = |result: jumpvisor::error::Result<()>, what: &str| {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), Kind::Denied, "{what}: {error}");
        has(&error.to_string(), &["this call may only read"]);
    };
    for verb in [
        Verb::On,
        Verb::Off,
        Verb::Suspend,
        Verb::Reset,
        Verb::ShutdownGuest,
        Verb::RebootGuest,
        Verb::StandbyGuest,
    ] {
        denied(host.switch(&call, &web, verb).map(drop), &format!("{verb:?}"));
    }
    let snapshots = host.snapshots().unwrap();
    let saved = snapshots.list(&call, &db).unwrap().remove(0);
    let new =
        NewSnapshot { name: "s".into(), description: String::new(), memory: false, quiesce: false };
    denied(snapshots.create(&call, &db, &new).map(drop), "create snapshot");
    denied(snapshots.revert(&call, &db, &saved), "revert");
    denied(snapshots.remove(&call, &db, &saved, true), "remove");
    denied(snapshots.remove_all(&call, &db), "remove all");
    denied(snapshots.rename(&call, &db, &saved, Some("x"), None), "rename");

    let new = NewMachine {
        name: "new".into(),
        cpus: 1,
        memory_mb: 1024,
        disk_gb: 1,
        datastore: None,
        network: None,
        guest_id: "otherGuest64".into(),
        iso_path: None,
        iso_datastore: None,
        boot_from_iso: false,
        firmware: Firmware::Bios,
        secure_boot: false,
        tpm: false,
    };
    let clone = NewClone {
        name: "copy".into(),
        power_on: true,
        datastore: None,
        folder: None,
        linked: false,
    };
    let changes = Changes { cpus: Some(4), ..Changes::default() };
    let order = [BootDevice::Cdrom, BootDevice::Disk];
    let prepared = [
        ("create", Lifecycle::create(&host, &call, &new)),
        ("copy", host.copy(&call, "a/b", &clone)),
        ("delete", host.delete(&call, "web01")),
        ("reconfigure", host.reconfigure(&call, "db01", &changes)),
        ("rename", Lifecycle::rename(&host, &call, &db, "db02")),
        ("boot order", host.set_boot_order(&call, "db01", &order)),
        ("register", host.register(&call, "[datastore1] a/a.vmx", Some("old"))),
        ("unregister", host.unregister(&call, "db01")),
    ];
    for (what, prepared) in prepared {
        let prepared = prepared.unwrap_or_else(|error| panic!("{what}: {error}"));
        denied(prepared.run(&call).map(drop), what);
    }
    denied(host.answer(&call, &db, "q", "1"), "answer");
    nothing_was_written(&peer, "a reading call");
}

#[test]
fn no_method_of_the_schema_but_the_reads_passes_for_a_reader() {
    let peer = Peer::esxi();
    let host = host(&peer);
    host.find(&reading(), "web01").unwrap();
    peer.forget();
    let mut tried = 0;
    for method in jumpvisor::vim::table::methods() {
        // What the reviewed list calls a read was judged there, name by name.
        if method.effect() >= ListedAs::Guarded || ["Login", "Logout"].contains(&method.name()) {
            continue;
        }
        let this = Ref::new(method.owner().name(), "x");
        let result = host.session.call(&reading(), &this, method.name(), &Object::args());
        let error = result.expect_err(method.name());
        has(&error.to_string(), &["this call may only read"]);
        tried += 1;
    }
    assert!(tried > 600, "{tried}");
    nothing_was_written(&peer, "a reading call");
}
