//! Appliances before they are deployed: what is in an OVA or OVF, which networks it wants.
//!
//! No disk is read for it, and of what is far away little more than the descriptor. A server is asked
//! only for its networks.

use crate::error::{Result, quoted};
use crate::hv::places::PlaceKind;
use crate::ova::ovf::{Descriptor, Disk, Property};
use crate::ova::package::{Depth, Package};
use crate::ova::properties;
use crate::text::json;
use crate::text::json::Value;
use crate::tools::args::{Arg, Args, RESPONSE_FORMAT};
use crate::tools::ctx::Ctx;
use crate::tools::ova_source;
use crate::tools::ova_source::{Form, Wanted};
use crate::tools::reply::{Record, Reply};
use crate::tools::vm::gigabytes;
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "inspect_ova",
        title: "Look into an appliance",
        about: "What an OVA or OVF holds and asks: product, guest, disks, networks, options, properties, licences. Reads no disk.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[OVA],
        run: Run::Read(inspect),
    },
    Tool {
        name: "list_ovf_networks",
        title: "Networks of an appliance",
        about: "The networks that an OVF or OVA wants, beside those of the server and what deploying would take.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[OVF, STORE],
        run: Run::Read(networks),
    },
];

const OVA: Arg = Arg::text("ova_path", "file, http(s) URL, or [datastore] path").required();
const OVF: Arg =
    Arg::text("ovf_path", "file, http(s) URL, or [datastore] path; .ova too").required();
const STORE: Arg = Arg::text("datastore", "where the path is, if it does not say so");

/// Characters of a text that a concise answer shows.
const SHOWN: usize = 200;

fn inspect(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let detailed = args.opt_text(RESPONSE_FORMAT) == Some("detailed");
    let wanted = Wanted {
        text: args.text(OVA)?,
        store: None,
        form: Form::Either,
        depth: Depth::Front,
        bounded: true,
    };
    let package = ova_source::package(ctx, &wanted)?;
    Ok(Reply::record(told(&package, detailed)))
}

fn told(package: &Package<'_>, detailed: bool) -> Record {
    let it = &package.descriptor;
    let product = it.products.first();
    let number = |number: Option<u64>| number.and_then(|it| i64::try_from(it).ok());
    let text = |text: &str| if detailed { text.to_owned() } else { first_words(text) };
    let manifest = match &package.listing {
        Some(listing) => listing.algorithm().map_or("empty", |it| it.word()),
        None if package.is_settled() => "none",
        None => "none right after the descriptor",
    };
    let files = it.files.iter().map(|file| {
        Record::new()
            .text("name", &file.href)
            .maybe_int("size_bytes", number(package.size_of(file)))
            .maybe_text("compression", file.compression.clone())
            .maybe_int("chunk_bytes", number(file.chunk_size))
    });
    let options = it.options.iter().map(|option| {
        let default = it.default_option().is_some_and(|it| it.id == option.id);
        Record::new()
            .text("id", &option.id)
            .maybe_text("label", option.label.clone())
            .flag("default", default)
            .maybe_text("description", option.description.as_deref().map(text))
    });
    let networks = it.networks.iter().map(|network| {
        Record::new()
            .text("name", &network.name)
            .maybe_text("description", network.description.as_deref().map(text))
    });
    let shown = it.properties.iter().filter(|it| detailed || it.user_configurable);
    let properties: Vec<Record> = shown.map(|it| property(it, detailed)).collect();
    let licences: Vec<String> = it.licences.iter().map(|it| text(it)).collect();
    let disks = it.disks.iter().map(|it| disk(package, it)).collect();
    let mut record = Record::new()
        .text("source", &package.shown)
        .text("format", if package.parts.has_order() { "ova" } else { "ovf" })
        .maybe_text("product", product.and_then(|it| it.name.clone()))
        .maybe_text("vendor", product.and_then(|it| it.vendor.clone()))
        .maybe_text("version", product.and_then(|it| it.version.clone()))
        .maybe_text("product_url", product.and_then(|it| it.url.clone()).filter(|_| detailed))
        .maybe_text("vm_name", it.name.clone())
        .maybe_flag("vapp", it.collection.then_some(true))
        .maybe_text("guest_os", it.guest_os.clone())
        .texts("hardware_versions", &it.hardware_versions)
        .maybe_int("cpu", number(it.cpus))
        .maybe_int("memory_mb", number(it.memory_mb))
        .records("disks", disks)
        .records("networks", networks.collect())
        .records("deployment_options", options.collect())
        .records("properties", properties)
        .int("licence_count", i64::try_from(licences.len()).unwrap_or(i64::MAX));
    if !licences.is_empty() {
        record = record.texts("licences", &licences);
    }
    record = record
        .maybe_text("annotation", it.annotation.as_deref().map(text))
        .texts("transports", &it.transports)
        .text("descriptor", &package.name)
        .records("files", files.collect())
        .text("manifest", manifest)
        .flag("signed", package.signed);
    if package.signed {
        record = record.text("signature", "not verified");
    }
    let mut notes = package.notes.clone();
    let missing = package.missing_members();
    if !missing.is_empty() {
        notes.push(format!("not in the archive: {}", missing.join(", ")));
    }
    if !notes.is_empty() {
        record = record.texts("notes", &notes);
    }
    record
}

fn disk(package: &Package<'_>, it: &Disk) -> Record {
    let file = it.file.as_deref().and_then(|id| package.descriptor.file(id));
    let number = |number: Option<u64>| number.and_then(|it| i64::try_from(it).ok());
    let mut record = Record::new().text("id", &it.id);
    if let Some(bytes) = number(it.capacity) {
        record = record.value("size_gb", gigabytes(bytes));
    }
    record
        .maybe_text("file", file.map(|it| it.href.clone()))
        .maybe_int("file_bytes", file.and_then(|it| number(package.size_of(it))))
        .maybe_text("parent", it.parent.clone())
}

fn property(it: &Property, detailed: bool) -> Record {
    // Even an appliance's own default is a password that somebody uses.
    let default = match it.default.as_deref() {
        Some(value) if !value.is_empty() && properties::is_secret(it) => Some("***".to_owned()),
        other => other.map(str::to_owned),
    };
    let mut record = Record::new()
        .text("key", &it.key)
        .text("type", &it.kind)
        .maybe_text("label", it.label.clone())
        .maybe_text("default", default);
    if properties::is_required(it) {
        record = record.flag("required", true);
    }
    let choices = properties::choices(it);
    if !choices.is_empty() {
        record = record.texts("options", &choices);
    }
    if !detailed {
        return record;
    }
    let defaults = it.defaults.iter().filter(|_| !properties::is_secret(it));
    let mut special = json::Object::new();
    for (option, value) in defaults {
        special.insert(option.clone(), json::text(value));
    }
    if !special.is_empty() {
        record = record.value("defaults", Value::Object(special));
    }
    record
        .flag("user_configurable", it.user_configurable)
        .maybe_text("category", it.category.clone())
        .maybe_text("description", it.description.clone())
        .maybe_text("qualifiers", it.qualifiers.clone())
}

/// The beginning of a text, on one line.
fn first_words(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|it| !it.is_empty()).unwrap_or_default();
    let short: String = line.chars().take(SHOWN).collect();
    match short.len() < text.trim().len() {
        true => format!("{short}…"),
        false => short,
    }
}

fn networks(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let wanted = Wanted {
        text: args.text(OVF)?,
        store: args.opt_text(STORE),
        form: Form::Either,
        depth: Depth::Front,
        bounded: true,
    };
    let package = ova_source::package(ctx, &wanted)?;
    let there = ctx.places()?.list(&ctx.call, PlaceKind::Network)?;
    let names: Vec<String> = there.into_iter().map(|it| it.name).collect();
    let it = &package.descriptor;
    let mut lines = vec![format!("{}: {}", package.shown, wants(it))];
    let mut records = Vec::new();
    for network in &it.networks {
        let (taken, why) = taken(it, &network.name, &names);
        let to = taken.map_or("?".to_owned(), |it| format!("`{it}`"));
        lines.push(format!("- `{}` -> {to}, {why}", quoted(&network.name)));
        let record = Record::new()
            .text("name", &network.name)
            .maybe_text("description", network.description.as_deref().map(first_words))
            .maybe_text("deploys_to", taken)
            .text("because", why);
        records.push(record);
    }
    let shown: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
    lines.push(format!("The server has {}", shown.join(", ")));
    lines.push("network=NAME takes one for all, network_map={\"FROM\":\"TO\"} for each".to_owned());
    let record = Record::new().records("networks", records).texts("server_networks", &names);
    Ok(Reply::said(lines.join("\n"), record))
}

fn wants(it: &Descriptor) -> String {
    match it.networks.len() {
        0 => "it wants no network".to_owned(),
        1 => "it wants 1 network; without more words it becomes".to_owned(),
        count => format!("it wants {count} networks; without more words they become"),
    }
}

/// The network of the server that a deployment takes by itself, and why.
fn taken<'n>(
    it: &Descriptor,
    wanted: &str,
    names: &'n [String],
) -> (Option<&'n str>, &'static str) {
    let named = |name: &str| names.iter().find(|it| *it == name).map(String::as_str);
    let usual = named("VM Network").or(names.first().map(String::as_str));
    match (named(wanted), usual, it.networks.len()) {
        (Some(same), ..) => (Some(same), "of the same name"),
        (None, None, _) => (None, "the server has none"),
        (None, Some(usual), 1) => (Some(usual), "since it is the only one; or what is configured"),
        (None, Some(_), _) => (None, "it must be said which"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_by_its_first_line() {
        assert_eq!(first_words("\n  END USER\nmore"), "END USER…");
        assert_eq!(first_words(" short "), "short");
        assert_eq!(first_words(&"x".repeat(500)).chars().count(), SHOWN + 1);
    }
}
