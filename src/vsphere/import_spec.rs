//! What the server makes of a descriptor: the specification of the machine and the files it waits
//! for, or why it cannot.
//!
//! The specification goes back to the server as it came, with what our schema does not know. It must
//! not know how files travel. Surprising: what is wrong with a descriptor is no fault of the call; it
//! comes as a list beside the result.

use crate::error::{Error, Kind, Result};
use crate::hv::appliances::{Import, Provisioning};
use crate::hv::call::Call;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::disk_bytes;
use crate::vsphere::import_place::Place;
use crate::vsphere::tree::escaped;
use crate::vsphere::{Vsphere, decode, faults};

/// Findings of a server that are told.
const SHOWN: usize = 20;

/// Files of one appliance.
const MOST: usize = 1000;

/// What a disk drive is called in the numbers of the descriptor's standard.
const DISK_DRIVE: i64 = 17;

/// A file that the server waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The device that it fills, as the lease names it too.
    pub device: String,
    /// As the descriptor names the file.
    pub path: String,
    /// Bytes as the descriptor tells them.
    pub size: Option<u64>,
    /// Anything but the data of a disk.
    pub create: bool,
    pub disk: bool,
    /// Compressed or in pieces, so that only we can put it right.
    pub packed: bool,
}

/// What the server would make.
pub struct Planned {
    /// `ImportSpec`.
    pub spec: Object,
    /// In the server's order.
    pub items: Vec<Item>,
    /// Bytes of each disk.
    pub disks: Vec<u64>,
    pub warnings: Vec<String>,
    /// Several machines in one.
    pub vapp: bool,
}

/// Has the server understand the descriptor; nothing is made.
pub fn ask(
    it: &Vsphere,
    call: &Call,
    what: &Import<'_>,
    place: &Place,
    vcenter: bool,
) -> Result<Planned> {
    let pair =
        |key: &str, value: &str| Object::new("KeyValue").with("key", key).with("value", value);
    let networks: Vec<Object> = place
        .networks
        .iter()
        .map(|it| {
            let name = it.wanted.as_str();
            Object::new("OvfNetworkMapping").with("name", name).with("network", &it.at)
        })
        .collect();
    // What nobody chose the server takes from the descriptor itself.
    let given = what.settings.iter().filter(|it| it.given);
    let settings: Vec<Object> = given.map(|it| pair(&it.key, &it.value)).collect();
    let some = |list: Vec<Object>| Some(list).filter(|it| !it.is_empty());
    let params = Object::new("OvfCreateImportSpecParams")
        .with("locale", "")
        .with("deploymentOption", what.option.unwrap_or_default())
        .with("entityName", escaped(what.name))
        .with_some("hostSystem", place.host.as_ref().map(|(_, at)| at))
        .with_some("networkMapping", some(networks))
        .with_some("propertyMapping", some(settings))
        .with("diskProvisioning", word(what.provisioning));
    let args = Object::args()
        .with("ovfDescriptor", what.descriptor.trim_start_matches('\u{feff}'))
        .with("resourcePool", &place.pool)
        .with("datastore", &place.store.at)
        .with("cisp", params);
    let manager = it.session.live(call)?.manager("ovfManager")?;
    let result = it.session.call(call, &manager, "CreateImportSpec", &args)?;
    read(result.as_ref().and_then(Value::as_object), vcenter)
}

/// The server's word for it.
pub fn word(provisioning: Provisioning) -> &'static str {
    match provisioning {
        Provisioning::Thin => "thin",
        Provisioning::Thick => "thick",
        Provisioning::EagerZeroedThick => "eagerZeroedThick",
    }
}

/// Reads an `OvfCreateImportSpecResult`.
fn read(result: Option<&Object>, vcenter: bool) -> Result<Planned> {
    let nothing = || Error::new(Kind::Remote, "the server made nothing of the descriptor");
    let result = result.ok_or_else(nothing)?;
    let found = |name| -> Vec<decode::Fault> {
        result.objects(name).take(SHOWN).map(decode::fault_of).collect()
    };
    let errors = found("error");
    if !errors.is_empty() {
        return Err(refused(&errors, vcenter));
    }
    let warnings = found("warning").iter().map(faults::words).collect();
    let spec = result.object("importSpec").cloned().ok_or_else(nothing)?;
    let number = |it: &Object, name| it.int(name).and_then(|it| u64::try_from(it).ok());
    let items: Vec<Item> = result
        .objects("fileItem")
        .map(|it| Item {
            device: it.text("deviceId").unwrap_or_default().to_owned(),
            path: it.text("path").unwrap_or_default().to_owned(),
            size: number(it, "size").filter(|it| *it > 0),
            create: it.flag("create") == Some(true),
            disk: it.int("cimType") == Some(DISK_DRIVE),
            packed: it.text("compressionMethod").is_some_and(|it| !it.is_empty())
                || number(it, "chunkSize").is_some_and(|it| it > 0),
        })
        .collect();
    if items.len() > MOST {
        let said = format!("the appliance has {} files, more than {MOST}", items.len());
        return Err(Error::new(Kind::Unsupported, said));
    }
    let (vapp, machines) = machines(&spec)?;
    let disks = machines
        .iter()
        .flat_map(|it| it.objects("deviceChange"))
        .filter_map(|it| it.object("device").filter(|it| it.is("VirtualDisk")))
        .map(|it| u64::try_from(disk_bytes(it)).unwrap_or(0))
        .collect();
    Ok(Planned { items, disks, warnings, vapp, spec })
}

/// The machines of a specification, and whether they are several.
fn machines(spec: &Object) -> Result<(bool, Vec<&Object>)> {
    let odd = |what: &str| {
        let said = format!("the appliance is {what}, which is not imported here");
        Error::new(Kind::Unsupported, said).hint("Import it by ovftool or in vCenter's own client")
    };
    match spec.kind() {
        "VirtualMachineImportSpec" => Ok((false, spec.object("configSpec").into_iter().collect())),
        // unverified: no vCenter that imports several machines at once was at hand.
        "VirtualAppImportSpec" => {
            if spec.objects("child").any(|it| it.kind() != "VirtualMachineImportSpec") {
                return Err(odd("a vApp within a vApp"));
            }
            Ok((true, spec.objects("child").filter_map(|it| it.object("configSpec")).collect()))
        }
        other => Err(odd(&format!("of a new sort ({})", crate::error::quoted(other)))),
    }
}

/// All that is wrong with the descriptor, as one error.
fn refused(all: &[decode::Fault], vcenter: bool) -> Error {
    let named: Vec<Error> =
        all.iter().map(|it| faults::error("CreateImportSpec", it, vcenter)).collect();
    let kind = named.first().map_or(Kind::Remote, Error::kind);
    let mut hints: Vec<&str> = Vec::new();
    for hint in named.iter().filter_map(Error::next_step) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    let name = all.first().map_or("", |it| it.name.as_str());
    let error = Error::new(kind, "the server cannot take this appliance")
        .fault(name)
        .listing(all.iter().map(faults::words));
    if hints.is_empty() { error } else { error.hint(hints.join(". ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &'static str, text: &str) -> Object {
        Object::new("LocalizedMethodFault")
            .with("fault", Object::new(name))
            .with("localizedMessage", text)
    }

    fn result() -> Object {
        let disk = Object::new("VirtualDisk").with("key", -1).with("capacityInKB", 1 << 20);
        let change = Object::new("VirtualDeviceConfigSpec").with("device", disk);
        let config = Object::new("VirtualMachineConfigSpec").with("deviceChange", vec![change]);
        let spec = Object::new("VirtualMachineImportSpec").with("configSpec", config);
        let item = Object::new("OvfFileItem")
            .with("deviceId", "/x/VirtualLsiLogicController0:0")
            .with("path", "d.vmdk")
            .with("size", 512)
            .with("cimType", 17)
            .with("create", false);
        Object::new("OvfCreateImportSpecResult")
            .with("importSpec", spec)
            .with("fileItem", vec![item.clone(), item.with("compressionMethod", "gzip")])
            .with("warning", vec![fault("OvfUnsupportedSection", "Line 3: odd.")])
    }

    #[test]
    fn files_disks_and_warnings_are_read() {
        let read = read(Some(&result()), false).unwrap();
        assert_eq!((read.disks.as_slice(), read.vapp), (&[1 << 30][..], false));
        assert_eq!(read.warnings, ["Line 3: odd (OvfUnsupportedSection)"]);
        let packed: Vec<bool> = read.items.iter().map(|it| it.packed).collect();
        assert_eq!(packed, [false, true]);
        assert!(read.items[0].disk && !read.items[0].create && read.items[0].size == Some(512));
    }

    #[test]
    fn what_is_wrong_is_one_error_with_each_hint_once() {
        let errors = vec![
            fault("OvfNoSupportedHardwareFamily", "Line 9: Unsupported family 'vmx-99'."),
            fault("OvfNoHostNic", ""),
            fault("OvfUnsupportedElement", "Line 4: What is this?"),
            fault("OvfUnsupportedSection", "Line 5: And this?"),
        ];
        let error = read(Some(&result().with("error", errors)), false).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(error.fault_name(), Some("OvfNoSupportedHardwareFamily"));
        let text = error.to_string();
        assert!(
            text.starts_with(
                "the server cannot take this appliance: Line 9: Unsupported family 'vmx-99' \
             (OvfNoSupportedHardwareFamily); OvfNoHostNic; Line 4: What is this? \
             (OvfUnsupportedElement); Line 5"
            ),
            "{text}"
        );
        assert!(text.contains("needs a newer ESXi") && text.contains("network_map"), "{text}");
        assert_eq!(text.matches("a newer one may").count(), 1, "{text}");
    }

    #[test]
    fn several_machines_are_taken_when_they_are_plain() {
        let machine = || result().object("importSpec").cloned().unwrap();
        let app = |child: Vec<Object>| Object::new("VirtualAppImportSpec").with("child", child);
        let read = |spec: Object| read(Some(&result().with("importSpec", spec)), true);
        let two = read(app(vec![machine(), machine()])).unwrap();
        assert_eq!((two.vapp, two.disks.len()), (true, 2));
        let nested = read(app(vec![machine(), app(vec![])])).err().unwrap();
        assert_eq!(nested.kind(), Kind::Unsupported, "{nested}");
        let none = Object::new("OvfCreateImportSpecResult");
        assert!(super::read(Some(&none), true).is_err() && super::read(None, true).is_err());
    }
}
