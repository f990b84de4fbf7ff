//! Maintenance, restart, what starts with the host.

use crate::HOST;
use crate::START;
use crate::Talk;

#[test]
fn maintenance_waits_for_the_machines() {
    let mut talk = Talk::new("root");
    talk.bad(HOST, "ExitMaintenanceMode_Task", "<timeout>0</timeout>", "InvalidState");
    let refused = talk.good(HOST, "EnterMaintenanceMode_Task", "<timeout>30</timeout>");
    assert!(talk.task(&refused).contains("\"Timedout\""));
    assert!(talk.fetch(HOST, "runtime.inMaintenanceMode").contains("false"));
    let waits = talk.good(HOST, "EnterMaintenanceMode_Task", "<timeout>0</timeout>");
    let id = waits.split("type=\"Task\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    talk.good(("Task", &id), "CancelTask", "");
    assert!(talk.task(&waits).contains("\"RequestCanceled\""));
    let waits = talk.good(HOST, "EnterMaintenanceMode_Task", "<timeout>0</timeout>");
    let machines = talk.fetch(HOST, "vm");
    let ids: Vec<String> = machines
        .split("ManagedObjectReference\" type=\"VirtualMachine\">")
        .skip(1)
        .chain(
            machines.split("type=\"VirtualMachine\" xsi:type=\"ManagedObjectReference\">").skip(1),
        )
        .map(|it| it.split('<').next().unwrap().to_owned())
        .collect();
    assert!(ids.len() >= 10, "{machines}");
    for id in ids {
        if talk.fetch(("VirtualMachine", &id), "runtime.powerState").contains("poweredOn") {
            let off = talk.good(("VirtualMachine", &id), "PowerOffVM_Task", "");
            talk.task(&off);
        }
    }
    assert!(talk.task(&waits).contains("<state>success"));
    assert!(talk.fetch(HOST, "runtime").contains("<inMaintenanceMode>true"));
    assert!(talk.fetch(HOST, "summary.runtime").contains("<inMaintenanceMode>true"));
    talk.bad(HOST, "EnterMaintenanceMode_Task", "<timeout>0</timeout>", "InvalidState");
    let leaves = talk.good(HOST, "ExitMaintenanceMode_Task", "<timeout>0</timeout>");
    assert!(talk.task(&leaves).contains("<state>success"));
}

#[test]
fn a_restart_ends_sessions_and_machines_and_starts_what_should() {
    let mut talk = Talk::new("root");
    talk.bad(HOST, "RebootHost_Task", "<force>false</force>", "InvalidState");
    talk.bad(HOST, "ShutdownHost_Task", "<force>false</force>", "InvalidState");
    let info = |key: &str, order: i64, action: &str| {
        format!(
            "<spec><defaults><enabled>true</enabled></defaults><powerInfo><key type=\"VirtualMachine\">{key}</key><startOrder>{order}</startOrder><startDelay>-1</startDelay><waitForHeartbeat>systemDefault</waitForHeartbeat><startAction>{action}</startAction><stopDelay>-1</stopDelay><stopAction>systemDefault</stopAction></powerInfo></spec>"
        )
    };
    talk.good(START, "ReconfigureAutostart", &info("1", 1, "powerOn"));
    talk.bad(START, "ReconfigureAutostart", &info("99", 1, "powerOn"), "InvalidArgument");
    talk.bad(START, "ReconfigureAutostart", &info("1", 0, "powerOn"), "InvalidArgument");
    talk.bad(START, "ReconfigureAutostart", &info("1", 1, "dance"), "InvalidArgument");
    assert!(talk.fetch(HOST, "config.autoStart").contains("<startAction>powerOn"));
    let before = talk.fetch(HOST, "runtime.bootTime");
    let reboots = talk.good(HOST, "RebootHost_Task", "<force>true</force>");
    assert!(talk.task(&reboots).contains("<state>success"));
    for _ in 0..1000 {
        let (status, _) = talk.post("ServiceInstance", "ServiceInstance", "CurrentTime", "");
        if status == 500 {
            break;
        }
    }
    let (_, text) = talk.post(HOST.0, HOST.1, "Fetch", "<prop>name</prop>");
    assert!(text.contains("NotAuthenticated"), "{text}");
    assert_eq!(talk.login("root").0, 200);
    assert!(talk.fetch(HOST, "runtime").contains("notResponding"));
    assert!(talk.fetch(("VirtualMachine", "2"), "runtime.powerState").contains("poweredOff"));
    for _ in 0..1000 {
        if talk.fetch(HOST, "runtime.connectionState").contains(">connected<") {
            break;
        }
    }
    assert_ne!(talk.fetch(HOST, "runtime.bootTime"), before);
    assert!(talk.fetch(("VirtualMachine", "1"), "runtime.powerState").contains("poweredOn"));
    assert!(talk.fetch(("VirtualMachine", "2"), "runtime.powerState").contains("poweredOff"));
    talk.good(START, "ReconfigureAutostart", &info("1", -1, "none"));
    assert!(!talk.fetch(START, "config").contains("<startAction>"));
}
