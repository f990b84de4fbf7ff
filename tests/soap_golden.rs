//! Requests as another public client writes them: ours must mean the same.
//!
//! The files in `tests/golden/soap` came from pyVmomi's serializer. They are compared by meaning:
//! names, order, texts, `type`, and `xsi:type` by namespace, where one that only repeats the
//! declared type counts as absent. Surprising: the same comparison, fed with arguments that were
//! read from the files by our own decoder, tests both directions at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use jumpvisor::text::xml::{self, XSD, XSI};
use jumpvisor::vim::table::{Method, Type, TypeKind};
use jumpvisor::vim::value::{Object, Ref, Value};
use jumpvisor::vim::version::Version;
use jumpvisor::vsphere::{decode, encode};
use roxmltree::{Document, Node};

fn golden(name: &str) -> String {
    fs::read_to_string(format!("tests/golden/soap/{name}.xml")).expect(name)
}

fn request<'a>(doc: &'a Document) -> (Method, Ref, Node<'a, 'a>) {
    let call = decode::body(doc).unwrap();
    let this = xml::child(call, "_this").unwrap();
    let kind = this.attribute("type").unwrap().to_owned();
    let method = Method::find(&kind, call.tag_name().name()).unwrap();
    (method, Ref::new(kind, xml::text_of(this)), call)
}

/// What a request means, one element a line.
fn meaning(text: &str) -> String {
    let doc = xml::parse(text).unwrap();
    let (method, this, call) = request(&doc);
    let mut out = format!("{} on {this}\n", method.name());
    for child in xml::elements(call).skip(1) {
        let name = child.tag_name().name();
        let param = method.params().find(|it| it.name == name).expect(name);
        mean(child, param.ty, 1, &mut out);
    }
    out
}

fn mean(node: Node, declared: Type, depth: usize, out: &mut String) {
    assert_eq!(node.tag_name().namespace(), Some("urn:vim25"));
    let stated = node.attribute((XSI, "type")).map(|it| it.rsplit(':').next().unwrap());
    let ty = stated.and_then(Type::find).unwrap_or(declared);
    let plain = node.attributes().find(|it| it.namespace().is_none() && it.name() == "type");
    let reference = plain.map_or("", |it| it.value());
    out.push_str(&"  ".repeat(depth));
    out.push_str(&format!("{} {ty:?} {reference}", node.tag_name().name()));
    if declared.is_named("anyType") {
        let prefix = node.attribute((XSI, "type")).and_then(|it| Some(it.split_once(':')?.0));
        let basic = node.lookup_namespace_uri(prefix) == Some(XSD);
        assert_eq!(basic, ty.kind() == TypeKind::Primitive);
    }
    if ty.kind() != TypeKind::Data {
        out.push_str(&format!(" {:?}\n", xml::text_of(node)));
        return;
    }
    out.push('\n');
    for child in xml::elements(node) {
        let name = child.tag_name().name();
        let field = ty.field(name).expect(name);
        mean(child, field.ty, depth + 1, out);
    }
}

/// The arguments of a recorded request, read by the schema.
fn arguments(method: Method, call: Node) -> Object {
    let mut args = Object::args();
    for param in method.params() {
        let found = xml::elements(call).filter(|it| it.tag_name().name() == param.name);
        let mut values: Vec<Value> =
            found.map(|it| decode::element(it, param.ty).unwrap()).collect();
        if param.array {
            args.set(param.name, values);
        } else if let Some(value) = values.pop() {
            args.set(param.name, value);
        }
    }
    args
}

#[test]
fn every_recorded_request_is_written_as_it_was_read() {
    let mut count = 0;
    for file in fs::read_dir("tests/golden/soap").unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let doc = xml::parse(&text).unwrap();
        let (method, this, call) = request(&doc);
        let args = arguments(method, call);
        let body = encode::call(method, &this, &args, Version::newest())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(meaning(&encode::envelope(&body)), meaning(&text), "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 53);
}

/// Builds a request by hand and compares it with the recorded one.
fn check(name: &str, this: Ref, args: &Object) {
    let text = golden(name);
    let method = Method::find(&this.kind, name).expect(name);
    let body = encode::call(method, &this, args, Version::oldest_served()).unwrap();
    assert_eq!(meaning(&encode::envelope(&body)), meaning(&text), "{name}");
}

fn vm() -> Ref {
    Ref::new("VirtualMachine", "12")
}

fn change(operation: &'static str, file: Option<&'static str>, device: Object) -> Object {
    Object::new("VirtualDeviceConfigSpec")
        .with("device", device)
        .with_some("fileOperation", file)
        .with("operation", operation)
}

fn connectable(connected: bool, start: bool) -> Object {
    Object::new("VirtualDeviceConnectInfo")
        .offer("migrateConnect", "unset")
        .with("connected", connected)
        .with("allowGuestControl", true)
        .with("startConnected", start)
}

fn new_disk(key: i32, unit: i32, kilobytes: i64) -> Object {
    let backing = Object::new("VirtualDiskFlatVer2BackingInfo")
        .with("thinProvisioned", true)
        .with("fileName", "[datastore1]")
        .with("diskMode", "persistent")
        .with("eagerlyScrub", false);
    Object::new("VirtualDisk")
        .with("capacityInKB", kilobytes)
        .with("unitNumber", unit)
        .with("controllerKey", 1000)
        .with("backing", backing)
        .with("key", key)
}

fn serial(backing: Object) -> Object {
    Object::new("VirtualSerialPort")
        .with("yieldOnPoll", true)
        .with("key", -200)
        .with("connectable", connectable(true, true))
        .with("backing", backing.with("direction", "server"))
}

fn option(key: &str, value: impl Into<Value>) -> Object {
    Object::new("OptionValue").with("value", value).with("key", key)
}

/// The specification of the recorded `CreateVM_Task`, set in no particular order.
fn new_machine() -> Object {
    let scsi = Object::new("ParaVirtualSCSIController")
        .with("sharedBus", "noSharing")
        .with("key", 1000)
        .with("busNumber", 0);
    let sata = Object::new("VirtualAHCIController").with("key", 15000).with("busNumber", 0);
    let iso =
        Object::new("VirtualCdromIsoBackingInfo").with("fileName", "[datastore1] iso/install.iso");
    let cdrom = Object::new("VirtualCdrom")
        .with("key", -300)
        .with("unitNumber", 0)
        .with("controllerKey", 15000)
        .with("connectable", connectable(false, true))
        .with("backing", iso);
    let port_group =
        Object::new("VirtualEthernetCardNetworkBackingInfo").with("deviceName", "VM Network");
    let nic = Object::new("VirtualVmxnet3")
        .with("addressType", "generated")
        .with("key", -400)
        .with("backing", port_group)
        .with("connectable", connectable(true, true));
    let uri = Object::new("VirtualSerialPortURIBackingInfo").with("serviceURI", "telnet://:2001");
    Object::new("VirtualMachineConfigSpec")
        .with("firmware", "efi")
        .with(
            "bootOptions",
            Object::new("VirtualMachineBootOptions")
                .with("efiSecureBootEnabled", false)
                .with("bootDelay", 0),
        )
        .with(
            "extraConfig",
            [option("guestinfo.hostname", "web01"), option("disk.EnableUUID", "TRUE")],
        )
        .with(
            "deviceChange",
            vec![
                change("add", None, scsi),
                change("add", Some("create"), new_disk(-100, 0, 20 << 20)),
                change("add", None, sata),
                change("add", None, cdrom),
                change("add", None, nic),
                change("add", None, serial(uri)),
            ],
        )
        .with("memoryMB", 2048)
        .with("numCPUs", 2)
        .with("numCoresPerSocket", 1)
        .with("name", "web01")
        .with("version", "vmx-13")
        .with("guestId", "ubuntu64Guest")
        .with("annotation", "a < b & \"c\"")
        .with("files", Object::new("VirtualMachineFileInfo").with("vmPathName", "[datastore1]"))
}

#[test]
fn create_vm() {
    let args = Object::args()
        .with("pool", Ref::new("ResourcePool", "ha-root-pool"))
        .with("config", new_machine());
    check("CreateVM_Task", Ref::new("Folder", "ha-folder-vm"), &args);
}

#[test]
fn import_vapp() {
    let spec = Object::new("VirtualMachineImportSpec").with("configSpec", new_machine());
    let args = Object::args()
        .with("host", Ref::new("HostSystem", "ha-host"))
        .with("folder", Ref::new("Folder", "ha-folder-vm"))
        .with("spec", spec);
    check("ImportVApp", Ref::new("ResourcePool", "ha-root-pool"), &args);
}

#[test]
fn reconfigure_vm() {
    let proxy = Object::new("VirtualSerialPortURIBackingInfo")
        .with("proxyURI", "telnet://192.0.2.10:13370")
        .with("serviceURI", "vSPC.py");
    let empty = Object::new("VirtualCdromRemotePassthroughBackingInfo")
        .with("deviceName", "")
        .with("exclusive", false);
    let cdrom = Object::new("VirtualCdrom")
        .with("key", 16000)
        .with("backing", empty)
        .with("connectable", connectable(false, false))
        .with("controllerKey", 15000)
        .with("unitNumber", 0);
    let old = Object::new("VirtualDiskFlatVer2BackingInfo")
        .with("fileName", "[datastore1] web01/web01_1.vmdk")
        .with("diskMode", "persistent");
    let mut doomed = new_disk(2001, 1, 1);
    doomed.set("backing", old);
    let spec = Object::new("VirtualMachineConfigSpec")
        .with("extraConfig", vec![option("guestinfo.x", "")])
        .with(
            "deviceChange",
            [
                change("add", Some("create"), new_disk(-101, 1, 5 << 20)),
                change("add", None, serial(proxy)),
                change("edit", None, cdrom),
                change("remove", Some("destroy"), doomed),
            ],
        )
        .with("memoryHotAddEnabled", true);
    check("ReconfigVM_Task", vm(), &Object::args().with("spec", spec));
}

#[test]
fn clone_and_relocate() {
    let location = Object::new("VirtualMachineRelocateSpec")
        .with("transform", "sparse")
        .with("host", Ref::new("HostSystem", "host-9"))
        .with("pool", Ref::new("ResourcePool", "resgroup-8"))
        .with("diskMoveType", "moveAllDiskBackingsAndDisallowSharing")
        .with("datastore", Ref::new("Datastore", "datastore-11"));
    let spec = Object::new("VirtualMachineCloneSpec")
        .with("powerOn", false)
        .with("template", false)
        .with("location", location);
    let args = Object::args()
        .with("spec", spec)
        .with("name", "c1")
        .with("folder", Ref::new("Folder", "group-v3"));
    check("CloneVM_Task", vm(), &args);
    let spec = Object::new("VirtualMachineRelocateSpec")
        .with("datastore", Ref::new("Datastore", "datastore-11"));
    let args = Object::args().with("priority", "defaultPriority").with("spec", spec);
    check("RelocateVM_Task", vm(), &args);
}

fn filter() -> Object {
    let paths = [
        "name",
        "runtime.powerState",
        "summary.config.numCpu",
        "summary.config.memorySizeMB",
        "guest.ipAddress",
        "runtime.host",
    ];
    let traversal = Object::new("TraversalSpec")
        .with("skip", false)
        .with("path", "view")
        .with("type", "ContainerView")
        .with("name", "v");
    let objects = Object::new("ObjectSpec")
        .with("selectSet", [traversal])
        .with("skip", true)
        .with("obj", Ref::new("ContainerView", "session[52..]52.."));
    let properties = Object::new("PropertySpec")
        .with("pathSet", paths)
        .with("all", false)
        .with("type", "VirtualMachine");
    Object::new("PropertyFilterSpec").with("objectSet", [objects]).with("propSet", [properties])
}

#[test]
fn property_collector() {
    let collector = || Ref::new("PropertyCollector", "ha-property-collector");
    let args = Object::args()
        .with("options", Object::new("RetrieveOptions").with("maxObjects", 500))
        .with("specSet", [filter()]);
    check("RetrievePropertiesEx", collector(), &args);
    let args = Object::args().with("partialUpdates", true).with("spec", filter());
    check("CreateFilter", collector(), &args);
}

#[test]
fn query_perf() {
    let metric = |id: i32, instance: &str| {
        Object::new("PerfMetricId").with("instance", instance).with("counterId", id)
    };
    let spec = Object::new("PerfQuerySpec")
        .with("format", "normal")
        .with("intervalId", 20)
        .with("metricId", [metric(2, "*"), metric(24, "")])
        .with("maxSample", 1)
        .with("entity", vm());
    let args = Object::args().with("querySpec", vec![spec]);
    check("QueryPerf", Ref::new("PerformanceManager", "ha-perfmgr"), &args);
}

#[test]
fn update_options() {
    let zero = Value::Typed(Type::find("long").unwrap(), Box::new(0.into()));
    let args = Object::args().with("changedValue", [option("UserVars.ESXiShellTimeOut", zero)]);
    check("UpdateOptions", Ref::new("OptionManager", "ha-adv-options"), &args);
}

#[test]
fn login_and_snapshot() {
    let args = Object::args().with("password", "p<&>\"w").with("userName", "root");
    check("Login", Ref::new("SessionManager", "ha-sessionmgr"), &args);
    let args = Object::args()
        .with("quiesce", true)
        .with("memory", false)
        .with("description", "d")
        .with("name", "s1");
    check("CreateSnapshot_Task", vm(), &args);
}

#[test]
fn create_import_spec() {
    let network = Object::new("OvfNetworkMapping")
        .with("network", Ref::new("Network", "HaNetwork-VM Network"))
        .with("name", "VM Network");
    let cisp = Object::new("OvfCreateImportSpecParams")
        .with("diskProvisioning", "thin")
        .with("propertyMapping", [Object::new("KeyValue").with("key", "k").with("value", "v")])
        .with("ipProtocol", "IPv4")
        .with("ipAllocationPolicy", "dhcpPolicy")
        .with("networkMapping", [network])
        .with("entityName", "appl")
        .with("deploymentOption", "small")
        .with("locale", "");
    let args = Object::args()
        .with("cisp", cisp)
        .with("ovfDescriptor", "<Envelope/>")
        .with("datastore", Ref::new("Datastore", "5f.."))
        .with("resourcePool", Ref::new("ResourcePool", "ha-root-pool"));
    check("CreateImportSpec", Ref::new("OvfManager", "ha-ovf-manager"), &args);
}

#[test]
fn start_program() {
    let auth = Object::new("NamePasswordAuthentication")
        .with("password", "pw")
        .with("username", "root")
        .with("interactiveSession", false);
    let spec = Object::new("GuestProgramSpec")
        .with("envVariables", ["A=b"])
        .with("workingDirectory", "/")
        .with("arguments", "-c 'id' > /home/user/o 2>&1")
        .with("programPath", "/bin/sh");
    let args = Object::args().with("spec", spec).with("auth", auth).with("vm", vm());
    let this = Ref::new("GuestProcessManager", "ha-guest-operations-process-manager");
    check("StartProgramInGuest", this, &args);
}

#[test]
fn the_order_of_setting_never_matters() {
    let text = golden("CreateVM_Task");
    let doc = xml::parse(&text).unwrap();
    let (method, this, call) = request(&doc);
    let args = arguments(method, call);
    for seed in 0..50 {
        let mixed = shuffled(&args, seed);
        let body = encode::call(method, &this, &mixed, Version::oldest_served()).unwrap();
        assert_eq!(meaning(&encode::envelope(&body)), meaning(&text), "seed {seed}");
    }
}

/// The same object with its fields set in another order, all the way down.
fn shuffled(object: &Object, seed: u64) -> Object {
    let kind = Type::find(object.kind()).map_or("", Type::name);
    let mut fields: Vec<(&'static str, Value)> =
        object.fields().map(|(name, value)| (name, shuffled_value(value, seed))).collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for at in (1..fields.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        fields.swap(at, (state >> 33) as usize % (at + 1));
    }
    fields.into_iter().fold(Object::new(kind), |object, (name, value)| object.with(name, value))
}

fn shuffled_value(value: &Value, seed: u64) -> Value {
    match value {
        Value::Object(object) => shuffled(object, seed).into(),
        Value::List(items) => items.iter().map(|it| shuffled_value(it, seed)).collect(),
        other => other.clone(),
    }
}
