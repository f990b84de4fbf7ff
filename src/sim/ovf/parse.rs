//! An OVF descriptor, taken apart into rows of named texts.
//!
//! It knows the names of OVF, not what a machine makes of them. Everything is found by local name,
//! because prefixes and even namespaces of the hardware differ between makers. Surprising: an
//! element's attributes and its children's texts land in the same row; OVF never gives both the
//! same name.

use roxmltree::Node;

use crate::sim::ovf::notes::Notes;
use crate::text::xml;

/// Files, disks, items, properties of one descriptor, each; also the square of it is no work.
const MOST: usize = 2000;
/// Attributes and children of one row.
const WIDE: usize = 100;
/// Texts of the message bundle.
const STRINGS: usize = 500;
/// Bytes of a descriptor; icons are references, so real ones have some 100 KB.
const LARGEST: usize = 8 << 20;

/// One element: its attributes and its children's texts by local name.
#[derive(Default)]
pub struct Row {
    /// Where it stands.
    pub line: usize,
    /// Its own local name.
    pub tag: String,
    fields: Vec<(String, String)>,
    /// Children with attributes, such as `vmw:Config` and `Value`.
    pub inner: Vec<Row>,
}

impl Row {
    /// The text of this attribute or child, if it is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|it| !it.is_empty())
    }

    /// The same, or nothing at all.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A whole number; a fraction or a word is none.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).trim().parse().ok()
    }

    /// False where it says that a host may leave it out.
    pub fn required(&self) -> bool {
        !matches!(self.text("required"), "false" | "0")
    }

    /// True when it is for this deployment option, or for all of them.
    pub fn applies(&self, option: &str) -> bool {
        self.get("configuration").is_none_or(|it| it.split_whitespace().any(|it| it == option))
    }
}

/// A property with what it inherits from its product.
pub struct Property {
    /// Its own attributes, label, description and values.
    pub row: Row,
    /// `[class.]key[.instance]`.
    pub id: String,
    /// The heading above it.
    pub category: String,
    /// The product's class.
    pub class: String,
    /// The product's instance.
    pub instance: String,
}

impl Property {
    /// The value that it has under a deployment option, if nobody gives it one.
    pub fn default(&self, option: &str) -> &str {
        let own = |it: &&Row| it.tag == "Value" && it.get("configuration").is_some();
        match self.row.inner.iter().filter(own).find(|it| it.applies(option)) {
            Some(value) => value.text("value"),
            None => self.row.text("value"),
        }
    }
}

/// What a descriptor says of one machine.
#[derive(Default)]
pub struct Package {
    /// `References`.
    pub files: Vec<Row>,
    /// `DiskSection`.
    pub disks: Vec<Row>,
    /// `NetworkSection`.
    pub networks: Vec<Row>,
    /// `DeploymentOptionSection`.
    pub options: Vec<Row>,
    /// The element of the machine: its id and name.
    pub machine: Row,
    /// Several machines in one: a vApp.
    pub collection: bool,
    /// `OperatingSystemSection`.
    pub system: Row,
    /// The hardware section's own attributes.
    pub hardware: Row,
    /// `vssd:VirtualSystemType`, a list.
    pub family: Row,
    /// Devices, for all deployment options.
    pub items: Vec<Row>,
    /// `vmw:Config` and `vmw:ExtraConfig` of the machine.
    pub configs: Vec<Row>,
    /// `ProductSection` without their properties.
    pub products: Vec<Row>,
    /// The properties of all products.
    pub properties: Vec<Property>,
    /// Licences to be agreed to.
    pub eula: Vec<String>,
    /// A note for people.
    pub annotation: String,
    /// `IpAssignmentSection`.
    pub addresses: Row,
}

impl Package {
    /// The deployment option that holds where none was asked for.
    pub fn default_option(&self) -> &str {
        let marked = |it: &&Row| matches!(it.text("default"), "true" | "1");
        let found = self.options.iter().find(marked).or(self.options.first());
        found.map_or("", |it| it.text("id"))
    }

    /// The option that was asked for, or the default; a wrong one is an error.
    pub fn option<'a>(&'a self, asked: Option<&'a str>, notes: &mut Notes) -> &'a str {
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            return self.default_option();
        }
        if !self.options.iter().any(|it| it.text("id") == asked) {
            let named = ["Configuration", "id", asked];
            notes.value(true, 0, "OvfInvalidValueConfiguration", named);
        }
        asked
    }

    /// The items of a deployment option: one that names it stands before one of the same number
    /// that names none, and limits (`bound`) are no devices.
    pub fn items_of(&self, option: &str) -> Vec<&Row> {
        let bound = |it: &Row| matches!(it.get("bound"), Some("min" | "max"));
        let all: Vec<&Row> =
            self.items.iter().filter(|it| it.applies(option) && !bound(it)).collect();
        let special = |it: &Row| it.get("configuration").is_some();
        let replaced = |it: &&Row| {
            let number = it.get("InstanceID");
            let same = |other: &&&Row| special(other) && other.get("InstanceID") == number;
            !special(it) && number.is_some() && all.iter().any(|other| same(&other))
        };
        all.iter().copied().filter(|it| !replaced(it)).collect()
    }

    /// The name that a machine gets if nobody gives it one.
    pub fn name(&self) -> &str {
        self.machine.get("Name").or(self.machine.get("id")).unwrap_or_default()
    }

    /// Reads a descriptor; what cannot be read at all stands in the notes, and the rest is empty.
    pub fn read(text: &str, notes: &mut Notes) -> Package {
        let text = text.trim_start_matches('\u{feff}');
        let mut package = Package::default();
        if text.len() > LARGEST {
            let why = format!("The descriptor has more than {LARGEST} bytes.");
            notes.xml(0, &why);
            return package;
        }
        match xml::parse(text) {
            Ok(document) => {
                let lines = text.match_indices('\n').map(|(at, _)| at).collect();
                let mut reader = Reader { lines, strings: Vec::new(), notes, package };
                reader.envelope(document.root_element());
                package = reader.package;
            }
            Err(error) => {
                let why = error.to_string();
                // The parser ends its sentences in `at LINE:COLUMN`.
                let place = why.rsplit_once(" at ").and_then(|(_, it)| it.split_once(':'));
                notes.xml(place.and_then(|(line, _)| line.parse().ok()).unwrap_or(0), &why);
            }
        }
        package
    }
}

struct Reader<'n> {
    /// Where each line ends.
    lines: Vec<usize>,
    strings: Vec<(String, String)>,
    notes: &'n mut Notes,
    package: Package,
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|it| it.name() == name).map(|it| it.value())
}

fn name<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

impl Reader<'_> {
    fn line(&self, node: Node) -> usize {
        let begin = node.range().start;
        self.lines.partition_point(|end| *end < begin) + 1
    }

    /// The text of an element, or that of the message it refers to.
    fn text(&self, node: Node) -> String {
        let own = xml::text_of(node);
        let id = attribute(node, "msgid").filter(|_| own.trim().is_empty());
        match id.and_then(|id| self.strings.iter().find(|(known, _)| known == id)) {
            Some((_, text)) => text.clone(),
            None => own.trim().to_owned(),
        }
    }

    fn row(&self, node: Node, deep: bool) -> Row {
        let mut row =
            Row { line: self.line(node), tag: name(node).to_owned(), ..Default::default() };
        let attributes = node.attributes().map(|it| (it.name().to_owned(), it.value().to_owned()));
        row.fields.extend(attributes);
        for child in xml::elements(node).take(WIDE) {
            row.fields.push((name(child).to_owned(), self.text(child)));
            if deep && child.attributes().len() > 0 {
                row.inner.push(self.row(child, false));
            }
        }
        row
    }

    /// Every child of one of these names; an attribute that it must have, or else it is left out.
    fn rows(&mut self, section: Node, names: &str, must: &[&str]) -> Vec<Row> {
        let mut rows = Vec::new();
        for child in xml::elements(section).filter(|it| names.split(' ').any(|n| n == name(*it))) {
            if rows.len() == MOST {
                let why = format!("more than {MOST} elements of one kind");
                self.notes.xml(self.line(child), &why);
                break;
            }
            let row = self.row(child, true);
            match must.iter().find(|it| row.get(it).is_none()) {
                Some(lacking) => {
                    self.notes.lacks_attribute(row.line, &row.tag, lacking);
                }
                None => rows.push(row),
            }
        }
        rows
    }

    fn envelope(&mut self, root: Node) {
        let space = root.tag_name().namespace().unwrap_or_default();
        if name(root) != "Envelope" {
            self.notes.lacks_element(self.line(root), "Envelope", "the document");
            return;
        }
        if !space.starts_with("http://schemas.dmtf.org/ovf/envelope/") {
            let text = format!("Wrong namespace '{space}'.");
            let named = ("namespaceName", space.into());
            self.notes.add(true, self.line(root), "OvfWrongNamespace", &text, [named]);
            return;
        }
        if let Some(bundle) = xml::child(root, "Strings") {
            let message = |it: Node| Some((attribute(it, "msgid")?.to_owned(), xml::text_of(it)));
            self.strings = xml::elements(bundle).take(STRINGS).filter_map(message).collect();
        }
        for section in xml::elements(root) {
            match name(section) {
                "References" => self.package.files = self.rows(section, "File", &["id", "href"]),
                "DiskSection" => {
                    self.package.disks = self.rows(section, "Disk", &["diskId", "capacity"]);
                }
                "NetworkSection" => {
                    self.package.networks = self.rows(section, "Network", &["name"])
                }
                "DeploymentOptionSection" => {
                    self.package.options = self.rows(section, "Configuration", &["id"]);
                }
                "VirtualSystem" => self.machine(section),
                "VirtualSystemCollection" => {
                    self.package.machine = self.row(section, false);
                    self.package.collection = true;
                }
                "Strings" => {}
                _ => self.section(section),
            }
        }
        if self.package.machine.tag.is_empty() {
            self.notes.lacks_element(self.line(root), "VirtualSystem", "Envelope");
        }
    }

    fn machine(&mut self, machine: Node) {
        self.package.machine = self.row(machine, false);
        for section in xml::elements(machine) {
            match name(section) {
                "Info" | "Name" => {}
                "OperatingSystemSection" => self.package.system = self.row(section, false),
                "VirtualHardwareSection" => self.hardware(section),
                _ => self.section(section),
            }
        }
        if self.package.hardware.tag.is_empty() {
            self.notes.lacks_element(self.line(machine), "VirtualHardwareSection", "VirtualSystem");
        }
    }

    fn hardware(&mut self, section: Node) {
        // Of several hardware sections the host may choose; the first is what it knows here.
        // unverified: which one a host takes.
        if !self.package.hardware.tag.is_empty() {
            return;
        }
        self.package.hardware = self.row(section, false);
        if let Some(system) = xml::child(section, "System") {
            self.package.family = self.row(system, false);
            if let Some(family) = xml::child(system, "VirtualSystemType") {
                self.package.family.line = self.line(family);
            }
        }
        self.package.items = self.rows(section, "Item StorageItem EthernetPortItem", &[]);
        self.package.configs = self.rows(section, "Config ExtraConfig", &["key"]);
    }

    /// Sections that may stand at the machine or at the envelope.
    fn section(&mut self, section: Node) {
        let text = |own: &Reader, of: &str| xml::child(section, of).map(|it| own.text(it));
        match name(section) {
            "ProductSection" => self.product(section),
            "EulaSection" => {
                let licence = text(self, "License").unwrap_or_default();
                self.package.eula.extend(Some(licence).filter(|_| self.package.eula.len() < WIDE));
            }
            "AnnotationSection" => {
                self.package.annotation = text(self, "Annotation").unwrap_or_default();
            }
            "IpAssignmentSection" => self.package.addresses = self.row(section, false),
            // They say when to do what; a single machine has no use for them.
            "InstallSection"
            | "BootOrderSection"
            | "StartupSection"
            | "ResourceAllocationSection" => {}
            other => {
                let row = self.row(section, false);
                let space = section.tag_name().namespace().unwrap_or_default();
                let (full, info) = (format!("{{{space}}}{other}"), row.text("Info"));
                let text = format!("Unsupported section '{full}' ({info}).");
                let named = [("name", full.into()), ("info", info.into())];
                self.notes.add(row.required(), row.line, "OvfUnsupportedSection", &text, named);
            }
        }
    }

    fn product(&mut self, section: Node) {
        let product = self.row(section, false);
        let [class, instance] = ["class", "instance"].map(|it| product.text(it).to_owned());
        let mut category = String::new();
        for child in xml::elements(section) {
            match name(child) {
                "Category" => category = self.text(child),
                "Property" if self.package.properties.len() < MOST => {
                    let row = self.row(child, true);
                    if row.get("key").is_none() {
                        self.notes.lacks_attribute(row.line, "Property", "key");
                        continue;
                    }
                    let parts = [class.as_str(), row.text("key"), instance.as_str()];
                    let id = parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>();
                    self.package.properties.push(Property {
                        id: id.join("."),
                        category: category.clone(),
                        class: class.clone(),
                        instance: instance.clone(),
                        row,
                    });
                }
                _ => {}
            }
        }
        if self.package.products.len() < WIDE {
            self.package.products.push(product);
        }
    }
}
