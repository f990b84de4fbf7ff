//! What clients do with leases: begin one, tell how far they are, and end it.
//!
//! It knows no HTTP. Surprising: a lease that was completed or aborted is gone at once, one that
//! timed out can still be asked why.

use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::machine::Power;
use crate::sim::nfc::Lease;
use crate::sim::nfc::State;
use crate::sim::nfc::discard;
use crate::sim::nfc::pull::pull;
use crate::sim::nfc::timed_out;
use crate::sim::rows::Call;
use crate::sim::rows::Family;
use crate::sim::rows::Method;
use crate::sim::rows::Property;
use crate::sim::spec::Place;
use crate::sim::spec::create_machine;
use crate::sim::world::World;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;

fn import(world: &mut World, call: &Call) -> Result<Value> {
    let spec = call.args.object("spec").filter(|it| it.is("VirtualMachineImportSpec"));
    let Some(config) = spec.and_then(|it| it.object("configSpec")).cloned() else {
        return Err(match world.vcenter {
            true => Fault::not_played("the import of vApps"),
            false => Fault::not_supported(),
        });
    };
    let known = |name: &str, kind: &str| match call.args.reference(name) {
        Some(it) if world.kind_of(&it.id) != Some(kind) => Err(Fault::gone(it)),
        other => Ok(other.map(|it| it.id.clone())),
    };
    let host = known("host", "HostSystem")?;
    let folder = known("folder", "Folder")?.or_else(|| {
        let mut all = world.all("Datacenter");
        all.find_map(|(_, props)| props.reference("vmFolder")).map(|it| it.id.clone())
    });
    let first = || world.first("HostSystem").map(|it| it.id);
    let host = host.or_else(first).unwrap_or_default();
    let folder = folder.unwrap_or_default();
    let place = Place { folder, pool: call.this.id.clone(), host };
    let user = call.user.to_owned();
    let begin = move |world: &mut World| {
        let config = beside(config);
        world.nfc.importing = true;
        let made = create_machine(world, &config, place);
        world.nfc.importing = false;
        let id = made?;
        let subject = Ref::new("VirtualMachine", id.as_str());
        let text = format!("Created virtual machine {}", world.name(&id).unwrap_or_default());
        world.event("VmCreatedEvent", &user, Some(&subject), &text);
        Ok(id)
    };
    world.lease(true, true, String::new(), Box::new(begin))
}

/// An image that a specification puts on a datastore itself is meant beside the machine.
fn beside(mut config: Object) -> Object {
    let name = config.text("name").unwrap_or_default().to_owned();
    let Some(Value::List(changes)) = config.field_mut("deviceChange") else { return config };
    for change in changes {
        let Value::Object(change) = change else { continue };
        let Some(Value::Object(device)) = change.field_mut("device") else { continue };
        if device.is("VirtualDisk") {
            continue;
        }
        let Some(Value::Object(backing)) = device.field_mut("backing") else { continue };
        let path = backing.text("fileName").and_then(files::path).map(|it| it.1);
        if let Some(path) = path
            && !files::is_root(&path)
            && files::is_root(files::parent(&path))
        {
            let own = format!("{} {name}/{}", files::parent(&path), files::name(&path));
            backing.set("fileName", own);
        }
    }
    config
}

fn export(world: &mut World, call: &Call) -> Result<Value> {
    let id = call.this.id.clone();
    world.leased(&id)?;
    let power = world.machine(&id).map_or(Power::Off, |it| it.power);
    if power != Power::Off {
        return Err(Fault::power_state("poweredOff", power.name()));
    }
    world.lease(false, true, id.clone(), Box::new(move |world| alive(world, id)))
}

/// unverified: that the machine can be used meanwhile, and that its present disks are what is sent.
fn export_snapshot(world: &mut World, call: &Call) -> Result<Value> {
    let id = world.snapshot(&call.this.id).map(|it| it.0.id.clone());
    let id = id.ok_or_else(|| Fault::gone(call.this))?;
    world.lease(false, false, id.clone(), Box::new(move |world| alive(world, id)))
}

fn alive(world: &mut World, id: String) -> Result<String> {
    world.machine_mut(&id).map(|_| id.clone())
}

/// The lease of a call, if it is ready.
pub fn ready<'w>(world: &'w mut World, call: &Call) -> Result<&'w mut Lease> {
    world.touch();
    let lease = world.nfc.leases.get_mut(&call.this.id);
    let lease = lease.ok_or_else(|| Fault::gone(call.this))?;
    match lease.state {
        State::Ready => Ok(lease),
        State::Initializing => Err(Fault::invalid_state()),
        State::Error(_) => Err(timed_out()),
    }
}

fn progress(world: &mut World, call: &Call) -> Result<Value> {
    let percent = call.args.int("percent").unwrap_or(-1);
    if !(0..=100).contains(&percent) {
        return Err(Fault::invalid_argument("percent"));
    }
    let now = world.now;
    let lease = ready(world, call)?;
    (lease.renewed, lease.percent) = (now, percent);
    Ok(Value::Null)
}

/// unverified: that a host does not look whether everything was uploaded.
fn complete(world: &mut World, call: &Call) -> Result<Value> {
    ready(world, call)?;
    world.nfc.leases.remove(&call.this.id);
    Ok(Value::Null)
}

fn abort(world: &mut World, call: &Call) -> Result<Value> {
    let open = world.nfc.leases.get(&call.this.id);
    if !open.is_some_and(|it| matches!(it.state, State::Initializing)) {
        ready(world, call)?;
    }
    world.touch();
    if let Some(lease) = world.nfc.leases.remove(&call.this.id)
        && lease.import
    {
        let paths = lease.slots.into_iter().map(|it| it.path).collect();
        discard(world, &lease.machine, paths);
    }
    Ok(Value::Null)
}

fn manifest(world: &mut World, call: &Call) -> Result<Value> {
    let lease = ready(world, call)?;
    let sent = lease.slots.iter().filter_map(|it| Some((it, it.sums()?)));
    let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let entries = sent.map(|(slot, sums)| {
        let (kind, checksum) =
            if slot.sha1 { ("sha1", &sums.sha1) } else { ("sha256", &sums.sha256) };
        Object::new("HttpNfcLeaseManifestEntry")
            .with("key", slot.key.as_str())
            .with("sha1", sums.sha1.as_str())
            .with("checksum", checksum)
            .with("checksumType", kind)
            .with("size", number(sums.bytes))
            .with("disk", slot.disk)
            .with_some("capacity", slot.disk.then(|| number(slot.capacity)))
            // unverified: what a host counts as populated.
            .with_some("populatedSize", slot.disk.then(|| number(sums.bytes.min(slot.capacity))))
    });
    Ok(entries.collect())
}

fn set_checksum(world: &mut World, call: &Call) -> Result<Value> {
    let lease = ready(world, call)?;
    for pair in call.args.objects("deviceUrlsToChecksumTypes") {
        let wrong = || Fault::invalid_argument("deviceUrlsToChecksumTypes");
        let key = pair.text("key").unwrap_or_default();
        let slot = lease.slots.iter_mut().find(|it| it.key == key).ok_or_else(wrong)?;
        slot.sha1 = match pair.text("value") {
            Some("sha1") => true,
            Some("sha256") => false,
            _ => return Err(wrong()),
        };
    }
    Ok(Value::Null)
}

// ---- properties ----

fn info(world: &World, id: &str) -> Option<Value> {
    let lease = world.nfc.leases.get(id)?;
    if !matches!(lease.state, State::Ready) {
        return None;
    }
    let host = match (world.vcenter, world.nfc.host.as_str()) {
        (false, _) => "*",
        (true, "") => world.first("HostSystem").and_then(|it| world.name(&it.id)).unwrap_or("*"),
        (true, told) => told,
    };
    let door = if world.vcenter { "nfc" } else { "ha-nfc" };
    let urls = lease.slots.iter().map(|it| {
        let size = (!it.disk && !lease.import).then(|| i64::try_from(it.capacity).ok()).flatten();
        Object::new("HttpNfcLeaseDeviceUrl")
            .with("key", it.key.as_str())
            .with("importKey", it.import_key.as_str())
            .with("url", format!("https://{host}/{door}/{}/{}", lease.token, it.name))
            .with("sslThumbprint", "")
            .with("disk", it.disk)
            .with("targetId", it.name.as_str())
            .with_some("fileSize", size)
    });
    let disks = lease.slots.iter().filter(|it| it.disk).map(|it| it.capacity / 1024).sum::<u64>();
    let timeout = world.nfc.timeout;
    Some(
        Object::new("HttpNfcLeaseInfo")
            .with("lease", Ref::new("HttpNfcLease", id))
            .with("entity", Ref::new("VirtualMachine", lease.machine.as_str()))
            .with("deviceUrl", urls.collect::<Value>())
            .with("totalDiskCapacityInKB", i64::try_from(disks).unwrap_or(i64::MAX))
            .with("leaseTimeout", timeout)
            .into(),
    )
}

/// Rows of a lease's properties.
macro_rules! rows {
    ($($name:literal: |$lease:ident| $value:expr),* $(,)?) => {
        &[
            Property { on: "HttpNfcLease", name: "info", get: info },
            $(Property {
                on: "HttpNfcLease",
                name: $name,
                get: |world, id| {
                    let $lease = world.nfc.leases.get(id)?;
                    $value
                },
            },)*
        ]
    };
}

/// Rows of methods.
macro_rules! methods {
    ($($on:literal $name:literal $run:expr),* $(,)?) => {
        &[$(Method { on: $on, name: $name, run: $run }),*]
    };
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: methods![
        "ResourcePool" "ImportVApp" import,
        "VirtualMachine" "ExportVm" export,
        "VirtualMachineSnapshot" "ExportSnapshot" export_snapshot,
        "HttpNfcLease" "HttpNfcLeaseProgress" progress,
        "HttpNfcLease" "HttpNfcLeaseComplete" complete,
        "HttpNfcLease" "HttpNfcLeaseAbort" abort,
        "HttpNfcLease" "HttpNfcLeasePullFromUrls_Task" pull,
        "HttpNfcLease" "HttpNfcLeaseGetManifest" manifest,
        "HttpNfcLease" "HttpNfcLeaseSetManifestChecksumType" set_checksum,
    ],
    properties: rows![
        "state": |lease| Some(match lease.state {
            State::Initializing => "initializing",
            State::Ready => "ready",
            State::Error(_) => "error",
        }.into()),
        "error": |lease| match &lease.state {
            State::Error(fault) => Some(fault.clone().localized().into()),
            _ => None,
        },
        "initializeProgress": |lease| {
            Some(if matches!(lease.state, State::Ready) { 100 } else { 0 }.into())
        },
        "transferProgress": |lease| Some(lease.percent.into()),
        "mode": |lease| (!lease.token.is_empty()).then(|| "pushOrGet".into()),
        "capabilities": |lease| (!lease.token.is_empty()).then(|| {
            Object::new("HttpNfcLeaseCapabilities")
                .with("pullModeSupported", lease.import)
                .with("corsSupported", true)
                .into()
        }),
    ],
};
