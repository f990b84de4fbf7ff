//! Events, tasks and performance.

use crate::client::{Client, all, between};

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
