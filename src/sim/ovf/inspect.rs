//! ParseDescriptor: what a descriptor asks of people before it is imported.
//!
//! Also the properties, which CreateImportSpec needs on vCenter and for disks whose size is one.
//! Surprising: sizes are sums of what the descriptor claims; -1 says that it does not.

use crate::sim::ovf::devices;
use crate::sim::ovf::notes::Notes;
use crate::sim::ovf::parse::Package;
use crate::sim::ovf::parse::Property;
use crate::sim::ovf::parse::Row;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// An `OvfParseDescriptorResult` for a descriptor and an `OvfParseDescriptorParams`.
pub fn parse_descriptor(descriptor: &str, pdp: &Object) -> Object {
    let mut notes = Notes::default();
    let package = Package::read(descriptor, &mut notes);
    let option = package.option(pdp.text("deploymentOption"), &mut notes).to_owned();
    let rows = |kind, rows: &[Row], names: &[(&str, &'static str)]| {
        let all: Vec<Object> = rows.iter().map(|it| of_row(kind, it, names)).collect();
        Some(all).filter(|it| !it.is_empty())
    };
    let networks: &[_] = &[("name", "name"), ("Description", "description")];
    let networks = rows("OvfNetworkInfo", &package.networks, networks);
    let options: &[_] = &[("id", "key"), ("Label", "label"), ("Description", "description")];
    let options = rows("OvfDeploymentOption", &package.options, options);
    let mut result = Object::new("OvfParseDescriptorResult");
    let some = |list: Vec<Object>| Some(list).filter(|it| !it.is_empty());
    let words = |name: &str| {
        let words: Vec<&str> = package.addresses.text(name).split([' ', ',']).collect();
        Some(words).filter(|it| it.iter().any(|it| !it.is_empty()))
    };
    if !package.eula.is_empty() {
        result.set("eula", package.eula.iter().collect::<Value>());
    }
    result = result
        .with_some("network", networks)
        .with_some("ipAllocationScheme", words("schemes"))
        .with_some("ipProtocols", words("protocols"))
        .with_some("property", some(properties(&package, &option, None)))
        .with_some("productInfo", package.products.first().map(|it| product(it, 0)))
        .with("annotation", package.annotation.as_str());
    let (download, flat, sparse) = sizes(&package);
    let result = result
        .with("approximateDownloadSize", download)
        .with("approximateFlatDeploymentSize", flat)
        .with("approximateSparseDeploymentSize", sparse)
        .with("defaultEntityName", package.name())
        .with("virtualApp", package.collection)
        .with_some("deploymentOption", options)
        .with("defaultDeploymentOption", package.default_option());
    let name = Object::new("KeyValue")
        .with("key", package.machine.text("id"))
        .with("value", package.name());
    notes.onto(result.with("entityName", vec![name]))
}

/// Bytes to download, and to store thick and thin; -1 where a part of it is not known.
fn sizes(package: &Package) -> (i64, i64, i64) {
    let sum = |all: Vec<Option<u64>>| {
        let total = all.into_iter().try_fold(0u64, |sum, it| sum.checked_add(it?));
        total.and_then(|it| i64::try_from(it).ok()).unwrap_or(-1)
    };
    let flat = |it: &Row| {
        it.number("capacity")?.checked_mul(devices::unit(it.text("capacityAllocationUnits"))?)
    };
    let thin = |it: &Row| match it.get("fileRef") {
        Some(_) => it.number("populatedSize"),
        None => Some(0),
    };
    (
        sum(package.files.iter().map(|it| it.number("size")).collect()),
        sum(package.disks.iter().map(flat).collect()),
        sum(package.disks.iter().map(thin).collect()),
    )
}

/// A product's elements, and the API's names for them.
pub const PRODUCT: &[(&str, &str)] = &[
    ("Product", "name"),
    ("Vendor", "vendor"),
    ("Version", "version"),
    ("FullVersion", "fullVersion"),
    ("ProductUrl", "productUrl"),
    ("VendorUrl", "vendorUrl"),
    ("AppUrl", "appUrl"),
];

/// An object with texts of a row, by element and field.
fn of_row(kind: &'static str, row: &Row, names: &[(&str, &'static str)]) -> Object {
    let mut object = Object::new(kind);
    for (element, field) in names {
        object.set(field, row.text(element));
    }
    object
}

fn product(row: &Row, key: usize) -> Object {
    let mut object = of_row("VAppProductInfo", row, PRODUCT);
    object.set("key", key);
    object.set("classId", row.text("class"));
    object.set("instanceId", row.text("instance"));
    object
}

/// The API's name for a property's type. unverified: lengths and lists of values are left out.
fn type_of(row: &Row) -> &'static str {
    let qualifiers = row.text("qualifiers");
    match row.text("type") {
        "boolean" => "boolean",
        "real32" | "real64" => "real",
        "string" | "" if row.text("password") == "true" => "password",
        "string" | "" if qualifiers.starts_with("Ip") => "ip",
        "string" | "" => "string",
        _ => "int",
    }
}

fn properties(package: &Package, option: &str, cisp: Option<&Object>) -> Vec<Object> {
    let info = |(key, it): (usize, &Property)| {
        let given = cisp.and_then(|cisp| mapped(cisp, &it.id));
        let names: &[_] = &[("key", "id"), ("Label", "label"), ("Description", "description")];
        let mut info = of_row("VAppPropertyInfo", &it.row, names);
        info.set("key", key);
        let texts = [
            ("classId", it.class.as_str()),
            ("instanceId", &it.instance),
            ("category", &it.category),
            ("type", type_of(&it.row)),
            ("defaultValue", it.default(option)),
        ];
        for (field, text) in texts {
            info.set(field, text);
        }
        info.set("userConfigurable", it.row.text("userConfigurable") == "true");
        info.with_some("value", given)
    };
    package.properties.iter().enumerate().map(info).collect()
}

fn mapped<'a>(cisp: &'a Object, id: &str) -> Option<&'a str> {
    cisp.objects("propertyMapping").find(|it| it.text("key") == Some(id))?.text("value")
}

/// What a property is worth: what the caller says, else its default.
pub fn value_of(package: &Package, id: &str, option: &str, cisp: &Object) -> String {
    let own = || package.properties.iter().find(|it| it.id == id).map(|it| it.default(option));
    mapped(cisp, id).or_else(own).unwrap_or_default().to_owned()
}

/// The machine's vApp part, as vCenter keeps it.
pub fn app_config(package: &Package, option: &str, cisp: &Object) -> Object {
    let adding = |kind: &'static str, info: Object| {
        Object::new(kind).with("operation", "add").with("info", info)
    };
    let products = package.products.iter().enumerate();
    let products: Vec<Object> =
        products.map(|(key, it)| adding("VAppProductSpec", product(it, key))).collect();
    let own = properties(package, option, Some(cisp)).into_iter();
    let own: Vec<Object> = own.map(|it| adding("VAppPropertySpec", it)).collect();
    let transport = package.hardware.text("transport").split_whitespace();
    let transport = transport.collect::<Value>();
    Object::new("VmConfigSpec")
        .with("product", products)
        .with("property", own)
        .with("eula", package.eula.iter().collect::<Value>())
        .with("ovfEnvironmentTransport", transport)
}
