//! What a host takes, and what it refuses and how it says so.

use super::*;
use crate::sim::scalar::is_time;

fn real(id: &str) -> Option<&'static str> {
    Some(match id {
        "12" | "vm-1" => "VirtualMachine",
        "ha-adv-options" => "OptionManager",
        "ha-folder-vm" => "Folder",
        "ha-sessionmgr" => "SessionManager",
        "pc" => "PropertyCollector",
        "lease" => "HttpNfcLease",
        _ => return None,
    })
}

fn version(name: &str) -> Version {
    Version::parse(name).unwrap()
}

fn envelope(call: &str) -> String {
    format!(
        "<e:Envelope xmlns:e='{ENVELOPE}' xmlns:xsi='{XSI}' xmlns:xsd='{XSD}'>\n\
         <e:Header><operationID>op-7</operationID></e:Header>\n\
         <e:Body>{call}</e:Body></e:Envelope>"
    )
}

fn read(call: &str, at: &str) -> fault::Result<Asked> {
    request(&envelope(call), version(at), &real)
}

/// Reads a reconfiguration.
fn change(spec: &str) -> fault::Result<Asked> {
    read(
        &format!(
            "<ReconfigVM_Task xmlns='urn:vim25'><_this type='VirtualMachine'>12</_this>\
             <spec>{spec}</spec></ReconfigVM_Task>"
        ),
        "6.5",
    )
}

/// The first line of the refusal, and the rest.
fn refused(answer: fault::Result<Asked>) -> (String, String) {
    let fault = answer.unwrap_err();
    assert_eq!(fault.kind(), "InvalidRequest");
    let (first, rest) = fault.text.split_once("\n\n").unwrap();
    assert!(rest.ends_with("\nat line 1, column 0"), "{rest}");
    (first.to_owned(), rest.to_owned())
}

fn option(value: &str) -> fault::Result<Asked> {
    change(&format!("<extraConfig><key>k</key>{value}</extraConfig>"))
}

#[test]
fn every_recorded_request_is_taken() {
    let mut count = 0;
    for file in std::fs::read_dir("tests/golden/soap").unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let at = match name.split_once("since-") {
            Some((_, rest)) => rest.trim_end_matches(".xml"),
            None => "6.5",
        };
        let (_, rest) = text.split_once("_this type=\"").unwrap();
        let kind = rest.split_once('"').unwrap().0;
        let asked = request(&text, version(at), &|_| Some(kind)).unwrap_or_else(|e| {
            panic!("{name}: {}", e.text);
        });
        assert_eq!(Some(asked.method), name.split(['.']).next(), "{name}");
        assert_eq!(asked.this.kind, kind);
        count += 1;
    }
    assert_eq!(count, 53);
}

#[test]
fn a_call_is_read_with_its_real_object() {
    let text = "<Login xmlns='urn:vim25'><!-- hi --> <_this type='Nonsense' versionId='9'>\
        ha-sessionmgr</_this>\n<userName>r&amp;<![CDATA[<]]></userName><password/></Login>";
    let asked = read(text, "6.5").unwrap();
    assert_eq!(asked.this, Ref::new("SessionManager", "ha-sessionmgr"));
    assert_eq!(asked.method, "Login");
    assert_eq!(asked.operation.as_deref(), Some("op-7"));
    assert_eq!(asked.args, Object::args().with("userName", "r&<").with("password", ""));
    let bare = "<v:Logout xmlns:v='urn:vim25'><v:_this>ha-sessionmgr</v:_this></v:Logout>";
    assert_eq!(read(bare, "6.5").unwrap().this.kind, "SessionManager");
}

#[test]
fn objects_and_methods_that_are_not_there() {
    let text = "<Logout xmlns='urn:vim25'><_this type='SessionManager'>x</_this></Logout>";
    let fault = read(text, "6.5").unwrap_err();
    assert_eq!(fault, Fault::gone(&Ref::new("SessionManager", "x")));
    // What the client calls it does not come back, so that the fault can be written.
    let fault = read(&text.replace("'SessionManager'", "'&lt;'"), "6.5").unwrap_err();
    assert_eq!(fault, Fault::gone(&Ref::new("ManagedObject", "x")));
    let fault = read(&text.replace(">x<", ">12<"), "6.5").unwrap_err();
    assert_eq!(fault.kind(), "MethodNotFound");
    assert_eq!(fault.detail.text("method"), Some("Logout"));
    assert_eq!(fault.detail.reference("receiver"), Some(&Ref::new("VirtualMachine", "12")));
    let (first, rest) = refused(read(&text.replace("Logout", "LogOut"), "6.5"));
    assert_eq!(first, "Unable to resolve WSDL method name LogOut for namespace name urn:vim25");
    assert_eq!(
        rest,
        "while parsing SOAP body\nat line 3, column 0\n\n\
         while parsing SOAP envelope\nat line 1, column 0\n\n\
         while parsing HTTP request before method was determined\nat line 1, column 0"
    );
    let keys = "<PutUsbScanCodes xmlns='urn:vim25'><_this>12</_this><spec/></PutUsbScanCodes>";
    assert!(read(keys, "6.5").is_ok());
    assert!(refused(read(keys, "6.0")).0.contains("WSDL method name PutUsbScanCodes"));
    let other = text.replace("urn:vim25", "urn:vim2");
    assert!(refused(read(&other, "6.5")).0.ends_with("for namespace name urn:vim2"));
    for (part, by) in [("<_this type='SessionManager'>x</_this>", ""), (">x<", "> <")] {
        let (first, rest) = refused(read(&text.replace(part, by), "6.5"));
        assert!(first.contains("_this") && rest.contains("call information for method Logout"));
    }
}

#[test]
fn envelopes_that_are_none() {
    let soap = |inner: &str| format!("<e:Envelope xmlns:e='{ENVELOPE}'>{inner}</e:Envelope>");
    let call = "<Logout xmlns='urn:vim25'><_this>ha-sessionmgr</_this></Logout>";
    for (text, why) in [
        ("".to_owned(), "XML"),
        ("<Envelope/>".to_owned(), "tag \"Envelope\""),
        (soap(""), "no body"),
        (soap("<e:Body/>"), "body is empty"),
        (soap(&format!("<e:Body>{call}{call}</e:Body>")), "tag \"Logout\""),
        (soap(&format!("<e:Body>x{call}</e:Body>")), "Unexpected text"),
        (soap(&format!("<e:Body>{call}</e:Body><e:Header/>")), "tag \"Header\""),
        (soap(&format!("<e:Body>{call}</e:Body><e:Body/>")), "tag \"Body\""),
        (format!("<!DOCTYPE a><a>{}</a>", soap(call)), "document type"),
    ] {
        let (first, _) = refused(request(&text, version("6.5"), &real));
        assert!(first.contains(why), "{text}: {first}");
    }
}

#[test]
fn order_names_and_versions_are_the_schema_s() {
    assert!(change("<name>a</name><numCPUs>1</numCPUs><memoryMB>5</memoryMB>").is_ok());
    let (first, rest) = refused(change("<name>a</name><memoryMB>5</memoryMB><numCPUs>1</numCPUs>"));
    assert_eq!(first, "Unexpected element tag \"numCPUs\" seen");
    let line =
        "while parsing serialized DataObject of type vim.VirtualMachineConfigSpec\nat line 3";
    assert!(rest.starts_with(line), "{rest}");
    assert!(rest.contains("object of type vim.VirtualMachine\n"));
    for bad in [
        "<nonsense/>",
        "<name>a</name><name>b</name>",
        // Came with 6.7.
        "<createDate>2026-01-31T10:20:30Z</createDate>",
        "<name xmlns='urn:other'>a</name>",
        "<dynamicType>x</dynamicType>",
        "<name><b/></name>",
    ] {
        assert!(refused(change(bad)).0.starts_with("Unexpected element tag"), "{bad}");
    }
    assert_eq!(refused(change("<name>a</name>x")).0, "Unexpected text seen where elements belong");
    let arrays =
        "<cpuFeatureMask><operation>add</operation><info><level>1</level></info></cpuFeatureMask>";
    assert!(change(&format!("{arrays}{arrays}")).is_ok());
    let torn = "<extraConfig><key>a</key></extraConfig><swapPlacement>x</swapPlacement>\
        <extraConfig><key>b</key></extraConfig>";
    assert_eq!(refused(change(torn)).0, "Unexpected element tag \"extraConfig\" seen");
}

#[test]
fn what_is_required_must_be_there() {
    let disk = "<deviceChange><device xsi:type='VirtualDisk'><key>1</key></device></deviceChange>";
    let (first, rest) = refused(change(disk));
    assert_eq!(
        first,
        "Required property capacityInKB is missing from data object of type VirtualDisk"
    );
    for part in [
        "DataObject of type vim.VirtualDisk\n",
        "property \"device\" of static type VirtualDevice\n",
        "property \"deviceChange\" of static type ArrayOfVirtualDeviceConfigSpec\n",
        "property \"spec\" of static type VirtualMachineConfigSpec\n",
        "call information for method ReconfigVM_Task\n",
    ] {
        assert!(rest.contains(part), "{rest}");
    }
    let text = "<Login xmlns='urn:vim25'><_this>ha-sessionmgr</_this><userName/></Login>";
    assert_eq!(refused(read(text, "6.5")).0, "Required parameter password is missing from call");
}

#[test]
fn types_are_stated_where_they_must_be() {
    let device = |ty: &str| {
        change(&format!(
            "<deviceChange><device xsi:type='{ty}'><key>1</key><yieldOnPoll>1</yieldOnPoll>\
             </device></deviceChange>"
        ))
    };
    assert!(device("VirtualSerialPort").is_ok());
    for ty in ["Nonsense", "OptionValue", "x:VirtualSerialPort", "VirtualMachine", "xsd:string"] {
        let (first, _) = refused(device(ty));
        assert!(first.contains(&format!("type \"{ty}\"")), "{first}");
    }
    // The base type lacks what the concrete one has.
    assert!(refused(device("VirtualDevice")).0.contains("\"yieldOnPoll\""));
    for (text, value) in [
        ("<value xsi:type='xsd:string'>5</value>", Value::from("5")),
        ("<value xsi:type='xsd:int'>5</value>", Value::from(5)),
        ("<value xsi:type='xsd:boolean'>1</value>", Value::from(true)),
        ("<value xsi:type='xsd:double'>1.5</value>", Value::from(1.5)),
        ("<value xsi:type='xsd:base64Binary'>YQ==</value>", Value::Binary(b"a".to_vec())),
        (
            "<value xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:x='http://www.w3.org/2001/XMLSchema' i:type='x:string'>s</value>",
            "s".into(),
        ),
        (
            "<value xsi:type='ManagedObjectReference' type='Folder'>f</value>",
            Ref::new("Folder", "f").into(),
        ),
        (
            "<value xsi:type='OptionValue'><key>k</key></value>",
            Object::new("OptionValue").with("key", "k").into(),
        ),
    ] {
        let asked = option(text).unwrap();
        let spec = asked.args.object("spec").unwrap();
        let found = spec.objects("extraConfig").next().unwrap().get("value");
        assert_eq!(found, Some(&value), "{text}");
    }
    let typed = |ty: &str, value: Value| Value::Typed(Type::find(ty).unwrap(), Box::new(value));
    for (text, value) in [
        ("xsi:type='xsd:long'>5", typed("long", 5.into())),
        (
            "xsi:type='VirtualMachinePowerState'>poweredOn",
            typed("VirtualMachinePowerState", "poweredOn".into()),
        ),
        (
            "xsi:type='ArrayOfString'><string>a</string><string xsi:type='xsd:string'>b</string>",
            typed("string", ["a", "b"].into()),
        ),
        (
            "xsi:type='ArrayOfManagedObjectReference'><ManagedObjectReference type='Folder'>f</ManagedObjectReference>",
            typed("ManagedObject", vec![Ref::new("Folder", "f")].into()),
        ),
        (
            "xsi:type='ArrayOfAnyType'><anyType xsi:type='xsd:int'>1</anyType>",
            typed("anyType", [1].into()),
        ),
    ] {
        let asked = option(&format!("<value {text}</value>")).unwrap();
        let spec = asked.args.object("spec").unwrap();
        let found = spec.objects("extraConfig").next().unwrap().get("value");
        assert_eq!(found, Some(&value), "{text}");
    }
    for text in [
        "<value>5</value>",
        "<value xsi:type='string'>5</value>",
        "<value xsi:type='xsd:OptionValue'/>",
        "<value xsi:type='xsd:anyType'/>",
        "<value xsi:type='xsd:nonsense'/>",
        "<value xsi:type='Folder'>f</value>",
        "<value xsi:type='ArrayOfNonsense'/>",
        "<value xsi:type='ArrayOfString'><int>5</int></value>",
        "<value xsi:type='ArrayOfInt'><int>x</int></value>",
        "<value xsi:type='ManagedObjectReference' type='Folder'/>",
        "<value xsi:type='ManagedObjectReference' type='OptionValue'>f</value>",
    ] {
        assert!(refused(option(text)).1.contains("static type anyType"), "{text}");
    }
}

#[test]
fn texts_fit_their_types() {
    let (first, rest) = refused(change("<numCPUs>2147483648</numCPUs>"));
    assert_eq!(first, "Cannot parse \"2147483648\" as an int value");
    assert!(rest.starts_with("while parsing serialized value of type int\nat line 3, column "));
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("byte", &["-128", "127"], &["128", "-129", ""]),
        ("short", &["-32768", " 5 "], &["32768", "1.0"]),
        ("int", &["-2147483648", "+5", "007"], &["2147483648", "x", "0x5", "5 5"]),
        ("long", &["9223372036854775807"], &["9223372036854775808"]),
        ("boolean", &["true", "false", "1", "0"], &["TRUE", "yes", ""]),
        ("double", &["1", "-1.5e3", "INF", "-INF", "NaN"], &["inf", "nan", "", "1,5"]),
        ("base64Binary", &["YQ==", "Y Q = =", ""], &["Y", "YQ", "a!"]),
        ("anyURI", &["", "x y"], &[]),
        ("ManagedEntityStatus", &["green"], &["Green", "", "blue"]),
    ];
    for (ty, good, bad) in cases {
        let ty = Type::find(ty).unwrap();
        for text in *good {
            assert!(crate::sim::scalar::read(ty, text).is_some(), "{ty:?} {text}");
        }
        for text in *bad {
            assert!(crate::sim::scalar::read(ty, text).is_none(), "{ty:?} {text}");
        }
    }
    for good in ["2026-01-31T10:20:30Z", "2024-02-29T00:00:00.123456+02:00", "2026-12-31T23:59:59"]
    {
        assert!(is_time(good), "{good}");
    }
    for bad in [
        "",
        "2026-01-31",
        "2026-01-31 10:20:30Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T10:20:30.Z",
        "2026-01-31T10:20:30z",
        "2026-01-31T10:20:30+2:00",
        "2026-01-31T10:20:30+02:60",
        "2026-01-31T10:20:30+15:00",
        "dddd-01-31T10:20:30Z",
        "2026-01-31T10:20:3é",
    ] {
        assert!(!is_time(bad), "{bad}");
    }
}

#[test]
fn a_refusal_repeats_little_of_a_long_text() {
    let long = "é".repeat(100_000);
    for bad in [
        format!("<numCPUs>{long}</numCPUs>"),
        format!("<files xsi:type='{long}'/>"),
        format!("<extraConfig><key>k</key><value xsi:type='x:{long}'/></extraConfig>"),
    ] {
        let (first, rest) = refused(change(&bad));
        assert!(first.len() + rest.len() < 2000);
    }
}

#[test]
fn references_have_a_fitting_type_and_a_text() {
    let call = |pool: &str| {
        read(
            &format!(
                "<RegisterVM_Task xmlns='urn:vim25'><_this>ha-folder-vm</_this><path>p</path>\
                 <asTemplate>false</asTemplate>{pool}</RegisterVM_Task>"
            ),
            "6.5",
        )
    };
    assert!(call("<pool type='ResourcePool'>p</pool>").is_ok());
    assert!(call("<pool type='VirtualApp'>p</pool>").is_ok());
    let bare = call("<pool xsi:type='ManagedObjectReference'>p</pool>").unwrap();
    assert_eq!(bare.args.reference("pool"), Some(&Ref::new("ResourcePool", "p")));
    for bad in ["<pool type='Folder'>p</pool>", "<pool type='ResourcePool'/>", "<pool>p<b/></pool>"]
    {
        assert!(refused(call(bad)).1.contains("property \"pool\""), "{bad}");
    }
}

#[test]
fn templates_are_as_strict_and_in_any_order() {
    let world = |inner: &str| {
        template(&format!(
            "<world xmlns:xsi='{XSI}' xmlns:xsd='{XSD}'><object type='HostSystem' id='ha-host'>\
             {inner}</object></world>"
        ))
    };
    let all = world("<vm type='VirtualMachine'>1</vm><name>esxi01</name><!-- x -->\n").unwrap();
    assert_eq!(all[0].0, Ref::new("HostSystem", "ha-host"));
    assert_eq!(all[0].1.text("name"), Some("esxi01"));
    assert_eq!(all[0].1.list("vm").len(), 1);
    for (bad, why) in [
        ("<nonsense/>", "Unexpected element tag \"nonsense\""),
        ("<name>a</name><name>a</name>", "Unexpected element tag \"name\""),
        ("text", "Unexpected text"),
        ("<overallStatus>pink</overallStatus>", "property \"overallStatus\" of static type"),
        ("<summary/>", "Required property"),
    ] {
        let error = world(bad).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("HostSystem `ha-host`"), "{error}");
    }
    for bad in ["<other/>", "<object/>", "<object type='AboutInfo' id='x'/>"] {
        assert!(template(&format!("<world>{bad}</world>")).is_err(), "{bad}");
    }
}
