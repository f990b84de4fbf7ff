//! Two appliances for the tests, in the styles of the two makers that people meet most.

/// Up to the first section.
pub const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vbox="http://www.virtualbox.org/ovf/machine"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
"#;

/// As exported by VMware tools: sizes as options, properties, settings of devices.
pub fn appliance() -> String {
    let item = |number: u32, kind: u32, more: &str| {
        format!(
            "<Item{more}<rasd:InstanceID>{number}</rasd:InstanceID>\
             <rasd:ResourceType>{kind}</rasd:ResourceType></Item>\n"
        )
    };
    let mut text = format!(
        r#"{HEAD}<References>
    <File ovf:href="app-disk1.vmdk" ovf:id="file1" ovf:size="700000"/>
    <File ovf:href="app-data.vmdk.gz" ovf:id="file2" ovf:size="1000" ovf:compression="gzip" ovf:chunkSize="500"/>
    <File ovf:href="media/tools.iso" ovf:id="file3" ovf:size="2048"/>
    <File ovf:href="app.nvram" ovf:id="file4" ovf:size="8684"/>
  </References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:capacity="16" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" ovf:populatedSize="1500000"/>
    <Disk ovf:capacity="${{data.gb}}" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk2"/>
    <Disk ovf:capacity="1048576" ovf:diskId="vmdisk3" ovf:fileRef="file2" ovf:format="http://www.vmware.com/specifications/vmdk.html#sparse"/>
  </DiskSection>
  <NetworkSection><Info>Nets</Info><Network ovf:name="Management"><Description>Where it is managed</Description></Network></NetworkSection>
  <DeploymentOptionSection><Info>Sizes</Info>
    <Configuration ovf:id="tiny"><Label>Tiny</Label><Description>For trials</Description></Configuration>
    <Configuration ovf:id="small" ovf:default="true"><Label>Small</Label><Description ovf:msgid="small.d"/></Configuration>
  </DeploymentOptionSection>
  <VirtualSystem ovf:id="app"><Info>An appliance</Info><Name>Appliance</Name>
    <OperatingSystemSection ovf:id="100" vmw:osType="vmwarePhoton64Guest"><Info>OS</Info></OperatingSystemSection>
    <AnnotationSection><Info>Note</Info><Annotation>Made for &amp; by tests</Annotation></AnnotationSection>
    <EulaSection><Info>Licence</Info><License ovf:msgid="eula"/></EulaSection>
    <ProductSection ovf:class="net" ovf:instance="0" ovf:required="false"><Info>P</Info><Product>App</Product><Vendor>Maker</Vendor><FullVersion>1.2.3 b4</FullVersion>
      <Category>Network</Category>
      <Property ovf:key="ip" ovf:type="string" ovf:userConfigurable="true" vmw:qualifiers="Ip"><Label>Address</Label><Description>Static</Description></Property>
      <Property ovf:key="dhcp" ovf:type="boolean" ovf:value="true" ovf:userConfigurable="true"><Value ovf:value="false" ovf:configuration="tiny"/></Property>
    </ProductSection>
    <ProductSection ovf:class="data"><Info>D</Info><Property ovf:key="gb" ovf:type="uint32" ovf:value="40"/>
      <Property ovf:key="secret" ovf:type="string" ovf:password="true"/></ProductSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo iso"><Info>HW</Info>
      <System><vssd:ElementName>F</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-08 vmx-13 vmx-99</vssd:VirtualSystemType></System>
"#
    );
    let cpu = |more: &str, count: u32| {
        format!("{more}><rasd:VirtualQuantity>{count}</rasd:VirtualQuantity>")
    };
    text += &item(1, 3, &cpu("", 2));
    text += &item(1, 3, &cpu(" ovf:configuration=\"tiny\"", 1));
    text += &item(
        2,
        4,
        &format!("{}<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>", cpu("", 4096)),
    );
    let on = |more: &str, at: u32, resource: &str| {
        format!(
            "{more}><rasd:Parent>3</rasd:Parent><rasd:AddressOnParent>{at}</rasd:AddressOnParent>\
             <rasd:HostResource>{resource}</rasd:HostResource>"
        )
    };
    text += &item(10, 17, &on("", 0, "ovf:/disk/vmdisk1"));
    text += &item(11, 17, &on("", 7, "ovf:/disk/vmdisk2"));
    text += &item(12, 17, &on("", 1, "/disk/vmdisk3"));
    text += &item(
        3,
        6,
        "><rasd:Address>0</rasd:Address><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>",
    );
    text += &item(4, 5, "><rasd:Address>1</rasd:Address>");
    text += &item(
        5,
        15,
        "><rasd:Parent>4</rasd:Parent><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/file/file3</rasd:HostResource><rasd:ResourceSubType>vmware.cdrom.iso</rasd:ResourceSubType>",
    );
    text += &item(
        6,
        10,
        "><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>Management</rasd:Connection><rasd:ResourceSubType>VmxNet3 E1000</rasd:ResourceSubType><vmw:Config ovf:required=\"false\" vmw:key=\"slotInfo.pciSlotNumber\" vmw:value=\"192\"/>",
    );
    text += &item(
        7,
        24,
        " ovf:required=\"false\"><vmw:Config ovf:required=\"false\" vmw:key=\"videoRamSizeInKB\" vmw:value=\"8192\"/>",
    );
    text += &item(
        8,
        1,
        " ovf:required=\"false\"><rasd:ResourceSubType>vmware.vmci</rasd:ResourceSubType>",
    );
    text += &item(
        9,
        21,
        "><rasd:ResourceSubType>vmware.serialport.uri</rasd:ResourceSubType><rasd:HostResource>telnet://:9000</rasd:HostResource>",
    );
    text += &item(13, 23, "><rasd:ResourceSubType>vmware.usb.xhci</rasd:ResourceSubType>");
    text += &item(
        14,
        14,
        " ovf:required=\"false\"><rasd:ResourceSubType>vmware.floppy.remotedevice</rasd:ResourceSubType>",
    );
    text += &item(15, 20, "><rasd:ResourceSubType>vmware.sata.ahci</rasd:ResourceSubType>");
    text += &item(16, 77, " ovf:required=\"false\">");
    text += r#"<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
      <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>
      <vmw:Config ovf:required="false" vmw:key="no.such" vmw:value="x"/>
      <vmw:ExtraConfig ovf:required="false" vmw:key="disk.EnableUUID" vmw:value="TRUE"/>
      <vmw:ExtraConfig ovf:required="false" vmw:key="nvram" vmw:value="ovf:/file/file4"/>
    </VirtualHardwareSection></VirtualSystem>
  <Strings xml:lang="en-US"><Msg ovf:msgid="eula">Be kind.</Msg><Msg ovf:msgid="small.d">For ten</Msg></Strings>
</Envelope>"#;
    text
}

/// As VirtualBox writes it: its own family, MegaBytes, a section of its own, a sound card.
pub fn virtual_box(family: &str) -> String {
    format!(
        r#"{HEAD}<References><File ovf:id="file1" ovf:href="box-disk001.vmdk"/></References>
  <DiskSection><Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="10737418240" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" vbox:uuid="1"/></DiskSection>
  <NetworkSection><Info>Logical networks used in the package</Info><Network ovf:name="NAT"><Description>Logical network used by this appliance.</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="box"><Info>A virtual machine</Info>
    <OperatingSystemSection ovf:id="94"><Info>The kind</Info><Description>Ubuntu_64</Description></OperatingSystemSection>
    <VirtualHardwareSection><Info>Virtual hardware requirements</Info>
      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>{family}</vssd:VirtualSystemType></System>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>PIIX4</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>3</rasd:AddressOnParent><rasd:AutomaticAllocation>false</rasd:AutomaticAllocation><rasd:InstanceID>6</rasd:InstanceID><rasd:ResourceSubType>ensoniq1371</rasd:ResourceSubType><rasd:ResourceType>35</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>7</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>NAT</rasd:Connection><rasd:InstanceID>8</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
    <vbox:Machine ovf:required="false" version="1.12-linux"><ovf:Info>Complete VirtualBox machine configuration</ovf:Info></vbox:Machine>
  </VirtualSystem></Envelope>"#
    )
}
