//! Makes a machine of a specification, as much of it as a lease needs.
//!
//! It knows only devices that are added. Surprising: the same name anywhere is taken.

use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::files::File;
use crate::sim::inventory;
use crate::sim::world::World;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// Where a machine goes.
pub struct Place {
    /// Id of the folder.
    pub folder: String,
    /// Id of the resource pool.
    pub pool: String,
    /// Id of the host; empty for the first one.
    pub host: String,
}

/// Makes a machine; answers its id.
pub fn create_machine(world: &mut World, spec: &Object, place: Place) -> Result<String> {
    let name = spec.text("name").unwrap_or_default();
    if let Some(other) = world.machines.values().find(|it| it.name == name) {
        return Err(Fault::duplicate_name(name, &other.reference()));
    }
    let path = spec.text("files.vmPathName").and_then(files::path);
    let store = path.ok_or_else(|| Fault::invalid_argument("files.vmPathName"))?.0;
    let mut machine = inventory::bare(world, name, store);
    (machine.parent, machine.pool) = (place.folder, place.pool);
    if !place.host.is_empty() {
        machine.host = place.host;
    }
    let stem = machine.path.trim_end_matches(".vmx").to_owned();
    if let Some(Value::Object(hardware)) = machine.own().field_mut("hardware") {
        let mut all: Vec<Object> = hardware.objects("device").cloned().collect();
        let added = spec.objects("deviceChange").filter_map(|it| it.object("device"));
        for (at, device) in added.enumerate() {
            let mut device = device.clone();
            if device.is("VirtualDisk")
                && let Some(Value::Object(backing)) = device.field_mut("backing")
            {
                backing.set("fileName", format!("{stem}_{at}.vmdk"));
            }
            all.push(device);
        }
        hardware.set("device", all);
    }
    for (path, _, size) in machine.files() {
        let file = File::blank(u64::try_from(size).unwrap_or(0), world.now);
        world.store(&path, file)?;
    }
    let (id, number) = (machine.id.clone(), world.number());
    let own = id.rsplit('-').next().and_then(|it| it.parse().ok());
    world.machines.insert(own.unwrap_or(number), machine);
    Ok(id)
}
