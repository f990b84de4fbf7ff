//! Snapshots: the tree, the states, and the chains of files.

use crate::talk::{Host, count, inner};

fn take(host: &Host, vm: (&str, &str), name: &str, memory: bool) -> String {
    let args = format!("<name>{name}</name><memory>{memory}</memory><quiesce>false</quiesce>");
    host.done("CreateSnapshot_Task", vm, &args)
}

fn disks(host: &Host, name: &str) -> Vec<String> {
    let own = host.files(&format!("[datastore1] {name}/"));
    let short = |it: String| it.rsplit('/').next().unwrap().to_owned();
    let descriptor = |it: &String| {
        it.ends_with(".vmdk") && !it.ends_with("-flat.vmdk") && !it.ends_with("-sesparse.vmdk")
    };
    own.into_iter().map(short).filter(descriptor).collect()
}

fn shown(host: &Host, vm: (&str, &str)) -> String {
    let device = host.get(vm, "config.hardware.device[2000].backing");
    inner(&device, "fileName").unwrap().rsplit('/').next().unwrap().to_owned()
}

#[test]
fn two_machines_have_a_history() {
    let host = Host::new();
    let (db, test) = (host.vm("db01"), host.vm("test01"));
    let tree = host.get(("VirtualMachine", &db), "snapshot");
    assert_eq!(count(&tree, "<name>"), 1, "{tree}");
    let tree = host.get(("VirtualMachine", &test), "snapshot");
    assert_eq!(count(&tree, "<name>"), 4, "{tree}");
    assert_eq!(count(&tree, "<childSnapshotList>"), 3, "{tree}");
    // Clean install, with tools, kernel, nftables, and the present state.
    assert_eq!(disks(&host, "test01").len(), 5, "{:?}", disks(&host, "test01"));
}

#[test]
fn a_chain_grows_and_is_joined() {
    let host = Host::new();
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    assert_eq!(shown(&host, vm), "fw-lab.vmdk");
    let first = take(&host, vm, "one", false);
    let second = take(&host, vm, "two", false);
    assert_eq!(shown(&host, vm), "fw-lab-000002.vmdk");
    let backing = host.get(vm, "config.hardware.device[2000].backing");
    assert_eq!(count(&backing, "<parent>"), 2, "{backing}");
    let kept = host.get(("VirtualMachineSnapshot", &second), "config.hardware.device[2000]");
    assert!(kept.contains("fw-lab-000001.vmdk") && !kept.contains("fw-lab-000002"), "{kept}");
    let below = host.get(("VirtualMachineSnapshot", &first), "childSnapshot");
    assert!(below.contains(&second), "{below}");

    let keep = "<removeChildren>false</removeChildren>";
    host.done("RemoveSnapshot_Task", ("VirtualMachineSnapshot", &first), keep);
    assert_eq!(disks(&host, "fw-lab"), ["fw-lab-000002.vmdk", "fw-lab.vmdk"]);
    let tree = host.get(vm, "snapshot");
    assert!(tree.contains("two") && !tree.contains("one<"), "{tree}");
    host.done("RemoveAllSnapshots_Task", vm, "");
    assert_eq!(disks(&host, "fw-lab"), ["fw-lab.vmdk"]);
    assert_eq!(shown(&host, vm), "fw-lab.vmdk");
    assert_eq!(host.get(vm, "snapshot"), "");
    let gone = ("VirtualMachineSnapshot", second.as_str());
    host.refused("RemoveSnapshot_Task", gone, keep, "ManagedObjectNotFound");
    host.refused("RevertToCurrentSnapshot_Task", vm, "", "NotFound");
    host.done("ConsolidateVMDisks_Task", vm, "");
}

#[test]
fn going_back_restores_configuration_and_power() {
    let host = Host::new();
    let id = host.vm("web02");
    let vm = ("VirtualMachine", id.as_str());
    let cold = take(&host, vm, "disk only", false);
    let warm = take(&host, vm, "with memory", true);
    host.done("PowerOffVM_Task", vm, "");
    host.done("ReconfigVM_Task", vm, "<spec><numCPUs>4</numCPUs></spec>");
    host.done("RevertToCurrentSnapshot_Task", vm, "");
    assert_eq!(host.get(vm, "runtime.powerState"), "poweredOn");
    assert_eq!(host.get(vm, "config.hardware.numCPU"), "2");
    host.done("RevertToSnapshot_Task", ("VirtualMachineSnapshot", &cold), "");
    assert_eq!(host.get(vm, "runtime.powerState"), "poweredOff");
    let quiet = "<suppressPowerOn>true</suppressPowerOn>";
    host.done("RevertToSnapshot_Task", ("VirtualMachineSnapshot", &warm), quiet);
    assert_ne!(host.get(vm, "runtime.powerState"), "poweredOn");
    let files = host.files("[datastore1] web02/web02-Snapshot");
    assert_eq!(count(&files.join(" "), ".vmem"), 1, "{files:?}");
}

#[test]
fn a_branch_is_removed_with_its_files_and_children_move_up() {
    let host = Host::new();
    let id = host.vm("test01");
    let vm = ("VirtualMachine", id.as_str());
    let snapshot = |name: &str| {
        let world = host.service.world();
        let machine = world.machine(&id).unwrap();
        machine.snapshots.iter().find(|it| it.name == name).unwrap().id.clone()
    };
    let (tools, clean) = (snapshot("with tools"), snapshot("clean install"));
    let rename = "<name>with compilers</name><description>gcc</description>";
    host.ask("RenameSnapshot", ("VirtualMachineSnapshot", &tools), rename);
    assert!(host.get(vm, "snapshot").contains("<name>with compilers</name>"));
    let all = "<removeChildren>true</removeChildren>";
    host.done("RemoveSnapshot_Task", ("VirtualMachineSnapshot", &tools), all);
    assert_eq!(count(&host.get(vm, "snapshot"), "<name>"), 2);
    assert_eq!(disks(&host, "test01").len(), 3, "{:?}", disks(&host, "test01"));
    let one = "<removeChildren>false</removeChildren>";
    host.done("RemoveSnapshot_Task", ("VirtualMachineSnapshot", &clean), one);
    let tree = host.get(vm, "snapshot");
    assert!(tree.contains("try nftables") && count(&tree, "<name>") == 1, "{tree}");
    assert_eq!(count(&host.get(vm, "rootSnapshot"), "VirtualMachineSnapshot"), 1);
}

/// Whatever is done, every disk that somebody shows is there, and nothing else is.
#[test]
fn no_file_is_lost_or_left() {
    let mut seed = 20_260_115_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let host = Host::new();
    let id = host.vm("test01");
    let vm = ("VirtualMachine", id.as_str());
    for round in 0..150 {
        let known: Vec<String> = {
            let world = host.service.world();
            world.machine(&id).unwrap().snapshots.iter().map(|it| it.id.clone()).collect()
        };
        let one = (!known.is_empty()).then(|| known[next(known.len())].clone());
        let snapshot = ("VirtualMachineSnapshot", one.as_deref().unwrap_or_default());
        match (next(10), &one) {
            (0..=4, _) if known.len() < 20 => drop(take(&host, vm, &format!("s{round}"), false)),
            (5..=6, Some(_)) => drop(host.done("RevertToSnapshot_Task", snapshot, "")),
            (7, Some(_)) => {
                let all = "<removeChildren>true</removeChildren>";
                host.done("RemoveSnapshot_Task", snapshot, all);
            }
            (_, Some(_)) => {
                let own = "<removeChildren>false</removeChildren>";
                host.done("RemoveSnapshot_Task", snapshot, own);
            }
            _ => {}
        }
        let mut needed = std::collections::BTreeSet::new();
        let mut see = |xml: &str| {
            for part in xml.split("<fileName>").skip(1) {
                let path = part.split('<').next().unwrap();
                needed.insert(path.rsplit('/').next().unwrap().to_owned());
            }
        };
        see(&host.get(vm, "config.hardware"));
        let left = {
            let world = host.service.world();
            let all = &world.machine(&id).unwrap().snapshots;
            all.iter().map(|it| it.id.clone()).collect::<Vec<_>>()
        };
        for it in &left {
            see(&host.get(("VirtualMachineSnapshot", it), "config.hardware"));
        }
        let there: std::collections::BTreeSet<String> =
            disks(&host, "test01").into_iter().collect();
        assert_eq!(there, needed, "round {round}");
        assert_eq!(
            host.files("[datastore1] test01/").iter().filter(|it| it.ends_with(".vmsn")).count(),
            left.len()
        );
    }
    host.done("RemoveAllSnapshots_Task", vm, "");
    assert_eq!(disks(&host, "test01"), ["test01.vmdk"]);
    host.done("PowerOnVM_Task", vm, "");
}
