//! The hardware of a descriptor: one item for each device.
//!
//! It knows nothing of files beyond their numbers. Surprising: items are numbered like the devices
//! of the machine, also those that are left out, so that a parent's number needs no list.

use crate::sim::ovf::describe::Descriptor;
use crate::sim::ovf::describe::number;
use crate::sim::ovf::devices;
use crate::sim::ovf::devices::CD;
use crate::sim::ovf::devices::DISK;
use crate::sim::ovf::devices::NIC;
use crate::sim::ovf::devices::Sort;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// What every machine has and no descriptor names.
const BUILT_IN: &[&str] = &[
    "VirtualPCIController",
    "VirtualPS2Controller",
    "VirtualSIOController",
    "VirtualKeyboard",
    "VirtualPointingDevice",
];

/// Elements of processors and memory, in the order of the alphabet, as in every item.
const QUANTITY: [&str; 6] = [
    "AllocationUnits",
    "Description",
    "ElementName",
    "InstanceID",
    "ResourceType",
    "VirtualQuantity",
];
/// Elements of all other devices.
const DEVICE: [&str; 10] = [
    "Address",
    "AddressOnParent",
    "AutomaticAllocation",
    "Connection",
    "ElementName",
    "HostResource",
    "InstanceID",
    "Parent",
    "ResourceSubType",
    "ResourceType",
];

impl Descriptor<'_> {
    /// An item with texts of these names; it stays open.
    fn item<const N: usize>(&mut self, required: bool, texts: [&str; N], names: &[&str; N]) {
        self.fields(required, &texts, names);
    }

    fn fields(&mut self, required: bool, texts: &[&str], names: &[&str]) {
        self.open("Item", &[("ovf:required", if required { "" } else { "false" })]);
        for (name, text) in names.iter().zip(texts).filter(|(_, text)| !text.is_empty()) {
            self.leaf(&format!("rasd:{name}"), &[], text);
        }
    }

    /// Processors, memory, and every device.
    pub fn hardware(&mut self) {
        let hardware = |name: &str| self.config.int(&format!("hardware.{name}"));
        let (cpus, memory) = (number(hardware("numCPU")), number(hardware("memoryMB")));
        let cores = number(hardware("numCoresPerSocket"));
        // Units, description, name, instance, type, quantity.
        let one = format!("{cpus} virtual CPU(s)");
        let two = format!("{memory}MB of memory");
        self.item(
            true,
            ["hertz * 10^6", "Number of Virtual CPUs", &one, "1", "3", &cpus],
            &QUANTITY,
        );
        if !cores.is_empty() {
            self.leaf("vmw:CoresPerSocket", &[("ovf:required", "false")], &cores);
        }
        self.close("Item");
        self.item(true, ["byte * 2^20", "Memory Size", &two, "2", "4", &memory], &QUANTITY);
        self.close("Item");
        let mut disks = 0;
        for (at, device) in self.devices.iter().filter_map(Value::as_object).enumerate() {
            let Some(sort) = devices::of_device(device) else {
                self.left_out(device);
                continue;
            };
            disks += usize::from(sort.cim == DISK);
            self.device(at, device, sort, disks);
        }
    }

    fn left_out(&mut self, device: &Object) {
        if !BUILT_IN.contains(&device.kind()) {
            let label = device.text("deviceInfo.label").unwrap_or(device.kind());
            let text = format!("The device '{label}' cannot be exported.");
            let named = [("device", device.into()), ("vmPath", self.name.into())];
            self.notes.add(false, 0, "OvfUnsupportedDeviceExport", &text, named);
        }
    }

    fn device(&mut self, at: usize, device: &Object, sort: &Sort, disk: usize) {
        let controller = matches!(sort.cim, 5 | 6 | 20);
        let file = if sort.cim == CD || sort.cim == 14 { self.file_of(device) } else { None };
        let medium = device.text("backing.fileName").unwrap_or_default();
        let drive = matches!(sort.cim, CD | 14);
        let emptied = drive && file.is_none() && !medium.is_empty();
        if emptied {
            let kind =
                if sort.cim == CD { "OvfConnectedDeviceIso" } else { "OvfConnectedDeviceFloppy" };
            let text = format!("The drive of '{}' is connected to '{medium}'.", self.name);
            let named = [
                ("device", device.into()),
                ("vmPath", self.name.into()),
                ("filename", medium.into()),
            ];
            self.notes.add(false, 0, kind, &text, named);
        }
        let resource = match (sort.cim, file) {
            (DISK, _) => format!("ovf:/disk/vmdisk{disk}"),
            (_, Some(file)) => format!("ovf:/file/file{}", file + 1),
            _ => {
                let names = ["deviceName", "serviceURI", "pipeName"];
                let held = names.iter().find_map(|it| device.object("backing")?.text(it));
                held.filter(|_| matches!(sort.cim, 21 | 22)).unwrap_or_default().to_owned()
            }
        };
        // The items after processor and memory are numbered like the devices.
        let numbered = |key: i64| {
            let all = self.devices.iter().filter_map(Value::as_object);
            all.into_iter().position(|it| it.int("key") == Some(key)).map(|at| at + 3)
        };
        let parent = device.int("controllerKey").filter(|_| matches!(sort.cim, DISK | CD));
        let parent = parent.and_then(numbered);
        let unit = device.int("unitNumber").filter(|_| parent.is_some() || sort.cim == NIC);
        let connected = device.flag("connectable.startConnected");
        let connected = connected.map(|it| it && !emptied);
        let address = match controller {
            true => number(device.int("busNumber")),
            false if self.options.contains(&"mac") => {
                device.text("macAddress").unwrap_or_default().to_owned()
            }
            false => String::new(),
        };
        let network = if sort.cim == NIC { self.network_of(device) } else { String::new() };
        let label = device.text("deviceInfo.label").unwrap_or(device.kind());
        let optional = |it: Option<usize>| it.map_or_else(String::new, |it| it.to_string());
        let texts: [&str; 10] = [
            &address,
            &number(unit),
            connected.map_or("", |it| if it { "true" } else { "false" }),
            &network,
            label,
            &resource,
            &(at + 3).to_string(),
            &optional(parent),
            sort.sub,
            &sort.cim.to_string(),
        ];
        self.item(controller || matches!(sort.cim, DISK | NIC), texts, &DEVICE);
        for path in devices::DEVICE {
            self.setting(path, device.get(path));
        }
        self.close("Item");
    }
}
