//! What the encoder refuses, and what the decoder forgives.
//!
//! Each wrong request is refused before it is sent, with a sentence that names the place.
//! Surprising: an answer of a newer server goes through us and back without losing anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jumpvisor::error::{Error, Kind};
use jumpvisor::text::xml;
use jumpvisor::vim::table::{Method, Type};
use jumpvisor::vim::value::{Object, Ref, Value};
use jumpvisor::vim::version::Version;
use jumpvisor::vsphere::{decode, encode};

fn vm() -> Ref {
    Ref::new("VirtualMachine", "12")
}

fn ty(name: &str) -> Type {
    Type::find(name).expect(name)
}

fn send(method: &str, this: Ref, args: Object, version: &str) -> Result<String, Error> {
    let method = Method::find(&this.kind, method).expect(method);
    encode::call(method, &this, &args, Version::parse(version).unwrap())
}

fn reconfigure(spec: Object, version: &str) -> Result<String, Error> {
    send("ReconfigVM_Task", vm(), Object::args().with("spec", spec), version)
}

fn with_device(device: impl Into<Value>) -> Object {
    let change = |device: Value| Object::new("VirtualDeviceConfigSpec").with("device", device);
    let first = change(
        Object::new("VirtualLsiLogicController")
            .with("key", 1)
            .with("busNumber", 0)
            .with("sharedBus", "noSharing")
            .into(),
    );
    Object::new("VirtualMachineConfigSpec").with("deviceChange", [first, change(device.into())])
}

fn refused(result: Result<String, Error>) -> (Kind, String) {
    let error = result.expect_err("refused");
    (error.kind(), error.sentence())
}

fn usage(spec: Object) -> String {
    let (kind, text) = refused(reconfigure(spec, "8.0.3.0"));
    assert_eq!(kind, Kind::Usage, "{text}");
    text.strip_prefix("ReconfigVM_Task: ").unwrap().to_owned()
}

#[test]
fn wrong_requests_name_the_place() {
    let backing = Object::new("VirtualDiskFlatVer2BackingInfo").with("x", 1);
    assert_eq!(
        usage(with_device(Object::new("VirtualDisk").with("key", 1).with("backing", backing))),
        "spec.deviceChange[1].device.backing: unknown field `x` of VirtualDiskFlatVer2BackingInfo"
    );
    assert_eq!(
        usage(with_device(Object::new("VirtualCdrom"))),
        "spec.deviceChange[1].device: the required field `key` is missing"
    );
    assert_eq!(
        usage(with_device(Object::new("HostSystem"))),
        "spec.deviceChange[1].device: `HostSystem` is no type of the API"
    );
    assert_eq!(
        usage(with_device(Object::new("OptionValue").with("key", "a"))),
        "spec.deviceChange[1].device: `OptionValue` stands where VirtualDevice is wanted"
    );
    assert_eq!(
        usage(with_device("disk")),
        "spec.deviceChange[1].device: VirtualDevice is wanted, not a text"
    );
    let spec = || Object::new("VirtualMachineConfigSpec");
    assert_eq!(usage(spec().with("numCPUs", "2")), "spec.numCPUs: int is wanted, not a text");
    assert_eq!(
        usage(spec().with("numCPUs", 1i64 << 40)),
        "spec.numCPUs: int is wanted, not `1099511627776`"
    );
    assert_eq!(usage(spec().with("numCPUs", [1, 2])), "spec.numCPUs: int is wanted, not a list");
    assert_eq!(usage(spec().with("name", 5)), "spec.name: string is wanted, not `5`");
    assert_eq!(
        usage(spec().with("memoryMB", u64::MAX)),
        "spec.memoryMB: long is wanted, not `18446744073709552000`"
    );
    assert_eq!(
        usage(spec().with("name", "a\u{7}")),
        "spec.name: the character U+0007 cannot be sent"
    );
    let files = Object::new("VirtualDeviceConfigSpec").with("operation", "delete");
    assert_eq!(
        usage(spec().with("deviceChange", files)),
        "spec.deviceChange[0].operation: `delete` is no VirtualDeviceConfigSpecOperation"
    );
}

#[test]
fn wrong_references_and_arguments() {
    let relocate = |to: Ref| {
        let spec = Object::new("VirtualMachineRelocateSpec").with("datastore", to);
        refused(send("RelocateVM_Task", vm(), Object::args().with("spec", spec), "6.5")).1
    };
    let wanted = "RelocateVM_Task: spec.datastore: a reference to a Datastore is wanted, not ";
    assert_eq!(relocate(vm()), format!("{wanted}`VirtualMachine:12`"));
    assert_eq!(relocate(Ref::new("Datastore", "")), format!("{wanted}`Datastore:`"));
    assert_eq!(relocate(Ref::new("Datastroe", "x")), format!("{wanted}`Datastroe:x`"));
    let missing = refused(send(
        "RenameSnapshot",
        Ref::new("VirtualMachineSnapshot", "1"),
        Object::args().with("nam", 1),
        "6.5",
    ));
    assert_eq!(missing.1, "RenameSnapshot: unknown field `nam` of RenameSnapshot");
    let method = Method::find("VirtualMachine", "PowerOnVM_Task").unwrap();
    let this = Ref::new("Folder", "x");
    let error = encode::call(method, &this, &Object::args(), Version::newest()).unwrap_err();
    assert_eq!(
        error.sentence(),
        "PowerOnVM_Task: _this: a reference to a VirtualMachine is wanted, not `Folder:x`"
    );
}

#[test]
fn newer_fields_are_refused_if_asked_for_and_left_out_if_offered() {
    let cdrom = |connect: Object| {
        let connect = connect
            .with("startConnected", true)
            .with("allowGuestControl", true)
            .with("connected", true);
        with_device(Object::new("VirtualCdrom").with("key", 1).with("connectable", connect))
    };
    let info = || Object::new("VirtualDeviceConnectInfo");
    let (kind, text) = refused(reconfigure(cdrom(info().with("migrateConnect", "connect")), "6.5"));
    assert_eq!(kind, Kind::Unsupported);
    assert_eq!(
        text,
        "ReconfigVM_Task: spec.deviceChange[1].device.connectable: the field `migrateConnect` of \
         VirtualDeviceConnectInfo came with version 6.7, the server speaks 6.5"
    );
    let offered = || cdrom(info().offer("migrateConnect", "connect"));
    assert!(!reconfigure(offered(), "6.5").unwrap().contains("migrateConnect"));
    assert!(reconfigure(offered(), "6.7").unwrap().contains("<migrateConnect>connect<"));
    assert!(reconfigure(cdrom(info().with("migrateConnect", "connect")), "6.7").is_ok());
}

#[test]
fn newer_methods_and_types_are_refused() {
    let spec = Object::new("UsbScanCodeSpec");
    let args = || Object::args().with("spec", spec.clone());
    assert!(send("PutUsbScanCodes", vm(), args(), "6.5").is_ok());
    let (kind, text) = refused(send("PutUsbScanCodes", vm(), args(), "6.0"));
    assert_eq!(kind, Kind::Unsupported);
    assert!(text.contains("the method came with version 6.5, the server speaks 6.0"), "{text}");
    let device = || Object::new("VirtualNVDIMM").with("key", 1).with("capacityInMB", 1);
    let (kind, text) = refused(reconfigure(with_device(device()), "6.5"));
    assert_eq!(kind, Kind::Unsupported);
    assert!(text.contains("device: the type VirtualNVDIMM came with version 6.7"), "{text}");
    assert!(reconfigure(with_device(device()), "6.7").is_ok());
}

/// Reads an element of this type, written in the namespace of the API.
fn read(kind: &str, inner: &str) -> Value {
    let text = format!(
        "<r xmlns='urn:vim25' xmlns:XMLSchema-instance='{}' xmlns:xsd='{}' \
         xmlns:_x='{}'>{inner}</r>",
        xml::XSI,
        xml::XSD,
        xml::XSI
    );
    decode::element(xml::parse(&text).unwrap().root_element(), ty(kind)).unwrap()
}

fn any(inner: &str) -> Value {
    read("OptionValue", inner).get("value").unwrap().clone()
}

fn option_again(value: Value) -> String {
    let option = Object::new("OptionValue").with("key", "k").with("value", value);
    let spec = Object::new("VirtualMachineConfigSpec").with("extraConfig", [option]);
    let body = reconfigure(spec, "6.5").unwrap();
    let from = body.find("<value").unwrap();
    body[from..body.find("</extraConfig>").unwrap()].to_owned()
}

#[test]
fn values_of_any_type_keep_their_type() {
    let cases = [
        ("xsd:string", "a"),
        ("xsd:long", "5"),
        ("xsd:int", "5"),
        ("xsd:short", "5"),
        ("xsd:boolean", "true"),
        ("xsd:double", "1.5"),
        ("xsd:float", "1.5"),
        ("xsd:dateTime", "2024-01-31T10:20:30Z"),
        ("xsd:base64Binary", "AAE="),
        ("VirtualMachinePowerState", "poweredOn"),
    ];
    for (kind, text) in cases {
        let value = any(&format!("<value XMLSchema-instance:type='{kind}'>{text}</value>"));
        assert_eq!(option_again(value), format!("<value xsi:type=\"{kind}\">{text}</value>"));
    }
    let list = any("<value _x:type='ArrayOfString'><string>a</string></value>");
    assert_eq!(list.items(), ["a".into()]);
    assert_eq!(
        option_again(list),
        "<value xsi:type=\"ArrayOfString\"><string xsi:type=\"xsd:string\">a</string></value>"
    );
    assert_eq!(
        option_again(Value::from([vm()])),
        "<value xsi:type=\"ArrayOfManagedObjectReference\">\
         <ManagedObjectReference type=\"VirtualMachine\">12</ManagedObjectReference></value>"
    );
    assert_eq!(
        option_again(Object::new("KeyValue").with("value", "v").with("key", "k").into()),
        "<value xsi:type=\"KeyValue\"><key>k</key><value>v</value></value>"
    );
    let reference = any("<value _x:type='ManagedObjectReference' type='HostSystem'>h</value>");
    assert_eq!(reference.as_reference(), Some(&Ref::new("HostSystem", "h")));
    let long_again = any("<value _x:type='xsd:long'>7</value>");
    assert_eq!(long_again.as_int(), Some(7));
}

#[test]
fn any_order_and_odd_values_are_taken() {
    let info = read(
        "VirtualMachineRuntimeInfo",
        "<host type='HostSystem'>ha-host</host><faultToleranceState></faultToleranceState>\
         <paused>1</paused><powerState>poweredOn</powerState><maxCpuUsage>abc</maxCpuUsage>\
         <device><key>5</key><runtimeState _x:type='VirtualDeviceDeviceUnknownState'><key>9</key>\
         </runtimeState></device><connectionState>connected</connectionState>",
    );
    assert_eq!(info.text("powerState"), Some("poweredOn"));
    assert_eq!(info.text("faultToleranceState"), Some(""));
    assert_eq!(info.flag("paused"), Some(true));
    assert_eq!((info.int("maxCpuUsage"), info.text("maxCpuUsage")), (None, Some("abc")));
    assert_eq!(info.reference("host").unwrap().to_string(), "HostSystem:ha-host");
    assert_eq!(info.list("device").len(), 1);
    let unknown = info.objects("device").next().unwrap().object("runtimeState").unwrap();
    assert_eq!(unknown.kind(), "VirtualDeviceDeviceUnknownState");
    assert!(unknown.is_foreign());
}

#[test]
fn what_a_newer_server_added_goes_back_to_its_place() {
    // `added` stands between two known fields of one class, `late` at that class's end, and the
    // device is of a type that nobody here knows.
    let change = read(
        "VirtualDeviceConfigSpec",
        "<operation>edit</operation><device _x:type='VirtualQuantumDisk'><key>5</key>\
         <added _x:type='xsd:string'>a&amp;</added><connectable><startConnected>true</startConnected>\
         <allowGuestControl>true</allowGuestControl><connected>true</connected></connectable>\
         <late><deep>1</deep></late><qubits>3</qubits></device>",
    );
    let mut change = change.into_object().unwrap();
    let Some(Value::Object(device)) = change.field_mut("device") else { panic!() };
    assert_eq!(device.kind(), "VirtualQuantumDisk");
    assert!(device.is("VirtualDevice") && !device.is("VirtualDisk"));
    assert_eq!(device.unknown().count(), 3);
    device.set("controllerKey", 1000);
    let spec = Object::new("VirtualMachineConfigSpec").with("deviceChange", [change]);
    let body = reconfigure(spec, "8.0.3.0").unwrap();
    let text = encode::envelope(&body);
    let doc = xml::parse(&text).unwrap();
    let device = doc.descendants().find(|it| it.has_tag_name(("urn:vim25", "device"))).unwrap();
    assert_eq!(device.attribute((xml::XSI, "type")), Some("VirtualQuantumDisk"));
    let order: Vec<&str> = xml::elements(device).map(|it| it.tag_name().name()).collect();
    assert_eq!(order, ["key", "added", "connectable", "controllerKey", "late", "qubits"]);
    let added = xml::child(device, "added").unwrap();
    assert_eq!(added.attribute((xml::XSI, "type")), Some("xsd:string"));
    assert_eq!(added.lookup_namespace_uri(Some("xsd")), Some(xml::XSD));
    assert_eq!(xml::text_of(added), "a&");
}

#[test]
fn an_unknown_enum_value_of_a_server_is_sent_back() {
    let change = read(
        "VirtualDeviceConfigSpec",
        "<operation>teleport</operation><device><key>1</key></device>",
    );
    assert_eq!(change.text("operation"), Some("teleport"));
    let spec = Object::new("VirtualMachineConfigSpec").with("deviceChange", [change]);
    assert!(reconfigure(spec, "6.5").unwrap().contains("<operation>teleport</operation>"));
}

fn answer(method: Method, body: &str) -> Result<Option<Value>, Error> {
    let text = encode::envelope(body);
    decode::response(method, &xml::parse(&text).unwrap())
}

#[test]
fn responses_follow_the_method() {
    let of = |kind: &str, name: &str, inner: &str| {
        let body = format!("<{name}Response xmlns='urn:vim25'>{inner}</{name}Response>");
        answer(Method::find(kind, name).unwrap(), &body).unwrap()
    };
    let task = "<returnval type='Task'>haTask-1</returnval>";
    let task = of("VirtualMachine", "PowerOnVM_Task", task).unwrap();
    assert_eq!(task.as_reference(), Some(&Ref::new("Task", "haTask-1")));
    assert_eq!(of("SessionManager", "Logout", ""), None);
    assert_eq!(of("PropertyCollector", "RetrievePropertiesEx", ""), None);
    let none = of("OptionManager", "QueryOptions", "").unwrap();
    assert_eq!(none, Value::List(Vec::new()));
    let one = "<returnval><key>a</key><value xsi:type='xsd:int'>1</value></returnval>";
    let one = of("OptionManager", "QueryOptions", one).unwrap();
    assert_eq!(one.items()[0].int("value"), Some(1));
    let logout = Method::find("SessionManager", "Logout").unwrap();
    let error = answer(logout, "<LoginResponse/>").unwrap_err();
    assert_eq!(error.sentence(), "the answer is a `LoginResponse`, not a `LogoutResponse`");
    let text = "<html><body/></html>";
    let error = decode::response(logout, &xml::parse(text).unwrap()).unwrap_err();
    assert_eq!(error.sentence(), "the answer is not a SOAP envelope");
}

fn fault(inner: &str) -> decode::Fault {
    let text = encode::envelope(&format!("<soapenv:Fault>{inner}</soapenv:Fault>"));
    decode::fault(&xml::parse(&text).unwrap()).unwrap()
}

#[test]
fn faults_are_named_by_their_type() {
    let by_type = fault(
        "<faultcode>ServerFaultCode</faultcode><faultstring>No.</faultstring><detail>\
         <NoPermissionFault xmlns='urn:vim25' xsi:type='NotAuthenticated'>\
         <object type='Folder'>f</object><privilegeId>System.View</privilegeId>\
         </NoPermissionFault></detail>",
    );
    assert_eq!((by_type.name.as_str(), by_type.text.as_str()), ("NotAuthenticated", "No."));
    assert_eq!(by_type.detail.as_ref().unwrap().text("privilegeId"), Some("System.View"));
    assert!(by_type.is("NoPermission") && by_type.is("SecurityError") && !by_type.is("VimFault"));
    let by_element =
        fault("<faultcode/><faultstring/><detail><InvalidLoginFault xmlns='urn:vim25'/></detail>");
    assert_eq!((by_element.name.as_str(), by_element.text.as_str()), ("InvalidLogin", ""));
    let unknown = fault("<detail><FutureFault xmlns='urn:vim25'><x>1</x></FutureFault></detail>");
    assert_eq!(unknown.name, "Future");
    assert_eq!(unknown.detail.unwrap().unknown().count(), 1);
    let bare = fault("<faultcode>soapenv:Client</faultcode><faultstring>parse</faultstring>");
    assert_eq!((bare.name.as_str(), bare.detail), ("Client", None));
    let text = encode::envelope("<LogoutResponse xmlns='urn:vim25'/>");
    assert_eq!(decode::fault(&xml::parse(&text).unwrap()), None);
}

#[test]
fn faults_as_data() {
    let info = read(
        "TaskInfo",
        "<error><fault _x:type='FileNotFound'><file>[ds] x</file></fault>\
         <localizedMessage>gone</localizedMessage></error>",
    );
    let fault = decode::localized_fault(info.object("error").unwrap());
    assert_eq!((fault.name.as_str(), fault.text.as_str()), ("FileNotFound", "gone"));
    assert_eq!(fault.detail.as_ref().unwrap().text("file"), Some("[ds] x"));
    assert!(fault.is("FileFault") && fault.is("MethodFault"));
}

#[test]
fn depth_is_bounded_both_ways() {
    let open = "<childSnapshotList>".repeat(110);
    let close = "</childSnapshotList>".repeat(110);
    let text = format!("<r>{open}{close}</r>");
    let doc = xml::parse(&text).unwrap();
    let error = decode::element(doc.root_element(), ty("VirtualMachineSnapshotTree")).unwrap_err();
    assert_eq!(error.sentence(), "objects are nested deeper than 100");
    let deep = (0..300).fold(Object::new("KeyAnyValue"), |inner, _| {
        Object::new("KeyAnyValue").with("key", "k").with("value", inner)
    });
    let option = Object::new("OptionValue").with("key", "k").with("value", deep);
    let spec = Object::new("VirtualMachineConfigSpec").with("extraConfig", [option]);
    assert!(refused(reconfigure(spec, "6.5")).1.contains("nested too deeply"));
}

#[test]
fn broken_answers_end_in_errors() {
    let golden = std::fs::read("tests/golden/soap/CreateVM_Task.xml").unwrap();
    let mut state = 7u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    for _ in 0..2000 {
        let mut bytes = golden.clone();
        for _ in 0..1 + below(4) {
            let at = below(bytes.len());
            bytes[at] = b"<>/\"'=&!-[]? ax1"[below(16)];
        }
        bytes.truncate(bytes.len() - below(2) * below(bytes.len()));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Ok(doc) = xml::parse(&text) else { continue };
        let Ok(body) = decode::body(&doc) else { continue };
        for node in body.descendants().filter(roxmltree::Node::is_element) {
            for kind in ["VirtualMachineConfigSpec", "VirtualDisk", "anyType", "Folder", "int"] {
                assert!(decode::element(node, ty(kind)).is_ok());
            }
        }
    }
}
