//! Values of the API as JSON for a caller, and which of them only an admin may see.
//!
//! VI-JSON: every data object names its `_typeName`, references are `{type, value}`, bytes base64.
//! Surprising: what is withheld goes by the names of fields, wherever in an answer they stand, so
//! that no path and no method leads around it.

use crate::text::base64;
use crate::text::json;
use crate::text::json::{Number, Value as Json};
use crate::text::secret::names_secret;
use crate::vim::from_json::TYPE_NAME;
use crate::vim::table::{Field, Type, TypeKind};
use crate::vim::value::{Object, Value};

/// Fields that show what is behind a machine's or a server's door, whoever declares them.
static WITHHELD: &[&str] = &[
    "configChanges",
    "extraConfig",
    "keyData",
    "licenseKey",
    "licenseKeys",
    "scriptText",
    "sessionId",
];

/// The same of one type only.
static WITHHELD_OF: &[(&str, &str)] = &[
    ("CustomizationSysprepText", "value"),
    // What `OptionManager.setting` shows of a host.
    ("HostConfigInfo", "option"),
    ("HostConfigSpec", "option"),
    ("HostGatewaySpec", "hostAuthParams"),
    // Users of SNMP v3 with the hashes of their passwords.
    ("HostSnmpConfigSpec", "option"),
    // Whole specifications, as of clones with their customization.
    ("MethodActionArgument", "value"),
    ("OptionManager", "setting"),
    // Of host profiles; passwords and community names among them.
    ("PolicyOption", "parameter"),
    ("ProfileDeferredPolicyOptionParameter", "parameter"),
    // A task that only an admin may start can end with what only he may see.
    ("TaskInfo", "result"),
    ("VAppPropertyInfo", "defaultValue"),
    ("VAppPropertyInfo", "value"),
];

/// The text of an event, which can quote what was changed in a configuration, with the values.
pub const MESSAGE: &str = "fullFormattedMessage";

/// Objects that let one in, wherever they stand.
static KEYS_TO_DOORS: &[&str] = &["HttpNfcLeaseInfo", "UserSession"];

/// Whether only an admin may see this field.
pub fn is_withheld(field: &Field) -> bool {
    let open = ["boolean", "byte", "int", "long", "short", "dateTime"];
    WITHHELD.contains(&field.name)
        || KEYS_TO_DOORS.contains(&field.ty.name())
        || WITHHELD_OF.contains(&(field.owner.name(), field.name))
        || (names_secret(field.name) && !open.contains(&field.ty.name()))
}

/// What everybody may read of an event's text: the first line alone where others quote what is
/// withheld.
pub fn open_part(text: &str) -> &str {
    let text = text.trim();
    match ["extraConfig", "vAppConfig"].iter().find(|it| text.contains(**it)) {
        Some(_) => text.split_once('\n').map_or(text, |it| it.0).trim_end(),
        None => text,
    }
}

/// Turns values into JSON, and remembers what it left out.
pub struct Writer {
    /// An admin sees all.
    pub all: bool,
    /// Names of fields that were there and are not shown.
    pub withheld: Vec<&'static str>,
}

impl Writer {
    pub fn new(all: bool) -> Writer {
        Writer { all, withheld: Vec::new() }
    }

    /// A value on its own, such as a property or what a method answers.
    pub fn write(&mut self, value: &Value) -> Json {
        self.any(value.plain())
    }

    fn any(&mut self, value: &Value) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => json::int(*number),
            Value::Float(number) if number.is_finite() => Json::Number(Number::F64(*number)),
            Value::Float(number) => json::text(number.to_string()),
            Value::Text(text) => json::text(text),
            Value::Binary(bytes) => json::text(base64::encode(bytes)),
            Value::Ref(at) => Json::Object(json::object([
                ("type", json::text(&*at.kind)),
                ("value", json::text(&at.id)),
            ])),
            Value::List(items) => Json::Array(items.iter().map(|it| self.any(it)).collect()),
            Value::Object(object) => self.object(object),
            Value::Typed(ty, inner) => self.typed(*ty, inner),
        }
    }

    /// A number in `anyType` keeps the type that its form does not tell: servers insist on it.
    fn typed(&mut self, ty: Type, inner: &Value) -> Json {
        let plain = self.any(inner.plain());
        match (ty.kind(), inner.plain()) {
            (TypeKind::Primitive, Value::Int(_) | Value::Float(_)) => {
                Json::Object(json::object([(TYPE_NAME, json::text(ty.name())), ("_value", plain)]))
            }
            _ => plain,
        }
    }

    fn object(&mut self, object: &Object) -> Json {
        let mut members = json::object([(TYPE_NAME, json::text(object.kind()))]);
        let ty = object.ty();
        for (name, value) in object.fields() {
            let field = ty.and_then(|ty| ty.field(name));
            if !self.all && field.as_ref().is_none_or(is_withheld) {
                self.leave_out(name);
                continue;
            }
            let value = match value.as_text() {
                Some(text) if !self.all && name == MESSAGE => json::text(open_part(text)),
                _ => self.any(value),
            };
            members.insert(name.to_owned(), value);
        }
        let unknown = object.unknown().count();
        if unknown > 0 {
            // Newer than the schema: nobody knows whether an admin alone may see them.
            members.insert("_unknownFields".to_owned(), json::int(unknown as i64));
        }
        Json::Object(members)
    }

    fn leave_out(&mut self, name: &'static str) {
        if !self.withheld.contains(&name) {
            self.withheld.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vim::table::{property_path, walk};
    use crate::vim::value::Ref;

    fn written(value: &Value, all: bool) -> (String, Vec<&'static str>) {
        let mut writer = Writer::new(all);
        (json::write(&writer.write(value)), writer.withheld)
    }

    fn config() -> Value {
        let option = Object::new("OptionValue").with("key", "guestinfo.x").with("value", "secret");
        let long = Value::Typed(Type::find("long").unwrap(), Box::new(Value::Int(5)));
        let number = Object::new("OptionValue").with("key", "n").with("value", long);
        let property = Object::new("VAppPropertyInfo").with("id", "admin").with("value", "hunter2");
        Value::List(vec![
            Object::new("VirtualMachineConfigInfo")
                .with("name", "web")
                .with("extraConfig", vec![option])
                .with("vAppConfig", Object::new("VmConfigInfo").with("property", vec![property]))
                .into(),
            number.into(),
            Ref::new("Datastore", "d-1").into(),
            Value::Binary(b"ab".to_vec()),
            Value::Float(f64::INFINITY),
        ])
    }

    #[test]
    fn an_admin_sees_all_and_others_are_told_what_they_do_not() {
        let (text, withheld) = written(&config(), true);
        assert!(withheld.is_empty() && text.contains("guestinfo.x") && text.contains("hunter2"));
        let (text, withheld) = written(&config(), false);
        assert_eq!(withheld, ["extraConfig", "value"]);
        assert_eq!(
            text,
            r#"[{"_typeName":"VirtualMachineConfigInfo","name":"web","vAppConfig":{"_typeName":"VmConfigInfo","property":[{"_typeName":"VAppPropertyInfo","id":"admin"}]}},{"_typeName":"OptionValue","key":"n","value":{"_typeName":"long","_value":5}},{"type":"Datastore","value":"d-1"},"YWI=","inf"]"#
        );
    }

    #[test]
    fn what_an_event_says_of_withheld_values_is_cut() {
        let said = "Reconfigured web.  \n \nAdded: config.extraConfig(\"x\"): hunter2";
        let event = Value::from(Object::new("VmReconfiguredEvent").with(MESSAGE, said));
        assert!(written(&event, true).0.contains("hunter2"));
        let (text, _) = written(&event, false);
        assert!(text.contains("\"Reconfigured web.\"") && !text.contains("hunter2"), "{text}");
        assert_eq!(open_part("a\nmemoryMB: 1 -> 2 "), "a\nmemoryMB: 1 -> 2");
    }

    /// What a server might read otherwise than the check of it would lead around the check.
    #[test]
    fn a_path_has_one_reading_and_all_its_fields_are_looked_at() {
        let vm = Type::find("VirtualMachine").unwrap();
        for odd in ["device[4000]key", "device[\"].key[\"]x", "device[4\"].key[\"]", "device[4][5]"]
        {
            let path = format!("config.hardware.{odd}");
            let said = property_path(vm, &path).unwrap_err().to_string();
            assert!(said.contains("not closed"), "{said}");
        }
        assert!(property_path(vm, "config.extraConfig[\"a].b[0]\"].value").is_ok());
        let mut owners = Vec::new();
        let seen = &mut |field: &Field| owners.push(field.owner.name());
        walk(vm, "config.hardware.device[1].backing.fileName", seen).unwrap();
        assert!(owners.contains(&"VirtualDeviceFileBackingInfo"), "{owners:?}");
    }

    #[test]
    fn secrets_go_by_their_names_and_numbers_of_them_do_not() {
        let withheld =
            |owner: &str, name: &str| is_withheld(&Type::find(owner).unwrap().field(name).unwrap());
        for (owner, name) in [
            ("SessionManager", "sessionList"),
            ("SessionManager", "currentSession"),
            ("HostConnectSpec", "password"),
            ("HostInternetScsiHbaAuthenticationProperties", "chapSecret"),
            ("LicenseManagerLicenseInfo", "licenseKey"),
            ("OptionManager", "setting"),
            ("HostConfigInfo", "option"),
            ("HostSnmpConfigSpec", "readOnlyCommunities"),
            ("HostSnmpConfigSpec", "option"),
            ("PolicyOption", "parameter"),
            ("TaskInfo", "result"),
            ("CryptoKeyPlain", "keyData"),
            ("CustomizationLinuxPrep", "scriptText"),
            ("HttpNfcLease", "info"),
            ("CustomizationSysprep", "guiUnattended"),
        ] {
            let expected = name != "guiUnattended";
            assert_eq!(withheld(owner, name), expected, "{owner}.{name}");
        }
        assert!(!withheld("VirtualMachineSummary", "config") && !withheld("OptionValue", "value"));
    }
}
