//! Appliances onto a hypervisor, in one pass.
//!
//! What the descriptor asks is settled here: option, properties, networks, licences; the hypervisor
//! makes the machine, and the files flow from their source to it, stored nowhere. Surprising: planning
//! reads the beginning of the source already, so a dry run from standard input uses it up.

use std::io;
use std::io::Read;

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::files::url::Url;
use crate::hv::appliances::{Import, Piece, Provisioning, Pull, Setting, Supply};
use crate::hv::disks::Image;
use crate::hv::meter::amount;
use crate::ova::flow::Flow;
use crate::ova::ovf::Descriptor;
use crate::ova::package::{Depth, Package};
use crate::ova::properties;
use crate::text::json;
use crate::text::json::Value;
use crate::text::words::counted;
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::ova_source;
use crate::tools::ova_source::{Form, Wanted, is_pipe, is_url};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::Reply;
use crate::tools::vm_change::new_name;
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "deploy_ova",
        title: "Deploy an OVA",
        about: "Make a VM of an OVA, streamed from a file, URL or datastore to the host. inspect_ova shows what it asks.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[
            OVA, NAME, DATASTORE, NETWORK, MAP, POWER_ON, DISKS, OPTION, PROPERTIES, ISO,
            ISO_STORE, BOOT_ISO, VERIFY, MODE, ACCEPT,
        ],
        run: change!(plan_ova, act),
    },
    Tool {
        name: "deploy_ovf",
        title: "Deploy an OVF",
        about: "Make a VM of an OVF descriptor and the files beside it, wherever they are. Else like deploy_ova.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[
            OVF, NAME, DATASTORE, NETWORK, MAP, POWER_ON, DISKS, OPTION, PROPERTIES, ISO,
            ISO_STORE, BOOT_ISO, VERIFY, MODE, ACCEPT,
        ],
        run: change!(plan_ovf, act),
    },
];

const OVA: Arg =
    Arg::text("ova_path", "file, http(s) URL, [datastore] path, or - for standard input")
        .required();
const OVF: Arg = Arg::text("ovf_path", "file, http(s) URL, or [datastore] path").required();
const NAME: Arg = Arg::text("vm_name", "what it will be called").required();
const DATASTORE: Arg = Arg::text("datastore", "default: the one with most free space");
const NETWORK: Arg = Arg::text("network", "for all that network_map does not name");
const MAP: Arg = Arg::object("network_map", "network of the appliance: network of the server");
const POWER_ON: Arg = Arg::flag("power_on", "").or(Default::Flag(false));
const DISKS: Arg = Arg::choice(
    "disk_provisioning",
    "how disks take their space",
    &["thin", "thick", "eagerZeroedThick"],
)
.or(Default::Text("thin"));
const OPTION: Arg = Arg::text("deployment_option", "its id; default: the appliance's own");
const PROPERTIES: Arg =
    Arg::object("properties", "key: value; the last part of a key may do").measured();
const ISO: Arg = Arg::text("iso_path", "on a datastore, such as iso/seed.iso");
const ISO_STORE: Arg = Arg::text("iso_datastore", "");
const BOOT_ISO: Arg = Arg::flag("boot_from_iso", "").or(Default::Flag(true));
const VERIFY: Arg = Arg::flag("verify", "compare with the manifest").or(Default::Flag(true));
const MODE: Arg =
    Arg::choice("mode", "pull: the host fetches a URL by itself (6.7 or later)", &["push", "pull"])
        .or(Default::Text("push"));
const ACCEPT: Arg =
    Arg::flag("accept_licenses", "you have read and accept them").or(Default::Flag(false));

/// Bytes of one licence text that a plan shows.
const LICENCE: usize = 4_000;

/// Licence texts that a plan shows.
const LICENCES: usize = 3;

/// A deployment that waits.
struct Deploy<'a> {
    /// Licences that nobody has accepted.
    unaccepted: usize,
    deed: Deed<'a>,
}

/// The files as the hypervisor takes them.
struct Files<'a>(Flow<'a>);

impl Read for Files<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }

    crate::text::reading::shared!();
}

impl Supply for Files<'_> {
    fn next(&mut self, wanted: &[&str]) -> Result<Option<Piece>> {
        let arrival = self.0.next(wanted)?;
        Ok(arrival.map(|it| Piece { at: it.at, size: it.size }))
    }

    fn finish(&mut self) -> Result<Vec<String>> {
        self.0.finish()
    }
}

fn plan_ova<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deploy<'a>>> {
    planned(ctx, args, args.text(OVA)?, Form::Archive)
}

fn plan_ovf<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deploy<'a>>> {
    planned(ctx, args, args.text(OVF)?, Form::Descriptor)
}

fn planned<'a>(ctx: &Ctx<'a>, args: &Args, text: &str, form: Form) -> Result<Plan<Deploy<'a>>> {
    let appliances = ctx.appliances()?;
    let name = new_name(args.text(NAME)?)?;
    let iso = image(args)?;
    let pulled = args.opt_text(MODE) == Some("pull");
    if pulled && !is_url(text) {
        return Err(Error::usage("mode=pull is for URLs: the host fetches them by itself")
            .hint("Leave mode out, and jumpvisor sends the files"));
    }
    let bounded = args.opt_int(args::TIMEOUT).is_some();
    let wanted = Wanted { text, store: None, form, depth: Depth::Deploy, bounded };
    let mut package = ova_source::package(ctx, &wanted)?;
    let it = &package.descriptor;
    let option = option(it, args.opt_text(OPTION))?;
    let networks = texts(args, MAP)?;
    let settings = properties::settle(it, option.as_deref(), &texts(args, PROPERTIES)?)?;
    let missing = package.missing()?;
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|it| format!("`{}`", quoted(it))).collect();
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let place = if package.parts.has_order() { "in the archive" } else { "beside it" };
        let said = format!("the descriptor lists {}, which {verb} not {place}", missing.join(", "));
        return Err(Error::new(Kind::NotFound, said)
            .hint("The appliance is incomplete; fetch it again")
            .during(format!("`{}`", package.shown)));
    }
    let verify = args.flag(VERIFY) && !pulled;
    let mut steps = told(&package, text, verify);
    let it = package.descriptor.clone();
    if let Some(id) = &option {
        let own = if args.opt_text(OPTION).is_none() { ", its default" } else { "" };
        steps.push(format!("deployment option `{}`{own}", quoted(id)));
    }
    steps.extend(given(&it, &settings));
    let pull = match pulled {
        true => Some(pull(ctx, &package, text)?),
        false => None,
    };
    let descriptor = std::mem::take(&mut package.text);
    let flow = Flow::new(package, verify)?;
    let wants: Vec<String> = it.networks.iter().map(|it| it.name.clone()).collect();
    let settings: Vec<Setting> = settings
        .into_iter()
        .map(|it| Setting { key: it.key, value: it.value, given: it.given })
        .collect();
    let import = Import {
        descriptor: &descriptor,
        name: &name,
        datastore: args.opt_text(DATASTORE),
        wants: &wants,
        network: args.opt_text(NETWORK),
        networks: &networks,
        provisioning: match args.text(DISKS)? {
            "thick" => Provisioning::Thick,
            "eagerZeroedThick" => Provisioning::EagerZeroedThick,
            _ => Provisioning::Thin,
        },
        option: option.as_deref(),
        settings: &settings,
        transports: &it.transports,
        iso,
        boot_from_iso: args.flag(BOOT_ISO),
        power_on: args.flag(POWER_ON),
        one_pass: flow.is_one_pass(),
        pull,
    };
    let mut prepared = appliances.import(&ctx.call, &import, Box::new(Files(flow)))?;
    steps.append(&mut prepared.steps);
    let unaccepted = if args.flag(ACCEPT) { 0 } else { it.licences.len() };
    steps.extend(licences(&it, unaccepted));
    if is_pipe(text) && args.flag(args::DRY_RUN) {
        steps.push("standard input was used up by this; send it again to deploy".to_owned());
    }
    prepared.steps = steps;
    let Plan { steps, losses, seen, data, .. } = plan::prepared(&name, prepared);
    Ok(Plan::new(steps, seen, Deploy { unaccepted, deed: data }).losing(losses))
}

fn act<'a>(ctx: &Ctx<'a>, it: Deploy<'a>) -> Result<Reply> {
    if it.unaccepted > 0 {
        let said = format!("{} must be accepted first", counted(it.unaccepted, "licence"));
        return Err(Error::new(Kind::Denied, said)
            .hint("Read with dry_run=true or inspect_ova; accept_licenses=true accepts"));
    }
    plan::act(ctx, it.deed)
}

fn image(args: &Args) -> Result<Option<Image>> {
    let datastore = args.opt_text(ISO_STORE).map(str::to_owned);
    match args.opt_text(ISO) {
        Some(path) => Ok(Some(Image { path: path.to_owned(), datastore })),
        None if datastore.is_some() => {
            Err(Error::usage("`iso_datastore` is given without `iso_path`")
                .hint("Pass the ISO's path on it too"))
        }
        None => Ok(None),
    }
}

/// The members of an object, as texts.
fn texts(args: &Args, arg: Arg) -> Result<Vec<(String, String)>> {
    let text = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        value @ (Value::Number(_) | Value::Bool(_)) => Ok((name.clone(), json::write(value))),
        _ => Err(Error::usage(format!("`{}` in `{}` must be a text", quoted(name), arg.name))),
    };
    args.opt_object(arg).into_iter().flatten().map(text).collect()
}

/// The deployment option that is meant.
fn option(it: &Descriptor, wanted: Option<&str>) -> Result<Option<String>> {
    let Some(wanted) = wanted else { return Ok(it.default_option().map(|it| it.id.clone())) };
    if it.options.iter().any(|it| it.id == wanted) {
        return Ok(Some(wanted.to_owned()));
    }
    let said = format!("the appliance has no deployment option `{}`", quoted(wanted));
    let ids: Vec<String> = it.options.iter().map(|it| quoted(&it.id).to_string()).collect();
    let hint = match ids.is_empty() {
        true => "It has none; leave deployment_option out".to_owned(),
        false => format!("It has {}", ids.join(", ")),
    };
    Err(Error::usage(said).hint(hint))
}

/// What the source is, and what is done with it.
fn told(package: &Package<'_>, text: &str, verify: bool) -> Vec<String> {
    let it = &package.descriptor;
    let sizes: Option<u64> = it.files.iter().map(|it| package.size_of(it)).sum();
    let mut first = format!("`{}`", package.shown);
    if let Some(product) = it.products.first() {
        let parts = [&product.vendor, &product.name, &product.version];
        let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        first.push_str(&format!(" ({})", quoted(&words.join(" "))));
    }
    if !it.files.is_empty() {
        first.push_str(&format!(": {}", counted(it.files.len(), "file")));
        if let Some(bytes) = sizes {
            first.push_str(&format!(", {}", amount(bytes)));
        }
        first.push_str(", stored nowhere on the way");
    }
    let mut steps = vec![first];
    steps.push(match (&package.listing, verify) {
        (_, false) => "nothing is compared with a manifest".to_owned(),
        (Some(listing), true) => {
            let word = listing.algorithm().map_or("", |it| it.word());
            format!("each file is compared with the {word} of `{}` as it comes", listing.name)
        }
        (None, true) if package.is_settled() => {
            "there is no manifest to compare the files with".to_owned()
        }
        (None, true) => "if a manifest comes, each file is compared with it".to_owned(),
    });
    if package.signed {
        steps.push("it is signed; the signature is not verified".to_owned());
    }
    steps.extend(package.notes.iter().cloned());
    if is_pipe(text) && package.is_layered() {
        steps.push("its disks must come in the descriptor's order".to_owned());
    }
    steps
}

/// The properties that the caller chose, passwords left out.
fn given(it: &Descriptor, settings: &[properties::Chosen]) -> Option<String> {
    let secret =
        |key: &str| it.properties.iter().find(|it| it.key == key).is_none_or(properties::is_secret);
    let shown = |it: &properties::Chosen| match secret(&it.key) {
        true => format!("{}=***", it.key),
        false => format!("{}={}", it.key, quoted(&it.value)),
    };
    let mut shown: Vec<String> = settings.iter().filter(|it| it.given).map(shown).collect();
    if let Some(rest @ 1..) = settings.len().checked_sub(shown.len()) {
        shown.push(format!("{rest} by default"));
    }
    (!shown.is_empty()).then(|| format!("properties: {}", shown.join(", ")))
}

/// The licence texts that nobody has accepted yet.
fn licences(it: &Descriptor, unaccepted: usize) -> Vec<String> {
    if unaccepted == 0 {
        return Vec::new();
    }
    let count = counted(unaccepted, "licence");
    let mut steps = vec![format!(
        "but not before {count} is accepted: pass accept_licenses=true once you have read"
    )];
    for text in it.licences.iter().take(LICENCES) {
        let mut end = text.len().min(LICENCE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let more = match end < text.len() {
            true => "\n(cut here; inspect_ova response_format=detailed shows all of it)",
            false => "",
        };
        steps.push(format!("licence: {}{more}", &text[..end]));
    }
    if unaccepted > LICENCES {
        steps.push(format!(
            "and {} more, see inspect_ova",
            counted(unaccepted - LICENCES, "licence")
        ));
    }
    steps
}

/// Where the hypervisor finds the files.
fn pull(ctx: &Ctx<'_>, package: &Package<'_>, url: &str) -> Result<Pull> {
    let archive = package.parts.has_order();
    if package.is_packed() {
        return Err(Error::new(Kind::Unsupported, "a host that fetches by itself unpacks nothing")
            .hint("Leave mode=pull out, and jumpvisor unpacks it on the way"));
    }
    let seen = ctx.look(&Url::parse(url)?)?;
    let url = if archive { seen.url } else { seen.url.join("./")? };
    Ok(Pull { url: url.whole().reveal().to_owned(), archive, thumbprint: seen.thumbprint })
}
