//! Types, fields, methods and versions of the API, read straight from the packed schema.
//!
//! Handles are indices: copying one is free, and every name lives as long as the program. The
//! layout is described in `build.rs`, which writes it. Surprising: a field that
//! VMware declares as `MethodFault` is of type `LocalizedMethodFault` here, as on the wire.

use std::io::Read;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::text::nearest::nearest;
use crate::vim::unpack;
use crate::vim::version::Version;

static COUNTS: &[u8; 18] = include_bytes!(concat!(env!("OUT_DIR"), "/vim25.counts"));
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vim25.packed"));

const NONE: u16 = u16::MAX;
const OPTIONAL: u8 = 0x40;
const ARRAY: u8 = 0x80;
const SINCE: u8 = 0x3f;
const PARAMETERS: u8 = 0x3f;

// ---- layout ----

const fn count(which: usize) -> usize {
    u16::from_le_bytes([COUNTS[which * 2], COUNTS[which * 2 + 1]]) as usize
}

/// Sizes and places of the sections; worked out by the compiler.
const NAME_COUNT: usize = count(0);
const VERSIONS: usize = count(1);
const TYPES: usize = count(2);
const METHODS: usize = count(5);
const VERSIONS_AT: usize = COUNTS.len();
const TYPES_AT: usize = VERSIONS_AT + VERSIONS * 2;
const MEMBERS_AT: usize = TYPES_AT + TYPES * 8;
const VALUES_AT: usize = MEMBERS_AT + count(3) * 5;
const METHODS_AT: usize = VALUES_AT + count(4) * 2;
const PARAMS_AT: usize = METHODS_AT + METHODS * 12;
const TABLE_BYTES: usize = PARAMS_AT + count(6) * 5;

/// The schema, inflated when a type is first asked for (300 KB, kept).
struct Unpacked {
    table: Vec<u8>,
    names: String,
    /// Where each name begins, and the end of the last one.
    starts: Vec<u32>,
}

fn unpacked() -> &'static Unpacked {
    static SCHEMA: OnceLock<Unpacked> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut table = Vec::with_capacity(TABLE_BYTES * 3);
        let read = flate2::read::DeflateDecoder::new(PACKED).read_to_end(&mut table);
        debug_assert!(read.is_ok(), "the build packs what is unpacked here");
        let packed = table.split_off(TABLE_BYTES.min(table.len()));
        unpack::by_row(table.get_mut(TYPES_AT..MEMBERS_AT), 8, 0b0011_0011);
        unpack::by_row(table.get_mut(METHODS_AT..PARAMS_AT), 12, 0b0011_1111);
        let (names, starts) = unpack::names(NAME_COUNT, &packed);
        Unpacked { table, names: String::from_utf8(names).unwrap_or_default(), starts }
    })
}

fn byte(at: usize) -> u8 {
    unpacked().table.get(at).copied().unwrap_or(0)
}

fn u16_at(at: usize) -> u16 {
    match unpacked().table.get(at..at + 2) {
        Some([low, high]) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

/// The text of a name.
fn name(index: u16) -> &'static str {
    let (schema, index) = (unpacked(), usize::from(index));
    match schema.starts.get(index..index + 2) {
        Some([from, upto]) => schema.names.get(*from as usize..*upto as usize).unwrap_or_default(),
        _ => "",
    }
}

/// The first index from `low` to `high` for which `before` is false.
fn partition(mut low: usize, mut high: usize, before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

pub(crate) fn version_count() -> u8 {
    VERSIONS as u8
}

pub(crate) fn version_name(index: u8) -> &'static str {
    name(u16_at(VERSIONS_AT + usize::from(index) * 2))
}

// ---- types ----

/// What sort of type one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// `string`, `int`, `anyType` and their like.
    Primitive,
    /// An object that travels by value.
    Data,
    /// A text out of a fixed set.
    Enum,
    /// An object that lives on the server and travels as a reference.
    Managed,
}

/// A type of the API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Type(u16);

impl Type {
    /// The type of exactly this name.
    pub fn find(wanted: &str) -> Option<Type> {
        let at = partition(0, TYPES, |it| Type(it as u16).name() < wanted);
        let found = (at < TYPES).then_some(Type(at as u16))?;
        (found.name() == wanted).then_some(found)
    }

    fn at(self) -> usize {
        TYPES_AT + usize::from(self.0) * 8
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        name(u16_at(self.at()))
    }

    /// What sort of type it is.
    pub fn kind(self) -> TypeKind {
        match byte(self.at() + 7) >> 6 {
            0 => TypeKind::Primitive,
            1 => TypeKind::Data,
            2 => TypeKind::Enum,
            _ => TypeKind::Managed,
        }
    }

    /// The class that it extends.
    pub fn parent(self) -> Option<Type> {
        let index = u16_at(self.at() + 2);
        (index != NONE).then_some(Type(index))
    }

    /// The version that it came with; the schema states none for enums and managed objects.
    pub fn since(self) -> Version {
        Version::stored(byte(self.at() + 7) & SINCE)
    }

    /// Places of its own members in the section of that sort.
    fn members(self) -> std::ops::Range<usize> {
        let first = usize::from(u16_at(self.at() + 4));
        first..first + usize::from(byte(self.at() + 6))
    }

    /// The fields (of a managed object: the properties) that this class adds to its parent's.
    pub fn own_fields(self) -> impl DoubleEndedIterator<Item = Field> {
        let all = if self.kind() == TypeKind::Enum { 0..0 } else { self.members() };
        all.map(move |at| Field::stored(MEMBERS_AT + at * 5, self))
    }

    /// Every field in wire order: those of the base class first.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        self.classes().into_iter().flat_map(Type::own_fields)
    }

    /// The classes from the root down to this one.
    pub fn classes(self) -> Vec<Type> {
        let mut all: Vec<Type> = self.ancestry().collect();
        all.reverse();
        all
    }

    /// This type, its parent, and so on up.
    fn ancestry(self) -> impl Iterator<Item = Type> {
        std::iter::successors(Some(self), |it| it.parent())
    }

    /// The field of this name, own or inherited.
    pub fn field(self, wanted: &str) -> Option<Field> {
        self.ancestry().find_map(|class| class.own_fields().find(|it| it.name == wanted))
    }

    /// The values of an enum.
    pub fn values(self) -> impl Iterator<Item = &'static str> {
        let all = if self.kind() == TypeKind::Enum { self.members() } else { 0..0 };
        all.map(|at| name(u16_at(VALUES_AT + at * 2)))
    }

    /// True for the type itself and everything that extends it.
    pub fn is_a(self, base: Type) -> bool {
        self.ancestry().any(|it| it == base)
    }

    /// What stands on the wire where a primitive of this name is declared, such as `int`.
    pub fn is_named(self, wanted: &str) -> bool {
        self.name() == wanted
    }
}

impl std::fmt::Debug for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Every type, by name.
pub fn types() -> impl Iterator<Item = Type> {
    (0..TYPES as u16).map(Type)
}

/// A field of a data object, a property of a managed one, or a parameter of a method.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// The declared type; of an array, that of one item.
    pub ty: Type,
    /// May be left out.
    pub optional: bool,
    /// The element may be repeated.
    pub array: bool,
    /// The version that it came with.
    pub since: Version,
    /// The class that declares it; for a parameter the method's class.
    pub owner: Type,
}

impl Field {
    fn stored(at: usize, owner: Type) -> Field {
        let flags = byte(at + 4);
        Field {
            name: name(u16_at(at)),
            ty: Type(u16_at(at + 2)),
            optional: flags & OPTIONAL != 0,
            array: flags & ARRAY != 0,
            since: Version::stored(flags & SINCE),
            owner,
        }
    }
}

// ---- methods ----

/// A method of a managed object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Method(u16);

impl Method {
    /// The method of this name, own or inherited by the managed type.
    pub fn find(managed: &str, wanted: &str) -> Option<Method> {
        Type::find(managed)?.ancestry().find_map(|owner| Method::own(owner, wanted))
    }

    fn own(owner: Type, wanted: &str) -> Option<Method> {
        let key = |at: usize| (Method(at as u16).owner(), Method(at as u16).name());
        let at = partition(0, METHODS, |it| key(it) < (owner, wanted));
        (at < METHODS && key(at) == (owner, wanted)).then_some(Method(at as u16))
    }

    fn at(self) -> usize {
        METHODS_AT + usize::from(self.0) * 12
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        name(u16_at(self.at() + 2))
    }

    /// The managed type that declares it.
    pub fn owner(self) -> Type {
        Type(u16_at(self.at()))
    }

    /// Its parameters in wire order, without `_this`.
    pub fn params(self) -> impl Iterator<Item = Field> {
        let first = usize::from(u16_at(self.at() + 4));
        let all = first..first + usize::from(byte(self.at() + 10) & PARAMETERS);
        all.map(move |at| Field::stored(PARAMS_AT + at * 5, self.owner()))
    }

    /// What the call itself answers: type, and whether many; a task's method answers the task.
    pub fn returns(self) -> Option<(Type, bool)> {
        match self.is_task() {
            true => Type::find("Task").map(|task| (task, false)),
            false => self.result(),
        }
    }

    /// What the work ends with: for a task the type of `info.result`, else as [`Method::returns`].
    pub fn result(self) -> Option<(Type, bool)> {
        let index = u16_at(self.at() + 6);
        (index != NONE).then(|| (Type(index), byte(self.at() + 11) & ARRAY != 0))
    }

    /// True when the call starts a task and returns at once.
    pub fn is_task(self) -> bool {
        self.name().ends_with("_Task")
    }

    /// The privilege that it wants; empty where the API states none.
    pub fn privilege(self) -> &'static str {
        name(u16_at(self.at() + 8))
    }

    /// The version that it came with.
    pub fn since(self) -> Version {
        Version::stored(byte(self.at() + 11) & SINCE)
    }

    /// The number behind [`crate::vim::effect::Effect`].
    pub(crate) fn mark(self) -> u8 {
        byte(self.at() + 10) >> 6
    }
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.owner().name(), self.name())
    }
}

/// Every method, by owner and name.
pub fn methods() -> impl Iterator<Item = Method> {
    (0..METHODS as u16).map(Method)
}

// ---- property paths ----

/// Checks a property path such as `config.hardware.device[200].key` against the schema.
///
/// Answers the type at its end, whether that is a list, and the newest version along the path. A
/// part that only a subclass of the declared type has is accepted.
pub fn property_path(managed: Type, path: &str) -> Result<(Type, bool, Version)> {
    walk(managed, path, &mut |_| {})
}

/// The same, showing each field on the way.
pub fn walk(
    managed: Type,
    path: &str,
    seen: &mut dyn FnMut(&Field),
) -> Result<(Type, bool, Version)> {
    let wrong = |text: String| Error::usage(format!("`{path}`: {text}"));
    let (mut ty, mut array, mut since) = (managed, false, managed.since());
    let mut first = true;
    for part in parts(path).ok_or_else(|| wrong("a key is not closed".into()))? {
        if !first && array {
            return Err(wrong(format!("`{part}` follows a list; name one item by its key")));
        }
        if !first && ty.kind() != TypeKind::Data {
            return Err(wrong(format!("`{part}`: a {} has no parts", ty.name())));
        }
        let (word, key) = part.split_once('[').map_or((part, false), |(word, _)| (word, true));
        let fields = fields_of(ty, word);
        let Some(field) = fields.first() else {
            let error = wrong(format!("{} has no property `{word}`", ty.name()));
            return Err(match nearest(word, ty.fields().map(|it| it.name)) {
                Some(near) => error.hint(format!("Did you mean `{near}`?")),
                None => error,
            });
        };
        fields.iter().for_each(&mut *seen);
        if key && !is_one_key(&part[word.len()..]) {
            return Err(wrong(format!("`{part}`: a key is not closed")));
        }
        if key && !field.array {
            return Err(wrong(format!("`{word}` is not a list")));
        }
        (ty, array, first) = (field.ty, field.array && !key, false);
        since = since.max(field.since);
    }
    Ok((ty, array, since))
}

/// The field of this name, or those of all subclasses that have one of their own.
fn fields_of(ty: Type, wanted: &str) -> Vec<Field> {
    let below = || types().filter(|it| it.kind() == TypeKind::Data && it.is_a(ty));
    match ty.field(wanted) {
        Some(own) => vec![own],
        None if ty.kind() == TypeKind::Data => {
            below().filter_map(|it| it.own_fields().find(|f| f.name == wanted)).collect()
        }
        None => Vec::new(),
    }
}

/// Whether this is `[KEY]` or `["KEY"]` and nothing else, so that nobody reads it otherwise.
fn is_one_key(text: &str) -> bool {
    let [b'[', key @ .., b']'] = text.as_bytes() else { return false };
    let (key, bare) = match key {
        [b'"', key @ .., b'"'] => (key, false),
        key => (key, true),
    };
    !key.iter().any(|it| *it == b'"' || bare && matches!(it, b'[' | b']'))
}

/// Splits at dots outside of `[...]`; a key may be quoted.
fn parts(path: &str) -> Option<Vec<&str>> {
    let (mut all, mut from, mut quoted, mut inside) = (Vec::new(), 0, false, false);
    for (at, c) in path.char_indices() {
        match c {
            '"' if inside => quoted = !quoted,
            '[' if !quoted => inside = true,
            ']' if !quoted => inside = false,
            '.' if !inside => {
                all.push(&path[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&path[from..]);
    (!inside && !quoted).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(name: &str) -> Type {
        Type::find(name).unwrap()
    }

    #[test]
    fn every_name_finds_its_own_type_and_method() {
        assert!(types().all(|it| Type::find(it.name()) == Some(it)));
        assert!(methods().all(|it| Method::find(it.owner().name(), it.name()) == Some(it)));
        assert_eq!(types().filter(|it| it.kind() == TypeKind::Enum).count(), 446);
        // One more than the schema lists: `Fetch`, which every object has.
        assert_eq!(methods().count(), 976);
        assert_eq!((Type::find(""), Type::find("zzz")), (None, None));
    }

    #[test]
    fn base_fields_come_first() {
        let names: Vec<_> = ty("VirtualDisk").fields().map(|it| it.name).collect();
        assert_eq!(&names[..4], ["key", "deviceInfo", "backing", "connectable"]);
        assert!(names.contains(&"capacityInKB"));
        assert!(ty("VirtualVmxnet3").is_a(ty("VirtualEthernetCard")));
        assert!(!ty("VirtualDisk").is_a(ty("VirtualEthernetCard")));
        assert_eq!(ty("DynamicData").fields().count(), 0);
    }

    #[test]
    fn facts_of_fields_and_methods() {
        let field = ty("VirtualDeviceConnectInfo").field("migrateConnect").unwrap();
        assert!(field.optional && !field.array && field.since.name() == "6.7");
        let clone = Method::find("VirtualMachine", "CloneVM_Task").unwrap();
        assert_eq!(
            clone.params().map(|it| it.name).collect::<Vec<_>>(),
            ["folder", "name", "spec"]
        );
        assert_eq!(clone.returns(), Some((ty("Task"), false)));
        assert_eq!(clone.result(), Some((ty("VirtualMachine"), false)));
        let inherited = Method::find("VirtualMachine", "Destroy_Task").unwrap();
        assert_eq!(inherited.owner(), ty("ManagedEntity"));
        assert_eq!(ty("TaskInfo").field("error").unwrap().ty, ty("LocalizedMethodFault"));
        assert!(ty("VirtualMachinePowerState").values().any(|it| it == "poweredOn"));
    }

    #[test]
    fn paths_are_checked_part_by_part() {
        let of = |path| property_path(ty("VirtualMachine"), path);
        assert_eq!(of("runtime.powerState").unwrap().0, ty("VirtualMachinePowerState"));
        assert!(of("config.hardware.device").unwrap().1);
        let (leaf, array, _) = of("config.hardware.device[200].backing.fileName").unwrap();
        assert_eq!((leaf.name(), array), ("string", false));
        let text = |path| of(path).unwrap_err().to_string();
        assert_eq!(
            text("config.hardwear.device"),
            "`config.hardwear.device`: VirtualMachineConfigInfo has no property `hardwear`. \
             Did you mean `hardware`?"
        );
        assert!(text("config.hardware.device.key").contains("follows a list"));
        assert!(text("runtime.host.name").contains("a HostSystem has no parts"));
        assert!(text("name[1]").contains("not a list"));
        assert!(text("config.hardware.device[200").contains("not closed"));
        assert!(text("").contains("no property ``"));
        let info = property_path(ty("Datastore"), "info.vmfs.uuid").unwrap();
        assert_eq!(info.0.name(), "string");
    }
}
