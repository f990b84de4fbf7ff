//! What a host says of its storage, and of the pools and datastores around it.
//!
//! Volumes follow from the datastores, the use of a pool from the machines in it. Only NFS can be
//! mounted here; to make VMFS takes disks that are not there.

use crate::sim::fault::{Fault, Result};
use crate::sim::host::{already_exists, in_use, nothing, stored};
use crate::sim::rows::{Call, Family, Method, Property, Run};
use crate::sim::world::{Plain, World};
use crate::vim::value::{Object, Ref, Value};

/// What a mounted NFS export holds, and what of that is free.
const EXPORT: (i64, i64) = (4_000_787_030_016, 3_600_787_030_016);
/// Datastores of one host.
const MOST: usize = 256;

// ---- volumes ----

fn mount(props: &Object) -> Object {
    Object::new("HostMountInfo")
        .with_some("path", props.text("summary.url"))
        .with("accessMode", "readWrite")
        .with("mounted", true)
        .with("accessible", props.flag("summary.accessible").unwrap_or(true))
}

fn volumes(world: &World, _: &str) -> Option<Value> {
    let all = world.all("Datastore").filter_map(|(_, props)| {
        let volume = props.get("info.vmfs").or_else(|| props.get("info.nas"))?;
        Some(
            Object::new("HostFileSystemMountInfo")
                .with("mountInfo", mount(props))
                .with("volume", volume)
                .with("vStorageSupport", "vStorageUnsupported"),
        )
    });
    Some(
        Object::new("HostFileSystemVolumeInfo")
            .with("volumeTypeList", ["VMFS", "NFS", "NFS41", "VVOL", "VFFS", "OTHER"])
            .with("mountInfo", all.collect::<Value>())
            .into(),
    )
}

fn mounts(world: &World, id: &str) -> Option<Value> {
    if let Some(stored) = stored(world, id, "host") {
        return Some(stored);
    }
    let props = &world.plain.get(id)?.props;
    let hosts = world.all("HostSystem").map(|(host, _)| {
        Object::new("DatastoreHostMount")
            .with("key", Ref::new("HostSystem", host))
            .with("mountInfo", mount(props))
    });
    Some(hosts.collect())
}

fn capability(world: &World, id: &str) -> Option<Value> {
    let block = world.plain.get(id)?.props.text("summary.type") == Some("VMFS");
    Some(
        Object::new("DatastoreCapability")
            .with("directoryHierarchySupported", true)
            .with("rawDiskMappingsSupported", block)
            .with("perFileThinProvisioningSupported", true)
            .with("storageIORMSupported", true)
            .with("nativeSnapshotSupported", false)
            .with("topLevelDirectoryCreateSupported", true)
            .with("seSparseSupported", true)
            .with("vmfsSparseSupported", true)
            .with("vmdkExpandSupported", true)
            .into(),
    )
}

// ---- NFS ----

fn mount_nas(world: &mut World, call: &Call) -> Result<Value> {
    let spec = call.args.object("spec").ok_or_else(Fault::not_found)?;
    let text = |name: &str| spec.text(name).unwrap_or_default();
    let (name, server, path) = (text("localPath"), text("remoteHost"), text("remotePath"));
    if name.is_empty() || name.len() > 42 || name.contains('/') {
        return Err(Fault::invalid_argument("spec.localPath"));
    }
    if server.is_empty() || !path.starts_with('/') {
        return Err(Fault::invalid_argument("spec.remotePath"));
    }
    if !matches!(text("accessMode"), "readWrite" | "readOnly") {
        return Err(Fault::invalid_argument("spec.accessMode"));
    }
    if let Some((id, _)) = world.all("Datastore").find(|(_, it)| it.text("name") == Some(name)) {
        return Err(Fault::duplicate_name(name, &Ref::new("Datastore", id)));
    }
    let same = |it: &Object| {
        it.text("info.nas.remoteHost") == Some(server)
            && it.text("info.nas.remotePath") == Some(path)
    };
    if world.all("Datastore").any(|(_, it)| same(it)) {
        return Err(already_exists(name));
    }
    if world.all("Datastore").count() >= MOST {
        return Err(Fault::new("LimitExceeded", "Too many datastores."));
    }
    let number = world.number();
    let id = match world.vcenter {
        true => format!("datastore-{number}"),
        false => format!("{number:08x}-{:08x}", number * 40503 % 65536),
    };
    let url = format!("/vmfs/volumes/{id}");
    let folder =
        world.all("Datacenter").find_map(|(_, it)| it.reference("datastoreFolder").cloned());
    let browser = world.all("Datastore").find_map(|(_, it)| it.reference("browser").cloned());
    let kind = spec.text("type").unwrap_or("NFS");
    let reference = Ref::new("Datastore", id.as_str());
    let summary = Object::new("DatastoreSummary")
        .with("datastore", &reference)
        .with("name", name)
        .with("url", url.as_str())
        .with("capacity", EXPORT.0)
        .with("freeSpace", EXPORT.1)
        .with("uncommitted", 0)
        .with("accessible", true)
        .with("multipleHostAccess", true)
        .with("type", kind)
        .with("maintenanceMode", "normal");
    let nas = Object::new("HostNasVolume")
        .with("type", kind)
        .with("name", name)
        .with("capacity", EXPORT.0)
        .with("remoteHost", server)
        .with("remotePath", path);
    let info = Object::new("NasDatastoreInfo")
        .with("name", name)
        .with("url", url.as_str())
        .with("freeSpace", EXPORT.1)
        .with("maxFileSize", i64::MAX / 1000)
        .with("maxMemoryFileSize", i64::MAX / 1000)
        .with("nas", nas);
    let props = Object::new("Datastore")
        .with_some("parent", folder)
        .with("name", name)
        .with("summary", summary)
        .with("info", info)
        .with_some("browser", browser)
        .with("overallStatus", "green");
    world.plain.insert(id, Plain { kind: "Datastore", props });
    world.touch();
    Ok(reference.into())
}

fn unmount(world: &mut World, call: &Call) -> Result<Value> {
    let Some(store) = call.args.reference("datastore") else { return Err(Fault::not_found()) };
    if world.kind_of(&store.id) != Some("Datastore") {
        return Err(Fault::gone(store));
    }
    let name = world.name(&store.id).unwrap_or_default();
    if world.machines.values().any(|it| it.stores().iter().any(|it| it == name)) {
        return Err(in_use(name));
    }
    world.plain.remove(&store.id);
    world.touch();
    Ok(Value::Null)
}

// ---- pools ----

const fn on(name: &'static str, run: Run) -> Method {
    Method { on: "HostStorageSystem", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on("RescanAllHba", nothing),
        on("RescanHba", |world, call| {
            let wanted = call.args.text("hbaDevice");
            let state = stored(world, &call.this.id, "storageDeviceInfo").unwrap_or(Value::Null);
            match state.objects("hostBusAdapter").any(|it| it.text("device") == wanted) {
                true => Ok(Value::Null),
                false => Err(Fault::not_found()),
            }
        }),
        on("RescanVmfs", nothing),
        on("RefreshStorageSystem", nothing),
        Method { on: "HostDatastoreSystem", name: "CreateNasDatastore", run: mount_nas },
        Method { on: "HostDatastoreSystem", name: "RemoveDatastore", run: unmount },
        Method {
            on: "HostDatastoreSystem",
            name: "QueryAvailableDisksForVmfs",
            run: |_, _| Ok(Value::List(Vec::new())),
        },
    ],
    properties: &[
        Property { on: "HostStorageSystem", name: "fileSystemVolumeInfo", get: volumes },
        Property {
            on: "HostDatastoreSystem",
            name: "datastore",
            get: |world, _| {
                Some(world.all("Datastore").map(|(id, _)| Ref::new("Datastore", id)).collect())
            },
        },
        Property { on: "Datastore", name: "host", get: mounts },
        Property { on: "Datastore", name: "capability", get: capability },
    ],
};
