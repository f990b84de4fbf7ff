//! What the host tells; services, firewall, clock.

use crate::AGENT;
use crate::CLOCK;
use crate::FIREWALL;
use crate::HEALTH;
use crate::HOST;
use crate::LICENCES;
use crate::NETWORK;
use crate::OPTIONS;
use crate::RIGHTS;
use crate::ROLES;
use crate::SERVICES;
use crate::START;
use crate::STORAGE;
use crate::STORES;
use crate::Talk;
use jumpvisor::vim::version::Version;

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
fn clients_of_every_version_can_read_the_host() {
    let mut talk = Talk::new("root");
    for version in Version::all() {
        talk.version = version.name();
        let paths = "config summary runtime hardware capability configManager";
        for path in paths.split(' ') {
            let text = talk.fetch(HOST, path);
            let newer = text.contains("<hostAccessManagerSupported>") && version.name() == "5.5";
            assert!(text.contains("<returnval") && !newer, "{path} as {}", version.name());
        }
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
