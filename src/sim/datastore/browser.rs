//! HostDatastoreBrowser: what lies in a folder, and below it.
//!
//! Surprising: a query of some kinds of files leaves out all others, folders too; without a query
//! every file is told, the data of disks as well.

use crate::sim::clock::Moment;
use crate::sim::clock::stamp;
use crate::sim::datastore::about;
use crate::sim::datastore::copy::remove;
use crate::sim::datastore::disks;
use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::rows::Call;
use crate::sim::rows::Family;
use crate::sim::rows::Method;
use crate::sim::rows::Property;
use crate::sim::task::Plan;
use crate::sim::world::World;
use crate::text::glob::Glob;
use crate::text::order;
use crate::vim::table::Type;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;

/// Ending, what is told of such a file, and the query that asks for it.
const KINDS: &[(&str, &str, &str)] = &[
    (".vmx", "VmConfigFileInfo", "VmConfigFileQuery"),
    (".vmtx", "TemplateConfigFileInfo", "TemplateConfigFileQuery"),
    (".vmdk", "VmDiskFileInfo", "VmDiskFileQuery"),
    (".iso", "IsoImageFileInfo", "IsoImageFileQuery"),
    (".flp", "FloppyImageFileInfo", "FloppyImageFileQuery"),
    (".log", "VmLogFileInfo", "VmLogFileQuery"),
    (".nvram", "VmNvramFileInfo", "VmNvramFileQuery"),
    (".vmsn", "VmSnapshotFileInfo", "VmSnapshotFileQuery"),
    ("/", "FolderFileInfo", "FolderFileQuery"),
];
/// Files of one answer.
const MOST: usize = 50_000;

/// The row of [`KINDS`] for a file or folder.
fn kind(
    path: &str,
    folder: bool,
    any_case: bool,
) -> Option<&'static (&'static str, &'static str, &'static str)> {
    if folder {
        return KINDS.last();
    }
    if disks::is_extent(path) {
        return None;
    }
    let lower = path.to_lowercase();
    let path = if any_case { &lower } else { path };
    KINDS.iter().find(|it| path.ends_with(it.0))
}

/// A search that has been read.
struct Search {
    spec: Object,
    patterns: Vec<Glob>,
    any_case: bool,
}

impl Search {
    fn new(spec: Option<&Object>) -> Search {
        let spec = spec.cloned().unwrap_or_else(Object::args);
        // About kinds of files only, not about names.
        let any_case = spec.flag("searchCaseInsensitive") == Some(true);
        let patterns = spec.texts("matchPattern").map(|it| Glob::new(it, false)).collect();
        Search { spec, patterns, any_case }
    }

    /// What is told of a file; nothing if it is not searched for.
    fn info(&self, world: &World, path: &str, folder: bool) -> Option<Object> {
        let name = files::name(path);
        if !self.patterns.is_empty() && !self.patterns.iter().any(|it| it.matches(name)) {
            return None;
        }
        // unverified: that only who asks for disks does not see their data beside them.
        if disks::is_extent(path) && self.spec.objects("query").any(|it| it.is("VmDiskFileQuery")) {
            let disk = disks::EXTENTS.iter().find_map(|it| path.strip_suffix(it));
            if disk.is_some_and(|it| world.files.exists(&format!("{it}.vmdk"))) {
                return None;
            }
        }
        let kind = kind(path, folder, self.any_case);
        let mut queries = self.spec.objects("query").peekable();
        let open = queries.peek().is_none();
        let query = queries.find(|query| match kind {
            // A query of configurations finds those of templates.
            Some((_, own, _)) => Type::find(own).is_some_and(|own| {
                let wanted = KINDS.iter().find(|it| it.2 == query.kind());
                let wanted = wanted.map_or("FileInfo", |it| it.1);
                Type::find(wanted).is_some_and(|it| own.is_a(it))
            }),
            None => query.kind() == "FileQuery",
        });
        if query.is_none() && !open {
            return None;
        }
        let detail = |flag: &str| self.spec.flag(&format!("details.{flag}")) == Some(true);
        let told = kind.filter(|_| !open || detail("fileType"));
        let file = world.files.all.get(path);
        let mut size = file.map_or(0, |it| it.size);
        let info = match told {
            Some((_, own @ "VmDiskFileInfo", _)) => {
                let filter = query.and_then(|it| it.object("filter"));
                match disks::read(&world.files, path) {
                    Some(disk) => {
                        if filter.is_some_and(|it| !disks::fits(path, &disk, it)) {
                            return None;
                        }
                        // A disk is as large as its data.
                        let data = world.files.file(&disks::extent(path));
                        size = data.map_or(size, |it| it.size);
                        disks::info(path, &disk, query.and_then(|it| it.object("details")))
                    }
                    None if filter.is_some() => return None,
                    // unverified: kinds go by endings, so what is no disk is told as one.
                    None => Object::new(own),
                }
            }
            Some((_, own @ ("VmConfigFileInfo" | "TemplateConfigFileInfo"), _)) => {
                let wanted = query.and_then(|it| it.flag("details.configVersion")) == Some(true);
                Object::new(own).with_some("configVersion", wanted.then_some(21))
            }
            Some((_, own, _)) => Object::new(own),
            None => Object::new("FileInfo"),
        };
        let modified = file.map_or(world.now, |it| it.modified);
        Some(
            info.with("path", name)
                .with_some("fileSize", detail("fileSize").then(|| long(size)))
                .with_some("modification", detail("modification").then(|| stamp(modified)))
                .with_some("owner", detail("fileOwner").then_some("root")),
        )
    }

    /// One folder, and the folders in it.
    fn folder(&self, world: &World, store: &Ref, folder: &str) -> (Object, Vec<String>) {
        let mut names: Vec<(&str, bool)> = world.files.children(folder).into_iter().collect();
        if self.spec.flag("sortFoldersFirst") == Some(true) {
            names = order::by_number(names, &|it| i64::from(!it.1));
        }
        let within = files::inside(folder);
        let paths: Vec<(String, bool)> =
            names.into_iter().map(|(name, is)| (format!("{within}{name}"), is)).collect();
        let found: Vec<Object> =
            paths.iter().filter_map(|(path, is)| self.info(world, path, *is)).collect();
        // unverified: the slash behind a folder, and the space behind a datastore.
        let result = Object::new("HostDatastoreBrowserSearchResults")
            .with("datastore", store.clone())
            .with("folderPath", within)
            .with_some("file", (!found.is_empty()).then_some(found));
        (result, paths.into_iter().filter(|it| it.1).map(|it| it.0).collect())
    }
}

fn long(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The datastores of a browser: those that name it, or all for that of a host.
fn stores(world: &World, id: &str) -> Vec<Ref> {
    let every = || world.all("Datastore").map(|(id, props)| (Ref::new("Datastore", id), props));
    let named = |props: &Object| props.reference("browser").is_some_and(|it| it.id == id);
    let own: Vec<Ref> = every().filter(|it| named(it.1)).map(|it| it.0).collect();
    if own.is_empty() { every().map(|it| it.0).collect() } else { own }
}

/// Starts a search of a folder, with those below it if `deep`.
fn search(world: &mut World, call: &Call, deep: bool) -> Result<Value> {
    let place = world.place(call.args.text("datastorePath").unwrap_or_default())?;
    if stores(world, &call.this.id).iter().all(|it| it.id != place.store) {
        let text = format!("Invalid datastore path '{}'.", place.path);
        return Err(Fault::new("InvalidDatastore", text)
            .with("datastore", Ref::new("Datastore", place.store)));
    }
    let search = Search::new(call.args.object("searchSpec"));
    let store = Ref::new("Datastore", place.store);
    let size = world.files.below(&place.path).count();
    let lasts = 100 + Moment::try_from(size / 20).unwrap_or(0).min(2500);
    let entity = store.clone();
    let work = move |world: &mut World| {
        if !world.files.is_folder(&place.path) {
            return Err(about("FileNotFound", &place.path));
        }
        let (first, inner) = search.folder(world, &store, &place.path);
        if !deep {
            return Ok(first.into());
        }
        let (mut results, mut count) = (vec![first], 0);
        let mut open = inner;
        open.reverse();
        while let Some(folder) = open.pop() {
            let (result, inner) = search.folder(world, &store, &folder);
            count += 1 + result.list("file").len();
            if count > MOST {
                return Err(Fault::new("LimitExceeded", "The folder has too many files."));
            }
            results.push(result);
            open.extend(inner.into_iter().rev());
        }
        let list = Value::from(results);
        let ty = Type::find("HostDatastoreBrowserSearchResults");
        Ok(ty.map_or(Value::Null, |ty| Value::Typed(ty, Box::new(list))))
    };
    world.begin_on(entity, call, Plan { lasts, cancelable: true }, Box::new(work))
}

fn delete_file(world: &mut World, call: &Call) -> Result<Value> {
    let place = world.place(call.args.text("datastorePath").unwrap_or_default())?;
    remove(world, &place.path)?;
    Ok(Value::Null)
}

fn supported(_: &World, _: &str) -> Option<Value> {
    Some(KINDS.iter().map(|it| Object::new(it.2)).collect())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method {
            on: "HostDatastoreBrowser",
            name: "SearchDatastore_Task",
            run: |world, call| search(world, call, false),
        },
        Method {
            on: "HostDatastoreBrowser",
            name: "SearchDatastoreSubFolders_Task",
            run: |world, call| search(world, call, true),
        },
        Method { on: "HostDatastoreBrowser", name: "DeleteFile", run: delete_file },
    ],
    properties: &[
        Property { on: "HostDatastoreBrowser", name: "supportedType", get: supported },
        Property {
            on: "HostDatastoreBrowser",
            name: "datastore",
            get: |world, id| Some(stores(world, id).into()),
        },
    ],
};
