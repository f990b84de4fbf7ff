//! Reading inventories: a container view and the property collector, page by page.
//!
//! A list costs one query and its pages, whatever its length, and is read object by object, so
//! that memory holds one object's text at a time. Surprising: a server pages by itself (100 objects
//! on a real vCenter) and its token may be the string `0`; and an expired session can hide in an
//! answer of status 200, as a `missingSet` that says `NotAuthenticated`.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::text::split::Splitter;
use crate::text::xml;
use crate::vim::table::{Type, property_path};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::decode;
use crate::vsphere::decode::Content;
use crate::vsphere::live::Live;
use crate::vsphere::quick;
use crate::vsphere::session::Session;
use crate::web::exchange::{Response, from_io};

/// Objects of one page that we ask for; a server may send fewer.
const PAGE: i64 = 500;

/// Pages of one query at most: 100,000 objects even where a server sends 100 a page.
const MAX_PAGES: usize = 1_000;

/// Objects, and bytes, of one query at most: twice the largest vCenter, and then it is no list.
const MAX_OBJECTS: usize = 100_000;
const MAX_BYTES: usize = 256 << 20;

/// One object with the properties that were asked for and could be read.
pub struct Row {
    pub at: Ref,
    values: Vec<(String, Value)>,
}

#[cfg(test)]
impl Row {
    /// As a server would have answered.
    pub fn of(at: Ref, values: &[(&str, Value)]) -> Row {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Row { at, values: values.collect() }
    }
}

impl Row {
    /// A row of these properties, as a query would bring it.
    #[cfg(test)]
    pub fn made(kind: &'static str, id: &str, values: &[(&str, Value)]) -> Row {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Row { at: Ref::new(kind, id), values: values.collect() }
    }

    /// The property of exactly this path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.values.iter().find(|(name, _)| name == path).map(|(_, value)| value)
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path)?.as_text()
    }

    pub fn string(&self, path: &str) -> Option<String> {
        self.text(path).map(str::to_owned)
    }

    pub fn int(&self, path: &str) -> Option<i64> {
        self.get(path)?.as_int()
    }

    pub fn flag(&self, path: &str) -> Option<bool> {
        self.get(path)?.as_bool()
    }

    pub fn reference(&self, path: &str) -> Option<&Ref> {
        self.get(path)?.as_reference()
    }

    pub fn items(&self, path: &str) -> &[Value] {
        self.get(path).map_or(&[], Value::items)
    }

    /// The object at a path, such as a whole `config`.
    pub fn object(&self, path: &str) -> Option<&Object> {
        self.get(path)?.as_object()
    }
}

/// Which properties of which type.
#[derive(Clone, Copy)]
pub struct Select<'a> {
    pub kind: &'static str,
    pub paths: &'a [&'a str],
}

/// Every object of these types below the root folder; `take` sees each row once, also where a
/// session expired between two pages and the query was made anew.
pub fn all(
    session: &Arc<Session>,
    call: &Call,
    kinds: &'static [&'static str],
    selects: &[Select<'_>],
    mut take: impl FnMut(Row),
) -> Result<()> {
    let mut take = once_each(&mut take);
    session.with(call, |live| {
        let mut any = false;
        let view = live.view(kinds, || container_view(session, call, live, kinds))?;
        let through = Object::new("TraversalSpec")
            .with("name", "objects")
            .with("type", "ContainerView")
            .with("path", "view")
            .with("skip", false);
        let objects = Object::new("ObjectSpec")
            .with("obj", view)
            .with("skip", true)
            .with("selectSet", vec![through]);
        let mut seen = |row| {
            any = true;
            take(row);
        };
        query(session, call, live, selects, vec![objects], &mut seen)?;
        if any { Ok(()) } else { must_live(session, call, live) }
    })
}

/// Refuses what an expired session answers: its view went with it, and a query through a view that
/// is no more finds nothing, without any fault.
fn must_live(session: &Session, call: &Call, live: &Live) -> Result<()> {
    let select = Select { kind: "SessionManager", paths: &["currentSession"] };
    let manager = Object::new("ObjectSpec").with("obj", live.manager("sessionManager")?);
    let mut gone = false;
    let mut take = |row: Row| gone = row.get("currentSession").is_none();
    query(session, call, live, &[select], vec![manager], &mut take)?;
    if gone { Err(expired()) } else { Ok(()) }
}

fn expired() -> Error {
    Error::new(Kind::Denied, "the session has expired").fault("NotAuthenticated")
}

/// These objects, in one query; one that is gone is left out.
pub fn of(
    session: &Arc<Session>,
    call: &Call,
    objects: &[Ref],
    selects: &[Select<'_>],
) -> Result<Vec<Row>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    session.with(call, |live| {
        let mut rows = Vec::new();
        let mut take = once_each(|row| rows.push(row));
        let specs = objects.iter().map(|at| Object::new("ObjectSpec").with("obj", at)).collect();
        query(session, call, live, selects, specs, &mut take)?;
        drop(take);
        Ok(rows)
    })
}

/// One object, which must be there.
pub fn one(
    session: &Arc<Session>,
    call: &Call,
    object: &Ref,
    kind: &'static str,
    paths: &[&'static str],
) -> Result<Row> {
    let rows = of(session, call, std::slice::from_ref(object), &[Select { kind, paths }])?;
    rows.into_iter().next().ok_or_else(|| {
        Error::new(Kind::NotFound, format!("{object} is gone"))
            .hint("It was deleted or registered anew; list again")
    })
}

/// Lets each object's row through once, whatever is asked again.
fn once_each(mut take: impl FnMut(Row)) -> impl FnMut(Row) {
    let mut handed_out = HashSet::new();
    move |row| {
        if handed_out.insert(row.at.id.clone()) {
            take(row);
        }
    }
}

fn container_view(
    session: &Session,
    call: &Call,
    live: &Live,
    kinds: &'static [&'static str],
) -> Result<Ref> {
    let args = Object::args()
        .with("container", live.manager("rootFolder")?)
        .with("type", kinds.iter().map(|kind| Value::from(*kind)).collect::<Vec<_>>())
        .with("recursive", true);
    let manager = live.manager("viewManager")?;
    let view = session.invoke(call, live, &manager, "CreateContainerView", &args)?;
    view.as_ref()
        .and_then(Value::as_reference)
        .cloned()
        .ok_or_else(|| Error::new(Kind::Remote, "CreateContainerView: the server gave no view"))
}

fn query(
    session: &Session,
    call: &Call,
    live: &Live,
    selects: &[Select<'_>],
    objects: Vec<Object>,
    take: &mut dyn FnMut(Row),
) -> Result<()> {
    let collector = live.manager("propertyCollector")?;
    let sets: Vec<Object> =
        selects.iter().map(|select| property_set(select, live)).collect::<Result<_>>()?;
    let filter = Object::new("PropertyFilterSpec")
        .with("propSet", sets)
        .with("objectSet", objects)
        .with("reportMissingObjectsInResults", true);
    let args = Object::args()
        .with("specSet", vec![filter])
        .with("options", Object::new("RetrieveOptions").with("maxObjects", PAGE));
    let collector = &collector;
    let (broke_off, objects, bytes) = (false, 0, 0);
    let mut page = Page { session, call, live, collector, broke_off, objects, bytes, take };
    match page.read_all(&args) {
        // Half of it may have been handed out; the rows of the second try say the same.
        Err(error) if page.broke_off => {
            crate::logging::info!("{error}; asking once more");
            page.read_all(&args)
        }
        result => result,
    }
}

/// A path that the server's version does not know is left out, and so reads as absent.
fn property_set(select: &Select<'_>, live: &Live) -> Result<Object> {
    let kind = Type::find(select.kind)
        .ok_or_else(|| Error::bug(format!("no type {} in the schema", select.kind)))?;
    let mut paths: Vec<Value> = Vec::new();
    for path in select.paths {
        let (_, _, since) = property_path(kind, path)?;
        if since <= live.version {
            paths.push(Value::from(*path));
        }
    }
    Ok(Object::new("PropertySpec")
        .with("type", select.kind)
        .with("all", false)
        .with("pathSet", paths))
}

struct Page<'a> {
    session: &'a Session,
    call: &'a Call,
    live: &'a Live,
    collector: &'a Ref,
    /// The connection ended within an answer, or between two pages.
    broke_off: bool,
    /// What the whole query brought so far.
    objects: usize,
    bytes: usize,
    take: &'a mut dyn FnMut(Row),
}

impl Page<'_> {
    fn read_all(&mut self, args: &Object) -> Result<()> {
        (self.objects, self.bytes) = (0, 0);
        let mut token = self.read("RetrievePropertiesEx", args)?;
        for _ in 1..MAX_PAGES {
            let Some(next) = token else { return Ok(()) };
            let args = Object::args().with("token", next);
            let page = self.read("ContinueRetrievePropertiesEx", &args);
            // Its token is spent, so only the whole query can be asked again.
            self.broke_off |= page.as_ref().is_err_and(|it| it.kind() == Kind::Network);
            token = page?;
        }
        Err(endless(&format!("{MAX_PAGES} pages")))
    }

    /// Reads one page; the token of the next one.
    fn read(&mut self, method: &str, args: &Object) -> Result<Option<String>> {
        let (method, response) =
            self.session.send(self.call, self.live, self.collector, method, args, None)?;
        let rest = self.split(response);
        self.broke_off |= rest.as_ref().is_err_and(|it| it.kind() == Kind::Network);
        let rest = rest.map_err(|error| error.during(method.name()))?;
        self.session.fault_in(self.live, method, &rest)?;
        let document = xml::parse(&rest)?;
        let result = decode::response(method, &document)?;
        Ok(result.as_ref().and_then(|it| it.text("token")).map(str::to_owned))
    }

    /// Hands out every `<objects>` element as it comes; what is left of the answer.
    fn split(&mut self, response: Response) -> Result<String> {
        let mut body = response.body;
        let mut splitter = Splitter::new(&["Envelope", "Body", "*", "returnval", "objects"]);
        // No larger: TLS hands out 16 KiB at a time, and the stack costs no system call.
        let mut chunk = [0; 16 << 10];
        loop {
            let read = body.read(&mut chunk).map_err(from_io)?;
            if read == 0 {
                return splitter.finish();
            }
            self.call.check()?;
            self.bytes += read;
            if self.bytes > MAX_BYTES {
                return Err(endless(&format!("{} MB", MAX_BYTES >> 20)));
            }
            splitter.feed(&chunk[..read], &mut |text| {
                self.objects += 1;
                if self.objects > MAX_OBJECTS {
                    return Err(endless(&format!("{MAX_OBJECTS} objects")));
                }
                if let Some(content) = quick::content(text) {
                    (self.take)(row(content)?);
                    return Ok(());
                }
                let document = xml::parse_scanned(text)?;
                let element =
                    document.descendants().find(|node| node.tag_name().name() == "objects");
                if let Some(element) = element {
                    (self.take)(row(decode::content(element)?)?);
                }
                Ok(())
            })?;
        }
    }
}

/// A list that does not end would fill the memory.
fn endless(bound: &str) -> Error {
    Error::new(Kind::Remote, format!("the server's answer has more than {bound}"))
        .hint("Something is wrong with the server, or with what answers in its place")
}

/// What was read as a row; expired where nothing but `NotAuthenticated` came.
fn row(content: Content) -> Result<Row> {
    let refused = |missing: &Value| {
        let fault = missing.object("fault.fault").or_else(|| missing.object("fault"));
        fault.is_some_and(|it| it.is("NotAuthenticated"))
    };
    if content.properties.is_empty() && content.missing.iter().any(refused) {
        return Err(expired());
    }
    Ok(Row { at: content.at, values: content.properties })
}
