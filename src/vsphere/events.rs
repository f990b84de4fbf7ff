//! What happened lately: events by time, type and entity, the newest first.
//!
//! By a history collector, the one way that ESXi and vCenter share; it is always destroyed, because
//! a session may hold a few only. Surprising: a server shows the newest thousand at most, so types
//! are filtered by the server where it can; ids with dots (`esx.problem.*`) have no type of their
//! own, and patterns of them are matched here.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::text::nearest::nearest;
use crate::text::{glob, order, time};
use crate::vim::table;
use crate::vim::table::Type;
use crate::vim::to_json::open_part;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::live::Live;
use crate::vsphere::props::Select;
use crate::vsphere::session::Session;
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, props};

/// The most that a server shows of the newest.
const MOST: i64 = 1000;

const ENTITIES: &[&str] = &["ManagedEntity"];

/// What is wanted.
pub struct Wanted<'a> {
    pub count: i64,
    /// Names of types or patterns of them; all when empty.
    pub types: &'a [String],
    pub hours_back: i64,
    /// Name, id or path of what it happened to, or to something below it.
    pub entity: Option<&'a str>,
}

/// Something that happened.
pub struct Event {
    pub time: String,
    pub kind: String,
    /// Where the server tells it: info, warning, error.
    pub severity: Option<String>,
    pub user: Option<String>,
    pub machine: Option<String>,
    pub host: Option<String>,
    pub message: String,
    pub id: i64,
}

/// The newest that were asked for, the newest first, and whether there may be more.
pub fn recent(it: &Vsphere, call: &Call, wanted: &Wanted<'_>) -> Result<(Vec<Event>, bool)> {
    let types = types(wanted.types)?;
    let entity = match wanted.entity {
        Some(name) => Some(entity(it, call, name)?),
        None => None,
    };
    // By the server's own clock: ours may differ by hours.
    let service = Ref::new("ServiceInstance", "ServiceInstance");
    let now = it.session.call(call, &service, "CurrentTime", &Object::args())?;
    let now = now.as_ref().and_then(Value::as_text).and_then(time::unix_millis);
    let mut filter = Object::new("EventFilterSpec");
    if let Some(entity) = entity {
        let by = Object::new("EventFilterSpecByEntity").with("entity", &entity);
        filter.set("entity", by.with("recursion", "all"));
    }
    if let Some(now) = now {
        let begin = time::from_millis(now.saturating_sub(wanted.hours_back * 3_600_000));
        filter.set("time", Object::new("EventFilterSpecByTime").with("beginTime", begin));
    }
    if let Types::Named(names) = &types
        && !names.is_empty()
    {
        let names: Vec<Value> = names.iter().map(|it| Value::from(it.as_str())).collect();
        filter.set("eventTypeId", names);
    }
    let size = match types {
        // One more tells whether there are more.
        Types::Named(_) => wanted.count.saturating_add(1).min(MOST),
        Types::Patterns(_) => MOST,
    };
    let row = it.session.with(call, |live| {
        let collector = Collector::new(&it.session, call, live, &filter)?;
        collector.page(size)?;
        props::one(&it.session, call, &collector.at, "EventHistoryCollector", &["latestPage"])
    })?;
    let full = row.items("latestPage").len() >= usize::try_from(size).unwrap_or(0);
    let events = row.items("latestPage").iter().filter_map(Value::as_object).map(event);
    let fits = |it: &Event| match &types {
        Types::Named(_) => true,
        Types::Patterns(patterns) => {
            patterns.iter().any(|pattern| glob::matches(pattern, &it.kind))
        }
    };
    let found: Vec<Event> = events.filter(fits).collect();
    let at = |it: &Event| time::unix_millis(&it.time).unwrap_or(0);
    let mut found = order::by(found, &|a, b| at(b).cmp(&at(a)).then(b.id.cmp(&a.id)));
    let count = usize::try_from(wanted.count).unwrap_or(0);
    let more = full || found.len() > count;
    found.truncate(count);
    Ok((found, more))
}

/// Which events are meant.
enum Types<'a> {
    /// All of these, which the server picks.
    Named(Vec<String>),
    /// Those that fit; the server cannot pick them.
    Patterns(&'a [String]),
}

/// A name without a dot is a type of the schema, with or without `Event` behind it; one with dots
/// is an id that only the server knows.
fn types(wanted: &[String]) -> Result<Types<'_>> {
    let pattern = |it: &str| it.contains(['*', '?', '[']);
    if wanted.iter().any(|it| pattern(it) && it.contains('.') && !it.starts_with("vim.event.")) {
        return Ok(Types::Patterns(wanted));
    }
    let mut names: Vec<String> = Vec::new();
    // No filter at all, so that ids with dots are among them.
    if wanted.iter().any(|it| it == "*") {
        return Ok(Types::Named(names));
    }
    for word in wanted {
        let word = word.strip_prefix("vim.event.").unwrap_or(word);
        if word.contains('.') {
            names.push(word.to_owned());
            continue;
        }
        let before = names.len();
        let meant = |name: &str| match pattern(word) {
            true => glob::matches(word, name),
            false => name == word || name.strip_suffix("Event") == Some(word),
        };
        names.extend(kinds().map(Type::name).filter(|it| meant(it)).map(str::to_owned));
        if names.len() == before {
            return Err(unknown(word));
        }
    }
    Ok(Types::Named(names))
}

fn kinds() -> impl Iterator<Item = Type> {
    let base = Type::find("Event");
    table::types().filter(move |it| base.is_some_and(|base| it.is_a(base)))
}

fn unknown(word: &str) -> Error {
    let shown = crate::error::quoted(word);
    let error = Error::usage(format!("no type of event is called `{shown}`"));
    match nearest(word, kinds().map(Type::name)) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint(
            "Types are like VmPoweredOnEvent, or ids like esx.problem.net.redundancy.lost; \
             patterns may be used, as in VmPowered*",
        ),
    }
}

/// The one entity that a word means: by name, id or path, whatever its type.
fn entity(it: &Vsphere, call: &Call, wanted: &str) -> Result<Ref> {
    let (by, word) = match wanted.split_once(':') {
        Some((by @ ("moid" | "path"), word)) => (by, word),
        _ => ("", wanted),
    };
    let (mut tree, mut rows) = (Tree::default(), Vec::new());
    let select = Select { kind: "ManagedEntity", paths: &["name", "parent"] };
    props::all(&it.session, call, ENTITIES, &[select], |row| {
        tree.add(&row);
        // What a standalone host runs in bears the host's name.
        if row.at.kind != "ComputeResource" {
            rows.push(row);
        }
    })?;
    let path = word.trim_matches('/');
    let mut hits: Vec<(Ref, String)> = Vec::new();
    for row in &rows {
        let name = row.text("name").unwrap_or_default();
        let own = by.is_empty() && (unescaped(name) == word || row.at.id == word);
        let is_path = by != "moid" && name.ends_with(path.rsplit('/').next().unwrap_or(path));
        let place = |row: &props::Row| tree.path(name, row.reference("parent"));
        if own
            || (by == "moid" && row.at.id == word)
            || (is_path && word.contains('/') && place(row) == path)
        {
            hits.push((row.at.clone(), place(row)));
        }
    }
    match &hits[..] {
        [(one, _)] => Ok(one.clone()),
        [] => {
            let shown = crate::error::quoted(wanted);
            let error = Error::new(Kind::NotFound, format!("nothing is called `{shown}`"));
            let near = nearest(word, rows.iter().filter_map(|row| row.text("name")));
            Err(match near {
                Some(near) => error.hint(format!("Did you mean `{near}`?")),
                None => {
                    error.hint("Name a VM, host, datastore, cluster or folder, or leave it out")
                }
            })
        }
        several => {
            let shown = several.iter().take(20);
            let shown: Vec<String> =
                shown.map(|(at, path)| format!("`moid:{}` ({}, {path})", at.id, at.kind)).collect();
            let said = format!("`{}` means more than one thing", crate::error::quoted(wanted));
            Err(Error::new(Kind::Conflict, said)
                .hint(format!("Pass one of these: {}", shown.join(", "))))
        }
    }
}

/// A history collector of events; destroyed when dropped.
struct Collector<'a> {
    session: &'a Arc<Session>,
    live: &'a Live,
    at: Ref,
}

impl<'a> Collector<'a> {
    fn new(
        session: &'a Arc<Session>,
        call: &Call,
        live: &'a Live,
        filter: &Object,
    ) -> Result<Collector<'a>> {
        let manager = live.manager("eventManager")?;
        let args = Object::args().with("filter", filter.clone());
        let method = "CreateCollectorForEvents";
        let made = session.invoke(call, live, &manager, method, &args)?;
        let at = made.as_ref().and_then(Value::as_reference).cloned();
        let at = at.ok_or_else(|| {
            Error::new(Kind::Remote, format!("{method}: the server gave no collector"))
        })?;
        let collector = Collector { session, live, at };
        Ok(collector)
    }

    fn page(&self, size: i64) -> Result<()> {
        let call = patient();
        let args = Object::args().with("maxCount", size.clamp(1, MOST));
        self.session.invoke(&call, self.live, &self.at, "SetCollectorPageSize", &args)?;
        Ok(())
    }
}

/// For what must be done also when the caller's time is up.
fn patient() -> Call {
    Call::new(crate::hv::call::Rights::ReadOnly)
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        let end = "DestroyCollector";
        let none = Object::args();
        if let Err(error) = self.session.invoke(&patient(), self.live, &self.at, end, &none) {
            crate::logging::debug!("{end}: {error}");
        }
    }
}

fn event(it: &Object) -> Event {
    let name = |path: &str| it.text(path).filter(|it| !it.is_empty()).map(unescaped);
    let text = |path: &str| it.text(path).filter(|it| !it.is_empty()).map(str::to_owned);
    let message = text("fullFormattedMessage").or(text("message")).unwrap_or_default();
    Event {
        time: it.text("createdTime").unwrap_or_default().to_owned(),
        kind: text("eventTypeId").unwrap_or_else(|| it.kind().to_owned()),
        severity: text("severity"),
        user: text("userName"),
        machine: name("vm.name"),
        host: name("host.name"),
        message: open_part(&message).to_owned(),
        id: it.int("key").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: &[&str]) -> Result<Option<Vec<String>>> {
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        Ok(match types(&words)? {
            Types::Named(names) => Some(names),
            Types::Patterns(_) => None,
        })
    }

    #[test]
    fn types_are_picked_by_the_server_where_it_can() {
        let both = vec!["VmPoweredOffEvent".to_owned(), "VmPoweredOnEvent".to_owned()];
        assert_eq!(named(&["VmPoweredO*Event"]).unwrap().unwrap(), both);
        assert_eq!(named(&["VmPoweredOn"]).unwrap().unwrap(), both[1..]);
        assert_eq!(named(&["vim.event.VmPoweredOnEvent"]).unwrap().unwrap(), both[1..]);
        assert_eq!(named(&["esx.problem.x"]).unwrap().unwrap(), ["esx.problem.x"]);
        assert_eq!(named(&["esx.problem.*", "VmPoweredOnEvent"]).unwrap(), None);
        assert_eq!(named(&["VmPoweredOn", "*"]).unwrap().unwrap(), [""; 0]);
        let said = |word: &str| named(&[word]).unwrap_err().to_string();
        assert!(said("VmPowerdOnEvent").ends_with("Did you mean `VmPoweredOnEvent`?"));
        assert!(said("VirtualMachine").contains("no type of event is called"));
    }
}
