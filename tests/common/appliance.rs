//! Appliances of any size for tests: a descriptor, a disk that begins as a streamOptimized VMDK does,
//! and archives of them, whole or damaged.

#![allow(dead_code, reason = "each test file uses its part")]

use jumpvisor::ova::write::{END, header};

pub const DISK: &str = "app-disk1.vmdk";
pub const SECOND: &str = "app-disk2.vmdk";

/// The descriptor of an appliance with these disks and their sizes in bytes.
pub fn descriptor(disks: &[(&str, usize)]) -> String {
    let mut files = String::new();
    let mut sections = String::new();
    let mut items = String::new();
    for (at, (name, size)) in disks.iter().enumerate() {
        files
            .push_str(&format!(r#"<File ovf:href="{name}" ovf:id="file{at}" ovf:size="{size}"/>"#));
        sections.push_str(&format!(
            r#"<Disk ovf:capacity="67108864" ovf:capacityAllocationUnits="byte" ovf:diskId="disk{at}" ovf:fileRef="file{at}" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>"#
        ));
        items.push_str(&format!(
            "<Item><rasd:AddressOnParent>{at}</rasd:AddressOnParent><rasd:ElementName>disk{at}</rasd:ElementName><rasd:HostResource>ovf:/disk/disk{at}</rasd:HostResource><rasd:InstanceID>{}</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>",
            20 + at
        ));
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References>{files}</References>
<DiskSection><Info>Disks</Info>{sections}</DiskSection>
<NetworkSection><Info>Networks</Info><Network ovf:name="VM Network"><Description>Where it works</Description></Network></NetworkSection>
<VirtualSystem ovf:id="app"><Info>An appliance</Info><Name>app</Name>
<OperatingSystemSection ovf:id="96"><Info>OS</Info></OperatingSystemSection>
<ProductSection><Info>Product</Info><Product>App</Product><Vendor>Maker</Vendor><Version>1.2</Version><Property ovf:key="host.name" ovf:type="string" ovf:userConfigurable="true" ovf:value="app"><Label>Host name</Label></Property></ProductSection>
<VirtualHardwareSection ovf:transport="com.vmware.guestInfo"><Info>Hardware</Info>
<System><vssd:ElementName>Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>app</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
<Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
<Item><rasd:Address>0</rasd:Address><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
{items}
<Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>nic</rasd:ElementName><rasd:InstanceID>7</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>
"#
    )
}

/// So many bytes that begin as a streamOptimized VMDK does.
pub fn disk(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(b"KDMV");
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0x3_0001_u32.to_le_bytes());
    bytes.extend(131_072_u64.to_le_bytes());
    bytes.extend(128_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(512_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend(128_u64.to_le_bytes());
    bytes.extend(b"\0\n \r\n\x01\0");
    bytes.resize(512, 0);
    bytes.extend((512..size).map(|at| (at % 251) as u8));
    bytes
}

/// An archive of these members, in this order.
pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, data) in members {
        all.extend(header(name, data.len() as u64, 0).unwrap());
        all.extend_from_slice(data);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.extend(END);
    all
}

/// The manifest's line for a file.
pub fn line(name: &str, data: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    let hex: String = digest.as_ref().iter().map(|it| format!("{it:02x}")).collect();
    format!("SHA256({name})= {hex}\n")
}

/// Descriptor, manifest and one disk of this size.
pub fn whole(size: usize) -> Vec<u8> {
    let text = descriptor(&[(DISK, size)]);
    let disk = disk(size);
    let manifest = line("app.ovf", text.as_bytes()) + &line(DISK, &disk);
    archive(&[("app.ovf", text.as_bytes()), ("app.mf", manifest.as_bytes()), (DISK, &disk)])
}
