//! The descriptor of an appliance: what it is, what it asks, which files and disks it has.
//!
//! Read by local names, because vendors choose prefixes freely. It must not know how a machine is
//! made of it; the host does that. Source: DSP0243, vSphere spec 5.3. Surprising: a text may stand
//! elsewhere, in a `Strings` section, under a message id; a disk's size may be a parameter; and a
//! property's full key is `class.key.instance`.

use roxmltree::{Document, Node};

use crate::error::{Error, Result, quoted};
use crate::text::xml;

/// Largest descriptor; real ones have some hundred KB.
pub const MAX_BYTES: usize = 16 << 20;

/// What the descriptor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// What the machine is called where nobody names it.
    pub name: Option<String>,
    /// Several machines in one (a vApp).
    pub collection: bool,
    pub annotation: Option<String>,
    pub guest_os: Option<String>,
    /// Such as `vmx-13`; several are alternatives.
    pub hardware_versions: Vec<String>,
    pub cpus: Option<u64>,
    pub memory_mb: Option<u64>,
    /// How properties reach the guest: `com.vmware.guestInfo`, `iso`.
    pub transports: Vec<String>,
    pub files: Vec<File>,
    pub disks: Vec<Disk>,
    pub networks: Vec<Network>,
    pub options: Vec<DeploymentOption>,
    pub products: Vec<Product>,
    pub properties: Vec<Property>,
    /// The licence texts that must be accepted.
    pub licences: Vec<String>,
}

/// A file that belongs to the appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub id: String,
    pub href: String,
    /// Bytes, where the descriptor tells; it may be wrong.
    pub size: Option<u64>,
    /// `gzip`, `bzip2`; `None` as it is.
    pub compression: Option<String>,
    /// Split into pieces of so many bytes, `href.000000000` and so on.
    pub chunk_size: Option<u64>,
}

/// A disk of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub id: String,
    /// The file that fills it; `None` for an empty one.
    pub file: Option<String>,
    /// Bytes; `None` where it is a parameter.
    pub capacity: Option<u64>,
    pub populated: Option<u64>,
    pub format: Option<String>,
    /// The disk that this one is a difference to.
    pub parent: Option<String>,
}

/// A network that the machine wants to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub name: String,
    pub description: Option<String>,
}

/// A size or role to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentOption {
    pub id: String,
    pub label: Option<String>,
    pub description: Option<String>,
    pub default: bool,
}

/// What is sold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    pub name: Option<String>,
    pub vendor: Option<String>,
    pub version: Option<String>,
    pub url: Option<String>,
}

/// A setting of the appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// `class.key.instance`, with the parts that there are.
    pub key: String,
    /// `string`, `boolean`, `ip`, `uint16` ...
    pub kind: String,
    pub default: Option<String>,
    /// Defaults of single deployment options, by id.
    pub defaults: Vec<(String, String)>,
    pub category: Option<String>,
    pub label: Option<String>,
    pub description: Option<String>,
    pub user_configurable: bool,
    pub password: bool,
    /// Such as `MinLen(1) MaxLen(32)` or `ValueMap{"a","b"}`.
    pub qualifiers: Option<String>,
}

impl Property {
    /// The default with this deployment option.
    pub fn default_in(&self, option: Option<&str>) -> Option<&str> {
        let special = self.defaults.iter().find(|(id, _)| Some(id.as_str()) == option);
        special.map(|(_, value)| value.as_str()).or(self.default.as_deref())
    }
}

impl Descriptor {
    /// Reads a descriptor.
    pub fn parse(bytes: &[u8]) -> Result<Descriptor> {
        let text = String::from_utf8_lossy(bytes);
        let document = xml::parse(text.trim_start_matches('\u{feff}').trim_start())
            .map_err(|error| error.during("the OVF descriptor"))?;
        let root = document.root_element();
        if root.tag_name().name() != "Envelope" {
            let name = quoted(root.tag_name().name());
            return Err(Error::usage(format!("this is no OVF descriptor: its root is `{name}`")));
        }
        let reader = Reader { messages: messages(&document) };
        let mut found = Descriptor::default();
        let system = section(root, "VirtualSystemCollection")
            .inspect(|_| found.collection = true)
            .or_else(|| section(root, "VirtualSystem"))
            .ok_or_else(|| Error::usage("the OVF descriptor has no VirtualSystem"))?;
        found.name = text_of(system, "Name").or_else(|| attribute(system, "id"));
        found.files = all(root, "References", "File").filter_map(file).collect();
        found.disks = all(root, "DiskSection", "Disk").filter_map(|it| disk(it)).collect();
        found.networks = all(root, "NetworkSection", "Network")
            .filter_map(|it| {
                let name = attribute(it, "name")?;
                Some(Network { name, description: reader.text(it, "Description") })
            })
            .collect();
        found.options = reader.options(root);
        reader.system(system, &mut found);
        Ok(found)
    }

    /// The deployment option that is taken where nobody chooses: the one marked so, or the first.
    pub fn default_option(&self) -> Option<&DeploymentOption> {
        self.options.iter().find(|it| it.default).or(self.options.first())
    }

    /// The file of this id.
    pub fn file(&self, id: &str) -> Option<&File> {
        self.files.iter().find(|it| it.id == id)
    }
}

/// Texts by message id, of the first language that the descriptor has.
fn messages(document: &Document<'_>) -> Vec<(String, String)> {
    let Some(strings) = section(document.root_element(), "Strings") else { return Vec::new() };
    let message = |it: Node<'_, '_>| Some((attribute(it, "msgid")?, inner(it)?));
    children(strings, "Msg").filter_map(message).collect()
}

/// Reads what may refer to messages.
struct Reader {
    messages: Vec<(String, String)>,
}

impl Reader {
    /// The text of a child, or the message that it names.
    fn text(&self, node: Node<'_, '_>, name: &str) -> Option<String> {
        self.said(section(node, name)?)
    }

    fn said(&self, node: Node<'_, '_>) -> Option<String> {
        let id = attribute(node, "msgid");
        let known = id.and_then(|id| self.messages.iter().find(|(it, _)| *it == id));
        known.map(|(_, text)| text.clone()).or_else(|| inner(node))
    }

    fn options(&self, root: Node<'_, '_>) -> Vec<DeploymentOption> {
        let option = |it: Node<'_, '_>| {
            Some(DeploymentOption {
                id: attribute(it, "id")?,
                label: self.text(it, "Label"),
                description: self.text(it, "Description"),
                default: is_true(attribute(it, "default")),
            })
        };
        all(root, "DeploymentOptionSection", "Configuration").filter_map(option).collect()
    }

    /// What a machine, or several in a collection, say of themselves.
    fn system(&self, system: Node<'_, '_>, found: &mut Descriptor) {
        for part in system.children().filter(Node::is_element) {
            match part.tag_name().name() {
                "ProductSection" => self.product(part, found),
                "EulaSection" => found.licences.extend(self.text(part, "License")),
                "AnnotationSection" => found.annotation = self.text(part, "Annotation"),
                "OperatingSystemSection" if found.guest_os.is_none() => {
                    let kind = attribute(part, "osType");
                    found.guest_os = self.text(part, "Description").or(kind);
                }
                "VirtualHardwareSection" => hardware(part, found),
                "VirtualSystem" | "VirtualSystemCollection" => self.system(part, found),
                _ => {}
            }
        }
    }

    fn product(&self, section: Node<'_, '_>, found: &mut Descriptor) {
        let product = Product {
            name: self.text(section, "Product"),
            vendor: self.text(section, "Vendor"),
            version: self.text(section, "FullVersion").or_else(|| self.text(section, "Version")),
            url: self.text(section, "ProductUrl").or_else(|| self.text(section, "AppUrl")),
        };
        if product != Product::default() {
            found.products.push(product);
        }
        let around = [attribute(section, "class"), attribute(section, "instance")];
        let mut category = None;
        for part in section.children().filter(Node::is_element) {
            match part.tag_name().name() {
                "Category" => category = self.said(part),
                "Property" => found.properties.extend(self.property(part, &around, &category)),
                _ => {}
            }
        }
    }

    fn property(
        &self,
        node: Node<'_, '_>,
        [class, instance]: &[Option<String>; 2],
        category: &Option<String>,
    ) -> Option<Property> {
        let key = attribute(node, "key")?;
        let parts = [class.clone(), Some(key), instance.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|it| !it.is_empty()).collect();
        let special =
            |it: Node<'_, '_>| Some((attribute(it, "configuration")?, attribute(it, "value")?));
        Some(Property {
            key: parts.join("."),
            kind: attribute(node, "type").unwrap_or_else(|| "string".to_owned()),
            default: attribute(node, "value"),
            defaults: children(node, "Value").filter_map(special).collect(),
            category: category.clone(),
            label: self.text(node, "Label"),
            description: self.text(node, "Description"),
            user_configurable: is_true(attribute(node, "userConfigurable")),
            password: is_true(attribute(node, "password")),
            qualifiers: attribute(node, "qualifiers"),
        })
    }
}

fn file(node: Node<'_, '_>) -> Option<File> {
    Some(File {
        id: attribute(node, "id")?,
        href: attribute(node, "href")?,
        size: number(attribute(node, "size")),
        compression: attribute(node, "compression").filter(|it| it != "identity" && !it.is_empty()),
        chunk_size: number(attribute(node, "chunkSize")),
    })
}

fn disk(node: Node<'_, '_>) -> Option<Disk> {
    let units = attribute(node, "capacityAllocationUnits");
    let unit = units.as_deref().map_or(Some(1), unit);
    let capacity = number(attribute(node, "capacity"));
    Some(Disk {
        id: attribute(node, "diskId")?,
        file: attribute(node, "fileRef").filter(|it| !it.is_empty()),
        capacity: capacity.and_then(|it| it.checked_mul(unit?)),
        populated: number(attribute(node, "populatedSize")),
        format: attribute(node, "format"),
        parent: attribute(node, "parentRef").filter(|it| !it.is_empty()),
    })
}

/// Version, CPUs and memory; items of one deployment option only are left out.
fn hardware(section: Node<'_, '_>, found: &mut Descriptor) {
    let words = |text: Option<String>| -> Vec<String> {
        text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    found.transports.extend(words(attribute(section, "transport")));
    for system in children(section, "System") {
        found.hardware_versions.extend(words(text_of(system, "VirtualSystemType")));
    }
    for item in children(section, "Item").filter(|it| attribute(*it, "configuration").is_none()) {
        let quantity = number(text_of(item, "VirtualQuantity"));
        match text_of(item, "ResourceType").as_deref() {
            Some("3") => found.cpus = found.cpus.or(quantity),
            Some("4") => {
                let units = text_of(item, "AllocationUnits");
                let bytes = units.as_deref().map_or(Some(1 << 20), unit);
                let total = quantity.and_then(|it| it.checked_mul(bytes?));
                found.memory_mb = found.memory_mb.or(total.map(|it| it >> 20));
            }
            _ => {}
        }
    }
}

/// Bytes of a unit such as `byte * 2^30`, `MegaBytes` or `GB`.
fn unit(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    if let Some((_, power)) = text.split_once('^') {
        let base = if text.contains("10^") { 10_u64 } else { 2 };
        return base.checked_pow(power.trim().parse().ok()?);
    }
    match text.as_str() {
        "" | "byte" | "bytes" => Some(1),
        "kilobytes" | "kb" => Some(1 << 10),
        "megabytes" | "mb" => Some(1 << 20),
        "gigabytes" | "gb" => Some(1 << 30),
        "terabytes" | "tb" => Some(1 << 40),
        _ => None,
    }
}

fn number(text: Option<String>) -> Option<u64> {
    text?.trim().parse().ok()
}

fn is_true(text: Option<String>) -> bool {
    text.is_some_and(|it| it == "1" || it.eq_ignore_ascii_case("true"))
}

/// An attribute by its local name.
fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attributes().find(|it| it.name() == name).map(|it| it.value().to_owned())
}

type Nodes<'a, 'i> = std::vec::IntoIter<Node<'a, 'i>>;

/// In a list, since each chain of iterators over children would be code of its own.
fn children<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Nodes<'a, 'i> {
    let found = node.children().filter(|it| it.tag_name().name() == name);
    found.collect::<Vec<_>>().into_iter()
}

/// The first child of this local name.
fn section<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|it| it.tag_name().name() == name)
}

/// The children of one name in every section of another.
fn all<'a, 'i>(root: Node<'a, 'i>, outer: &str, name: &str) -> Nodes<'a, 'i> {
    children(root, outer).flat_map(|it| children(it, name)).collect::<Vec<_>>().into_iter()
}

fn inner(node: Node<'_, '_>) -> Option<String> {
    let text: String =
        node.descendants().filter_map(|it| it.text().filter(|_| it.is_text())).collect();
    Some(text.trim().to_owned()).filter(|it| !it.is_empty())
}

fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    section(node, name).and_then(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"<?xml version="1.0"?>
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:r="http://rasd" xmlns:v="http://vssd">
 <ovf:References>
  <ovf:File ovf:id="f1" ovf:href="a-disk1.vmdk" ovf:size="1000"/>
  <ovf:File ovf:id="f2" ovf:href="b.vmdk.gz" ovf:compression="gzip" ovf:chunkSize="2000"/>
 </ovf:References>
 <ovf:DiskSection><ovf:Info>disks</ovf:Info>
  <ovf:Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="40" ovf:capacityAllocationUnits="byte * 2^30"
   ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" ovf:populatedSize="77"/>
  <ovf:Disk ovf:diskId="d2" ovf:capacity="${size}" ovf:parentRef="d1"/>
 </ovf:DiskSection>
 <ovf:NetworkSection><ovf:Network ovf:name="Management &amp; more"><ovf:Description ovf:msgid="net"/></ovf:Network></ovf:NetworkSection>
 <ovf:DeploymentOptionSection>
  <ovf:Configuration ovf:id="small"><ovf:Label>Small</ovf:Label></ovf:Configuration>
  <ovf:Configuration ovf:id="large" ovf:default="true"/>
 </ovf:DeploymentOptionSection>
 <ovf:VirtualSystem ovf:id="edge">
  <ovf:Name>Edge router</ovf:Name>
  <ovf:OperatingSystemSection ovf:id="96" osType="debian12_64Guest"/>
  <ovf:EulaSection><ovf:License>You must
agree.</ovf:License></ovf:EulaSection>
  <ovf:VirtualHardwareSection ovf:transport="com.vmware.guestInfo iso">
   <ovf:System><v:VirtualSystemType>vmx-13 vmx-14</v:VirtualSystemType></ovf:System>
   <ovf:Item><r:ResourceType>3</r:ResourceType><r:VirtualQuantity>2</r:VirtualQuantity></ovf:Item>
   <ovf:Item ovf:configuration="large"><r:ResourceType>3</r:ResourceType><r:VirtualQuantity>8</r:VirtualQuantity></ovf:Item>
   <ovf:Item><r:AllocationUnits>byte * 2^30</r:AllocationUnits><r:ResourceType>4</r:ResourceType><r:VirtualQuantity>4</r:VirtualQuantity></ovf:Item>
  </ovf:VirtualHardwareSection>
  <ovf:ProductSection ovf:class="com.acme" ovf:instance="1">
   <ovf:Product>Edge</ovf:Product><ovf:Vendor>Acme</ovf:Vendor><ovf:FullVersion>1.2-3</ovf:FullVersion>
   <ovf:Category>Network</ovf:Category>
   <ovf:Property ovf:key="ip" ovf:type="string" ovf:userConfigurable="TRUE" ovf:value="" ovf:qualifiers="MinLen(7)">
    <ovf:Label>Address</ovf:Label><ovf:Value ovf:configuration="large" ovf:value="10.0.0.1"/></ovf:Property>
   <ovf:Property ovf:key="pw" ovf:type="string" ovf:password="1"/>
  </ovf:ProductSection>
 </ovf:VirtualSystem>
 <ovf:Strings><ovf:Msg ovf:msgid="net">The management network</ovf:Msg></ovf:Strings>
</ovf:Envelope>"#;

    #[test]
    fn everything_is_read_whatever_the_prefixes() {
        for text in [FULL.to_owned(), FULL.replace("ovf:", "o:").replace("xmlns:ovf", "xmlns:o")] {
            let found = Descriptor::parse(format!("\u{feff}{text}").as_bytes()).unwrap();
            assert_eq!(found.name.as_deref(), Some("Edge router"));
            assert_eq!(found.guest_os.as_deref(), Some("debian12_64Guest"));
            assert_eq!((found.cpus, found.memory_mb), (Some(2), Some(4096)));
            assert_eq!(found.hardware_versions, ["vmx-13", "vmx-14"]);
            assert_eq!(found.transports, ["com.vmware.guestInfo", "iso"]);
            assert_eq!(found.files[1].compression.as_deref(), Some("gzip"));
            assert_eq!((found.files[0].size, found.files[1].chunk_size), (Some(1000), Some(2000)));
            assert_eq!((found.disks[0].capacity, found.disks[1].capacity), (Some(40 << 30), None));
            assert_eq!(found.disks[1].parent.as_deref(), Some("d1"));
            assert_eq!(found.networks[0].name, "Management & more");
            assert_eq!(found.networks[0].description.as_deref(), Some("The management network"));
            assert_eq!(found.default_option().unwrap().id, "large");
            assert_eq!(found.licences, ["You must\nagree."]);
            assert_eq!(found.products[0].version.as_deref(), Some("1.2-3"));
            let [ip, pw] = &found.properties[..] else { panic!("{:?}", found.properties) };
            assert_eq!((ip.key.as_str(), ip.user_configurable), ("com.acme.ip.1", true));
            assert_eq!(
                (ip.default_in(Some("large")), ip.default_in(None)),
                (Some("10.0.0.1"), Some(""))
            );
            assert_eq!(ip.category.as_deref(), Some("Network"));
            assert!(pw.password && !pw.user_configurable);
        }
    }

    #[test]
    fn what_is_no_descriptor_is_told() {
        for (text, said) in [
            ("<a/>", "its root is `a`"),
            ("<Envelope/>", "no VirtualSystem"),
            ("", "OVF descriptor"),
            ("<!DOCTYPE x><Envelope/>", "OVF descriptor"),
        ] {
            let found = Descriptor::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(said), "{found}");
        }
        let bare = "<Envelope><VirtualSystem id='x'/></Envelope>";
        assert_eq!(Descriptor::parse(bare.as_bytes()).unwrap().name.as_deref(), Some("x"));
    }
}
