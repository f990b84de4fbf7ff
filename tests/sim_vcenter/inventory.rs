//! What stands in a vCenter, and what can be changed of it.

use crate::client::{Client, all, between, made};

/// Every entity below the root, with everything that it has.
fn everything(it: &mut Client) -> String {
    let made = it.call(
        "ViewManager:ViewManager",
        "CreateContainerView",
        "<container type=\"Folder\">group-d1</container><recursive>true</recursive>",
    );
    let view = between(&made, "type=\"ContainerView\">", "<").unwrap().to_owned();
    let spec = format!(
        "<specSet><propSet><type>ManagedEntity</type><all>true</all></propSet>\
         <objectSet><obj type=\"ContainerView\">{view}</obj><skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><type>ContainerView</type><path>view</path></selectSet>\
         </objectSet></specSet>"
    );
    it.call("PropertyCollector:propertyCollector", "RetrieveProperties", &spec)
}

/// A pool's specification with this reservation and limit of MHz.
fn spec(name: &str, reservation: i64, limit: i64) -> String {
    format!(
        "<{name}><cpuAllocation><reservation>{reservation}</reservation><expandableReservation>false\
         </expandableReservation><limit>{limit}</limit></cpuAllocation><memoryAllocation/></{name}>"
    )
}

#[test]
fn a_vcenter_has_everything_in_its_place() {
    let mut it = Client::new(true, None);
    let about = it.call("ServiceInstance:ServiceInstance", "RetrieveServiceContent", "");
    assert!(
        about.contains("<apiType>VirtualCenter") && about.contains("EventManager</eventManager>")
    );
    let text = everything(&mut it);
    assert_eq!(text.matches("<obj type=\"VirtualMachine\">").count(), 13);
    assert_eq!(text.matches("<obj type=\"HostSystem\">").count(), 3);
    assert_eq!(text.matches("<obj type=\"DistributedVirtualPortgroup\">").count(), 3);
    assert!(text.contains("ubuntu-24.04-template") && !text.contains("HaNetwork"));
    let stores = it.get("HostSystem:host-10", "datastore");
    for (id, has) in [("datastore-11", true), ("datastore-13", false), ("datastore-14", true)] {
        assert_eq!(stores.contains(id), has, "{id}: {stores}");
    }
    assert!(it.get("ComputeResource:domain-s21", "host").contains("host-23"));
    assert!(it.get("VirtualMachine:vm-4", "network").contains("dvportgroup-17"));
    let filter = "<filter><eventTypeId>VmSuspendedEvent</eventTypeId></filter>";
    let text = it.call("EventManager:EventManager", "QueryEvents", filter);
    assert!(text.contains("build01 on esxi02.lab.example in DC0 is suspended"), "{text}");
    let mut many = Client::new(true, Some(300));
    assert_eq!(everything(&mut many).matches("<obj type=\"VirtualMachine\">").count(), 300);
    // What a host refuses, a vCenter does.
    let made = it.call("TaskManager:TaskManager", "CreateCollectorForTasks", "<filter/>");
    let id = between(&made, "type=\"TaskHistoryCollector\">", "<").unwrap();
    let collector = format!("TaskHistoryCollector:{id}");
    it.task("VirtualMachine:vm-10", "PowerOnVM_Task", "");
    let text = it.call(&collector, "ReadNextTasks", "<maxCount>10</maxCount>");
    assert!(text.contains("<name>PowerOnVM_Task</name>"), "{text}");
    assert!(it.get(&collector, "latestPage").contains("PowerOnVM_Task"));
}

#[test]
fn drs_advice_is_taken_or_not() {
    let mut it = Client::new(true, None);
    let cluster = "ClusterComputeResource:domain-c7";
    assert!(it.get(cluster, "configuration.drsConfig.enabled").contains("true"));
    let key = |it: &mut Client| {
        let text = it.get(cluster, "recommendation");
        all(&text, "key").first().map(|it| (*it).to_owned())
    };
    let first = key(&mut it).unwrap();
    it.call(cluster, "CancelRecommendation", &format!("<key>{first}</key>"));
    assert_eq!(key(&mut it), None);
    it.call(cluster, "RefreshRecommendation", "");
    let second = key(&mut it).unwrap();
    assert!(it.call(cluster, "ApplyRecommendation", "<key>0</key>").contains("InvalidArgument"));
    it.call(cluster, "ApplyRecommendation", &format!("<key>{second}</key>"));
    (0..200).for_each(|_| drop(it.get(cluster, "name")));
    assert!(it.get("VirtualMachine:vm-4", "runtime.host").contains("host-10"));
    assert!(it.get("EventManager:EventManager", "latestEvent").contains("DrsVmMigratedEvent"));
    let uuid = it.get("VmwareDistributedVirtualSwitch:dvs-20", "uuid");
    let uuid = between(&uuid, "<returnval", "<").unwrap().rsplit('>').next().unwrap().to_owned();
    let found = it.call(
        "DistributedVirtualSwitchManager:DVSManager",
        "QueryDvsByUuid",
        &format!("<uuid>{uuid}</uuid>"),
    );
    assert!(found.contains("dvs-20"), "{found}");
    let browser = "EnvironmentBrowser:envbrowser-7";
    assert!(it.call(browser, "QueryConfigOptionDescriptor", "").contains("vmx-21"));
}

#[test]
fn folders_are_made_filled_and_destroyed() {
    let mut it = Client::new(true, None);
    let made_one = made(&it.call("Folder:group-v3", "CreateFolder", "<name>QA/Web</name>"));
    let folder = format!("Folder:{made_one}");
    assert!(made_one.starts_with("group-v"), "{made_one}");
    assert!(it.get(&folder, "name").contains("QA%2fWeb"));
    let again = it.call("Folder:group-v3", "CreateFolder", "<name>QA/Web</name>");
    assert!(again.contains("DuplicateName"), "{again}");
    assert!(it.call("Folder:group-v3", "CreateFolder", "<name></name>").contains("InvalidName"));
    let list = "<list type=\"VirtualMachine\">vm-10</list><list type=\"Folder\">group-v31</list>";
    let info = it.task(&folder, "MoveIntoFolder_Task", list);
    assert!(info.contains("<state>success"), "{info}");
    assert!(it.get("VirtualMachine:vm-10", "parent").contains(&made_one));
    let inside = format!("<list type=\"Folder\">{made_one}</list>");
    let text = it.task("Folder:group-v31", "MoveIntoFolder_Task", &inside);
    assert!(text.contains("InvalidFolder"), "{text}");
    let host = "<list type=\"HostSystem\">host-9</list>";
    assert!(it.task(&folder, "MoveIntoFolder_Task", host).contains("NotSupported"));
    // A machine that runs is in the way; Lab has one.
    let text = it.task(&folder, "Destroy_Task", "");
    assert!(text.contains("InvalidPowerState"), "{text}");
    it.task("VirtualMachine:vm-12", "PowerOffVM_Task", "");
    it.task("VirtualMachine:vm-9", "PowerOffVM_Task", "");
    let info = it.task(&folder, "Destroy_Task", "");
    assert!(info.contains("<state>success"), "{info}");
    let text = everything(&mut it);
    assert!(!text.contains("test01") && !text.contains(&made_one), "still there");
    assert!(it.task("Folder:group-v3", "Destroy_Task", "").contains("NotSupported"));
    let mut esxi = Client::new(false, None);
    let text = esxi.call("Folder:ha-folder-vm", "CreateFolder", "<name>x</name>");
    assert!(text.contains("NotSupported"), "{text}");
}

#[test]
fn pools_have_limits_and_give_back_what_they_held() {
    for (vcenter, root) in [(true, "ResourcePool:resgroup-8"), (false, "ResourcePool:ha-root-pool")]
    {
        let mut it = Client::new(vcenter, None);
        let asked = format!("<name>gold</name>{}", spec("spec", 4000, 8000));
        let gold = made(&it.call(root, "CreateResourcePool", &asked));
        let this = format!("ResourcePool:{gold}");
        assert!(it.call(root, "CreateResourcePool", &asked).contains("DuplicateName"));
        let config = it.get(&this, "config");
        assert!(config.contains("<limit>8000") && config.contains("<shares>163840"), "{config}");
        for (reservation, limit, why) in [
            (5000, -1, "InsufficientCpuResourcesFault"),
            (100, 50, "cpuAllocation.limit"),
            (-1, -1, "cpuAllocation.reservation"),
        ] {
            let text = format!("<name>sub</name>{}", spec("spec", reservation, limit));
            let text = it.call(&this, "CreateResourcePool", &text);
            assert!(text.contains(why), "{why}: {text}");
        }
        let text = format!("<name>sub</name>{}", spec("spec", 3000, -1));
        let sub = made(&it.call(&this, "CreateResourcePool", &text));
        let text = it.call(
            &this,
            "UpdateConfig",
            &format!("<name>silver</name>{}", spec("config", 3500, -1)),
        );
        assert!(!text.contains("Fault"), "{text}");
        assert!(it.get(&this, "summary").contains("<name>silver"));
        assert!(it.get(&this, "runtime").contains("<maxUsage>"));
        let vm = if vcenter { "vm-1" } else { "1" };
        let list = format!("<list type=\"VirtualMachine\">{vm}</list>");
        assert!(
            !it.call(&format!("ResourcePool:{sub}"), "MoveIntoResourcePool", &list)
                .contains("Fault")
        );
        assert!(it.get(&format!("VirtualMachine:{vm}"), "resourcePool").contains(&sub));
        let list = format!("<list type=\"ResourcePool\">{gold}</list>");
        assert!(
            it.call(&format!("ResourcePool:{sub}"), "MoveIntoResourcePool", &list)
                .contains("InvalidArgument")
        );
        assert!(it.task(&this, "Destroy_Task", "").contains("<state>success"));
        let root_id = root.split_once(':').unwrap().1;
        assert!(it.get(&format!("ResourcePool:{sub}"), "parent").contains(root_id));
        it.call(root, "DestroyChildren", "");
        assert!(it.get(&format!("VirtualMachine:{vm}"), "resourcePool").contains(root_id));
        assert!(it.task(root, "Destroy_Task", "").contains("NotSupported"));
    }
}

#[test]
fn an_alarm_is_seen_from_above_and_acknowledged() {
    let mut it = Client::new(true, None);
    for place in ["Folder:group-d1", "Datacenter:datacenter-2", "Datastore:datastore-13"] {
        let text = it.get(place, "triggeredAlarmState");
        assert!(text.contains("alarm-8") && text.contains("yellow"), "{place}: {text}");
    }
    assert!(!it.get("Datastore:datastore-11", "triggeredAlarmState").contains("alarm-8"));
    let manager = "AlarmManager:AlarmManager";
    assert_eq!(it.call(manager, "GetAlarm", "").matches("type=\"Alarm\"").count(), 5);
    let on = "<entity type=\"HostSystem\">host-9</entity>";
    let text = it.call(manager, "GetAlarmState", on);
    assert_eq!(text.matches("<overallStatus>green").count(), 3, "{text}");
    let wanted =
        "<alarm type=\"Alarm\">alarm-8</alarm><entity type=\"Datastore\">datastore-13</entity>";
    it.call(manager, "AcknowledgeAlarm", wanted);
    let text = it.get("Folder:group-d1", "triggeredAlarmState");
    assert!(text.contains("<acknowledgedByUser>root"), "{text}");
    let text = it.get("EventManager:EventManager", "latestEvent");
    assert!(
        text.contains("AlarmAcknowledgedEvent") && text.contains("<name>Datastore usage on disk"),
        "{text}"
    );
}

#[test]
fn custom_fields_and_specifications_are_kept() {
    let mut it = Client::new(true, None);
    let manager = "CustomFieldsManager:CustomFieldsManager";
    let text =
        it.call(manager, "AddCustomFieldDef", "<name>Backup</name><moType>VirtualMachine</moType>");
    assert!(text.contains("<key>103</key>"), "{text}");
    assert!(it.call(manager, "AddCustomFieldDef", "<name>Backup</name>").contains("DuplicateName"));
    let set = "<entity type=\"VirtualMachine\">vm-3</entity><key>103</key><value>daily</value>";
    it.call(manager, "SetField", set);
    it.call("VirtualMachine:vm-3", "setCustomValue", "<key>Owner</key><value>dba</value>");
    let text = it.get("VirtualMachine:vm-3", "customValue");
    assert!(text.contains("daily") && text.contains("dba"), "{text}");
    let wrong = "<entity type=\"HostSystem\">host-9</entity><key>103</key><value>x</value>";
    assert!(it.call(manager, "SetField", wrong).contains("InvalidArgument"));
    assert!(it.get("HostSystem:host-9", "availableField").contains("CostCentre"));
    let manager = "CustomizationSpecManager:CustomizationSpecManager";
    assert!(it.get(manager, "info").contains("linux-dhcp"));
    let text = it.call(manager, "GetCustomizationSpec", "<name>linux-dhcp</name>");
    assert!(text.contains("CustomizationLinuxPrep"), "{text}");
    let text = it.call(manager, "DoesCustomizationSpecExist", "<name>linux-dhcp</name>");
    assert!(text.contains("true"), "{text}");
    assert!(
        it.call(manager, "GetCustomizationSpec", "<name>linux-two</name>").contains("NotFound")
    );
}

#[test]
fn a_viewer_changes_nothing() {
    let mut it = Client::new(true, None);
    it.login("viewer", "secret");
    let alarm =
        "<alarm type=\"Alarm\">alarm-8</alarm><entity type=\"Datastore\">datastore-13</entity>";
    let field = "<entity type=\"VirtualMachine\">vm-3</entity><key>101</key><value>x</value>";
    let list = "<list type=\"VirtualMachine\">vm-3</list>";
    for (this, method, args) in [
        ("Folder:group-v3", "CreateFolder", "<name>x</name>"),
        ("Folder:group-v3", "MoveIntoFolder_Task", list),
        ("Folder:group-v31", "Destroy_Task", ""),
        ("ResourcePool:resgroup-8", "DestroyChildren", ""),
        ("ResourcePool:resgroup-8", "MoveIntoResourcePool", list),
        ("ResourcePool:resgroup-40", "UpdateConfig", "<name>x</name>"),
        ("ClusterComputeResource:domain-c7", "ApplyRecommendation", "<key>1</key>"),
        ("AlarmManager:AlarmManager", "AcknowledgeAlarm", alarm),
        ("CustomFieldsManager:CustomFieldsManager", "SetField", field),
        ("VirtualMachine:vm-3", "setCustomValue", "<key>Owner</key><value>x</value>"),
        (
            "EventManager:EventManager",
            "LogUserEvent",
            "<entity type=\"Folder\">group-d1</entity><msg>x</msg>",
        ),
    ] {
        let text = it.call(this, method, args);
        assert!(text.contains("NoPermission"), "{method}: {text}");
    }
    let made = it.call("EventManager:EventManager", "CreateCollectorForEvents", "<filter/>");
    let collector = format!("EventHistoryCollector:{}", self::made(&made));
    let text = it.call(&collector, "SetCollectorPageSize", "<maxCount>5</maxCount>");
    assert!(!text.contains("Fault"), "{text}");
}
