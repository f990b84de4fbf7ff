//! Packs `src/vim/vim25.schema` into 99 KB that the program carries: a table and all names, with
//! the marks of `src/vim/effects.txt`; and the simulated host's inventory into 17 KB.
//!
//! The schema's own header lines explain its grammar; `src/vim/table.rs` reads what is written here
//! and is the only other file that knows the layout. Surprising: a member declared `MethodFault` is
//! stored as `LocalizedMethodFault`, because that is what travels on the wire.
//!
//! `vim25.packed` is, deflated, the table and behind it every identifier once, sorted and shortened;
//! types and methods stand column by column (both: `build/shorten.rs`). The table is, little endian:
//! nine u16 counts (names, versions, types, members,
//! values, methods, parameters, and two spare; also alone, as `vim25.counts`, for the compiler), then
//!
//! | section | one entry | bytes |
//! |---|---|---|
//! | versions | name, oldest first | 2 |
//! | types, by name | name, parent, first member or value, count, kind and since | 2 2 2 1 1 |
//! | members | name, type, flags and since | 2 2 1 |
//! | values | name | 2 |
//! | methods, by owner and name | owner, name, first parameter, returns, privilege, count and effect, flags | 2 2 2 2 2 1 1 |
//! | parameters | as members | 2 2 1 |

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::{env, fmt, fs};

#[path = "build/effects.rs"]
mod effects;
#[path = "build/inventory.rs"]
mod inventory;
#[path = "build/shorten.rs"]
mod shorten;

const EFFECTS: &str = "src/vim/effects.txt";
const SCHEMA: &str = "src/vim/vim25.schema";
const INVENTORY: &str = "src/sim/inventory";
/// No parent, no return value.
const NONE: u16 = u16::MAX;
const OPTIONAL: u8 = 0x40;
const ARRAY: u8 = 0x80;

/// What the schema takes for granted.
const BUILT_IN: &str = "\
data MethodFault - - : faultCause?:LocalizedMethodFault@4.0 faultMessage?:LocalizableMessage[]@4.0
data RuntimeFault MethodFault - :
data LocalizedMethodFault DynamicData 2.0 : fault:=MethodFault localizedMessage?:string
managed ManagedObject - :
method ManagedObject.Fetch(prop:string) -> anyType [System.View] -
";

const PRIMITIVES: [&str; 12] = [
    "anyType",
    "anyURI",
    "base64Binary",
    "boolean",
    "byte",
    "dateTime",
    "double",
    "float",
    "int",
    "long",
    "short",
    "string",
];

/// Why the build stops; cargo prints it by `Debug`.
struct Problem(String);

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Result<T> = std::result::Result<T, Problem>;

fn problem<T>(text: impl Into<String>) -> Result<T> {
    Err(Problem(text.into()))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Primitive,
    Data,
    Enum,
    Managed,
}

/// `name[?]:type[[]][@since]`.
struct Member {
    name: String,
    of: String,
    optional: bool,
    array: bool,
    since: u8,
}

struct Declared {
    kind: Kind,
    parent: Option<String>,
    since: u8,
    members: Vec<Member>,
    values: Vec<String>,
}

struct Method {
    params: Vec<Member>,
    returns: Option<String>,
    array: bool,
    privilege: String,
    since: u8,
    effect: u8,
}

#[derive(Default)]
struct Schema {
    versions: Vec<String>,
    types: BTreeMap<String, Declared>,
    methods: BTreeMap<(String, String), Method>,
}

/// Bytes of the nine counts at the beginning of the table.
const COUNTS: usize = 18;

fn main() -> Result<()> {
    let bare =
        |name: &str| env::var(name).map_err(|_| Problem(format!("cargo did not set {name}")));
    let (root, out) = (bare("CARGO_MANIFEST_DIR")?, bare("OUT_DIR")?);
    let source = Path::new(&root).join(SCHEMA);
    announce("rerun-if-changed=build.rs");
    for file in [SCHEMA, EFFECTS, "build"] {
        announce(&format!("rerun-if-changed={file}"));
    }
    let text = fs::read_to_string(&source).map_err(|e| Problem(format!("{SCHEMA}: {e}")))?;
    let mut schema = read(&text)?;
    judge(&mut schema, &Path::new(&root).join(EFFECTS))?;
    let (names, table) = pack(&schema)?;
    save(&out, "vim25.counts", table.get(..COUNTS).unwrap_or_default())?;
    let all = [table, names].concat();
    save(&out, "vim25.packed", &deflated(&all)?)?;
    announce(&format!("rerun-if-changed={INVENTORY}"));
    match env::var("CARGO_FEATURE_DEMO") {
        Ok(_) => {
            let packed = inventory::read(&Path::new(&root).join(INVENTORY));
            let packed = packed.map_err(|e| Problem(format!("{INVENTORY}: {e}")))?;
            save(&out, "inventory.packed", &deflated(&packed)?)
        }
        Err(_) => Ok(()),
    }
}

/// Gives each method its mark.
fn judge(schema: &mut Schema, list: &Path) -> Result<()> {
    let wrong = |e: String| Problem(format!("{EFFECTS}: {e}"));
    let text = fs::read_to_string(list).map_err(|e| wrong(e.to_string()))?;
    let marks = effects::read(&text, schema.methods.keys()).map_err(wrong)?;
    for (method, mark) in schema.methods.values_mut().zip(marks) {
        method.effect = mark;
    }
    Ok(())
}

/// Cargo listens on standard output; the lint that forbids printing is meant for the program.
#[allow(clippy::print_stdout)]
fn announce(line: &str) {
    println!("cargo:{line}");
}

/// To two fifths; the program inflates it when it first needs a type.
fn deflated(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).map_err(|e| Problem(format!("deflate: {e}")))?;
    packer.finish().map_err(|e| Problem(format!("deflate: {e}")))
}

fn save(folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let path = Path::new(folder).join(name);
    fs::write(&path, bytes).map_err(|e| Problem(format!("{}: {e}", path.display())))
}

// ---- reading ----

fn read(text: &str) -> Result<Schema> {
    let mut schema = Schema { versions: versions(text)?, ..Schema::default() };
    for name in PRIMITIVES {
        add_type(&mut schema, name, Kind::Primitive, None, 0)?;
    }
    for line in BUILT_IN.lines() {
        declaration(&mut schema, line).map_err(|e| Problem(format!("built in: {}", e.0)))?;
    }
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        declaration(&mut schema, line)
            .map_err(|e| Problem(format!("{SCHEMA} line {}: {}", number + 1, e.0)))?;
    }
    Ok(schema)
}

fn versions(text: &str) -> Result<Vec<String>> {
    const MARK: &str = "# versions, oldest first:";
    let Some(line) = text.lines().find_map(|line| line.strip_prefix(MARK)) else {
        return problem(format!("{SCHEMA}: no line `{MARK}`"));
    };
    let all: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match all.len() {
        1..=63 => Ok(all),
        other => problem(format!("{SCHEMA}: {other} versions, there is room for 63")),
    }
}

fn declaration(schema: &mut Schema, line: &str) -> Result<()> {
    let Some((word, rest)) = line.split_once(' ') else {
        return problem("a declaration needs a word and a name");
    };
    match word {
        "data" => structure(schema, Kind::Data, rest),
        "managed" => structure(schema, Kind::Managed, rest),
        "enum" => enumeration(schema, rest),
        "method" => method(schema, rest),
        other => problem(format!("`{other}` is neither data, enum, managed nor method")),
    }
}

/// `NAME PARENT since : members`; a managed object states no version.
fn structure(schema: &mut Schema, kind: Kind, rest: &str) -> Result<()> {
    let Some((head, tail)) = rest.split_once(" :") else {
        return problem("no ` :` between the name and the fields");
    };
    let words: Vec<&str> = head.split_whitespace().collect();
    let (name, parent, since) = match (kind, &words[..]) {
        (Kind::Data, [name, parent, since]) => (*name, *parent, version(schema, since)?),
        (Kind::Managed, [name, parent]) => (*name, *parent, 0),
        _ => return problem(format!("cannot understand `{head}`")),
    };
    let mut all = members(schema, tail, since)?;
    if name == "DynamicData" {
        // dynamicType and dynamicProperty: declared, never sent by anybody.
        all.clear();
    }
    let parent = Some(parent).filter(|it| *it != "-");
    let added = add_type(schema, name, kind, parent, since)?;
    added.members = all;
    Ok(())
}

fn enumeration(schema: &mut Schema, rest: &str) -> Result<()> {
    let mut words = rest.split_whitespace();
    let Some(name) = words.next() else {
        return problem("an enum needs a name");
    };
    add_type(schema, name, Kind::Enum, None, 0)?.values = words.map(str::to_owned).collect();
    Ok(())
}

fn add_type<'a>(
    schema: &'a mut Schema,
    name: &str,
    kind: Kind,
    parent: Option<&str>,
    since: u8,
) -> Result<&'a mut Declared> {
    use std::collections::btree_map::Entry;
    let parent = parent.map(str::to_owned);
    let fresh = Declared { kind, parent, since, members: Vec::new(), values: Vec::new() };
    match schema.types.entry(name.to_owned()) {
        Entry::Vacant(place) => Ok(place.insert(fresh)),
        Entry::Occupied(_) => problem(format!("`{name}` is declared twice")),
    }
}

/// `MANAGED.NAME(params) -> RETURN[[]] [privilege] since`.
fn method(schema: &mut Schema, rest: &str) -> Result<()> {
    let parts = || {
        let (head, tail) = rest.split_once('(')?;
        let (owner, name) = head.split_once('.')?;
        let (params, tail) = tail.split_once(") -> ")?;
        let (returns, tail) = tail.split_once(" [")?;
        let (privilege, since) = tail.split_once("] ")?;
        Some((owner, name, params, returns, privilege, since))
    };
    let Some((owner, name, params, returns, privilege, since)) = parts() else {
        return problem("a method reads `OWNER.NAME(params) -> TYPE [privilege] since`");
    };
    let since = version(schema, since)?;
    let (returns, array) = match returns.strip_suffix("[]") {
        Some(single) => (single, true),
        None => (returns, false),
    };
    let made = Method {
        params: members(schema, params, since)?,
        returns: Some(on_the_wire(returns).to_owned()).filter(|it| it != "void"),
        array,
        privilege: privilege.to_owned(),
        since,
        effect: 0,
    };
    match schema.methods.insert((owner.to_owned(), name.to_owned()), made) {
        None => Ok(()),
        Some(_) => problem(format!("`{owner}.{name}` is declared twice")),
    }
}

fn members(schema: &Schema, text: &str, since: u8) -> Result<Vec<Member>> {
    text.split_whitespace().map(|word| member(schema, word, since)).collect()
}

fn member(schema: &Schema, word: &str, since: u8) -> Result<Member> {
    let Some((name, rest)) = word.split_once(':') else {
        return problem(format!("`{word}` is not `name:type`"));
    };
    let (of, since) = match rest.split_once('@') {
        Some((of, marked)) => (of, version(schema, marked)?),
        None => (rest, since),
    };
    let single = of.strip_suffix("[]").unwrap_or(of);
    let name_only = name.strip_suffix('?').unwrap_or(name);
    if name_only.is_empty() || single.is_empty() {
        return problem(format!("`{word}` is not `name:type`"));
    }
    Ok(Member {
        name: name_only.to_owned(),
        of: on_the_wire(single).to_owned(),
        optional: name != name_only,
        array: of != single,
        since,
    })
}

/// `=MethodFault` means the fault itself.
fn on_the_wire(of: &str) -> &str {
    match of {
        "MethodFault" => "LocalizedMethodFault",
        "=MethodFault" => "MethodFault",
        other => other,
    }
}

fn version(schema: &Schema, name: &str) -> Result<u8> {
    match schema.versions.iter().position(|it| it == name) {
        _ if name == "-" => Ok(0),
        Some(at) => u8::try_from(at).map_err(|e| Problem(e.to_string())),
        None => problem(format!("`{name}` is not among the versions")),
    }
}

// ---- writing ----

struct Packer<'a> {
    schema: &'a Schema,
    names: BTreeMap<&'a str, u16>,
    types: BTreeMap<&'a str, u16>,
}

fn pack(schema: &Schema) -> Result<(Bytes, Bytes)> {
    let all = every_name(schema);
    let packer = Packer { schema, names: numbered(all)?, types: numbered(schema.types.keys())? };
    let (types, members, values) = packer.types()?;
    let (methods, params) = packer.methods()?;
    let counts = [
        packer.names.len(),
        schema.versions.len(),
        schema.types.len(),
        members.len() / 5,
        values.len() / 2,
        schema.methods.len(),
        params.len() / 5,
        0,
        0,
    ];
    let mut table = Vec::new();
    for count in counts {
        table.extend(small(count)?.to_le_bytes());
    }
    for name in &schema.versions {
        table.extend(packer.name(name)?.to_le_bytes());
    }
    let types = shorten::by_column(&types, 8, 0b0011_0011);
    let methods = shorten::by_column(&methods, 12, 0b0011_1111);
    table.extend([types, members, values, methods, params].concat());
    if let Some(odd) = packer.names.keys().find(|it| !it.is_ascii() || it.contains('\0')) {
        return problem(format!("{SCHEMA}: `{odd}` is no name"));
    }
    Ok((shorten::names(packer.names.keys().copied()), table))
}

fn every_name(schema: &Schema) -> BTreeSet<&str> {
    let mut all: BTreeSet<&str> = schema.versions.iter().map(String::as_str).collect();
    for (name, it) in &schema.types {
        all.insert(name);
        all.extend(it.members.iter().map(|member| member.name.as_str()));
        all.extend(it.values.iter().map(String::as_str));
    }
    for ((_, name), it) in &schema.methods {
        all.insert(name);
        all.insert(&it.privilege);
        all.extend(it.params.iter().map(|member| member.name.as_str()));
    }
    all
}

fn numbered<'a, T: AsRef<str> + ?Sized + 'a>(
    all: impl IntoIterator<Item = &'a T>,
) -> Result<BTreeMap<&'a str, u16>> {
    all.into_iter().enumerate().map(|(at, name)| Ok((name.as_ref(), small(at)?))).collect()
}

fn small(number: usize) -> Result<u16> {
    match u16::try_from(number) {
        Ok(fits) if fits != NONE => Ok(fits),
        _ => problem(format!("{number} of something, the table has room for 65534")),
    }
}

fn tiny(number: usize, of: &str) -> Result<u8> {
    u8::try_from(number).map_err(|_| Problem(format!("`{of}`: {number} is more than 255")))
}

type Bytes = Vec<u8>;

impl Packer<'_> {
    fn name(&self, name: &str) -> Result<u16> {
        match self.names.get(name) {
            Some(at) => Ok(*at),
            None => problem(format!("`{name}` was not interned")),
        }
    }

    fn type_of(&self, name: &str, used_by: &str) -> Result<u16> {
        match self.types.get(name) {
            Some(at) => Ok(*at),
            None => problem(format!("{SCHEMA}: `{used_by}` names the unknown type `{name}`")),
        }
    }

    fn types(&self) -> Result<(Bytes, Bytes, Bytes)> {
        let (mut types, mut members, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (name, it) in &self.schema.types {
            let parent = match &it.parent {
                Some(parent) => self.type_of(parent, name)?,
                None => NONE,
            };
            let (first, count) = match it.kind {
                Kind::Enum => (values.len() / 2, it.values.len()),
                _ => (members.len() / 5, it.members.len()),
            };
            for half in [self.name(name)?, parent, small(first)?] {
                types.extend(half.to_le_bytes());
            }
            types.push(tiny(count, name)?);
            types.push(it.since | (it.kind as u8) << 6);
            self.members(&mut members, &it.members, name)?;
            for value in &it.values {
                values.extend(self.name(value)?.to_le_bytes());
            }
        }
        Ok((types, members, values))
    }

    fn members(&self, to: &mut Bytes, all: &[Member], of: &str) -> Result<()> {
        for it in all {
            to.extend(self.name(&it.name)?.to_le_bytes());
            to.extend(self.type_of(&it.of, of)?.to_le_bytes());
            let optional = if it.optional { OPTIONAL } else { 0 };
            let array = if it.array { ARRAY } else { 0 };
            to.push(it.since | optional | array);
        }
        Ok(())
    }

    fn methods(&self) -> Result<(Bytes, Bytes)> {
        let (mut methods, mut params) = (Vec::new(), Vec::new());
        for ((owner, name), it) in &self.schema.methods {
            let returns = match &it.returns {
                Some(of) => self.type_of(of, name)?,
                None => NONE,
            };
            let halves = [
                self.type_of(owner, name)?,
                self.name(name)?,
                small(params.len() / 5)?,
                returns,
                self.name(&it.privilege)?,
            ];
            for half in halves {
                methods.extend(half.to_le_bytes());
            }
            let count = Some(it.params.len()).filter(|it| *it < 64);
            let Some(count) = count.and_then(|it| u8::try_from(it).ok()) else {
                return problem(format!("`{name}` has more than 63 parameters"));
            };
            methods.push(count | it.effect << 6);
            methods.push(it.since | if it.array { ARRAY } else { 0 });
            self.members(&mut params, &it.params, name)?;
        }
        Ok((methods, params))
    }
}
