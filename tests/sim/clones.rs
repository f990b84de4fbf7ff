//! What a host alone refuses and a vCenter does.

use crate::talk::{Host, inner};

/// Folder and pool that the machines of this server are in.
fn place(host: &Host) -> (String, String) {
    let world = host.service.world();
    let machine = world.machines.values().next().unwrap();
    (machine.parent.clone(), machine.pool.clone())
}

fn clone(folder: &str, name: &str, location: &str, template: bool, more: &str) -> String {
    format!(
        "<folder type=\"Folder\">{folder}</folder><name>{name}</name><spec><location>{location}</location>\
         <template>{template}</template>{more}</spec>"
    )
}

#[test]
fn a_host_alone_does_not_clone() {
    let host = Host::new();
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    let args = clone("ha-folder-vm", "x", "", false, "<powerOn>false</powerOn>");
    host.refused("CloneVM_Task", vm, &args, "NotSupported");
    host.refused("MarkAsTemplate", vm, "", "NotSupported");
    host.refused("RelocateVM_Task", vm, "<spec/>", "NotSupported");
}

#[test]
fn a_vcenter_clones_whole_and_linked() {
    let host = Host::of(true, None);
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    let (folder, pool) = place(&host);
    let config = "<config><numCPUs>2</numCPUs></config><powerOn>true</powerOn>";
    let copy = host.done("CloneVM_Task", vm, &clone(&folder, "copy", "", false, config));
    let made = ("VirtualMachine", copy.as_str());
    assert_eq!(host.get(made, "runtime.powerState"), "poweredOn");
    assert_eq!(host.get(made, "config.hardware.numCPU"), "2");
    let disk = host.get(made, "config.hardware.device[2000].backing");
    assert_eq!(inner(&disk, "fileName").unwrap(), "[datastore1] copy/copy.vmdk");
    for field in ["config.uuid", "config.instanceUuid", "config.hardware.device[4000].macAddress"] {
        assert_ne!(host.get(made, field), host.get(vm, field), "{field}");
    }
    host.fails("CloneVM_Task", vm, &clone(&folder, "copy", "", false, config), "DuplicateName");

    let take = "<name>base</name><memory>false</memory><quiesce>false</quiesce>";
    let base = host.done("CreateSnapshot_Task", vm, take);
    let linked = "<diskMoveType>createNewChildDiskBacking</diskMoveType>";
    let from = format!(
        "<powerOn>false</powerOn><snapshot type=\"VirtualMachineSnapshot\">{base}</snapshot>"
    );
    let child = host.done("CloneVM_Task", vm, &clone(&folder, "child", linked, false, &from));
    let disk = host.get(("VirtualMachine", &child), "config.hardware.device[2000].backing");
    assert!(
        disk.contains("<parent>") && disk.contains("[datastore1] fw-lab/fw-lab.vmdk"),
        "{disk}"
    );
    host.done("Destroy_Task", ("VirtualMachine", &child), "");
    assert!(host.files("[datastore1] child").is_empty());
    assert!(!host.files("[datastore1] fw-lab/fw-lab.vmdk").is_empty());

    let off = "<powerOn>false</powerOn>";
    let template = host.done("CloneVM_Task", vm, &clone(&folder, "golden", "", true, off));
    let it = ("VirtualMachine", template.as_str());
    assert_eq!(host.get(it, "config.template"), "true");
    assert_eq!(host.get(it, "resourcePool"), "");
    host.fails("PowerOnVM_Task", it, "", "NotSupported");
    host.ask("MarkAsVirtualMachine", it, &format!("<pool type=\"ResourcePool\">{pool}</pool>"));
    assert_eq!(host.get(it, "config.template"), "false");
    host.ask("MarkAsTemplate", it, "");
}

#[test]
fn a_vcenter_moves_files() {
    let host = Host::of(true, None);
    let id = host.vm("web01");
    let vm = ("VirtualMachine", id.as_str());
    let store = {
        let world = host.service.world();
        world.all("Datastore").find(|it| it.1.text("name") == Some("nas01")).unwrap().0.to_owned()
    };
    let args = format!("<spec><datastore type=\"Datastore\">{store}</datastore></spec>");
    host.done("RelocateVM_Task", vm, &args);
    assert_eq!(host.get(vm, "summary.config.vmPathName"), "[nas01] web01/web01.vmx");
    assert!(host.files("[datastore1] web01/").is_empty());
    assert!(host.files("[nas01] web01/").contains(&"[nas01] web01/web01-flat.vmdk".to_owned()));
    host.done("MigrateVM_Task", vm, "<priority>defaultPriority</priority>");
}
