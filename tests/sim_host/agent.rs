//! Options, sessions, licences.

use crate::AGENT;
use crate::CLOCK;
use crate::HOST;
use crate::LICENCES;
use crate::NETWORK;
use crate::OPTIONS;
use crate::RIGHTS;
use crate::SERVICES;
use crate::Talk;

#[test]
fn options_take_values_of_their_own_type() {
    let mut talk = Talk::new("root");
    let change = |key: &str, ty: &str, value: &str| {
        format!(
            "<changedValue><key>{key}</key><value xsi:type=\"xsd:{ty}\">{value}</value></changedValue>"
        )
    };
    let warning = "UserVars.SuppressShellWarning";
    talk.good(OPTIONS, "UpdateOptions", &change(warning, "long", "1"));
    let told = talk.good(OPTIONS, "QueryOptions", &format!("<name>{warning}</name>"));
    assert!(told.contains("xsd:long\">1<"), "{told}");
    talk.bad(OPTIONS, "UpdateOptions", &change(warning, "int", "1"), "InvalidArgument");
    talk.bad(OPTIONS, "UpdateOptions", &change(warning, "string", "1"), "InvalidArgument");
    talk.bad(OPTIONS, "UpdateOptions", &change(warning, "long", "2"), "InvalidArgument");
    talk.bad(OPTIONS, "UpdateOptions", &change("No.Such", "long", "2"), "InvalidName");
    talk.bad(
        OPTIONS,
        "UpdateOptions",
        &change("ScratchConfig.CurrentScratchLocation", "string", "/x"),
        "InvalidArgument",
    );
    talk.good(
        OPTIONS,
        "UpdateOptions",
        &change("Syslog.global.logHost", "string", "tcp://10.0.0.9:514"),
    );
    talk.good(
        OPTIONS,
        "UpdateOptions",
        &change("VMkernel.Boot.hyperthreading", "boolean", "false"),
    );
    let some = talk.good(OPTIONS, "QueryOptions", "<name>Syslog.global.</name>");
    assert!(
        some.contains("tcp://10.0.0.9:514")
            && some.contains("logDir")
            && !some.contains("UserVars")
    );
    assert!(talk.good(OPTIONS, "QueryOptions", "").contains("NFS.MaxVolumes"));
    talk.bad(OPTIONS, "QueryOptions", "<name>No.Such</name>", "InvalidName");
    talk.bad(OPTIONS, "QueryOptions", "<name>Syslog</name>", "InvalidName");
    assert!(!talk.fetch(AGENT, "setting").contains("NFS."));
    // What is set at the agent is told by the host as well.
    talk.good(AGENT, "UpdateOptions", &change("Config.HostAgent.log.level", "string", "verbose"));
    assert!(talk.fetch(HOST, "config.option").contains("verbose"));
}

#[test]
fn sessions_obey_the_agents_options() {
    let mut talk = Talk::new("root");
    let change = |key: &str, value: i64| {
        format!(
            "<changedValue><key>Config.HostAgent.vmacore.soap.{key}</key><value xsi:type=\"xsd:long\">{value}</value></changedValue>"
        )
    };
    talk.good(AGENT, "UpdateOptions", &change("maxSessionCount", 2));
    let first = talk.cookie.clone();
    assert_eq!(talk.login("root").0, 200);
    let (status, text) = talk.login("root");
    assert_eq!((status, text.as_str()), (503, ""));
    talk.cookie = first;
    talk.good(AGENT, "UpdateOptions", &change("maxSessionCount", 0));
    assert_eq!(talk.login("root").0, 200);
}

#[test]
fn licences() {
    let mut talk = Talk::new("root");
    assert!(talk.fetch(LICENCES, "licenses").contains("<editionKey>eval</editionKey>"));
    let key = "<licenseKey>AB123-CD456-EF789-GH012-IJ345</licenseKey>";
    assert!(talk.good(LICENCES, "UpdateLicense", key).contains("Enterprise Plus"));
    assert!(!talk.fetch(LICENCES, "licenses").contains("eval"));
    let assigned = ("LicenseAssignmentManager", "ha-license-assignment");
    assert!(talk.good(assigned, "QueryAssignedLicenses", "").contains("AB123"));
    talk.good(assigned, "QueryAssignedLicenses", "<entityId>other</entityId>");
    talk.bad(LICENCES, "UpdateLicense", "<licenseKey>please</licenseKey>", "InvalidArgument");
}

#[test]
fn the_free_licence_forbids_every_change() {
    let mut talk = Talk::new("root");
    talk.host.world().free_licence = true;
    assert!(talk.fetch(LICENCES, "licenses").contains("esxBasic"));
    let machine = ("VirtualMachine", "10");
    talk.bad(machine, "PowerOnVM_Task", "", "RestrictedVersion");
    talk.bad(SERVICES, "StartService", "<id>TSM-SSH</id>", "RestrictedVersion");
    let grant = "<entity type=\"Folder\">ha-folder-root</entity>";
    talk.bad(RIGHTS, "SetEntityPermissions", grant, "RestrictedVersion");
    talk.bad(NETWORK, "RemovePortGroup", "<pgName>Lab</pgName>", "RestrictedVersion");
    talk.good(CLOCK, "QueryDateTime", "");
    talk.pass();
    // A key ends it.
    talk.good(LICENCES, "UpdateLicense", "<licenseKey>AB123-CD456-EF789-GH012-IJ345</licenseKey>");
    talk.good(SERVICES, "StartService", "<id>TSM-SSH</id>");
}
