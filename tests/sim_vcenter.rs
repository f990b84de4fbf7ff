//! The simulated server asked over SOAP: events, performance, and what only a vCenter has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::{Body, Request, Service};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::version::Version;

/// 2026-03-04T12:00:00Z, on a whole day of no interval.
const NOW: i64 = 1_772_625_600_000;

struct Client {
    server: Arc<Simulator>,
    cookie: String,
}

impl Client {
    fn new(vcenter: bool, machines: Option<u32>) -> Client {
        let version = Version::parse("8.0.3.0").unwrap();
        let start = Start { vcenter, machines, version, now: NOW };
        let server = Simulator::new(world(&start).unwrap(), Clock::jumping(NOW));
        let mut client = Client { server: Arc::new(server), cookie: String::new() };
        client.login("root", "secret");
        client
    }

    fn login(&mut self, user: &str, password: &str) -> String {
        self.cookie.clear();
        let this = if self.server.world().vcenter { "SessionManager" } else { "ha-sessionmgr" };
        let text = format!("<userName>{user}</userName><password>{password}</password>");
        self.call(&format!("SessionManager:{this}"), "Login", &text)
    }

    /// Sends bytes; status and body come back.
    fn send(
        &mut self,
        method: &str,
        target: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut headers: Vec<(String, String)> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if !self.cookie.is_empty() {
            headers.push(("Cookie".into(), format!("vmware_soap_session=\"{}\"", self.cookie)));
        }
        let mut bytes = body.as_bytes();
        let mut request = Request { method, target, headers: &headers, body: &mut bytes };
        let answer = self.server.answer(&mut request);
        for (name, value) in &answer.headers {
            if *name == "Set-Cookie" {
                self.cookie = value.split('"').nth(1).unwrap().to_owned();
            }
        }
        let Body::Whole(bytes) = answer.body else { panic!("a stream") };
        (answer.status, String::from_utf8(bytes).unwrap())
    }

    /// Calls a method of `Type:id`; a fault comes back as text too.
    fn call(&mut self, this: &str, method: &str, args: &str) -> String {
        let (kind, id) = this.split_once(':').unwrap();
        let text = format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soapenv:Body>\
             <{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        let (_, text) = self.send("POST", "/sdk", &[("SOAPAction", "urn:vim25/8.0.3.0")], &text);
        assert!(!text.contains("RuntimeFault\""), "{method}: {text}");
        text
    }

    /// A property, as XML.
    fn get(&mut self, this: &str, path: &str) -> String {
        self.call(this, "Fetch", &format!("<prop>{path}</prop>"))
    }

    /// Calls, and lets the task that it answers end; the task's info comes back.
    fn task(&mut self, this: &str, method: &str, args: &str) -> String {
        let answer = self.call(this, method, args);
        let Some(task) = between(&answer, "<returnval type=\"Task\">", "<") else { return answer };
        let task = task.to_owned();
        self.server.world().now += 1;
        for _ in 0..2000 {
            let info = self.get(&format!("Task:{task}"), "info");
            if !info.contains("<state>running") {
                return info;
            }
        }
        panic!("{method} does not end");
    }
}

/// The text between two others.
fn between<'a>(text: &'a str, from: &str, upto: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    rest.split(upto).next()
}

fn all<'a>(text: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    text.split(&open).skip(1).filter_map(|it| it.split(&close).next()).collect()
}

#[test]
fn a_past_is_told_and_filtered() {
    let mut it = Client::new(false, None);
    let text = it.call("EventManager:ha-eventmgr", "QueryEvents", "<filter/>");
    let keys = all(&text, "key");
    assert!(keys.len() > 30, "{}", keys.len());
    assert_eq!((keys[0], all(&text, "createdTime")[0]), ("1", "2026-03-03T12:10:00.000000Z"));
    assert!(text.contains("test01 on esxi01.lab.example in ha-datacenter is powered on"));
    let filter = "<filter><eventTypeId>VmPoweredOffEvent</eventTypeId></filter>";
    let text = it.call("EventManager:ha-eventmgr", "QueryEvents", filter);
    assert_eq!(text.matches("xsi:type=\"VmPoweredOffEvent\"").count(), 3, "{text}");
    let filter = "<filter><time><beginTime>2026-03-04T11:00:00+01:00</beginTime></time></filter>";
    let text = it.call("EventManager:ha-eventmgr", "QueryEvents", filter);
    assert!(!text.contains("2026-03-04T09:") && text.contains("kiosk01"), "{text}");
    let filter = "<filter><entity><entity type=\"HostSystem\">ha-host</entity>\
                  <recursion>children</recursion></entity><maxCount>2</maxCount></filter>";
    let text = it.call("EventManager:ha-eventmgr", "QueryEvents", filter);
    assert_eq!(all(&text, "createdTime").len(), 2);
    assert!(text.contains("legacy-erp") || text.contains("kiosk01"), "{text}");
    let filter = "<filter><entity><entity type=\"HostSystem\">host-77</entity>\
                  <recursion>all</recursion></entity></filter>";
    let text = it.call("EventManager:ha-eventmgr", "QueryEvents", filter);
    assert!(text.contains("ManagedObjectNotFound"), "{text}");
    let text = it.get("EventManager:ha-eventmgr", "latestEvent");
    assert!(
        text.contains("UserLoginSessionEvent") && text.contains("User root@127.0.0.1"),
        "{text}"
    );
    assert!(it.get("EventManager:ha-eventmgr", "description").contains("VmPoweredOnEvent"));
}

#[test]
fn a_collector_is_read_both_ways() {
    let mut it = Client::new(false, None);
    let made = it.call("EventManager:ha-eventmgr", "CreateCollectorForEvents", "<filter/>");
    let id = between(&made, "type=\"EventHistoryCollector\">", "<").unwrap();
    let this = format!("EventHistoryCollector:{id}");
    let next = |it: &mut Client, count: u32| {
        let text = it.call(&this, "ReadNextEvents", &format!("<maxCount>{count}</maxCount>"));
        all(&text, "key").iter().map(|it| it.parse().unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(next(&mut it, 3), [1, 2, 3]);
    assert_eq!(next(&mut it, 2), [4, 5]);
    let text = it.call(&this, "ReadPreviousEvents", "<maxCount>2</maxCount>");
    assert_eq!(all(&text, "key"), ["5", "4"]);
    it.call(&this, "RewindCollector", "");
    assert_eq!(next(&mut it, 1), [1]);
    it.call(&this, "SetCollectorPageSize", "<maxCount>4</maxCount>");
    let page = it.get(&this, "latestPage");
    let keys = all(&page, "key");
    assert_eq!(keys.len(), 4, "{page}");
    let first: u64 = keys.iter().map(|it| it.parse().unwrap()).min().unwrap();
    it.call(&this, "ResetCollector", "");
    let text = it.call(&this, "ReadPreviousEvents", "<maxCount>1</maxCount>");
    assert_eq!(all(&text, "key"), [(first - 1).to_string()]);
    assert!(it.call(&this, "ReadNextEvents", "<maxCount>0</maxCount>").contains("InvalidArgument"));
    assert!(it.get(&this, "filter").contains("EventFilterSpec"));
    // What happens now is on the page.
    let text = "<entity type=\"HostSystem\">ha-host</entity><msg>Fan replaced</msg>";
    it.call("EventManager:ha-eventmgr", "LogUserEvent", text);
    assert!(it.get(&this, "latestPage").contains("Fan replaced"));
    it.call(&this, "DestroyCollector", "");
    assert!(it.get(&this, "latestPage").contains("ManagedObjectNotFound"));
    let refused = it.call("TaskManager:ha-taskmgr", "CreateCollectorForTasks", "<filter/>");
    assert!(refused.contains("NotSupported"), "{refused}");
    assert!(it.get("TaskManager:ha-taskmgr", "description").contains("PowerOnVM_Task"));
}

#[test]
fn power_and_logins_leave_events() {
    let mut it = Client::new(false, None);
    let info = it.task("VirtualMachine:10", "PowerOnVM_Task", "");
    assert!(info.contains("<state>success"), "{info}");
    assert!(it.login("root", "wrong").contains("InvalidLogin"));
    it.login("root", "secret");
    let text = it.call("EventManager:ha-eventmgr", "QueryEvents", "<filter/>");
    assert!(text.contains("Cannot login root@127.0.0.1"));
    let last = text.rsplit("xsi:type=\"VmPoweredOnEvent\"").next().unwrap();
    for wanted in ["<vm><name>test01", "<host><name>esxi01", "<template>false"] {
        assert!(last.contains(wanted), "{wanted}: {last}");
    }
}

/// The key of a counter, by `group.name.rollup`.
fn counter(it: &mut Client, manager: &str, path: &str) -> String {
    let (group, rest) = path.split_once('.').unwrap();
    let (name, rollup) = rest.split_once('.').unwrap();
    let text = it.get(manager, "perfCounter");
    let found = all(&text, "PerfCounterInfo").into_iter().find(|it| {
        let keys = all(it, "key");
        keys[1..3] == [name, group] && all(it, "rollupType") == [rollup]
    });
    all(found.unwrap(), "key")[0].to_owned()
}

const PERF: &str = "PerformanceManager:ha-perfmgr";

#[test]
fn samples_agree_with_the_quick_numbers() {
    let mut it = Client::new(false, None);
    let (usage, mhz) = (
        counter(&mut it, PERF, "cpu.usage.average"),
        counter(&mut it, PERF, "cpu.usagemhz.average"),
    );
    assert_eq!((&*usage, &*mhz), ("1", "5"));
    let net = counter(&mut it, PERF, "net.usage.average");
    let spec = |entity: &str, more: &str| {
        format!("<querySpec><entity type=\"VirtualMachine\">{entity}</entity>{more}</querySpec>")
    };
    let metrics = format!(
        "<metricId><counterId>{mhz}</counterId><instance></instance></metricId>\
         <metricId><counterId>{net}</counterId><instance>*</instance></metricId>"
    );
    let asked = spec("1", &format!("<maxSample>3</maxSample>{metrics}<intervalId>20</intervalId>"));
    let text = it.call(PERF, "QueryPerf", &asked);
    assert_eq!(all(&text, "timestamp").last(), Some(&"2026-03-04T12:00:00.000000Z"));
    assert_eq!(all(&text, "interval"), ["20", "20", "20"]);
    assert_eq!(all(&text, "instance"), ["", "", "4000"], "{text}");
    let quick = it.get("VirtualMachine:1", "summary.quickStats.overallCpuUsage");
    let quick = between(&quick, "<returnval", "<").unwrap().rsplit('>').next().unwrap().to_owned();
    assert!(
        text.contains("PerfMetricIntSeries") && quick.parse::<u32>().is_ok_and(|it| it > 0),
        "{quick}"
    );
    assert!(text.contains(&format!("<value>{quick}</value></value>")), "{quick}: {text}");
    // A whole hour, as one text.
    let asked = spec("1", &format!("{metrics}<intervalId>20</intervalId><format>csv</format>"));
    let text = it.call(PERF, "QueryPerf", &asked);
    assert_eq!(all(&text, "sampleInfoCSV")[0].split(',').count(), 360);
    let again = it.call(PERF, "QueryPerf", &asked);
    assert_eq!(
        all(&again, "sampleInfoCSV")[0].split(',').nth(300),
        all(&text, "sampleInfoCSV")[0].split(',').nth(300)
    );
    // A machine that is off has nothing to tell.
    let text = it.call(PERF, "QueryPerf", &spec("6", &metrics));
    assert!(!text.contains("returnval>"), "{text}");
    for (entity, more, why) in [
        (
            "1",
            "<metricId><counterId>99999</counterId><instance></instance></metricId>",
            "InvalidArgument",
        ),
        ("1", "<intervalId>17</intervalId>", "querySpec.interval"),
        ("1", "<format>json</format>", "querySpec.format"),
        ("77", "", "ManagedObjectNotFound"),
    ] {
        let text = it.call(PERF, "QueryPerf", &spec(entity, more));
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[test]
fn counters_and_providers_are_described() {
    let mut it = Client::new(false, None);
    let text =
        it.call(PERF, "QueryPerfProviderSummary", "<entity type=\"HostSystem\">ha-host</entity>");
    assert!(text.contains("<currentSupported>true") && text.contains("<refreshRate>20"), "{text}");
    let text = it.call(
        PERF,
        "QueryAvailablePerfMetric",
        "<entity type=\"VirtualMachine\">3</entity><intervalId>20</intervalId>",
    );
    for device in ["scsi0:0", "scsi0:1", "4000", "66a1c0de-0002"] {
        assert!(text.contains(&format!("<instance>{device}</instance>")), "{device}: {text}");
    }
    let text =
        it.call(PERF, "QueryAvailablePerfMetric", "<entity type=\"VirtualMachine\">6</entity>");
    assert!(!text.contains("PerfMetricId") && !text.contains("counterId"), "{text}");
    let text =
        it.call(PERF, "QueryPerfCounter", "<counterId>1</counterId><counterId>5</counterId>");
    assert_eq!(all(&text, "rollupType").len(), 2, "{text}");
    assert!(it.call(PERF, "QueryPerfCounterByLevel", "<level>1</level>").contains("usagemhz"));
    assert!(
        it.call(PERF, "QueryPerfCounterByLevel", "<level>9</level>").contains("InvalidArgument")
    );
    let text = it.get(PERF, "historicalInterval");
    assert_eq!(all(&text, "samplingPeriod"), ["300"]);
    assert!(it.get(PERF, "description").contains("summation"));
    // A whole host, everything that it has.
    let asked = "<querySpec><entity type=\"HostSystem\">ha-host</entity><maxSample>1</maxSample><intervalId>20</intervalId></querySpec>";
    let text = it.call(PERF, "QueryPerf", asked);
    assert!(text.contains("<instance>vmnic1</instance>") && !text.contains("<value>-"), "{text}");
}

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
fn a_cluster_keeps_longer_times_than_a_host() {
    let mut it = Client::new(true, None);
    let manager = "PerformanceManager:PerfMgr";
    assert_eq!(counter(&mut it, manager, "cpu.usagemhz.average"), "6");
    assert_eq!(
        all(&it.get(manager, "historicalInterval"), "samplingPeriod"),
        ["300", "1800", "7200", "86400"]
    );
    for (kind, id, interval, samples) in [
        ("ClusterComputeResource", "domain-c7", 300, 288),
        ("HostSystem", "host-9", 1800, 336),
        ("Datastore", "datastore-11", 86_400, 365),
        ("ResourcePool", "resgroup-40", 7200, 360),
    ] {
        let asked = format!(
            "<querySpec><entity type=\"{kind}\">{id}</entity><intervalId>{interval}</intervalId></querySpec>"
        );
        let text = it.call(manager, "QueryPerf", &asked);
        assert_eq!(all(&text, "interval").len(), samples, "{kind}");
        assert!(!text.contains("<value>-"));
    }
    let asked = "<querySpec><entity type=\"Datastore\">datastore-11</entity><intervalId>20</intervalId></querySpec>";
    assert!(it.call(manager, "QueryPerf", asked).contains("querySpec.interval"));
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

/// The id in an answer that is a reference.
fn made(text: &str) -> String {
    let returned = between(text, "<returnval", "</returnval>").unwrap_or_else(|| panic!("{text}"));
    returned.rsplit('>').next().unwrap().to_owned()
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
    let made_one = made(&it.call("Folder:group-d1", "CreateDatacenter", "<name>DC1</name>"));
    assert!(it.get(&format!("Datacenter:{made_one}"), "vmFolder").contains("group-v"));
    assert!(
        it.call("Folder:group-v3", "CreateDatacenter", "<name>X</name>").contains("NotSupported")
    );
    let mut esxi = Client::new(false, None);
    let text = esxi.call("Folder:ha-folder-vm", "CreateFolder", "<name>x</name>");
    assert!(text.contains("NotSupported"), "{text}");
}

/// A pool's specification with this reservation and limit of MHz.
fn spec(name: &str, reservation: i64, limit: i64) -> String {
    format!(
        "<{name}><cpuAllocation><reservation>{reservation}</reservation><expandableReservation>false\
         </expandableReservation><limit>{limit}</limit></cpuAllocation><memoryAllocation/></{name}>"
    )
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
        text.contains("AlarmAcknowledgedEvent") || text.contains("Acknowledged alarm"),
        "{text}"
    );
    let spec = "<entity type=\"Folder\">group-v3</entity><spec><name>Hot</name><description></description>\
                <enabled>true</enabled><expression xsi:type=\"StateAlarmExpression\"><operator>isEqual</operator>\
                <type>VirtualMachine</type><statePath>runtime.powerState</statePath><red>poweredOff</red></expression></spec>";
    let alarm = made(&it.call(manager, "CreateAlarm", spec));
    assert!(it.get(&format!("Alarm:{alarm}"), "info").contains("<name>Hot"));
    assert!(it.call(manager, "CreateAlarm", spec).contains("DuplicateName"));
    assert!(it.get("VirtualMachine:vm-1", "declaredAlarmState").contains(&alarm));
    it.call(&format!("Alarm:{alarm}"), "RemoveAlarm", "");
    assert!(!it.get("VirtualMachine:vm-1", "declaredAlarmState").contains(&alarm));
    assert!(it.get(manager, "description").contains("isAbove"));
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
    it.call(manager, "RenameCustomFieldDef", "<key>103</key><name>Backups</name>");
    assert!(it.get(manager, "field").contains("Backups"));
    assert!(it.get("HostSystem:host-9", "availableField").contains("CostCentre"));
    it.call(manager, "RemoveCustomFieldDef", "<key>103</key>");
    assert!(!it.get("VirtualMachine:vm-3", "customValue").contains("daily"));
    let manager = "CustomizationSpecManager:CustomizationSpecManager";
    assert!(it.get(manager, "info").contains("linux-dhcp"));
    let text = it.call(manager, "GetCustomizationSpec", "<name>linux-dhcp</name>");
    assert!(text.contains("CustomizationLinuxPrep"), "{text}");
    let item = between(&text, "<returnval>", "</returnval>").unwrap();
    let item = format!("<item>{item}</item>");
    assert!(it.call(manager, "CreateCustomizationSpec", &item).contains("AlreadyExists"));
    let other = item.replace("linux-dhcp", "linux-two");
    it.call(manager, "CreateCustomizationSpec", &other);
    it.call(manager, "OverwriteCustomizationSpec", &other);
    let text = it.call(manager, "DoesCustomizationSpecExist", "<name>linux-two</name>");
    assert!(text.contains("true"), "{text}");
    it.call(manager, "DeleteCustomizationSpec", "<name>linux-two</name>");
    assert!(
        it.call(manager, "GetCustomizationSpec", "<name>linux-two</name>").contains("NotFound")
    );
}
