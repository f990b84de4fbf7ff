//! The property collector's reading half: select objects, pick properties, page by page.
//!
//! A wrong path refuses the whole call; without a session every property is missing, as on real
//! servers. Surprising: a page is never longer than [`PAGE`] objects, asked for or not, and its
//! token may be the text `0`.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::sim::fault::{Fault, Result};
use crate::sim::path;
use crate::sim::rows::{Call, Family, Method, is};
use crate::sim::sessions::Scoped;
use crate::sim::world::World;
use crate::sim::writer;
use crate::text::sorted::Sorted;
use crate::vim::table::{Type, TypeKind, property_path};
use crate::vim::value::{Object, Ref, Value};
use crate::vim::version::Version;

/// Objects of a page where the client names no number, and at most.
const PAGE: usize = 100;
const MOST: usize = 1000;
/// Lists of a collector that were begun and not read to their end; the oldest is forgotten.
const UNFINISHED: usize = 8;
/// Selections that may hang together, and how deep.
const DEPTH: usize = 32;

/// What is to be read of one object.
#[derive(Clone)]
pub struct Chosen {
    /// The object.
    pub object: Ref,
    /// The paths, common to all objects of a selection.
    pub paths: Arc<Vec<String>>,
}

/// Pages that a client has not fetched yet, by token.
#[derive(Default)]
pub struct Pages {
    waiting: VecDeque<(String, VecDeque<Chosen>, usize)>,
    made: u64,
}

/// A path that has been checked, and what its value must say about its type.
struct Checked {
    ty: Type,
    array: bool,
}

fn check(kind: &str, path: &str, version: Version) -> Result<Checked> {
    let wrong = || {
        let text = format!("The property '{path}' is not valid for objects of type {kind}.");
        Fault::new("InvalidProperty", text).with("name", path)
    };
    let managed = Type::find(kind).ok_or_else(wrong)?;
    let (ty, array, since) = property_path(managed, path).map_err(|_| wrong())?;
    if since > version {
        return Err(wrong());
    }
    Ok(Checked { ty, array })
}

/// Every object that the filters select, with the paths for it.
pub fn select(world: &World, call: &Call, specs: &[&Object]) -> Result<Vec<Chosen>> {
    let mut found = Vec::new();
    for spec in specs {
        let mut wanted: Vec<(&str, Arc<Vec<String>>)> = Vec::new();
        for set in spec.objects("propSet") {
            let kind = set.text("type").unwrap_or_default();
            let managed = Type::find(kind).filter(|it| it.kind() == TypeKind::Managed);
            let managed = managed.ok_or_else(|| Fault::invalid_argument("specSet.propSet.type"))?;
            let mut paths: Vec<String> = set.texts("pathSet").map(str::to_owned).collect();
            if set.flag("all") == Some(true) {
                let known = managed.fields().filter(|it| it.since <= call.version);
                paths = known.map(|it| it.name.to_owned()).collect();
            }
            for path in &paths {
                check(kind, path, call.version)?;
            }
            wanted.push((kind, Arc::new(paths)));
        }
        for start in spec.objects("objectSet") {
            let mut walk =
                Walk { world, call, named: Sorted::new(), seen: HashSet::new(), out: Vec::new() };
            let root = start
                .reference("obj")
                .cloned()
                .ok_or_else(|| Fault::invalid_argument("specSet.objectSet.obj"))?;
            let selects: Vec<&Object> = start.objects("selectSet").collect();
            walk.name(&selects, 0)?;
            let known = world.kind_in(call.session, &root.id);
            let Some(kind) = known else {
                if spec.flag("reportMissingObjectsInResults") == Some(true) {
                    continue;
                }
                return Err(Fault::gone(&root));
            };
            let root = Ref::new(kind, root.id);
            if start.flag("skip") != Some(true) {
                walk.out.push(root.clone());
            }
            walk.follow(&root, &selects, 0)?;
            for object in walk.out {
                // The set of the most special type counts.
                let fits = wanted.iter().filter(|(kind, _)| is(&object.kind, kind));
                let best = fits
                    .max_by_key(|(kind, _)| Type::find(kind).map_or(0, |it| it.classes().len()));
                if let Some((_, paths)) = best {
                    found.push(Chosen { object, paths: paths.clone() });
                }
            }
        }
    }
    Ok(found)
}

struct Walk<'a> {
    world: &'a World,
    call: &'a Call<'a>,
    /// Traversals that others refer to by name.
    named: Sorted<&'a str, &'a Object>,
    /// What was followed from which object: a machine, a space, a path.
    seen: HashSet<String>,
    out: Vec<Ref>,
}

impl<'a> Walk<'a> {
    fn name(&mut self, selects: &[&'a Object], depth: usize) -> Result<()> {
        if depth > DEPTH {
            return Err(Fault::invalid_argument("specSet.objectSet.selectSet"));
        }
        for select in selects {
            if let (Some(name), true) = (select.text("name"), select.is("TraversalSpec")) {
                self.named.insert(name, select);
            }
            let inner: Vec<&Object> = select.objects("selectSet").collect();
            self.name(&inner, depth + 1)?;
        }
        Ok(())
    }

    fn follow(&mut self, from: &Ref, selects: &[&'a Object], depth: usize) -> Result<()> {
        if depth > DEPTH {
            return Ok(());
        }
        for select in selects {
            let traversal = match select.is("TraversalSpec") {
                true => *select,
                false => {
                    let name = select.text("name").unwrap_or_default();
                    let unknown = || Fault::invalid_argument("specSet.objectSet.selectSet.name");
                    self.named.get(name).copied().ok_or_else(unknown)?
                }
            };
            let (kind, path) = (
                traversal.text("type").unwrap_or_default(),
                traversal.text("path").unwrap_or_default(),
            );
            check(kind, path, self.call.version)?;
            if !is(&from.kind, kind) {
                continue;
            }
            let Some(value) = self.world.value(self.call.session, from, path) else { continue };
            let inner: Vec<&Object> = traversal.objects("selectSet").collect();
            for object in value.items().iter().filter_map(Value::as_reference) {
                let step = format!("{} {kind}.{path}", object.id);
                if !self.seen.insert(step) {
                    continue;
                }
                if traversal.flag("skip") != Some(true) {
                    self.out.push(object.clone());
                }
                self.follow(object, &inner, depth + 1)?;
            }
        }
        Ok(())
    }
}

impl World {
    /// The type of an object of the world or of this session.
    pub fn kind_in(&self, session: &str, id: &str) -> Option<&'static str> {
        let own = self.sessions.all.get(session).and_then(|it| it.scoped.get(id));
        own.map(Scoped::kind).or_else(|| self.kind_of(id))
    }

    /// The value at a path of an object, as this session sees it.
    pub fn value(&self, session: &str, object: &Ref, path: &str) -> Option<Value> {
        let (root, rest) = path::root(path);
        let scoped = self.sessions.all.get(session).and_then(|it| it.scoped.get(&object.id));
        if let Some(Scoped::View(view)) = scoped {
            return view.property(self, root);
        }
        if let Some(Scoped::Gatherer(gatherer)) = scoped {
            return path::walk(&gatherer.property(self, root)?, rest);
        }
        if (&*object.kind, root) == ("SessionManager", "currentSession") {
            return path::walk(&self.current_session(session)?, rest);
        }
        path::walk(self.property(object, root)?.as_ref(), rest)
    }

    /// One object as the collector answers it.
    pub fn read(&self, call: &Call, chosen: &Chosen) -> Object {
        let object = &chosen.object;
        let mut set: Vec<Object> = Vec::new();
        let mut missing: Vec<Object> = Vec::new();
        let mut last: Option<(&str, Option<Value>)> = None;
        for path in chosen.paths.iter() {
            let open = matches!(
                (&*object.kind, path.as_str()),
                ("SessionManager", _) | ("ServiceInstance", _)
            );
            if call.user.is_empty() && !open {
                let fault = Fault::not_authenticated(object, "System.View").localized();
                missing
                    .push(Object::new("MissingProperty").with("path", path).with("fault", fault));
                continue;
            }
            // Paths with the same root share its value, which may be costly to make.
            let (root, rest) = path::root(path);
            if last.as_ref().is_none_or(|(known, _)| *known != root) {
                last = Some((root, self.value(call.session, object, root)));
            }
            let whole = last.as_ref().and_then(|(_, value)| value.as_ref());
            let Some(value) = whole.and_then(|it| path::walk(it, rest)) else { continue };
            let Ok(known) = check(&object.kind, path, call.version) else { continue };
            set.push(
                Object::new("DynamicProperty")
                    .with("name", path)
                    .with("val", writer::any(known.ty, known.array, value)),
            );
        }
        let mut content = Object::new("ObjectContent").with("obj", object);
        if !set.is_empty() {
            content.set("propSet", set);
        }
        if !missing.is_empty() {
            content.set("missingSet", missing);
        }
        content
    }
}

/// The value of a path, as it stands in an `anyType`.
pub fn any(world: &World, call: &Call, object: &Ref, path: &str) -> Result<Value> {
    let known = check(&object.kind, path, call.version)?;
    Ok(world
        .value(call.session, object, path)
        .map_or(Value::Null, |it| writer::any(known.ty, known.array, it)))
}

fn specs(args: &Object) -> Vec<&Object> {
    args.objects("specSet").collect()
}

fn whole(world: &mut World, call: &Call) -> Result<Value> {
    let chosen = select(world, call, &specs(call.args))?;
    Ok(chosen.iter().map(|it| world.read(call, it)).collect())
}

fn first_page(world: &mut World, call: &Call) -> Result<Value> {
    let chosen = select(world, call, &specs(call.args))?;
    if chosen.is_empty() {
        return Ok(Value::Null);
    }
    let size = match call.args.int("options.maxObjects") {
        None => PAGE,
        Some(asked) => match usize::try_from(asked) {
            Ok(asked) if asked > 0 => asked.min(MOST),
            _ => return Err(Fault::invalid_argument("options.maxObjects")),
        },
    };
    page(world, call, chosen.into(), size)
}

fn page(
    world: &mut World,
    call: &Call,
    mut chosen: VecDeque<Chosen>,
    size: usize,
) -> Result<Value> {
    let alive = |it: &Chosen| world.kind_in(call.session, &it.object.id).is_some();
    let now: Vec<Chosen> = chosen.drain(..size.min(chosen.len())).filter(alive).collect();
    let objects: Vec<Object> = now.iter().map(|it| world.read(call, it)).collect();
    let mut result = Object::new("RetrieveResult");
    if !chosen.is_empty() {
        let pages = pages(world, call)?;
        let token = pages.made.to_string();
        pages.made += 1;
        if pages.waiting.len() >= UNFINISHED {
            pages.waiting.pop_front();
        }
        pages.waiting.push_back((token.clone(), chosen, size));
        result.set("token", token);
    }
    Ok(result.with("objects", objects).into())
}

/// The pages of the collector that is called.
fn pages<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Pages> {
    match world.session(call)?.scoped.get_mut(&call.this.id) {
        Some(Scoped::Collector(it)) => Ok(&mut it.pages),
        _ => Err(Fault::gone(call.this)),
    }
}

/// Takes the pages of a token, which counts once.
fn unfinished(world: &mut World, call: &Call) -> Result<(VecDeque<Chosen>, usize)> {
    let token = call.args.text("token").unwrap_or_default();
    let waiting = &mut pages(world, call)?.waiting;
    let at = waiting.iter().position(|it| it.0 == token);
    let found = at.and_then(|it| waiting.remove(it));
    found.map(|it| (it.1, it.2)).ok_or_else(|| Fault::invalid_argument("token"))
}

fn next_page(world: &mut World, call: &Call) -> Result<Value> {
    let (chosen, size) = unfinished(world, call)?;
    page(world, call, chosen, size)
}

fn cancel(world: &mut World, call: &Call) -> Result<Value> {
    unfinished(world, call).map(|_| Value::Null)
}

/// What a client that reads one property at a time calls.
fn fetch(world: &mut World, call: &Call) -> Result<Value> {
    let path = call.args.text("prop").unwrap_or_default();
    any(world, call, call.this, path)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "PropertyCollector", name: "RetrieveProperties", run: whole },
        Method { on: "PropertyCollector", name: "RetrievePropertiesEx", run: first_page },
        Method { on: "PropertyCollector", name: "ContinueRetrievePropertiesEx", run: next_page },
        Method { on: "PropertyCollector", name: "CancelRetrievePropertiesEx", run: cancel },
        Method { on: "ManagedObject", name: "Fetch", run: fetch },
    ],
    properties: &[],
};
