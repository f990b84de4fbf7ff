//! Imports and exports: descriptors, leases and what travels over them.

use std::io::Cursor;
use std::io::Read;

use jumpvisor::sim::http::Broken;
use jumpvisor::sim::vmdk::looks;
use jumpvisor::sim::vmdk::stream_optimized;
use jumpvisor::text::xml;

use crate::host::FILES;
use crate::host::Host;
use crate::host::Reply;
use crate::host::between;

const OVF: &str = "OvfManager:ha-ovf-manager";
const POOL: &str = "ResourcePool:ha-root-pool";
const DESCRIPTOR: &str = r#"<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References><File ovf:href="d.vmdk" ovf:id="f1"/><File ovf:href="tools.iso" ovf:id="f2" ovf:size="2048"/></References>
<DiskSection><Info>d</Info><Disk ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="d1" ovf:fileRef="f1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<VirtualSystem ovf:id="app"><Info>a</Info><Name>app</Name>
<OperatingSystemSection ovf:id="100"><Info>o</Info></OperatingSystemSection>
<VirtualHardwareSection><Info>h</Info><System><vssd:ElementName>F</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
<Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:Address>1</rasd:Address><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceType>5</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/file/f2</rasd:HostResource><rasd:InstanceID>6</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceSubType>vmware.cdrom.iso</rasd:ResourceSubType><rasd:ResourceType>15</rasd:ResourceType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>"#;

fn escaped(text: &str) -> String {
    let mut out = String::new();
    xml::escape(&mut out, text, false).unwrap();
    out
}

/// The specification of a machine of this name, and the ids of the files to send.
fn spec(host: &Host, name: &str) -> (String, Vec<String>) {
    let args = format!(
        "<ovfDescriptor>{}</ovfDescriptor><resourcePool>ha-root-pool</resourcePool><datastore>\
         66a1c0de-0001</datastore><cisp><locale/><deploymentOption/><entityName>{name}</entityName>\
         <diskProvisioning>thin</diskProvisioning></cisp>",
        escaped(DESCRIPTOR)
    );
    let reply = host.call(OVF, "CreateImportSpec", &args);
    let spec = between(&reply, "<importSpec", "</importSpec>");
    assert!(!spec.is_empty(), "{reply}");
    let files = reply.split("<deviceId>").skip(1);
    let files = files.map(|it| it.split('<').next().unwrap().to_owned()).collect();
    (format!("<spec{spec}</spec>"), files)
}

struct Lease {
    id: String,
    object: String,
    info: String,
    urls: Vec<String>,
}

fn lease(host: &Host, reply: &str) -> Lease {
    let id = between(reply, "<returnval type=\"HttpNfcLease\">", "<").to_owned();
    assert!(!id.is_empty(), "{reply}");
    assert!(host.property("HttpNfcLease", &id, "state").contains(">initializing<"));
    host.wait("HttpNfcLease", &id, "state", &["ready", "error"]);
    let info = host.property("HttpNfcLease", &id, "info");
    let urls = info.split("<url>https://*").skip(1);
    let urls = urls.map(|it| it.split('<').next().unwrap().to_owned()).collect();
    Lease { object: format!("HttpNfcLease:{id}"), id, info, urls }
}

fn import(host: &Host, name: &str) -> Lease {
    let (spec, _) = spec(host, name);
    lease(host, &host.call(POOL, "ImportVApp", &spec))
}

fn disk() -> Vec<u8> {
    let mut bytes = Vec::new();
    stream_optimized(2 << 20, 1).read_to_end(&mut bytes).unwrap();
    bytes
}

fn send(host: &Host, method: &str, url: &str, body: &[u8]) -> Reply {
    host.ask(method, url, &[("Overwrite", "t")], &mut Cursor::new(body))
}

fn machines(host: &Host, name: &str) -> usize {
    let all = host.property("Folder", "ha-folder-vm", "childEntity");
    let ids = all.split("type=\"VirtualMachine\"").skip(1);
    let ids = ids.filter_map(|it| it.split_once('>')?.1.split('<').next());
    let own = format!(">{name}<");
    ids.filter(|id| host.property("VirtualMachine", id, "name").contains(&own)).count()
}

#[test]
fn a_whole_import() {
    let host = Host::new();
    let (_, files) = spec(&host, "app1");
    let lease = import(&host, "app1");
    assert!(lease.info.contains("<leaseTimeout>300<"), "{}", lease.info);
    assert!(lease.info.contains("<totalDiskCapacityInKB>1048576<"), "{}", lease.info);
    assert_eq!((files.len(), lease.urls.len()), (2, 2), "{}", lease.info);
    // Nobody named a host, and it is on one nevertheless.
    let id =
        lease.info.split("type=\"VirtualMachine\">").nth(1).unwrap().split('<').next().unwrap();
    let runtime = host.property("VirtualMachine", id, "runtime");
    assert!(runtime.contains("<host type=\"HostSystem\">ha-host</host>"), "{runtime}");
    for file in &files {
        assert!(lease.info.contains(&format!("<importKey>{file}<")), "{file} {}", lease.info);
    }
    let disk = disk();
    let (first, image) = (&lease.urls[0], &lease.urls[1]);
    assert!(first.starts_with("/ha-nfc/52") && first.ends_with("/disk-0.vmdk"), "{first}");
    assert_eq!(send(&host, "POST", first, b"not a disk at all").status, 500);
    assert_eq!(send(&host, "PUT", first, &disk).status, 405);
    assert_eq!(send(&host, "POST", first, &disk).status, 200);
    assert_eq!(send(&host, "POST", first, &disk).status, 409);
    assert_eq!(host.ask("PUT", image, &[], &mut Cursor::new(b"iso")).status, 403);
    assert_eq!(send(&host, "PUT", image, &[5; 2048]).status, 201);
    assert_eq!(send(&host, "PUT", image, &[6; 2048]).status, 201);
    assert_eq!(host.ask("PUT", image, &[], &mut Cursor::new(b"iso")).status, 409);
    assert_eq!(send(&host, "PUT", "/ha-nfc/5200/disk-0.vmdk", &disk).status, 404);
    let progress = |percent: &str| {
        let args = format!("<percent>{percent}</percent>");
        host.call(&lease.object, "HttpNfcLeaseProgress", &args)
    };
    assert!(progress("101").contains("InvalidArgument") && progress("-1").contains("InvalidArg"));
    assert!(progress("50").contains("HttpNfcLeaseProgressResponse"));
    assert!(host.property("HttpNfcLease", &lease.id, "transferProgress").contains(">50<"));
    let key = between(&lease.info, "<key>", "<");
    let kinds = format!(
        "<deviceUrlsToChecksumTypes><key>{key}</key><value>sha256</value></deviceUrlsToChecksumTypes>"
    );
    host.call(&lease.object, "HttpNfcLeaseSetManifestChecksumType", &kinds);
    let manifest = host.call(&lease.object, "HttpNfcLeaseGetManifest", "");
    let uploads: Vec<_> = host.simulator.world().nfc.uploads.iter().cloned().collect();
    assert!(manifest.contains(&format!("<checksum>{}<", uploads[0].sums.sha256)), "{manifest}");
    assert!(manifest.contains(&format!("<sha1>{}<", uploads[2].sums.sha1)), "{manifest}");
    assert!(manifest.contains(&format!("<size>{}<", disk.len())), "{manifest}");
    let machine = between(&lease.info, "type=\"VirtualMachine\">", "<");
    let vm = format!("VirtualMachine:{machine}");
    assert!(host.call(&vm, "PowerOnVM_Task", "").contains("InvalidState"));
    assert!(host.call(&lease.object, "HttpNfcLeaseComplete", "").contains("Response"));
    assert!(host.call(&lease.object, "HttpNfcLeaseComplete", "").contains("ManagedObjectNotFound"));
    assert!(host.task(&vm, "PowerOnVM_Task", "").contains("success"));
    assert_eq!(machines(&host, "app1"), 1);
    assert_eq!(host.simulator.world().files.size("[datastore1] app1/tools.iso"), 2048);
}

#[test]
fn what_ends_badly_leaves_nothing() {
    let host = Host::new();
    let files = || host.simulator.world().files.all.len();
    let before = files();
    let lease = import(&host, "app2");
    assert_eq!((machines(&host, "app2"), files() > before), (1, true));
    // A body that breaks off is no upload.
    let mut cut = Cursor::new(disk()).take(5000).chain(Broken);
    assert_eq!(host.ask("POST", &lease.urls[0], &[], &mut cut).status, 400);
    assert!(!host.call(&lease.object, "HttpNfcLeaseGetManifest", "").contains("<sha1>"));
    assert_eq!(send(&host, "POST", &lease.urls[0], &disk()).status, 200);
    assert!(host.call(&lease.object, "HttpNfcLeaseAbort", "").contains("Response"));
    assert_eq!(send(&host, "POST", &lease.urls[0], &disk()).status, 404);
    assert_eq!((machines(&host, "app2"), files()), (0, before));
    // Nobody tells of progress.
    let lease = import(&host, "app3");
    send(&host, "PUT", &lease.urls[1], &[5; 2048]);
    host.wait("HttpNfcLease", &lease.id, "state", &["error"]);
    assert!(host.property("HttpNfcLease", &lease.id, "error").contains("Timedout"));
    assert!(host.call(&lease.object, "HttpNfcLeaseComplete", "").contains("Timedout"));
    assert_eq!((machines(&host, "app3"), files()), (0, before));
    assert_eq!(send(&host, "POST", &lease.urls[0], &disk()).status, 404);
    // A name that is taken.
    let lease = import(&host, "web01");
    assert!(host.property("HttpNfcLease", &lease.id, "error").contains("DuplicateName"));
    assert!(host.call(FILES, "ImportVApp", "").contains("Fault"));
}

#[test]
fn an_export() {
    let host = Host::new();
    let id = |name: &str| {
        let world = host.simulator.world();
        let found = world.machines.values().find(|it| it.name == name);
        format!("VirtualMachine:{}", found.unwrap().id)
    };
    assert!(host.call(&id("web01"), "ExportVm", "").contains("InvalidPowerState"));
    let vm = id("test01");
    let lease = lease(&host, &host.call(&vm, "ExportVm", ""));
    assert_eq!(lease.urls.len(), 1, "{}", lease.info);
    assert!(lease.info.contains("<importKey></importKey>"), "{}", lease.info);
    let disk = host.ask("GET", &lease.urls[0], &[], &mut Cursor::new(b""));
    assert_eq!(looks(&disk.body[..512]), Ok(20 << 30));
    let manifest = host.call(&lease.object, "HttpNfcLeaseGetManifest", "");
    assert!(manifest.contains(&format!("<size>{}<", disk.body.len())), "{manifest}");
    assert!(host.call(&vm, "PowerOnVM_Task", "").contains("InvalidState"));
    let key = between(&lease.info, "<key>", "<");
    let files = format!(
        "<obj type=\"VirtualMachine\">{}</obj><cdp><ovfFiles><deviceId>{key}</deviceId><path>\
         disk.vmdk</path><size>{}</size></ovfFiles><name>test01</name></cdp>",
        vm.split_once(':').unwrap().1,
        disk.body.len()
    );
    let described = host.call(OVF, "CreateDescriptor", &files);
    assert!(described.contains("ovf:href=\"disk.vmdk\""), "{described}");
    assert!(host.call(&lease.object, "HttpNfcLeaseComplete", "").contains("Response"));
    assert!(host.task(&vm, "PowerOnVM_Task", "").contains("success"));
}

#[test]
fn descriptors() {
    let host = Host::new();
    let text = escaped(DESCRIPTOR);
    let parse =
        format!("<ovfDescriptor>{text}</ovfDescriptor><pdp><locale/><deploymentOption/></pdp>");
    let parsed = host.call(OVF, "ParseDescriptor", &parse);
    assert!(parsed.contains("<defaultEntityName>app<"), "{parsed}");
    let validate = format!(
        "<ovfDescriptor>{text}</ovfDescriptor><host>ha-host</host><vhp><locale/>\
         <deploymentOption/></vhp>"
    );
    assert!(host.call(OVF, "ValidateHost", &validate).contains("supportedDiskProvisioning"));
    assert!(host.property("OvfManager", "ha-ovf-manager", "ovfExportOption").contains(">mac<"));
}
