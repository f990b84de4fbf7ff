//! OvfManager: what the inventory has to do with descriptors.
//!
//! All that a descriptor means is in `ovf`; here only the host's facts are put together.

use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::ovf;
use crate::sim::ovf::HostFacts;
use crate::sim::rows::Call;
use crate::sim::rows::Family;
use crate::sim::rows::Method;
use crate::sim::rows::Property;
use crate::sim::world::World;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;

/// Virtual hardware of ESXi 8.0.3.
const HARDWARE: u64 = 21;

/// The argument of this name, which names an entity of this kind.
fn entity<'c>(world: &World, call: &'c Call, name: &str, kind: &str) -> Result<&'c Ref> {
    let given = call.args.reference(name).ok_or_else(|| Fault::invalid_argument(name))?;
    match world.kind_of(&given.id) {
        Some(own) if own == kind || (own, kind) == ("VirtualApp", "ResourcePool") => Ok(given),
        _ => Err(Fault::gone(given)),
    }
}

fn import_spec(world: &mut World, call: &Call) -> Result<Value> {
    entity(world, call, "resourcePool", "ResourcePool")?;
    let store = entity(world, call, "datastore", "Datastore")?;
    let store = format!("[{}]", world.name(&store.id).unwrap_or_default());
    let params = call.args.object("cisp").cloned().unwrap_or_else(Object::args);
    let world: &World = world;
    let host = HostFacts {
        newest_hardware: HARDWARE,
        standalone: !world.vcenter,
        datastore: &store,
        network: &|it| backing(world, &it.id),
        network_named: &|name| {
            let mut all = world.all("Network");
            let found = all.find(|(_, props)| props.text("name") == Some(name))?;
            backing(world, found.0)
        },
    };
    let text = call.args.text("ovfDescriptor").unwrap_or_default();
    let mut result = ovf::import_spec(text, &params, &host);
    if let Some(Value::Object(spec)) = result.field_mut("importSpec")
        && let Some(Value::Object(config)) = spec.field_mut("configSpec")
    {
        let files = Object::new("VirtualMachineFileInfo").with("vmPathName", store.as_str());
        config.set("files", files);
    }
    Ok(result.into())
}

/// The backing of a card in a network.
fn backing(world: &World, id: &str) -> Option<Object> {
    let network = world.reference(id)?;
    let props = world.all("Network").find(|it| it.0 == id)?.1;
    if &*network.kind != "DistributedVirtualPortgroup" {
        return Some(
            Object::new("VirtualEthernetCardNetworkBackingInfo")
                .with("deviceName", props.text("name").unwrap_or_default())
                .with("network", network),
        );
    }
    let uuid = props.reference("config.distributedVirtualSwitch").and_then(|it| {
        let switch = world.plain.get(&it.id)?;
        switch.props.text("uuid")
    });
    let port = Object::new("DistributedVirtualSwitchPortConnection")
        .with("switchUuid", uuid.unwrap_or_default())
        .with("portgroupKey", props.text("key").unwrap_or(id));
    Some(Object::new("VirtualEthernetCardDistributedVirtualPortBackingInfo").with("port", port))
}

fn parse(_: &mut World, call: &Call) -> Result<Value> {
    let text = call.args.text("ovfDescriptor").unwrap_or_default();
    let params = call.args.object("pdp").cloned().unwrap_or_else(Object::args);
    Ok(ovf::parse_descriptor(text, &params).into())
}

/// unverified: what a host finds beyond what it says when it parses a descriptor.
fn validate(world: &mut World, call: &Call) -> Result<Value> {
    entity(world, call, "host", "HostSystem")?;
    let text = call.args.text("ovfDescriptor").unwrap_or_default();
    let params = call.args.object("vhp").cloned().unwrap_or_else(Object::args);
    let read = ovf::parse_descriptor(text, &params);
    let same = [
        ("downloadSize", "approximateDownloadSize"),
        ("flatDeploymentSize", "approximateFlatDeploymentSize"),
        ("sparseDeploymentSize", "approximateSparseDeploymentSize"),
        ("error", "error"),
        ("warning", "warning"),
    ];
    let result = same.into_iter().fold(Object::new("OvfValidateHostResult"), |all, (to, from)| {
        all.with_some(to, read.get(from))
    });
    let kinds = vec!["thin", "thick", "eagerZeroedThick"];
    Ok(result.with("supportedDiskProvisioning", kinds).into())
}

fn describe(world: &mut World, call: &Call) -> Result<Value> {
    let machine = entity(world, call, "obj", "VirtualMachine")?;
    let machine = world.machine(&machine.id).ok_or_else(|| Fault::gone(machine))?;
    let params = call.args.object("cdp").cloned().unwrap_or_else(Object::args);
    let config = match params.reference("snapshot") {
        None => machine.info(),
        Some(it) => match world.snapshot(&it.id) {
            Some((own, at)) if own.id == machine.id => {
                own.snapshots.get(at).map_or_else(Object::args, |it| own.dressed(&it.config))
            }
            _ => return Err(Fault::gone(it)),
        },
    };
    let network = |backing: &Object| {
        let key = backing.text("port.portgroupKey")?;
        world.name(key).map(str::to_owned)
    };
    Ok(ovf::create_descriptor(&config, &params, &network).into())
}

/// Options as a list of `OvfOptionInfo`.
fn options(all: &[(&str, &str)]) -> Option<Value> {
    let shown = all.iter().map(|(option, message)| {
        let description = Object::new("LocalizableMessage")
            .with("key", format!("com.vmware.ovfs.ovfs-main.ovfs.option.{option}"))
            .with("message", *message);
        Object::new("OvfOptionInfo").with("option", *option).with("description", description)
    });
    Some(shown.collect())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "OvfManager", name: "CreateImportSpec", run: import_spec },
        Method { on: "OvfManager", name: "ParseDescriptor", run: parse },
        Method { on: "OvfManager", name: "ValidateHost", run: validate },
        Method { on: "OvfManager", name: "CreateDescriptor", run: describe },
    ],
    // unverified: what a host offers beyond these.
    properties: &[
        Property { on: "OvfManager", name: "ovfImportOption", get: |_, _| options(&[]) },
        Property {
            on: "OvfManager",
            name: "ovfExportOption",
            get: |_, _| {
                options(&[
                    ("mac", "Export MAC addresses of network adapters"),
                    ("extraconfig", "Export extra configuration"),
                ])
            },
        },
    ],
};
