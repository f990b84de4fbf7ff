//! Copying, moving and removing on datastores: what both managers of files do in the end.

use crate::sim::datastore::about;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::world::World;

/// Takes a file away, or a folder with everything in it.
pub fn remove(world: &mut World, path: &str) -> Result<()> {
    world.there(path)?;
    if files::is_root(path) {
        return Err(about("CannotDeleteFile", path));
    }
    world.unheld(path)?;
    let held = |rest: &str| world.holder(&format!("{path}/{rest}")).is_some();
    // unverified: a host may have removed the rest of the folder before it says so.
    if world.files.below(path).any(|(rest, file)| !file.folder && held(rest)) {
        return Err(about("CannotDeleteFile", path));
    }
    world.files.remove(path);
    world.touch();
    Ok(())
}

/// Refuses a new file or folder where one is, or where its folder is not.
pub fn vacant(world: &mut World, path: &str, force: bool) -> Result<()> {
    let above = files::parent(path);
    if !world.files.is_folder(above) {
        return Err(about("FileNotFound", above));
    }
    match world.files.exists(path) {
        // unverified: that `force` replaces a folder too.
        true if force => remove(world, path),
        true => Err(about("FileAlreadyExists", path)),
        false => Ok(()),
    }
}

/// Copies or moves a file, or a folder with everything in it.
pub fn transfer(world: &mut World, from: &str, to: &str, keep: bool, force: bool) -> Result<()> {
    world.there(from)?;
    if files::is_root(from) || from == to || to.starts_with(&files::inside(from)) {
        return Err(about("CannotAccessFile", to));
    }
    let tree = world.files.tree(from);
    for (rest, _) in &tree {
        let path = format!("{from}{rest}");
        // A running machine's small files can be read.
        if !keep || path.ends_with(".vmdk") || path.ends_with(".vswp") {
            world.unheld(&path)?;
        }
    }
    let near = to.split(']').next() == from.split(']').next();
    if keep || !near {
        world.room(to, world.files.size(from))?;
    }
    // `to` may stand above `from`, and be replaced with it.
    if force && from.starts_with(&files::inside(to)) {
        return Err(about("CannotAccessFile", to));
    }
    vacant(world, to, force)?;
    if !keep {
        world.files.remove(from);
    }
    let now = world.now;
    for (rest, mut file) in tree {
        if keep {
            file.modified = now;
        }
        world.store(&format!("{to}{rest}"), file)?;
    }
    Ok(())
}
