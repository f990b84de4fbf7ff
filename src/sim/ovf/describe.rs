//! CreateDescriptor: a machine's configuration as an OVF 1.1 descriptor.
//!
//! It writes what import reads, from the same table of devices. Surprising: an ISO file goes along
//! only if the caller has sent one for that drive; else the drive is described empty, with a
//! warning.

use crate::sim::ovf::devices;
use crate::sim::ovf::devices::DISK;
use crate::sim::ovf::devices::NIC;
use crate::sim::ovf::inspect;
use crate::sim::ovf::notes::Notes;
use crate::text::order;
use crate::text::xml;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// The root element of every descriptor that hosts write.
const ENVELOPE: &[(&str, &str)] = &[
    ("xmlns", "http://schemas.dmtf.org/ovf/envelope/1"),
    ("xmlns:cim", "http://schemas.dmtf.org/wbem/wscim/1/common"),
    ("xmlns:ovf", "http://schemas.dmtf.org/ovf/envelope/1"),
    (
        "xmlns:rasd",
        "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
    ),
    ("xmlns:vmw", "http://www.vmware.com/schema/ovf"),
    (
        "xmlns:vssd",
        "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
    ),
    ("xmlns:xsi", xml::XSI),
];
const FORMAT: &str = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";
/// An `OvfCreateDescriptorResult` for a `VirtualMachineConfigInfo` (of the machine or of a
/// snapshot) and an `OvfCreateDescriptorParams`; `network` names the network of a card's backing.
pub fn create_descriptor(
    config: &Object,
    cdp: &Object,
    network: &dyn Fn(&Object) -> Option<String>,
) -> Object {
    let name = cdp.text("name").or(config.text("name")).unwrap_or_default();
    let mut out = Descriptor {
        writer: xml::Writer::new(),
        depth: 0,
        config,
        files: cdp.objects("ovfFiles").collect(),
        options: cdp.texts("exportOption").collect(),
        devices: config.list("hardware.device"),
        name,
        network,
        notes: Notes::default(),
    };
    out.writer.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    out.open("Envelope", ENVELOPE);
    out.sections();
    out.machine(cdp.text("description").or(config.text("annotation")));
    out.close("Envelope");
    let text = out.writer.finish();
    out.notes.onto(
        Object::new("OvfCreateDescriptorResult")
            .with("ovfDescriptor", text)
            .with("includeImageFiles", cdp.flag("includeImageFiles").unwrap_or(false)),
    )
}

/// A descriptor that is being written.
pub struct Descriptor<'a> {
    writer: xml::Writer,
    depth: usize,
    pub config: &'a Object,
    files: Vec<&'a Object>,
    pub options: Vec<&'a str>,
    pub devices: &'a [Value],
    pub name: &'a str,
    network: &'a dyn Fn(&Object) -> Option<String>,
    pub notes: Notes,
}

/// Names and values of an element.
pub type Attributes<'a> = &'a [(&'a str, &'a str)];

impl<'a> Descriptor<'a> {
    fn indent(&mut self) {
        self.writer.raw("\n");
        (0..self.depth).for_each(|_| self.writer.raw("  "));
    }

    fn start(&mut self, name: &str, attributes: Attributes) {
        self.indent();
        let clean: Vec<String> = attributes.iter().map(|(_, value)| printable(value)).collect();
        // An attribute without a value is one that is not there.
        let all: Vec<(&str, &str)> = attributes
            .iter()
            .zip(&clean)
            .filter(|(_, value)| !value.is_empty())
            .map(|((key, _), value)| (*key, value.as_str()))
            .collect();
        // It fails only on control characters, which are gone.
        let _ = self.writer.open(name, &all);
    }

    pub fn open(&mut self, name: &str, attributes: Attributes) {
        self.start(name, attributes);
        self.depth += 1;
    }

    pub fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        self.writer.close(name);
    }

    pub fn leaf(&mut self, name: &str, attributes: Attributes, text: &str) {
        self.start(name, attributes);
        let _ = self.writer.text(&printable(text));
        self.writer.close(name);
    }

    /// A section that says what it is.
    fn section(&mut self, name: &str, attributes: Attributes, info: &str) {
        self.open(name, attributes);
        self.leaf("Info", &[], info);
    }

    fn of_kind(&self, cim: u64) -> Vec<&'a Object> {
        let own = |it: &&Object| devices::of_device(it).is_some_and(|it| it.cim == cim);
        self.devices.iter().filter_map(Value::as_object).filter(own).collect()
    }

    /// The number of the file that was sent for a device.
    pub fn file_of(&self, device: &Object) -> Option<usize> {
        let slot = devices::slot(self.devices, device)?;
        let last = |it: &Object| it.text("deviceId")?.rsplit('/').next().map(str::to_owned);
        self.files.iter().position(|it| last(it).as_ref() == Some(&slot))
    }

    pub fn network_of(&self, device: &Object) -> String {
        let backing = device.object("backing");
        let known = backing.and_then(|it| (self.network)(it));
        let own = || backing?.text("deviceName").map(str::to_owned);
        known.or_else(own).filter(|it| !it.is_empty()).unwrap_or_else(|| "VM Network".to_owned())
    }

    fn sections(&mut self) {
        self.open("References", &[]);
        for (at, file) in self.files.clone().into_iter().enumerate() {
            let (id, size) = (format!("file{}", at + 1), number(file.int("size")));
            let attributes = [
                ("ovf:chunkSize", number(file.int("chunkSize"))),
                ("ovf:compression", file.text("compressionMethod").unwrap_or("").to_owned()),
                ("ovf:href", file.text("path").unwrap_or_default().to_owned()),
                ("ovf:id", id),
                ("ovf:size", size),
            ];
            self.leaf("File", &borrowed(&attributes), "");
        }
        self.close("References");
        let disks = self.of_kind(DISK);
        self.section("DiskSection", &[], "List of the virtual disks");
        for (at, disk) in disks.into_iter().enumerate() {
            self.disk(at, disk);
        }
        self.close("DiskSection");
        let networks: Vec<String> =
            self.of_kind(NIC).into_iter().map(|it| self.network_of(it)).collect();
        let networks = order::unique(networks);
        if networks.is_empty() {
            return;
        }
        self.section("NetworkSection", &[], "The list of logical networks");
        for name in &networks {
            self.open("Network", &[("ovf:name", name)]);
            self.leaf("Description", &[], &format!("The {name} network"));
            self.close("Network");
        }
        self.close("NetworkSection");
    }

    fn disk(&mut self, at: usize, disk: &Object) {
        let kilobytes = || disk.int("capacityInKB")?.checked_mul(1024);
        let bytes = disk.int("capacityInBytes").or_else(kilobytes).unwrap_or(0);
        let power = [30, 20, 10].into_iter().find(|it| bytes % (1i64 << it) == 0).unwrap_or(0);
        let units = if power == 0 { "byte".to_owned() } else { format!("byte * 2^{power}") };
        let file = self.file_of(disk);
        // A dry run comes without files.
        if file.is_none() && !self.files.is_empty() {
            let label = disk.text("deviceInfo.label").unwrap_or("disk");
            let text = format!("Unable to find the file of disk '{label}' of '{}'.", self.name);
            let named = [("diskName", label.into()), ("vmName", self.name.into())];
            self.notes.add(true, 0, "OvfDiskMappingNotFound", &text, named);
        }
        let populated = file.and_then(|it| self.files.get(it)?.int("populatedSize"));
        let attributes = [
            ("ovf:capacity", (bytes >> power).to_string()),
            ("ovf:capacityAllocationUnits", units),
            ("ovf:diskId", format!("vmdisk{}", at + 1)),
            ("ovf:fileRef", file.map_or_else(String::new, |it| format!("file{}", it + 1))),
            ("ovf:format", FORMAT.to_owned()),
            ("ovf:populatedSize", number(populated)),
        ];
        self.leaf("Disk", &borrowed(&attributes), "");
    }

    fn machine(&mut self, note: Option<&str>) {
        let (config, name) = (self.config, self.name);
        self.section("VirtualSystem", &[("ovf:id", name)], "A virtual machine");
        self.leaf("Name", &[], name);
        let guest = config.text("guestId").unwrap_or("otherGuest");
        let id = devices::number_of(guest).to_string();
        let attributes = [("ovf:id", id.as_str()), ("vmw:osType", guest)];
        self.section("OperatingSystemSection", &attributes, "The operating system installed");
        let full = config.text("guestFullName").unwrap_or_default();
        self.leaf("Description", &[], full);
        self.close("OperatingSystemSection");
        let transport: Vec<&str> = config.texts("vAppConfig.ovfEnvironmentTransport").collect();
        let transport = transport.join(" ");
        let attributes = [("ovf:transport", transport.as_str())];
        self.section("VirtualHardwareSection", &attributes, "Virtual hardware requirements");
        self.open("System", &[]);
        for (element, text) in [
            ("vssd:ElementName", "Virtual Hardware Family"),
            ("vssd:InstanceID", "0"),
            ("vssd:VirtualSystemIdentifier", name),
            ("vssd:VirtualSystemType", config.text("version").unwrap_or("vmx-13")),
        ] {
            self.leaf(element, &[], text);
        }
        self.close("System");
        self.hardware();
        self.settings();
        self.close("VirtualHardwareSection");
        if let Some(note) = note.filter(|it| !it.is_empty()) {
            self.section("AnnotationSection", &[], "A human-readable annotation");
            self.leaf("Annotation", &[], note);
            self.close("AnnotationSection");
        }
        for licence in config.texts("vAppConfig.eula") {
            self.section("EulaSection", &[], "An end-user license agreement");
            self.leaf("License", &[], licence);
            self.close("EulaSection");
        }
        self.products();
        self.close("VirtualSystem");
    }

    pub fn setting(&mut self, key: &str, value: Option<&Value>) {
        let text = match value.map(Value::plain) {
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Int(number)) => number.to_string(),
            Some(Value::Text(text)) => text.clone(),
            _ => return,
        };
        let all = [("ovf:required", "false"), ("vmw:key", key), ("vmw:value", &text)];
        self.leaf("vmw:Config", &all, "");
    }

    fn settings(&mut self) {
        let config = self.config;
        for path in devices::MACHINE {
            let power = path.strip_prefix("powerOpInfo.").map(|it| format!("defaultPowerOps.{it}"));
            let own = config.get(power.as_deref().unwrap_or(path));
            self.setting(path, own.or_else(|| config.get(&format!("hardware.{path}"))));
        }
        let nvram = |it: &&Object| it.text("deviceId").is_some_and(|it| it.ends_with("/nvram"));
        if let Some(at) = self.files.iter().position(nvram) {
            self.extra("nvram", &format!("ovf:/file/file{}", at + 1));
        }
        if self.options.contains(&"extraconfig") {
            for it in config.objects("extraConfig") {
                let (key, value) = (it.text("key"), it.text("value"));
                self.extra(key.unwrap_or_default(), value.unwrap_or_default());
            }
        }
    }

    fn extra(&mut self, key: &str, value: &str) {
        let all = [("ovf:required", "false"), ("vmw:key", key), ("vmw:value", value)];
        self.leaf("vmw:ExtraConfig", &all, "");
    }

    fn products(&mut self) {
        let config = self.config;
        for product in config.objects("vAppConfig.product") {
            let text = |of: &'a Object, name: &str| of.text(name).unwrap_or_default();
            let (class, instance) = (text(product, "classId"), text(product, "instanceId"));
            let attributes = [("ovf:class", class), ("ovf:instance", instance)];
            self.section("ProductSection", &attributes, "Information about the installed software");
            for (element, field) in inspect::PRODUCT {
                self.leaf(element, &[], text(product, field));
            }
            let same = |it: &Object| {
                it.text("classId").unwrap_or_default() == class
                    && it.text("instanceId").unwrap_or_default() == instance
            };
            let all: Vec<&'a Object> = config.objects("vAppConfig.property").collect();
            for property in all.into_iter().filter(|it| same(it)) {
                let kind = text(property, "type");
                let (kind, password) = match kind {
                    "password" => ("string", "true"),
                    "ip" => ("string", ""),
                    other => (other, ""),
                };
                let free = property.flag("userConfigurable").unwrap_or(false).to_string();
                let attributes = [
                    ("ovf:key", text(property, "id")),
                    ("ovf:password", password),
                    ("ovf:type", kind),
                    ("ovf:userConfigurable", &free),
                    ("ovf:value", text(property, "defaultValue")),
                ];
                self.open("Property", &attributes);
                self.leaf("Label", &[], text(property, "label"));
                self.leaf("Description", &[], text(property, "description"));
                self.close("Property");
            }
            self.close("ProductSection");
        }
    }
}

fn borrowed<'b>(all: &'b [(&'b str, String)]) -> Vec<(&'b str, &'b str)> {
    all.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// A number as text, or nothing.
pub fn number(value: Option<i64>) -> String {
    value.map_or_else(String::new, |it| it.to_string())
}

/// Text without what XML cannot hold.
fn printable(text: &str) -> String {
    let bad = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.replace(bad, " ")
}
