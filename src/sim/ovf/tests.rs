//! Descriptors as makers of appliances write them, and what a host makes of them.

#![allow(clippy::unwrap_used)]

use crate::sim::ovf::HostFacts;
use crate::sim::ovf::create_descriptor;
use crate::sim::ovf::import_spec;
use crate::sim::ovf::parse_descriptor;
use crate::sim::ovf::sample_tests::HEAD;
use crate::sim::ovf::sample_tests::appliance;
use crate::sim::ovf::sample_tests::virtual_box;
use crate::sim::ovf::slot;
use crate::vim::table::TypeKind;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;

fn backing(name: &str) -> Object {
    Object::new("VirtualEthernetCardNetworkBackingInfo").with("deviceName", name)
}

fn params() -> Object {
    let mapping = Object::new("OvfNetworkMapping")
        .with("name", "Management")
        .with("network", Ref::new("Network", "HaNetwork-LAN"));
    Object::new("OvfCreateImportSpecParams")
        .with("locale", "")
        .with("deploymentOption", "")
        .with("entityName", "app01")
        .with("networkMapping", vec![mapping])
        .with("diskProvisioning", "thin")
}

fn imported(text: &str, cisp: &Object, standalone: bool) -> Object {
    let network = |it: &Ref| Some(backing(it.id.strip_prefix("HaNetwork-")?));
    let named = |it: &str| (it == "VM Network").then(|| backing(it));
    let host = HostFacts {
        newest_hardware: 21,
        standalone,
        datastore: "[ds1]",
        network: &network,
        network_named: &named,
    };
    let result = import_spec(text, cisp, &host);
    valid(&result, "result");
    result
}

/// Every field is one of its type, and what must be there is there.
fn valid(object: &Object, path: &str) {
    let ty = object.ty().unwrap_or_else(|| panic!("{path}: no type {}", object.kind()));
    for (name, value) in object.fields() {
        let path = format!("{path}.{name}");
        let field = ty.field(name).unwrap_or_else(|| panic!("{path}: no field of {ty:?}"));
        assert_eq!(field.array, matches!(value, Value::List(_)), "{path}");
        for item in value.items() {
            match (item, field.ty.kind(), field.ty.name()) {
                (Value::Object(inner), TypeKind::Data, declared) => {
                    assert!(inner.is(declared) || declared == "LocalizedMethodFault", "{path}");
                    valid(inner, &path);
                }
                (Value::Text(text), TypeKind::Enum, _) => {
                    assert!(field.ty.values().any(|it| it == text), "{path}: {text}");
                }
                (Value::Text(_), _, "string") | (Value::Bool(_), _, "boolean") => {}
                (Value::Int(number), _, "int") => assert!(i32::try_from(*number).is_ok(), "{path}"),
                (Value::Int(_), _, "long") | (_, _, "anyType") | (Value::Ref(_), ..) => {}
                other => panic!("{path}: {other:?}"),
            }
        }
    }
    for field in ty.fields().filter(|it| !it.optional) {
        assert!(object.get(field.name).is_some(), "{path}: {} lacks {}", object.kind(), field.name);
    }
}

fn found(result: &Object, list: &str) -> Vec<String> {
    let line = |it: &Object| {
        format!("{}: {}", it.object("fault").unwrap().kind(), it.text("localizedMessage").unwrap())
    };
    result.objects(list).map(line).collect()
}

fn devices(spec: &Object) -> Vec<&Object> {
    spec.objects("deviceChange").map(|it| it.object("device").unwrap()).collect()
}

fn of<'a>(all: &[&'a Object], kind: &str) -> Vec<&'a Object> {
    all.iter().copied().filter(|it| it.is(kind)).collect()
}

#[test]
fn an_appliance_becomes_a_machine() {
    let result = imported(&appliance(), &params(), true);
    assert_eq!(found(&result, "error"), Vec::<String>::new());
    let warnings = found(&result, "warning");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0]
            .contains("instance ID '16': No support for the virtual hardware device type '77'")
    );
    assert!(warnings[1].contains("Invalid value 'no.such'"), "{warnings:?}");
    let spec = result.object("importSpec.configSpec").unwrap();
    assert_eq!(spec.text("name"), Some("app01"));
    assert_eq!(spec.text("guestId"), Some("vmwarePhoton64Guest"));
    assert_eq!(spec.text("version"), Some("vmx-13"));
    assert_eq!(spec.text("annotation"), Some("Made for & by tests"));
    assert_eq!((spec.int("numCPUs"), spec.int("memoryMB")), (Some(2), Some(4096)));
    assert_eq!(spec.text("firmware"), Some("efi"));
    assert_eq!(spec.flag("bootOptions.efiSecureBootEnabled"), Some(true));
    assert_eq!(spec.objects("extraConfig").next().unwrap().text("key"), Some("disk.EnableUUID"));
    assert_eq!(spec.get("vAppConfig"), None, "a host alone has no properties");
    let all = devices(spec);
    assert!(all.iter().all(|it| it.int("key").unwrap() < 0));
    let disks = of(&all, "VirtualDisk");
    let scsi = of(&all, "ParaVirtualSCSIController")[0];
    let at: Vec<_> = disks.iter().map(|it| it.int("unitNumber").unwrap()).collect();
    assert_eq!(at, [0, 1, 2], "unit 7 is the controller's own");
    assert!(disks.iter().all(|it| it.int("controllerKey") == scsi.int("key")));
    let sizes: Vec<_> = disks.iter().map(|it| it.int("capacityInKB").unwrap()).collect();
    assert_eq!(sizes, [16 << 20, 40 << 20, 1024]);
    assert_eq!(disks[0].flag("backing.thinProvisioned"), Some(true));
    assert_eq!(disks[0].text("backing.fileName"), Some("[ds1]"));
    let card = of(&all, "VirtualVmxnet3")[0];
    assert_eq!(card.text("backing.deviceName"), Some("LAN"));
    assert_eq!(card.int("slotInfo.pciSlotNumber"), Some(192));
    assert_eq!(of(&all, "VirtualCdrom")[0].text("backing.fileName"), Some("[ds1] tools.iso"));
    assert_eq!(of(&all, "VirtualIDEController")[0].int("busNumber"), Some(1));
    assert_eq!(of(&all, "VirtualSerialPort")[0].text("backing.serviceURI"), Some("telnet://:9000"));
    assert_eq!(of(&all, "VirtualMachineVideoCard")[0].int("videoRamSizeInKB"), Some(8192));
    for kind in ["VirtualUSBXHCIController", "VirtualFloppy", "VirtualAHCIController"] {
        assert_eq!(of(&all, kind).len(), 1, "{kind}");
    }
    let files: Vec<_> = result
        .objects("fileItem")
        .map(|it| {
            let text = |name| it.text(name).unwrap_or("-");
            let (kind, create) = (it.int("cimType").unwrap(), it.flag("create").unwrap());
            format!(
                "{} {} {kind} {create} {}",
                text("deviceId"),
                text("path"),
                text("compressionMethod")
            )
        })
        .collect();
    assert_eq!(
        files,
        [
            "/app01/ParaVirtualSCSIController0:0 app-disk1.vmdk 17 false -",
            "/app01/ParaVirtualSCSIController0:2 app-data.vmdk.gz 17 false gzip",
            "/app01/VirtualIDEController1:0 media/tools.iso 15 true -",
            "/app01/nvram app.nvram 0 true -",
        ]
    );
}

#[test]
fn options_properties_and_provisioning_are_the_callers() {
    let text = appliance();
    let pair =
        |key: &str, value: &str| Object::new("KeyValue").with("key", key).with("value", value);
    let mut cisp = params();
    cisp.set("deploymentOption", "tiny");
    cisp.set("diskProvisioning", "eagerZeroedThick");
    cisp.set("propertyMapping", vec![pair("net.ip.0", "10.0.0.5"), pair("data.gb", "7")]);
    let result = imported(&text, &cisp, false);
    let spec = result.object("importSpec.configSpec").unwrap();
    assert_eq!(spec.int("numCPUs"), Some(1));
    let all = devices(spec);
    let disk = of(&all, "VirtualDisk")[1];
    assert_eq!(disk.int("capacityInBytes"), Some(7 << 30));
    assert_eq!(disk.flag("backing.eagerlyScrub"), Some(true));
    let properties: Vec<_> =
        spec.objects("vAppConfig.property").map(|it| it.object("info").unwrap()).collect();
    assert_eq!(properties[0].text("value"), Some("10.0.0.5"));
    assert_eq!(properties[0].text("type"), Some("ip"));
    assert_eq!(properties[1].text("defaultValue"), Some("false"), "of the option");
    assert_eq!(properties[3].text("type"), Some("password"));
    assert_eq!(spec.texts("vAppConfig.ovfEnvironmentTransport").count(), 2);
    cisp.set("deploymentOption", "huge");
    cisp.set("diskProvisioning", "sparse");
    let errors = found(&imported(&text, &cisp, true), "error");
    assert!(errors[0].starts_with("OvfInvalidValueConfiguration: "), "{errors:?}");
    assert!(errors.iter().any(|it| it.contains("Unsupported disk provisioning 'sparse'")));
}

#[test]
fn a_machine_of_virtual_box_is_refused_as_by_hosts() {
    let result = imported(&virtual_box("virtualbox-2.2"), &params(), true);
    assert!(result.get("importSpec").is_none());
    let errors = found(&result, "error");
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert_eq!(
        errors[0],
        "OvfNoSupportedHardwareFamily: Line 14: Unsupported hardware family 'virtualbox-2.2'."
    );
    assert!(
        errors[1].contains("No support for the virtual hardware device type '35'"),
        "{errors:?}"
    );
    assert!(errors[2].starts_with("OvfNoHostNic: "), "{errors:?}");
    let warnings = found(&result, "warning");
    assert!(warnings[0].contains(
        "Unsupported section '{http://www.virtualbox.org/ovf/machine}Machine' (Complete VirtualBox"
    ));
    // What people change to get it in.
    let text = virtual_box("vmx-10").replace("NAT", "VM Network").replace(">35<", ">1<");
    let text = text.replace("ensoniq1371", "vmware.soundcard.ensoniq1371");
    let result = imported(&text, &params(), true);
    assert_eq!(found(&result, "error"), Vec::<String>::new());
    let spec = result.object("importSpec.configSpec").unwrap();
    assert_eq!((spec.text("guestId"), spec.int("memoryMB")), (Some("ubuntu64Guest"), Some(1024)));
    let item = result.objects("fileItem").next().unwrap();
    assert_eq!(item.text("deviceId"), Some("/app01/VirtualAHCIController0:0"));
    assert_eq!(item.get("size"), None);
}

#[test]
fn what_people_are_asked_is_parsed() {
    let params =
        Object::new("OvfParseDescriptorParams").with("locale", "").with("deploymentOption", "");
    let result = parse_descriptor(&appliance(), &params);
    valid(&result, "result");
    assert_eq!(result.texts("eula").collect::<Vec<_>>(), ["Be kind."]);
    assert_eq!(result.text("defaultDeploymentOption"), Some("small"));
    let options: Vec<_> =
        result.objects("deploymentOption").map(|it| it.text("description").unwrap()).collect();
    assert_eq!(options, ["For trials", "For ten"]);
    assert_eq!(
        result.objects("network").next().unwrap().text("description"),
        Some("Where it is managed")
    );
    assert_eq!(result.text("productInfo.fullVersion"), Some("1.2.3 b4"));
    assert_eq!(result.objects("property").count(), 4);
    assert_eq!(result.objects("property").next().unwrap().text("category"), Some("Network"));
    assert_eq!(result.int("approximateDownloadSize"), Some(711_732));
    assert_eq!(result.int("approximateFlatDeploymentSize"), Some(-1), "one size is a property");
    assert_eq!(result.text("defaultEntityName"), Some("Appliance"));
    assert_eq!(result.flag("virtualApp"), Some(false));
}

#[test]
fn what_is_no_descriptor_is_told_with_its_line() {
    let first = |text: &str| {
        let parsed = parse_descriptor(text, &Object::new("OvfParseDescriptorParams"));
        valid(&parsed, "parsed");
        let result = imported(text, &params(), true);
        found(&result, "error").first().cloned().unwrap_or_default()
    };
    assert!(
        first("<Envelope>\n\n<a></b>").starts_with("OvfXmlFormat: Line 3: "),
        "{}",
        first("<Envelope>\n\n<a></b>")
    );
    assert!(first("").starts_with("OvfXmlFormat: "));
    assert!(first("<Envelope xmlns='urn:x'/>").starts_with("OvfWrongNamespace: "));
    assert!(first("<a/>").contains("Missing child element 'Envelope'"));
    assert!(first(&format!("{HEAD}</Envelope>")).contains("'VirtualSystem'"));
    let vapp = format!("{HEAD}<VirtualSystemCollection ovf:id='x'/></Envelope>");
    assert_eq!(
        first(&vapp),
        "OvfUnsupportedElement: Unsupported element 'VirtualSystemCollection'."
            .replace(": U", ": Line 6: U")
    );
    let text = appliance();
    assert!(
        first(&text.replace("fileRef=\"file1\"", "fileRef=\"no\""))
            .starts_with("OvfInvalidValueReference: Line 13: ")
    );
    assert!(
        first(&text.replace("ovf:/disk/vmdisk1", "ovf:/disk/no"))
            .starts_with("OvfElementInvalidValue: ")
    );
    assert!(
        first(&text.replace("<rasd:Parent>3<", "<rasd:Parent>33<"))
            .contains("'33' for element 'Parent'")
    );
    assert!(first(&text.replace(" ovf:capacity=\"16\"", "")).starts_with("OvfMissingAttribute: "));
    assert!(first(&text.replace(">4096<", ">0<")).contains("VirtualQuantity"));
    assert!(first(&text.replace("byte * 2^20", "parsec")).contains("AllocationUnits"));
    assert!(first(&text.replace("=\"16\"", "=\"18446744073709551615\"")).contains("capacity"));
    assert!(first(&text.replace("vmx-08 vmx-13 ", "")).starts_with("OvfNoSupportedHardwareFamily"));
}

/// A machine's configuration from a spec, as the host that made it shows it.
fn configuration(spec: &Object) -> Object {
    let mut all = vec![Object::new("VirtualPCIController").with("key", 100).with("busNumber", 0)];
    all.extend(devices(spec).into_iter().cloned());
    let hardware = Object::new("VirtualHardware")
        .with("numCPU", spec.get("numCPUs").unwrap())
        .with("memoryMB", spec.get("memoryMB").unwrap())
        .with("device", all);
    let mut config = Object::new("VirtualMachineConfigInfo").with("hardware", hardware);
    for name in
        ["name", "version", "guestId", "annotation", "firmware", "bootOptions", "extraConfig"]
    {
        config.set(name, spec.get(name).unwrap());
    }
    config
}

#[test]
fn what_is_exported_is_imported_as_the_same() {
    let result = imported(&appliance(), &params(), true);
    let spec = result.object("importSpec.configSpec").unwrap();
    let config = configuration(spec);
    let device = |kind: &str| {
        config
            .objects("hardware.device")
            .filter(|it| it.kind() == kind)
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut files: Vec<Object> = Vec::new();
    for it in device("VirtualDisk").iter().chain(&device("VirtualCdrom")) {
        let place = slot(config.list("hardware.device"), it).unwrap();
        files.push(
            Object::new("OvfFile")
                .with("deviceId", format!("/17/{place}"))
                .with("path", format!("out <{}>.vmdk", files.len()))
                .with("size", 1000)
                .with("populatedSize", 2000),
        );
    }
    let cdp = Object::new("OvfCreateDescriptorParams")
        .with("ovfFiles", files.clone())
        .with("name", "app01")
        .with("exportOption", vec!["extraconfig"]);
    let name = |it: &Object| it.text("deviceName").map(|it| it.replace("LAN", "Management"));
    let written = create_descriptor(&config, &cdp, &name);
    valid(&written, "written");
    assert_eq!((written.get("error"), written.get("warning")), (None, None));
    let text = written.text("ovfDescriptor").unwrap();
    let again = imported(text, &params(), true);
    assert_eq!((again.get("error"), again.get("warning")), (None, None), "{text}");
    let second = again.object("importSpec.configSpec").unwrap();
    for name in [
        "name",
        "version",
        "guestId",
        "annotation",
        "firmware",
        "bootOptions",
        "extraConfig",
        "numCPUs",
        "memoryMB",
    ] {
        assert_eq!(second.get(name), spec.get(name), "{name}");
    }
    // Keys differ, places do not.
    let shape = |spec: &Object| {
        let places = |it: &&Object| {
            let list: Vec<Value> = devices(spec).into_iter().map(Value::from).collect();
            let mut bare = (*it).clone();
            for name in ["key", "controllerKey"] {
                bare.remove(name);
            }
            if bare.kind() == "VirtualCdrom" {
                bare.remove("backing");
            }
            let mut fields: Vec<String> = bare.fields().map(|it| format!("{it:?}")).collect();
            fields.sort();
            format!("{:?} {} {fields:?}", slot(&list, it), it.kind())
        };
        let mut all: Vec<String> = devices(spec).iter().map(places).collect();
        all.sort();
        all
    };
    assert_eq!(shape(second), shape(spec));
    assert_eq!(again.objects("fileItem").count(), 4);
    // A disk that nobody downloaded cannot be described.
    let cdp = cdp.with("ovfFiles", files[1..].to_vec());
    let errors = found(&create_descriptor(&config, &cdp, &name), "error");
    assert!(errors[0].starts_with("OvfDiskMappingNotFound: "), "{errors:?}");
    let dry = create_descriptor(&config, &Object::new("OvfCreateDescriptorParams"), &name);
    assert!(found(&dry, "warning")[0].starts_with("OvfConnectedDeviceIso: "));
    assert_eq!(dry.get("error"), None);
}

#[test]
fn damaged_descriptors_never_panic() {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    const BITS: &[&str] = &[
        "<",
        ">",
        "\"",
        "&",
        "é",
        "-1",
        "99999999999999999999",
        "",
        "/",
        "ovf:",
        "${",
        "Item",
        "0",
        "\u{feff}",
    ];
    for text in [appliance(), virtual_box("vmx-10")] {
        let marks: Vec<usize> = text.match_indices(['"', '>', ' ']).map(|it| it.0).collect();
        for _ in 0..1500 {
            let mut bad = text.clone();
            for _ in 0..=random(3) {
                let from = marks[random(marks.len())].min(bad.len());
                let until = (from + random(40)).min(bad.len());
                if bad.is_char_boundary(from) && bad.is_char_boundary(until) {
                    bad.replace_range(from..until, BITS[random(BITS.len())]);
                }
            }
            imported(&bad, &params(), random(2) == 0);
            let params = Object::new("OvfParseDescriptorParams");
            valid(&parse_descriptor(&bad, &params), "parsed");
        }
    }
}

#[test]
fn many_items_take_no_time() {
    let begun = std::time::Instant::now();
    let item = "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType></Item>";
    let text = appliance().replace(
        "<vmw:Config ovf:required=\"false\" vmw:key=\"firmware\"",
        &format!("{}<vmw:Config ovf:required=\"false\" vmw:key=\"firmware\"", item.repeat(50_000)),
    );
    let result = imported(&text, &params(), true);
    assert!(result.objects("error").count() <= 100);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}
