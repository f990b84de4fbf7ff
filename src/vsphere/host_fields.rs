//! The facts of hosts as tables: name, property, how it is read.
//!
//! Paths go into `HostSystem.config` as deep as they can, because all of it is a megabyte a host.

use crate::vsphere::facts::{Field, Read};

pub(super) const INFO: &[Field] = &[
    ("connection_state", "runtime.connectionState", Read::Text),
    ("power_state", "runtime.powerState", Read::Text),
    ("maintenance_mode", "runtime.inMaintenanceMode", Read::Flag),
    ("lockdown_mode", "config.lockdownMode", Read::Text),
    ("overall_status", "summary.overallStatus", Read::Text),
    ("reboot_required", "summary.rebootRequired", Read::Flag),
    ("product", "summary.config.product.name", Read::Text),
    ("version", "summary.config.product.version", Read::Text),
    ("build", "summary.config.product.build", Read::Text),
    ("model", "summary.hardware.model", Read::Text),
    ("managed_by", "summary.managementServerIp", Read::Text),
    ("evc_mode", "summary.currentEVCModeKey", Read::Text),
    ("booted_at", "runtime.bootTime", Read::Text),
    ("uptime_seconds", "summary.quickStats.uptime", Read::Number),
    ("time_zone", "config.dateTimeInfo.timeZone.name", Read::Text),
    ("vms", "vm", Read::Count),
];

/// What a single host is asked for besides, here and below.
pub(super) const INFO_MORE: &[&str] = &[
    "parent",
    "configIssue",
    "triggeredAlarmState",
    "config.virtualNicManagerInfo.netConfig",
    "config.network.vnic",
];

pub(super) const HARDWARE: &[Field] = &[
    ("vendor", "summary.hardware.vendor", Read::Text),
    ("model", "summary.hardware.model", Read::Text),
    ("serial_number", "hardware.systemInfo.serialNumber", Read::Text),
    ("uuid", "summary.hardware.uuid", Read::Text),
    ("bios_version", "hardware.biosInfo.biosVersion", Read::Text),
    ("bios_date", "hardware.biosInfo.releaseDate", Read::Text),
    ("firmware", "hardware.biosInfo.firmwareType", Read::Text),
    ("cpu_model", "summary.hardware.cpuModel", Read::Text),
    ("cpu_packages", "summary.hardware.numCpuPkgs", Read::Number),
    ("cpu_cores", "summary.hardware.numCpuCores", Read::Number),
    ("cpu_threads", "summary.hardware.numCpuThreads", Read::Number),
    ("cpu_mhz", "summary.hardware.cpuMhz", Read::Number),
    ("memory_mb", "summary.hardware.memorySize", Read::Megabytes),
    ("nic_count", "summary.hardware.numNics", Read::Number),
    ("storage_adapter_count", "summary.hardware.numHBAs", Read::Number),
];

pub(super) const HARDWARE_MORE: &[&str] = &[
    "summary.hardware.otherIdentifyingInfo",
    "hardware.pciDevice",
    "config.network.pnic",
    "config.storageDevice.hostBusAdapter",
    "runtime.healthSystemRuntime",
];

pub(super) const ADAPTER: &[Field] = &[
    ("device", "device", Read::Text),
    ("model", "model", Read::Text),
    ("driver", "driver", Read::Text),
    ("status", "status", Read::Text),
    ("protocol", "storageProtocol", Read::Text),
    ("pci", "pci", Read::Text),
];

pub(super) const NIC: &[Field] = &[
    ("device", "device", Read::Text),
    ("mac_address", "mac", Read::Text),
    ("driver", "driver", Read::Text),
    ("pci", "pci", Read::Text),
    ("link_mbps", "linkSpeed.speedMb", Read::Number),
    ("full_duplex", "linkSpeed.duplex", Read::Flag),
];

pub(super) const NETWORKING: &[Field] = &[
    ("dns_name", "config.network.dnsConfig.hostName", Read::Text),
    ("domain", "config.network.dnsConfig.domainName", Read::Text),
    ("dns_servers", "config.network.dnsConfig.address", Read::Texts),
    ("dns_by_dhcp", "config.network.dnsConfig.dhcp", Read::Flag),
    ("search_domains", "config.network.dnsConfig.searchDomain", Read::Texts),
    ("default_gateway", "config.network.ipRouteConfig.defaultGateway", Read::Text),
    ("ipv6_gateway", "config.network.ipRouteConfig.ipV6DefaultGateway", Read::Text),
];

pub(super) const NETWORKS: &[Field] = &[
    ("switches", "config.network.vswitch", Read::Rows(SWITCH)),
    ("distributed_switches", "config.network.proxySwitch", Read::Rows(PROXY)),
    ("port_groups", "config.network.portgroup", Read::Rows(GROUP)),
];

pub(super) const NETWORKING_MORE: &[&str] =
    &["config.network.pnic", "config.network.vnic", "config.virtualNicManagerInfo.netConfig"];

pub(super) const SWITCH: &[Field] = &[
    ("name", "name", Read::Text),
    ("uplinks", "pnic", Read::Keys),
    ("mtu", "mtu", Read::Number),
    ("ports", "numPorts", Read::Number),
    ("ports_free", "numPortsAvailable", Read::Number),
];

pub(super) const PROXY: &[Field] = &[
    ("name", "dvsName", Read::Text),
    ("uplinks", "pnic", Read::Keys),
    ("mtu", "mtu", Read::Number),
];

pub(super) const GROUP: &[Field] = &[
    ("name", "spec.name", Read::Text),
    ("vlan", "spec.vlanId", Read::Number),
    ("switch", "spec.vswitchName", Read::Text),
];

pub(super) const KERNEL_NIC: &[Field] = &[
    ("device", "device", Read::Text),
    ("ip_address", "spec.ip.ipAddress", Read::Text),
    ("netmask", "spec.ip.subnetMask", Read::Text),
    ("dhcp", "spec.ip.dhcp", Read::Flag),
    ("mac_address", "spec.mac", Read::Text),
    ("mtu", "spec.mtu", Read::Number),
    ("port_group", "portgroup", Read::Text),
    ("distributed_port_group", "spec.distributedVirtualPort.portgroupKey", Read::Text),
    ("stack", "spec.netStackInstanceKey", Read::Text),
];

pub(super) const STATS: &[Field] = &[
    ("connection_state", "runtime.connectionState", Read::Text),
    ("cpu_usage_mhz", "summary.quickStats.overallCpuUsage", Read::Number),
    ("memory_usage_mb", "summary.quickStats.overallMemoryUsage", Read::Number),
    ("memory_mb", "summary.hardware.memorySize", Read::Megabytes),
    ("uptime_seconds", "summary.quickStats.uptime", Read::Number),
    ("vms", "vm", Read::Count),
];

pub(super) const STATS_MORE: &[&str] = &["summary.hardware.cpuMhz", "summary.hardware.numCpuCores"];

pub(super) const STORE: &[Field] = &[
    ("type", "summary.type", Read::Text),
    ("capacity_gb", "summary.capacity", Read::Gigabytes),
    ("free_gb", "summary.freeSpace", Read::Gigabytes),
    ("accessible", "summary.accessible", Read::Flag),
];
