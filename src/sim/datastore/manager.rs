//! FileManager: folders made, files and folders deleted, copied and moved.

use crate::sim::datastore::about;
use crate::sim::datastore::begin;
use crate::sim::datastore::copy::remove;
use crate::sim::datastore::copy::transfer;
use crate::sim::datastore::copying;
use crate::sim::datastore::named;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::files::File;
use crate::sim::rows::Call;
use crate::sim::rows::Family;
use crate::sim::rows::Method;
use crate::sim::world::World;
use crate::vim::value::Value;

fn make_directory(world: &mut World, call: &Call) -> Result<Value> {
    let path = named(world, call, "name", "datacenter")?.path;
    if world.files.exists(&path) {
        return Err(about("FileAlreadyExists", &path));
    }
    let above = files::parent(&path);
    if call.args.flag("createParentDirectories") != Some(true) && !world.files.is_folder(above) {
        return Err(about("FileNotFound", above));
    }
    let mut upto = above;
    while !files::is_root(upto) {
        if world.files.file(upto).is_some() {
            return Err(about("NotADirectory", upto));
        }
        upto = files::parent(upto);
    }
    let folder = File::folder(world.now);
    world.store(&path, folder)?;
    Ok(Value::Null)
}

fn delete(world: &mut World, call: &Call) -> Result<Value> {
    let path = named(world, call, "name", "datacenter")?.path;
    let work = move |world: &mut World| remove(world, &path).map(|()| Value::Null);
    begin(world, call, 300, Box::new(work))
}

/// Copies, or moves unless `keep`.
fn relocate(world: &mut World, call: &Call, keep: bool) -> Result<Value> {
    let from = named(world, call, "sourceName", "sourceDatacenter")?;
    let to = match call.args.reference("destinationDatacenter") {
        Some(_) => named(world, call, "destinationName", "destinationDatacenter")?,
        // The source's counts for both.
        None => named(world, call, "destinationName", "sourceDatacenter")?,
    };
    let force = call.args.flag("force") == Some(true);
    let moved = !keep && from.store == to.store;
    let lasts = copying(if moved { 0 } else { world.files.size(&from.path) });
    let work = move |world: &mut World| {
        transfer(world, &from.path, &to.path, keep, force).map(|()| Value::Null)
    };
    begin(world, call, lasts, Box::new(work))
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "FileManager", name: "MakeDirectory", run: make_directory },
        Method { on: "FileManager", name: "DeleteDatastoreFile_Task", run: delete },
        Method {
            on: "FileManager",
            name: "CopyDatastoreFile_Task",
            run: |world, call| relocate(world, call, true),
        },
        Method {
            on: "FileManager",
            name: "MoveDatastoreFile_Task",
            run: |world, call| relocate(world, call, false),
        },
    ],
    properties: &[],
};
