//! What lies on a datastore: lists of folders, and a look at one path.
//!
//! The server searches in a task and answers all at once, so the bounds are the call's time, the
//! size of an answer and `MOST`. Surprising: a query of one kind of file hides all others, so
//! every kind is asked for by name; and a host that knows disks hides their data behind them, so a
//! look at an extent asks for plain files only.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::stores::{Browse, Entry};
use crate::text::order;
use crate::vim::value::{Object, Value};
use crate::vsphere::store_path::{disk_of_extent, full, join, split};
use crate::vsphere::stores::{At, Store, missing_file};
use crate::vsphere::{Vsphere, store_path, task};

/// Files and folders of one list.
const MOST: usize = 50_000;

/// What servers tell of a file, the query that asks for it, and our word.
static KINDS: &[(&str, &str, &str)] = &[
    ("FolderFileInfo", "FolderFileQuery", "folder"),
    ("VmDiskFileInfo", "VmDiskFileQuery", "disk"),
    ("IsoImageFileInfo", "IsoImageFileQuery", "iso"),
    ("FloppyImageFileInfo", "FloppyImageFileQuery", "floppy"),
    ("TemplateConfigFileInfo", "TemplateConfigFileQuery", "template_config"),
    ("VmConfigFileInfo", "VmConfigFileQuery", "vm_config"),
    ("VmLogFileInfo", "VmLogFileQuery", "log"),
    ("VmNvramFileInfo", "VmNvramFileQuery", "nvram"),
    ("VmSnapshotFileInfo", "VmSnapshotFileQuery", "snapshot"),
    ("FileInfo", "FileQuery", "file"),
];

/// How a search is made.
#[derive(Clone, Copy, Default)]
struct Search<'a> {
    pattern: Option<&'a str>,
    deep: bool,
    /// Reads every disk's descriptor.
    disks: bool,
    /// Takes disks apart into their files.
    plain: bool,
}

/// What a path leads to.
pub enum Look {
    There(Entry),
    Missing,
    /// Not even the folder is there that it would stand in.
    NoFolder,
}

/// The list of a folder, or the one file that the path means.
pub fn list(it: &Vsphere, call: &Call, what: &Browse<'_>) -> Result<Vec<Entry>> {
    if what.pattern.is_some_and(|it| it.contains('/')) {
        return Err(Error::usage("`pattern` is for names, and no name has a slash")
            .hint("Pass the folder as path, and recursive=true for all below it"));
    }
    let at = At::read(it, call, Some(what.store), what.path)?;
    let search = Search {
        pattern: what.pattern.filter(|it| !it.is_empty()),
        deep: what.recursive,
        disks: what.disks,
        plain: false,
    };
    match run(it, call, &at.store, &at.path, search) {
        Ok(found) => Ok(order::by_key(found, |it| it.path.clone())),
        Err(error) if !at.path.is_empty() && is_no_folder(&error) => {
            match look(it, call, &at.store, &at.path)? {
                Look::There(entry) if !entry.folder => Ok(vec![entry]),
                Look::There(_) => Err(error),
                _ => Err(missing_file(&at)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Everything in a folder and below it.
pub fn all_below(it: &Vsphere, call: &Call, at: &At) -> Result<Vec<Entry>> {
    run(it, &call.unwatched(), &at.store, &at.path, Search { deep: true, ..Search::default() })
}

/// What stands at this path.
pub fn look(it: &Vsphere, call: &Call, store: &Store, path: &str) -> Result<Look> {
    if path.is_empty() {
        return Ok(Look::There(entry(String::new(), &Object::new("FolderFileInfo"))));
    }
    let (folder, name) = split(path);
    // The name is no pattern; what it finds too much is dropped below.
    let pattern = name.replace(['*', '?', '[', ']', '\\'], "?");
    let search = Search {
        pattern: Some(&pattern),
        deep: false,
        disks: true,
        plain: disk_of_extent(name).is_some(),
    };
    // The progress that a caller sees is that of the work itself.
    let call = &call.unwatched();
    let found = match run(it, call, store, folder, search) {
        Ok(found) => found,
        Err(error) if is_no_folder(&error) => return Ok(Look::NoFolder),
        Err(error) => return Err(error),
    };
    let named = |it: &Entry| {
        it.path.trim_end_matches('/') == path
            || (folder.is_empty() && it.alias.as_deref() == Some(name))
    };
    if let Some(mut entry) = found.into_iter().find(named) {
        entry.path = if entry.folder { format!("{path}/") } else { path.to_owned() };
        return Ok(Look::There(entry));
    }
    if folder.is_empty() && !store.makes_folders {
        // Unverified: a vSAN's folders are objects, known to patterns by their ids perhaps.
        let search = Search { pattern: Some("."), ..Search::default() };
        if run(it, call, store, path, search).is_ok() {
            let entry = entry(format!("{path}/"), &Object::new("FolderFileInfo"));
            return Ok(Look::There(entry));
        }
    }
    Ok(Look::Missing)
}

/// What a search of no folder is answered with.
fn is_no_folder(error: &Error) -> bool {
    // Unverified: which of them a host gives for the path of a file.
    const FAULTS: &[&str] =
        &["FileNotFound", "NotADirectory", "InvalidArgument", "IncorrectFileType"];
    error.fault_name().is_some_and(|it| FAULTS.contains(&it))
}

fn run(
    it: &Vsphere,
    call: &Call,
    store: &Store,
    folder: &str,
    search: Search<'_>,
) -> Result<Vec<Entry>> {
    let args = Object::args()
        .with("datastorePath", full(&store.name, folder))
        .with("searchSpec", spec(search));
    let method =
        if search.deep { "SearchDatastoreSubFolders_Task" } else { "SearchDatastore_Task" };
    let doing = format!("searching {}", store.name);
    let result = task::run(&it.session, call, &store.browser, method, &args, None, &doing)?;
    let mut found = Vec::new();
    // One result, or one of each folder.
    for part in result.iter().flat_map(Value::items).filter_map(Value::as_object) {
        let inner = part.text("folderPath").and_then(|it| store_path::StorePath::read(it).ok());
        let inner = inner.map_or_else(|| folder.to_owned(), |it| it.path);
        for file in part.objects("file") {
            if found.len() >= MOST {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("more than {MOST} files below `{}`", quoted(folder)),
                )
                .hint("Narrow it by path or pattern, or pass recursive=false"));
            }
            found.push(entry(join(&inner, file.text("path").unwrap_or_default()), file));
        }
    }
    Ok(found)
}

fn spec(search: Search<'_>) -> Object {
    let details = Object::new("FileQueryFlags")
        .with("fileType", true)
        .with("fileSize", true)
        .with("modification", true)
        .with("fileOwner", true);
    let query = |(_, query, _): &(&str, &'static str, &str)| {
        let disks = search.disks && *query == "VmDiskFileQuery";
        let flags = || {
            Object::new("VmDiskFileQueryFlags")
                .with("diskType", true)
                .with("capacityKb", true)
                .with("hardwareVersion", false)
                .with("controllerType", true)
                .with("thin", true)
        };
        Object::new(query).with_some("details", disks.then(flags))
    };
    let asked =
        KINDS.iter().filter(|it| !search.plain || matches!(it.1, "FolderFileQuery" | "FileQuery"));
    Object::new("HostDatastoreBrowserSearchSpec")
        .with("query", asked.map(query).collect::<Vec<Object>>())
        .with("details", details)
        // About endings only: `.ISO` is an image too.
        .with("searchCaseInsensitive", true)
        .with_some("matchPattern", search.pattern.map(|it| vec![Value::from(it)]))
}

fn entry(path: String, info: &Object) -> Entry {
    let kind = KINDS.iter().find(|it| info.is(it.0)).map_or("file", |it| it.2);
    let folder = kind == "folder";
    let end = if folder && !path.is_empty() { "/" } else { "" };
    let alias = info.text("friendlyName").filter(|it| *it != split(&path).1);
    let extent = kind == "file" && disk_of_extent(&path).is_some();
    Entry {
        kind: if extent { "disk_data" } else { kind },
        folder,
        size_bytes: info.int("fileSize").filter(|_| !folder),
        modified: info.text("modification").map(str::to_owned),
        owner: info.text("owner").filter(|it| !it.is_empty()).map(str::to_owned),
        capacity_bytes: info.int("capacityKb").map(|it| it.saturating_mul(1024)),
        thin: info.flag("thin"),
        adapter: info.text("controllerType").map(adapter),
        alias: alias.map(str::to_owned),
        path: format!("{path}{end}"),
    }
}

/// The controllers that a disk can be made for, as its manager calls them.
fn adapter(controller: &str) -> &'static str {
    match controller {
        "VirtualIDEController" => "ide",
        "VirtualBusLogicController" => "busLogic",
        _ => "lsiLogic",
    }
}

/// `12.5 GB`, `3 MB`, `740 bytes`.
pub fn sized(bytes: i64) -> String {
    let bytes = bytes.max(0);
    match bytes {
        0..0x10_0000 => format!("{bytes} bytes"),
        0x10_0000..0x4000_0000 => format!("{} MB", bytes >> 20),
        _ => format!("{}.{} GB", bytes >> 30, ((bytes & 0x3fff_ffff) * 10) >> 30),
    }
}

/// How many files there are, and their bytes; the data of a disk counts once.
pub fn sum(entries: &[Entry]) -> (usize, i64) {
    let disks: std::collections::HashSet<&str> =
        entries.iter().filter(|it| it.kind == "disk").map(|it| it.path.as_str()).collect();
    let counted = entries
        .iter()
        .filter(|it| !it.folder)
        .filter(|it| disk_of_extent(&it.path).is_none_or(|disk| !disks.contains(disk.as_str())));
    counted.fold((0, 0), |(files, bytes), it| {
        (files + 1, i64::saturating_add(bytes, it.size_bytes.unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_kind() {
        let file = |kind, name: &str| {
            let info = Object::new(kind).with("path", name).with("fileSize", 5);
            entry(join("a", name), &info)
        };
        let folder = file("FolderFileInfo", "b");
        assert_eq!((folder.path.as_str(), folder.size_bytes, folder.folder), ("a/b/", None, true));
        assert_eq!(file("VmDiskFileInfo", "x.vmdk").kind, "disk");
        assert_eq!(file("TemplateConfigFileInfo", "x.vmtx").kind, "template_config");
        assert_eq!(file("FileInfo", "x-flat.vmdk").kind, "disk_data");
        assert_eq!(file("FileInfo", "x").kind, "file");
    }

    #[test]
    fn every_kind_is_of_the_schema() {
        for (info, query, _) in KINDS {
            let find = crate::vim::table::Type::find;
            assert!(find(info).is_some() && find(query).is_some(), "{info} {query}");
        }
    }

    #[test]
    fn a_disk_counts_once() {
        let of = |kind, path: &str, size| {
            entry(path.to_owned(), &Object::new(kind).with("fileSize", size))
        };
        let all = [
            of("FolderFileInfo", "a", 0),
            of("VmDiskFileInfo", "a/x.vmdk", 1000),
            of("FileInfo", "a/x-flat.vmdk", 1000),
            of("FileInfo", "a/y-flat.vmdk", 10),
        ];
        assert_eq!(sum(&all), (2, 1010));
        assert_eq!((sized(740), sized(3 << 20)), ("740 bytes".into(), "3 MB".into()));
        assert_eq!((sized(5 << 29), sized(-1)), ("2.5 GB".into(), "0 bytes".into()));
    }
}
