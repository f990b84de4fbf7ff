//! Switches, port groups, storage.

use crate::HOST;
use crate::NETWORK;
use crate::STORAGE;
use crate::STORES;
use crate::Talk;

fn group(name: &str, vlan: i64, switch: &str) -> String {
    format!(
        "<portgrp><name>{name}</name><vlanId>{vlan}</vlanId><vswitchName>{switch}</vswitchName><policy/></portgrp>"
    )
}

#[test]
fn port_groups_are_networks() {
    let mut talk = Talk::new("root");
    talk.good(NETWORK, "AddPortGroup", &group("Storage", 50, "vSwitch0"));
    assert!(talk.fetch(HOST, "network").contains(">HaNetwork-Storage<"));
    assert!(
        talk.fetch(("Network", "HaNetwork-Storage"), "summary").contains("<name>Storage</name>")
    );
    assert!(
        talk.fetch(HOST, "config.network.vswitch")
            .contains("<portgroup>key-vim.host.PortGroup-Storage</portgroup>")
    );
    talk.bad(NETWORK, "AddPortGroup", &group("Storage", 51, "vSwitch0"), "AlreadyExists");
    talk.bad(NETWORK, "AddPortGroup", &group("Other", 4096, "vSwitch0"), "InvalidArgument");
    talk.bad(NETWORK, "AddPortGroup", &group("Other", 0, "vSwitch9"), "NotFound");
    talk.bad(NETWORK, "AddPortGroup", &group("", 0, "vSwitch0"), "InvalidArgument");
    talk.good(
        NETWORK,
        "UpdatePortGroup",
        &format!("<pgName>Storage</pgName>{}", group("Backup", 60, "vSwitch1")),
    );
    let networks = talk.fetch(HOST, "network");
    assert!(networks.contains(">HaNetwork-Backup<") && !networks.contains("Storage"));
    let rename =
        |old: &str, new: &str| format!("<pgName>{old}</pgName>{}", group(new, 0, "vSwitch0"));
    talk.bad(NETWORK, "UpdatePortGroup", &rename("nothing", "x"), "NotFound");
    talk.bad(NETWORK, "UpdatePortGroup", &rename("Backup", "DMZ"), "AlreadyExists");
    talk.bad(NETWORK, "UpdatePortGroup", &rename("DMZ", "dmz2"), "ResourceInUse");
    talk.bad(NETWORK, "RemovePortGroup", "<pgName>DMZ</pgName>", "ResourceInUse");
    talk.bad(NETWORK, "RemovePortGroup", "<pgName>Management Network</pgName>", "ResourceInUse");
    talk.bad(NETWORK, "RemovePortGroup", "<pgName>nothing</pgName>", "NotFound");
    talk.good(NETWORK, "RemovePortGroup", "<pgName>Backup</pgName>");
    assert!(!talk.fetch(HOST, "network").contains("Backup"));
}

#[test]
fn switches_come_and_go() {
    let mut talk = Talk::new("root");
    let spec = |nic: &str, mtu: i64| {
        format!(
            "<spec><numPorts>128</numPorts><bridge xsi:type=\"HostVirtualSwitchBondBridge\"><nicDevice>{nic}</nicDevice></bridge><mtu>{mtu}</mtu></spec>"
        )
    };
    let named = |name: &str, spec: &str| format!("<vswitchName>{name}</vswitchName>{spec}");
    talk.good(NETWORK, "AddVirtualSwitch", &named("vSwitch2", &spec("vmnic1", 9000)));
    assert!(talk.fetch(HOST, "config.network.vswitch").contains("<mtu>9000</mtu>"));
    talk.bad(NETWORK, "AddVirtualSwitch", &named("vSwitch2", ""), "AlreadyExists");
    talk.bad(
        NETWORK,
        "AddVirtualSwitch",
        &named("vSwitch3", &spec("vmnic0", 1500)),
        "ResourceInUse",
    );
    talk.bad(
        NETWORK,
        "AddVirtualSwitch",
        &named("vSwitch3", &spec("vmnic9", 1500)),
        "InvalidArgument",
    );
    talk.bad(NETWORK, "AddVirtualSwitch", &named("", ""), "InvalidArgument");
    talk.bad(
        NETWORK,
        "UpdateVirtualSwitch",
        &named("vSwitch2", &spec("vmnic1", 99)),
        "InvalidArgument",
    );
    talk.good(
        NETWORK,
        "UpdateVirtualSwitch",
        &named("vSwitch2", "<spec><numPorts>64</numPorts></spec>"),
    );
    assert!(!talk.fetch(HOST, "config.network.vswitch").contains("vmnic1"));
    talk.bad(
        NETWORK,
        "UpdateVirtualSwitch",
        &named("nothing", "<spec><numPorts>64</numPorts></spec>"),
        "NotFound",
    );
    talk.good(NETWORK, "AddPortGroup", &group("Iso", 0, "vSwitch2"));
    talk.good(NETWORK, "RemoveVirtualSwitch", &named("vSwitch2", ""));
    assert!(!talk.fetch(HOST, "network").contains("HaNetwork-Iso"));
    talk.bad(NETWORK, "RemoveVirtualSwitch", &named("vSwitch2", ""), "NotFound");
    talk.bad(NETWORK, "RemoveVirtualSwitch", &named("vSwitch0", ""), "ResourceInUse");
}

#[test]
fn storage_is_scanned_and_nfs_mounted() {
    let mut talk = Talk::new("root");
    for method in ["RescanAllHba", "RescanVmfs", "RefreshStorageSystem"] {
        talk.good(STORAGE, method, "");
    }
    talk.good(STORAGE, "RescanHba", "<hbaDevice>vmhba1</hbaDevice>");
    talk.bad(STORAGE, "RescanHba", "<hbaDevice>vmhba9</hbaDevice>", "NotFound");
    let nas = |name: &str, path: &str, mode: &str| {
        format!(
            "<spec><remoteHost>10.20.0.6</remoteHost><remotePath>{path}</remotePath><localPath>{name}</localPath><accessMode>{mode}</accessMode></spec>"
        )
    };
    let made = talk.good(STORES, "CreateNasDatastore", &nas("backup", "/backup", "readWrite"));
    let id =
        made.split("type=\"Datastore\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(talk.fetch(HOST, "datastore").contains(&id));
    assert!(talk.fetch(("Datastore", &id), "host").contains("readWrite"));
    talk.bad(STORES, "CreateNasDatastore", &nas("backup", "/other", "readWrite"), "DuplicateName");
    talk.bad(STORES, "CreateNasDatastore", &nas("again", "/backup", "readWrite"), "AlreadyExists");
    talk.bad(STORES, "CreateNasDatastore", &nas("x", "nowhere", "readWrite"), "InvalidArgument");
    talk.bad(STORES, "CreateNasDatastore", &nas("x", "/x", "maybe"), "InvalidArgument");
    talk.bad(STORES, "CreateNasDatastore", &nas("a/b", "/x", "readOnly"), "InvalidArgument");
    let named = |id: &str| format!("<datastore type=\"Datastore\">{id}</datastore>");
    talk.good(STORES, "RemoveDatastore", &named(&id));
    talk.bad(STORES, "RemoveDatastore", &named(&id), "ManagedObjectNotFound");
    talk.bad(STORES, "RemoveDatastore", &named("66a1c0de-0001"), "ResourceInUse");
    talk.good(STORES, "QueryAvailableDisksForVmfs", "");
}
