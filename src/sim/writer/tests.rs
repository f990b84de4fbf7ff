//! What goes out, and that the strict reader reads all of it back.

use super::*;
use crate::vim::table;

fn version(name: &str) -> Version {
    Version::parse(name).unwrap()
}

fn ty(name: &str) -> Type {
    Type::find(name).unwrap()
}

fn told(name: &str, declared: &str, value: impl Into<Value>) -> String {
    fragment(name, ty(declared), &value.into()).unwrap()
}

#[test]
fn an_answer_looks_like_a_host_s() {
    let method = Method::find("Folder", "CreateVM_Task").unwrap();
    let task = Ref::new("Task", "haTask-<1>").into();
    let text = response(method, version("6.5"), Some(&task)).unwrap();
    assert_eq!(
        text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"\n \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"\n \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n\
         <CreateVM_TaskResponse xmlns=\"urn:vim25\">\
         <returnval type=\"Task\">haTask-&lt;1&gt;</returnval></CreateVM_TaskResponse>\n\
         </soapenv:Body>\n</soapenv:Envelope>"
    );
    let logout = Method::find("SessionManager", "Logout").unwrap();
    let text = response(logout, version("6.5"), None).unwrap();
    assert!(text.contains("<LogoutResponse xmlns=\"urn:vim25\"></LogoutResponse>"));
    assert!(response(logout, version("6.5"), Some(&1.into())).is_err());
    let find = Method::find("SearchIndex", "FindAllByUuid").unwrap();
    let both = [Ref::new("VirtualMachine", "1"), Ref::new("VirtualMachine", "2")].into();
    let text = response(find, version("6.5"), Some(&both)).unwrap();
    assert_eq!(text.matches("<returnval type=\"VirtualMachine\">").count(), 2);
}

#[test]
fn a_fault_names_its_type_twice() {
    let text = fault(&Fault::new("InvalidLogin", "no \u{7}<way>\n"), version("6.5"));
    assert!(text.contains(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode>\
         <faultstring>no &lt;way&gt;\n</faultstring><detail>\
         <InvalidLoginFault xmlns=\"urn:vim25\" xsi:type=\"InvalidLogin\"></InvalidLoginFault>\
         </detail></soapenv:Fault>"
    ));
    let gone = fault(&Fault::gone(&Ref::new("VirtualMachine", "9")), version("6.5"));
    assert!(gone.contains(
        "<ManagedObjectNotFoundFault xmlns=\"urn:vim25\" xsi:type=\"ManagedObjectNotFound\">\
         <obj type=\"VirtualMachine\">9</obj></ManagedObjectNotFoundFault>"
    ));
}

#[test]
fn fields_go_out_in_the_schema_s_order_and_the_client_s_version() {
    let connect = Object::new("VirtualDeviceConnectInfo")
        .with("connected", true)
        .with("allowGuestControl", false)
        .with("migrateConnect", "unset")
        .with("status", Value::Null)
        .with("startConnected", true);
    let disk = Object::new("VirtualSerialPort")
        .with("yieldOnPoll", true)
        .with("connectable", connect)
        .with("key", 9000);
    let written = |at: &str| {
        let mut pen = Pen::new(version(at));
        pen.values("device", ty("VirtualDevice"), true, &vec![disk.clone()].into()).unwrap();
        pen.finish()
    };
    assert_eq!(
        written("6.5"),
        "<device xsi:type=\"VirtualSerialPort\"><key>9000</key><connectable>\
         <startConnected>true</startConnected><allowGuestControl>false</allowGuestControl>\
         <connected>true</connected></connectable><yieldOnPoll>true</yieldOnPoll></device>"
    );
    assert!(written("6.7").contains("<connectable><migrateConnect>unset</migrateConnect>"));
    // Came with 5.5 and 6.5: an older client hears of their base.
    let new = Object::new("VirtualNVMEController")
        .with("key", 1)
        .with("busNumber", 0)
        .with_some("device", None::<Vec<i32>>);
    let mut pen = Pen::new(version("6.0"));
    pen.any("val", &new.into()).unwrap();
    assert_eq!(
        pen.finish(),
        "<val xsi:type=\"VirtualController\"><key>1</key><busNumber>0</busNumber></val>"
    );
}

#[test]
fn any_type_tells_its_type() {
    let as_any = |declared: &str, array: bool, value: Value| {
        told("val", "anyType", any(ty(declared), array, value))
    };
    for (declared, array, value, text) in [
        ("int", false, Value::from(5), "<val xsi:type=\"xsd:int\">5</val>"),
        ("long", false, 5.into(), "<val xsi:type=\"xsd:long\">5</val>"),
        ("boolean", false, true.into(), "<val xsi:type=\"xsd:boolean\">true</val>"),
        ("anyType", false, "a&".into(), "<val xsi:type=\"xsd:string\">a&amp;</val>"),
        ("float", false, 1.5.into(), "<val xsi:type=\"xsd:float\">1.5</val>"),
        (
            "VirtualMachinePowerState",
            false,
            "poweredOn".into(),
            "<val xsi:type=\"VirtualMachinePowerState\">poweredOn</val>",
        ),
        (
            "HostSystem",
            false,
            Ref::new("HostSystem", "ha-host").into(),
            "<val type=\"HostSystem\" xsi:type=\"ManagedObjectReference\">ha-host</val>",
        ),
        (
            "VirtualMachine",
            true,
            vec![Ref::new("VirtualMachine", "1")].into(),
            "<val xsi:type=\"ArrayOfManagedObjectReference\"><ManagedObjectReference \
             type=\"VirtualMachine\" xsi:type=\"ManagedObjectReference\">1\
             </ManagedObjectReference></val>",
        ),
        ("OptionValue", true, Value::List(vec![]), "<val xsi:type=\"ArrayOfOptionValue\"></val>"),
        (
            "OptionValue",
            true,
            vec![Object::new("HostInternetScsiHbaParamValue").with("key", "k")].into(),
            "<val xsi:type=\"ArrayOfOptionValue\"><OptionValue \
             xsi:type=\"HostInternetScsiHbaParamValue\"><key>k</key></OptionValue></val>",
        ),
        (
            "string",
            true,
            ["a"].into(),
            "<val xsi:type=\"ArrayOfString\"><string xsi:type=\"xsd:string\">a</string></val>",
        ),
    ] {
        assert_eq!(as_any(declared, array, value), text);
    }
}

#[test]
fn what_is_wrong_is_not_written() {
    for (declared, value, why) in [
        ("OptionValue", Object::new("OptionValue").into(), "OptionValue lacks its field `key`"),
        ("OptionValue", Object::new("OptionValue").with("kee", 1).into(), "no field `kee`"),
        ("OptionValue", Object::new("AboutInfo").into(), "AboutInfo is no OptionValue"),
        ("OptionValue", Object::new("Nonsense").into(), "no type `Nonsense`"),
        ("OptionValue", Value::from(5), "is no OptionValue"),
        ("int", Value::from(1u64 << 31), "is no int"),
        ("int", "5".into(), "is no int"),
        ("string", 5.into(), "is no string"),
        ("dateTime", "yesterday".into(), "is no dateTime"),
        ("ManagedEntityStatus", "pink".into(), "is no ManagedEntityStatus"),
        ("Folder", Ref::new("Task", "1").into(), "Task:1 is no Folder"),
        ("Folder", Ref::new("Folder", "").into(), "is empty"),
        ("anyType", Value::List(vec![]), "does not tell its type"),
    ] {
        let error = fragment("x", ty(declared), &value).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Bug);
        assert!(error.to_string().contains(why), "{error}");
    }
}

// ---- what is written reads back ----

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % sides.max(1)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    fn text(&mut self) -> String {
        let all = ['a', 'Z', ' ', '<', '>', '&', '"', '\'', '\n', '\r', '\t', 'é', '\u{10ffff}'];
        (0..self.roll(8)).map(|_| self.pick(&all)).collect()
    }

    fn scalar(&mut self, ty: Type) -> Value {
        if ty.kind() == TypeKind::Enum {
            return self.pick(&ty.values().collect::<Vec<_>>()).into();
        }
        match ty.name() {
            "boolean" => (self.roll(2) == 0).into(),
            "byte" => self.pick(&[i64::from(i8::MIN), 0, 127]).into(),
            "short" => self.pick(&[i64::from(i16::MIN), 0, 32767]).into(),
            "int" => self.pick(&[i64::from(i32::MIN), -7, i64::from(i32::MAX)]).into(),
            "long" => self.pick(&[i64::MIN, 0, i64::MAX]).into(),
            "float" | "double" => self.pick(&[0.0, -1.5, 1e300, f64::INFINITY]).into(),
            "base64Binary" => Value::Binary((0..self.roll(9)).map(|it| it as u8).collect()),
            "dateTime" => {
                self.pick(&["2026-01-31T10:20:30Z", "2024-02-29T00:00:00.1+02:00"]).into()
            }
            _ => self.text().into(),
        }
    }

    fn value(&mut self, declared: Type, deep: usize) -> Value {
        if declared.is_named("anyType") {
            let kinds = ["int", "long", "string", "dateTime", "float", "base64Binary", "short"];
            let more = ["Folder", "OptionValue", "ManagedEntityStatus", "VirtualDevice"];
            let ty = ty(self.pick(&[&kinds[..], &more[..]].concat()));
            if deep > 0 && self.roll(3) == 0 {
                let items = (0..self.roll(3)).map(|_| self.value(ty, deep - 1)).collect();
                let managed = ty.kind() == TypeKind::Managed;
                let ty = if managed {
                    table::types().find(|it| it.name() == "ManagedObject")
                } else {
                    Some(ty)
                };
                return any(ty.unwrap(), true, items);
            }
            let value = self.value(ty, deep);
            return any(ty, false, value);
        }
        match declared.kind() {
            TypeKind::Managed => {
                let all: Vec<Type> = table::types().filter(|it| it.is_a(declared)).collect();
                Ref::new(self.pick(&all).name(), format!("id-{}&", self.roll(99))).into()
            }
            TypeKind::Data => {
                let below = |it: &Type| it.kind() == TypeKind::Data && it.is_a(declared);
                let all: Vec<Type> = table::types().filter(below).collect();
                let concrete = if deep == 0 { declared } else { self.pick(&all) };
                self.object(concrete, deep).into()
            }
            _ => self.scalar(declared),
        }
    }

    fn object(&mut self, ty: Type, deep: usize) -> Object {
        let mut object = Object::new(ty.name());
        for field in ty.fields() {
            let wanted = !field.optional || (deep > 0 && self.roll(3) == 0);
            if field.array && deep > 0 && wanted {
                let items: Vec<Value> =
                    (0..self.roll(3)).map(|_| self.value(field.ty, deep - 1)).collect();
                if !items.is_empty() {
                    object.set(field.name, items);
                }
            } else if wanted && !field.array {
                object.set(field.name, self.value(field.ty, deep.saturating_sub(1)));
            }
        }
        object
    }
}

#[test]
fn what_is_written_reads_back() {
    let all: Vec<Type> = table::types().filter(|it| it.kind() == TypeKind::Data).collect();
    let mut dice = Dice(7);
    for round in 0..3000 {
        let declared = all[round % all.len()];
        let value = Value::Object(dice.object(declared, 2));
        let text = fragment("x", declared, &value).unwrap();
        let back = crate::sim::reader::fragment(&text, declared, false);
        assert_eq!(back.unwrap_or_else(|e| panic!("{e}\n{text}")), value, "{text}");
    }
}

#[test]
fn a_world_reads_back() {
    let mut dice = Dice(3);
    let (mut text, mut all) = (WORLD.to_owned(), Vec::new());
    for managed in table::types().filter(|it| it.kind() == TypeKind::Managed) {
        let this = Ref::new(managed.name(), format!("id-<{}\">", all.len()));
        let properties = dice.object(managed, 2);
        text.push_str(&object(&this, &properties).unwrap());
        all.push((this, properties));
    }
    text.push_str("</world>");
    assert_eq!(crate::sim::reader::template(&text).unwrap(), all);
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture ten_thousand"]
fn ten_thousand_machines_are_written_quickly() {
    let rows: Vec<Object> = (0..10_000)
        .map(|row| {
            let property = |at: usize| {
                let value = match at % 3 {
                    0 => any(ty("string"), false, format!("machine {row}").into()),
                    1 => any(ty("long"), false, row.into()),
                    _ => any(ty("VirtualMachinePowerState"), false, "poweredOn".into()),
                };
                Object::new("DynamicProperty").with("name", "summary.config.x").with("val", value)
            };
            Object::new("ObjectContent")
                .with("obj", Ref::new("VirtualMachine", row.to_string()))
                .with("propSet", (0..14).map(property).collect::<Value>())
        })
        .collect();
    let result = Object::new("RetrieveResult").with("objects", rows).into();
    let method = Method::find("PropertyCollector", "RetrievePropertiesEx").unwrap();
    let begun = std::time::Instant::now();
    let text = response(method, version("8.0.3.0"), Some(&result)).unwrap();
    println!("{} bytes in {:?}", text.len(), begun.elapsed());
}
