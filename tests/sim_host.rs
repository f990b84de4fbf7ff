//! The simulated host itself, asked in SOAP: services, firewall, clock, network, storage, options,
//! licence, rights, maintenance and restart; each method well and badly.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::panic)]

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::{Body, Request, Service};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::version::Version;

/// A client without any knowledge: text out, text back.
struct Talk {
    host: Simulator,
    cookie: String,
}

impl Talk {
    fn new(user: &str) -> Talk {
        let start = Start {
            vcenter: false,
            machines: None,
            version: Version::newest(),
            now: 1_768_464_000_000,
        };
        let host = Simulator::new(world(&start).unwrap(), Clock::jumping(start.now));
        let mut talk = Talk { host, cookie: String::new() };
        let (status, text) = talk.login(user);
        assert_eq!(status, 200, "{text}");
        talk
    }

    fn login(&mut self, user: &str) -> (u16, String) {
        self.cookie.clear();
        let args = format!("<userName>{user}</userName><password>secret</password>");
        self.post("SessionManager", "ha-sessionmgr", "Login", &args)
    }

    fn post(&mut self, kind: &str, id: &str, method: &str, args: &str) -> (u16, String) {
        let text = format!(
            "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\
             <soapenv:Body><{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        let headers = [
            ("SOAPAction".to_owned(), "\"urn:vim25/8.0.3.0\"".to_owned()),
            ("Cookie".to_owned(), format!("vmware_soap_session=\"{}\"", self.cookie)),
        ];
        let mut body = text.as_bytes();
        let mut request =
            Request { method: "POST", target: "/sdk", headers: &headers, body: &mut body };
        let answer = self.host.answer(&mut request);
        if let Some((_, value)) = answer.headers.iter().find(|it| it.0 == "Set-Cookie") {
            self.cookie = value.split('"').nth(1).unwrap_or_default().to_owned();
        }
        let Body::Whole(bytes) = answer.body else { panic!("a stream") };
        (answer.status, String::from_utf8(bytes).unwrap())
    }

    /// The answer of a call that must succeed.
    fn good(&mut self, on: (&str, &str), method: &str, args: &str) -> String {
        let (status, text) = self.post(on.0, on.1, method, args);
        assert_eq!(status, 200, "{method} {args}: {text}");
        text
    }

    /// A call that must be refused with this fault.
    fn bad(&mut self, on: (&str, &str), method: &str, args: &str, fault: &str) {
        let (status, text) = self.post(on.0, on.1, method, args);
        assert_eq!(status, 500, "{method} {args}: {text}");
        assert!(
            text.contains(&format!("{fault}Fault")) && text.contains(&format!("\"{fault}\"")),
            "{method} {args}: no {fault} in {text}"
        );
    }

    fn fetch(&mut self, on: (&str, &str), path: &str) -> String {
        let args = format!("<prop>{path}</prop>");
        self.good(on, "Fetch", &args)
    }

    /// Waits for a task: state and, of a failed one, the fault.
    fn task(&mut self, answer: &str) -> String {
        let id =
            answer.split("type=\"Task\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        for _ in 0..400 {
            let info = self.fetch(("Task", &id), "info");
            if !info.contains("<state>running</state>") {
                return info;
            }
            self.pass();
        }
        panic!("the task does not end");
    }

    /// Lets time go on to what happens next.
    fn pass(&mut self) {
        let filter = "<spec><propSet><type>TaskManager</type><pathSet>recentTask</pathSet></propSet>\
             <objectSet><obj type=\"TaskManager\">ha-taskmgr</obj></objectSet></spec><partialUpdates>false</partialUpdates>";
        let collector = ("PropertyCollector", "ha-property-collector");
        self.good(collector, "CreateFilter", filter);
        let first = self.good(collector, "WaitForUpdatesEx", "");
        let version =
            first.split("<version>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let args = format!(
            "<version>{version}</version><options><maxWaitSeconds>1</maxWaitSeconds></options>"
        );
        self.post(collector.0, collector.1, "WaitForUpdatesEx", &args);
    }
}

const HOST: (&str, &str) = ("HostSystem", "ha-host");
const SERVICES: (&str, &str) = ("HostServiceSystem", "serviceSystem");
const FIREWALL: (&str, &str) = ("HostFirewallSystem", "firewallSystem");
const CLOCK: (&str, &str) = ("HostDateTimeSystem", "dateTimeSystem");
const NETWORK: (&str, &str) = ("HostNetworkSystem", "networkSystem");
const ROLES: (&str, &str) = ("HostVirtualNicManager", "ha-vnic-mgr");
const STORAGE: (&str, &str) = ("HostStorageSystem", "storageSystem");
const STORES: (&str, &str) = ("HostDatastoreSystem", "ha-datastoresystem");
const OPTIONS: (&str, &str) = ("OptionManager", "ha-adv-options");
const AGENT: (&str, &str) = ("OptionManager", "HostAgentSettings");
const LICENCES: (&str, &str) = ("LicenseManager", "ha-license-manager");
const RIGHTS: (&str, &str) = ("AuthorizationManager", "ha-authmgr");
const ACCOUNTS: (&str, &str) = ("HostLocalAccountManager", "ha-localacctmgr");
const START: (&str, &str) = ("HostAutoStartManager", "ha-autostart-mgr");
const HEALTH: (&str, &str) = ("HostHealthStatusSystem", "healthStatusSystem");

#[test]
fn all_that_is_told_can_be_written() {
    let mut talk = Talk::new("root");
    for (on, paths) in [
        (
            HOST,
            "runtime summary hardware capability licensableResource configManager config datastoreBrowser vm datastore network configStatus overallStatus permission effectiveRole triggeredAlarmState declaredAlarmState config.network.vswitch config.service.service config.product.fullName runtime.bootTime summary.quickStats.overallCpuUsage hardware.systemInfo.model",
        ),
        (SERVICES, "serviceInfo"),
        (FIREWALL, "firewallInfo"),
        (CLOCK, "dateTimeInfo"),
        (NETWORK, "networkInfo capabilities dnsConfig ipRouteConfig offloadCapabilities"),
        (ROLES, "info"),
        (STORAGE, "storageDeviceInfo fileSystemVolumeInfo"),
        (STORES, "datastore capabilities"),
        (OPTIONS, "setting supportedOption"),
        (AGENT, "setting supportedOption"),
        (
            LICENCES,
            "licenses evaluation featureInfo licensedEdition source sourceAvailable licenseAssignmentManager",
        ),
        (RIGHTS, "roleList privilegeList description"),
        (START, "config"),
        (HEALTH, "runtime"),
        (("ResourcePool", "ha-root-pool"), "summary runtime config owner"),
        (("ComputeResource", "ha-compute-res"), "summary environmentBrowser configurationEx host"),
        (("Datacenter", "ha-datacenter"), "configuration permission"),
        (("Datastore", "66a1c0de-0001"), "host capability info summary"),
        (("Folder", "ha-folder-root"), "permission effectiveRole"),
        (("ServiceInstance", "ServiceInstance"), "capability content"),
    ] {
        for path in paths.split(' ') {
            let text = talk.fetch(on, path);
            assert!(text.contains("<returnval"), "{} {path} has no value", on.0);
        }
    }
    let config = talk.fetch(HOST, "config");
    for part in [
        "<fullName>VMware ESXi 8.0.3",
        "TSM-SSH",
        "vSPC",
        "vSwitch0",
        "0.vmware.pool.ntp.org",
        "HostVmfsVolume",
        "UserVars.SuppressShellWarning",
    ] {
        assert!(config.contains(part), "{part} is not in config");
    }
}

#[test]
fn services_run_and_stop_and_keep_their_policy() {
    let mut talk = Talk::new("root");
    let ssh = "<id>TSM-SSH</id>";
    talk.bad(SERVICES, "StopService", ssh, "InvalidState");
    talk.good(SERVICES, "StartService", ssh);
    talk.bad(SERVICES, "StartService", ssh, "InvalidState");
    assert!(talk.fetch(HOST, "config.service").contains("<key>TSM-SSH</key><label>SSH</label><required>false</required><uninstallable>false</uninstallable><running>true</running>"));
    talk.good(SERVICES, "RestartService", ssh);
    talk.good(SERVICES, "StopService", ssh);
    talk.good(SERVICES, "UpdateServicePolicy", "<id>ntpd</id><policy>automatic</policy>");
    assert!(talk.fetch(SERVICES, "serviceInfo").contains("<policy>automatic</policy>"));
    talk.bad(
        SERVICES,
        "UpdateServicePolicy",
        "<id>ntpd</id><policy>perhaps</policy>",
        "InvalidArgument",
    );
    for method in ["StartService", "StopService", "RestartService"] {
        talk.bad(SERVICES, method, "<id>nothing</id>", "NotFound");
    }
    talk.good(SERVICES, "RefreshServices", "");
}

#[test]
fn rulesets_open_and_close() {
    let mut talk = Talk::new("root");
    let serial = "<key>remoteSerialPort</key>";
    talk.good(FIREWALL, "EnableRuleset", "<id>remoteSerialPort</id>");
    let rules = talk.fetch(HOST, "config.firewall.ruleset");
    let rule = rules.split(serial).nth(1).unwrap();
    assert!(rule.find("<enabled>true").unwrap() < rule.find("</HostFirewallRuleset>").unwrap());
    talk.good(FIREWALL, "DisableRuleset", "<id>remoteSerialPort</id>");
    talk.bad(FIREWALL, "DisableRuleset", "<id>dns</id>", "InvalidState");
    talk.bad(FIREWALL, "EnableRuleset", "<id>nothing</id>", "NotFound");
    let allowed = |ip: &str| {
        format!(
            "<id>sshServer</id><spec><allowedHosts><ipAddress>{ip}</ipAddress><ipNetwork><network>10.0.0.0</network><prefixLength>8</prefixLength></ipNetwork><allIp>false</allIp></allowedHosts></spec>"
        )
    };
    talk.good(FIREWALL, "UpdateRuleset", &allowed("10.20.0.9"));
    assert!(talk.fetch(FIREWALL, "firewallInfo").contains("<ipAddress>10.20.0.9</ipAddress>"));
    talk.bad(FIREWALL, "UpdateRuleset", &allowed("everybody"), "InvalidArgument");
    talk.good(
        FIREWALL,
        "UpdateDefaultPolicy",
        "<defaultPolicy><outgoingBlocked>false</outgoingBlocked></defaultPolicy>",
    );
    assert!(talk.fetch(FIREWALL, "firewallInfo.defaultPolicy").contains("<outgoingBlocked>false"));
    talk.good(FIREWALL, "RefreshFirewall", "");
}

#[test]
fn the_clock_is_configured() {
    let mut talk = Talk::new("root");
    let servers = "<config><ntpConfig><server>ntp1.lab.example</server><server>ntp2.lab.example</server></ntpConfig></config>";
    talk.good(CLOCK, "UpdateDateTimeConfig", servers);
    let told = talk.fetch(HOST, "config.dateTimeInfo");
    assert!(
        told.contains("<server>ntp1.lab.example</server>")
            && told.contains("<configFile>server ntp2.lab.example")
            && !told.contains("pool.ntp.org")
    );
    talk.bad(
        CLOCK,
        "UpdateDateTimeConfig",
        "<config><timeZone>Moon/Base</timeZone></config>",
        "InvalidArgument",
    );
    talk.bad(
        CLOCK,
        "UpdateDateTimeConfig",
        "<config><protocol>sundial</protocol></config>",
        "InvalidArgument",
    );
    talk.bad(
        CLOCK,
        "UpdateDateTimeConfig",
        "<config><ntpConfig><server>a b</server></ntpConfig></config>",
        "InvalidArgument",
    );
    talk.good(CLOCK, "UpdateDateTimeConfig", "<config><timeZone>Europe/Berlin</timeZone><protocol>ptp</protocol><enabled>false</enabled></config>");
    assert!(talk.fetch(CLOCK, "dateTimeInfo").contains("<gmtOffset>3600"));
    assert!(talk.good(CLOCK, "QueryDateTime", "").contains("2026-01-15T08:"));
    talk.good(CLOCK, "UpdateDateTime", "<dateTime>2026-01-15T09:00:00Z</dateTime>");
    assert!(talk.good(CLOCK, "QueryAvailableTimeZones", "").contains("<key>UTC</key>"));
    talk.good(CLOCK, "RefreshDateTimeSystem", "");
    assert!(talk.good(CLOCK, "TestTimeService", "").contains("<workingNormally>false"));
    for method in [
        "RefreshHealthStatusSystem",
        "ResetSystemHealthInfo",
        "ClearSystemEventLog",
        "FetchSystemEventLog",
    ] {
        talk.good(HEALTH, method, "");
    }
}

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
fn kernel_ports_names_and_routes() {
    let mut talk = Talk::new("root");
    let nic = |ip: &str| {
        format!(
            "<portgroup>VM Network</portgroup><nic><ip><dhcp>false</dhcp><ipAddress>{ip}</ipAddress><subnetMask>255.255.255.0</subnetMask></ip></nic>"
        )
    };
    assert!(talk.good(NETWORK, "AddVirtualNic", &nic("10.20.0.60")).contains("vmk1"));
    talk.bad(NETWORK, "AddVirtualNic", &nic("nowhere"), "InvalidArgument");
    talk.bad(NETWORK, "AddVirtualNic", "<portgroup>nothing</portgroup><nic/>", "NotFound");
    talk.good(NETWORK, "UpdateVirtualNic", "<device>vmk1</device><nic><mtu>9000</mtu></nic>");
    talk.bad(NETWORK, "UpdateVirtualNic", "<device>vmk7</device><nic/>", "NotFound");
    let motion = "<nicType>vmotion</nicType><device>vmk1</device>";
    talk.good(ROLES, "SelectVnicForNicType", motion);
    assert!(
        talk.good(ROLES, "QueryNetConfig", "<nicType>vmotion</nicType>")
            .contains("<selectedVnic>vmotion.key-vim.host.VirtualNic-vmk1")
    );
    assert!(
        talk.fetch(HOST, "config.virtualNicManagerInfo")
            .contains("vmotion.key-vim.host.VirtualNic-vmk1")
    );
    talk.good(ROLES, "DeselectVnicForNicType", motion);
    talk.bad(ROLES, "QueryNetConfig", "<nicType>magic</nicType>", "InvalidArgument");
    talk.bad(
        ROLES,
        "SelectVnicForNicType",
        "<nicType>vmotion</nicType><device>vmk9</device>",
        "InvalidArgument",
    );
    talk.good(NETWORK, "RemoveVirtualNic", "<device>vmk1</device>");
    talk.bad(NETWORK, "RemoveVirtualNic", "<device>vmk1</device>", "NotFound");
    talk.bad(NETWORK, "RemoveVirtualNic", "<device>vmk0</device>", "ResourceInUse");
    talk.good(NETWORK, "UpdateDnsConfig", "<config><dhcp>false</dhcp><hostName>esxi07</hostName><domainName>lab.example</domainName><address>10.0.0.53</address></config>");
    assert!(talk.fetch(HOST, "config.network.dnsConfig").contains("esxi07"));
    talk.good(
        NETWORK,
        "UpdateIpRouteConfig",
        "<config><defaultGateway>10.20.0.254</defaultGateway></config>",
    );
    assert!(talk.fetch(NETWORK, "ipRouteConfig").contains("10.20.0.254"));
    talk.bad(
        NETWORK,
        "UpdateIpRouteConfig",
        "<config><defaultGateway>up</defaultGateway></config>",
        "InvalidArgument",
    );
    talk.good(NETWORK, "RefreshNetworkSystem", "");
    talk.good(NETWORK, "QueryNetworkHint", "");
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
    talk.good(LICENCES, "AddLicense", key);
    talk.good(LICENCES, "RemoveLicense", key);
    talk.bad(LICENCES, "RemoveLicense", key, "NotFound");
    talk.bad(LICENCES, "AddLicense", "<licenseKey>please</licenseKey>", "InvalidArgument");
    talk.good(LICENCES, "DecodeLicense", key);
    talk.good(LICENCES, "QuerySupportedFeatures", "");
    assert!(
        talk.good(LICENCES, "CheckLicenseFeature", "<featureKey>esxapi</featureKey>")
            .contains(">true<")
    );
    talk.bad(LICENCES, "CheckLicenseFeature", "<featureKey>magic</featureKey>", "InvalidArgument");
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
    talk.bad(NETWORK, "AddVirtualNic", "<portgroup>Lab</portgroup><nic/>", "RestrictedVersion");
    talk.good(CLOCK, "QueryDateTime", "");
    talk.pass();
    // A key ends it.
    talk.good(LICENCES, "UpdateLicense", "<licenseKey>AB123-CD456-EF789-GH012-IJ345</licenseKey>");
    talk.good(SERVICES, "StartService", "<id>TSM-SSH</id>");
}

#[test]
fn rights_roles_and_permissions() {
    let mut talk = Talk::new("root");
    let session = talk.fetch(("SessionManager", "ha-sessionmgr"), "currentSession.key");
    let key = session
        .split("xsi:type=\"xsd:string\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let entity = "<entity type=\"Folder\">ha-folder-root</entity>";
    let asked = format!(
        "<sessionId>{key}</sessionId><privId>VirtualMachine.Interact.PowerOn</privId><privId>System.View</privId>"
    );
    let told = talk.good(RIGHTS, "HasPrivilegeOnEntities", &format!("{entity}{asked}"));
    assert_eq!(told.matches("<isGranted>true").count(), 2);
    talk.good(RIGHTS, "HasPrivilegeOnEntity", &format!("{entity}{asked}"));
    talk.bad(
        RIGHTS,
        "HasPrivilegeOnEntities",
        &format!("{entity}<sessionId>x</sessionId>"),
        "InvalidArgument",
    );
    talk.bad(
        RIGHTS,
        "HasPrivilegeOnEntities",
        &format!("<entity type=\"Folder\">nothing</entity>{asked}"),
        "ManagedObjectNotFound",
    );
    let user = |name: &str| {
        format!("<entities type=\"VirtualMachine\">1</entities><userName>{name}</userName>")
    };
    let told = talk.good(
        RIGHTS,
        "HasUserPrivilegeOnEntities",
        &format!("{}<privId>Host.Config.Storage</privId>", user("viewer")),
    );
    assert!(told.contains("<isGranted>false"));
    assert!(
        !talk.good(RIGHTS, "FetchUserPrivilegeOnEntities", &user("viewer")).contains("PowerOn")
    );
    assert!(talk.good(RIGHTS, "FetchUserPrivilegeOnEntities", &user("root")).contains("PowerOn"));
    talk.bad(RIGHTS, "FetchUserPrivilegeOnEntities", &user("nobody"), "UserNotFound");

    let role = |id: &str, name: &str, privilege: &str| {
        format!("{id}<name>{name}</name><privIds>{privilege}</privIds>")
    };
    assert!(
        talk.good(
            RIGHTS,
            "AddAuthorizationRole",
            &role("", "power", "VirtualMachine.Interact.PowerOn")
        )
        .contains(">10<")
    );
    talk.bad(RIGHTS, "AddAuthorizationRole", &role("", "power", "System.View"), "AlreadyExists");
    talk.bad(RIGHTS, "AddAuthorizationRole", &role("", "other", "No.Such"), "InvalidArgument");
    talk.bad(RIGHTS, "AddAuthorizationRole", &role("", "", "System.View"), "InvalidName");
    talk.good(RIGHTS, "UpdateAuthorizationRole", "<roleId>10</roleId><newName>switch</newName><privIds>VirtualMachine.Interact.PowerOn</privIds>");
    talk.bad(
        RIGHTS,
        "UpdateAuthorizationRole",
        "<roleId>-1</roleId><newName>x</newName>",
        "InvalidArgument",
    );
    talk.bad(
        RIGHTS,
        "UpdateAuthorizationRole",
        "<roleId>77</roleId><newName>x</newName>",
        "NotFound",
    );
    assert!(talk.fetch(RIGHTS, "roleList").contains("<name>switch</name>"));

    let grant = |who: &str, role: i64| {
        format!(
            "{entity}<permission><principal>{who}</principal><group>false</group><roleId>{role}</roleId><propagate>true</propagate></permission>"
        )
    };
    talk.good(RIGHTS, "SetEntityPermissions", &grant("viewer", 10));
    assert!(talk.good(RIGHTS, "FetchUserPrivilegeOnEntities", &user("viewer")).contains("PowerOn"));
    talk.bad(RIGHTS, "SetEntityPermissions", &grant("nobody", 10), "UserNotFound");
    talk.bad(RIGHTS, "SetEntityPermissions", &grant("viewer", 99), "NotFound");
    talk.bad(RIGHTS, "SetEntityPermissions", &grant("root", -2), "AuthMinimumAdminPermission");
    let below = talk.good(
        RIGHTS,
        "RetrieveEntityPermissions",
        "<entity type=\"VirtualMachine\">1</entity><inherited>true</inherited>",
    );
    assert!(below.contains("<roleId>10</roleId>"));
    talk.good(
        RIGHTS,
        "RetrieveEntityPermissions",
        &format!("{entity}<inherited>false</inherited>"),
    );
    assert!(talk.good(RIGHTS, "RetrieveAllPermissions", "").contains("vpxuser"));
    assert!(
        !talk.good(RIGHTS, "RetrieveRolePermissions", "<roleId>10</roleId>").contains("vpxuser")
    );
    talk.bad(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>10</roleId><failIfUsed>true</failIfUsed>",
        "RemoveFailed",
    );
    let who = format!("{entity}<user>viewer</user><isGroup>false</isGroup>");
    talk.good(RIGHTS, "RemoveEntityPermission", &who);
    talk.bad(RIGHTS, "RemoveEntityPermission", &who, "NotFound");
    talk.good(RIGHTS, "ResetEntityPermissions", entity);
    talk.good(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>10</roleId><failIfUsed>true</failIfUsed>",
    );
    talk.bad(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>10</roleId><failIfUsed>true</failIfUsed>",
        "NotFound",
    );
    talk.bad(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>-1</roleId><failIfUsed>true</failIfUsed>",
        "InvalidArgument",
    );
}

#[test]
fn a_viewer_may_not_change_the_host() {
    let mut talk = Talk::new("viewer");
    assert!(talk.fetch(HOST, "config.product").contains("ESXi"));
    talk.bad(SERVICES, "StartService", "<id>TSM-SSH</id>", "NoPermission");
    talk.bad(NETWORK, "AddVirtualNic", "<portgroup>Lab</portgroup><nic/>", "NoPermission");
    talk.bad(
        RIGHTS,
        "RemoveEntityPermission",
        "<entity type=\"Folder\">ha-folder-root</entity><user>root</user><isGroup>false</isGroup>",
        "NoPermission",
    );
    talk.bad(HOST, "RebootHost_Task", "<force>true</force>", "NoPermission");
}

#[test]
fn accounts() {
    let mut talk = Talk::new("root");
    let user = |id: &str, password: &str| {
        format!(
            "<user><id>{id}</id><password>{password}</password><description>Somebody</description></user>"
        )
    };
    talk.good(ACCOUNTS, "CreateUser", &user("ann", "Str0ng-one"));
    talk.bad(ACCOUNTS, "CreateUser", &user("ann", "Str0ng-one"), "AlreadyExists");
    talk.bad(ACCOUNTS, "CreateUser", &user("a b", "Str0ng-one"), "InvalidArgument");
    talk.bad(ACCOUNTS, "CreateUser", &user("bob", "short"), "InvalidArgument");
    talk.good(ACCOUNTS, "UpdateUser", "<user><id>ann</id><description>Ann</description></user>");
    talk.bad(ACCOUNTS, "UpdateUser", "<user><id>bob</id></user>", "UserNotFound");
    let change = |old: &str| {
        format!(
            "<user>ann</user><oldPassword>{old}</oldPassword><newPassword>Other-one1</newPassword>"
        )
    };
    talk.bad(ACCOUNTS, "ChangePassword", &change("wrong"), "InvalidLogin");
    talk.good(ACCOUNTS, "ChangePassword", &change("Str0ng-one"));
    let find = |what: &str, exact: bool| {
        format!(
            "<searchStr>{what}</searchStr><exactMatch>{exact}</exactMatch><findUsers>true</findUsers><findGroups>true</findGroups>"
        )
    };
    let directory = ("UserDirectory", "ha-user-directory");
    assert!(
        talk.good(directory, "RetrieveUserGroups", &find("an", false))
            .contains("<fullName>Ann</fullName>")
    );
    assert!(!talk.good(directory, "RetrieveUserGroups", &find("an", true)).contains("ann"));
    talk.good(ACCOUNTS, "RemoveUser", "<userName>ann</userName>");
    talk.bad(ACCOUNTS, "RemoveUser", "<userName>ann</userName>", "UserNotFound");
    talk.bad(ACCOUNTS, "RemoveUser", "<userName>root</userName>", "SecurityError");
}

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
    talk.good(START, "AutoStartPowerOff", "");
    assert!(talk.fetch(("VirtualMachine", "1"), "runtime.powerState").contains("poweredOff"));
    talk.good(START, "AutoStartPowerOn", "");
    let before = talk.fetch(HOST, "runtime.bootTime");
    assert!(talk.good(HOST, "QueryHostConnectionInfo", "").contains("web01"));
    assert!(talk.good(HOST, "RetrieveHardwareUptime", "").contains(">12096"));
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
