//! A method or a type as JSON Schema, one level deep.
//!
//! Surprising: nothing is asked of a server. That one is too old is said only where a session is
//! open already and its version therefore known.

use crate::error::{Error, Kind, Result, quoted};
use crate::text::json;
use crate::text::json::{Object, Value as Json};
use crate::text::nearest::nearest;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::api::search::kind_of;
use crate::tools::esxi::api::{declared, typed};
use crate::tools::esxi::client;
use crate::tools::reply::{Record, Reply};
use crate::vim::from_json::{TYPE_NAME, is_abstract};
use crate::vim::table::{Field, Method, Type, TypeKind, methods, property_path, types};
use crate::vim::version::Version;

/// What is to be described.
pub const NAME: Arg =
    Arg::text("name", "such as VirtualMachine.ReconfigVM_Task, VirtualDisk or HostSystem.config")
        .required();

/// Words of an enum that are shown where it is used, and subtypes where it is described.
const WORDS: usize = 16;
const SUBTYPES: usize = 60;

enum Meant {
    Method(Method),
    Type(Type),
}

/// `describe_api`.
pub fn run(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let version = client(ctx)?.session.shown().live.map(|live| live.version);
    let mut page = Page { lines: Vec::new(), record: Record::new(), version };
    match meant(args.text(NAME)?.trim())? {
        Meant::Method(method) => page.method(method),
        Meant::Type(ty) => page.of_type(ty),
    }
    Ok(Reply::said(page.lines.join("\n"), page.record))
}

fn meant(name: &str) -> Result<Meant> {
    if let Some(ty) = Type::find(name) {
        return Ok(Meant::Type(ty));
    }
    if let Some((owner, rest)) = name.split_once('.')
        && let Some(ty) = Type::find(owner)
    {
        if let Some(method) = Method::find(owner, rest) {
            return Ok(Meant::Method(method));
        }
        if ty.kind() == TypeKind::Enum && ty.values().any(|it| it == rest) {
            return Ok(Meant::Type(ty));
        }
        if let Some(near) = near_method(ty, rest) {
            return Err(Error::new(Kind::NotFound, format!("{owner} has no `{}`", quoted(rest)))
                .hint(format!("Did you mean `{owner}.{near}`?")));
        }
        return property_path(ty, rest).map(|(ty, ..)| Meant::Type(ty));
    }
    let same: Vec<Method> = methods().filter(|it| it.name() == name).collect();
    match same[..] {
        [one] => return Ok(Meant::Method(one)),
        [] => {}
        _ => {
            let names: Vec<String> = same.iter().map(|it| format!("{it:?}")).collect();
            return Err(Error::new(Kind::Conflict, format!("more than one type has `{name}`"))
                .hint(format!("Ask for {}", names.join(" or "))));
        }
    }
    let known = types().map(Type::name).chain(methods().map(Method::name));
    let error = Error::new(Kind::NotFound, format!("the API has no `{}`", quoted(name)));
    Err(match nearest(name, known) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint("search_api finds names by words"),
    })
}

/// The methods that objects of a managed type have, inherited ones too.
pub fn methods_of(ty: Type) -> impl Iterator<Item = Method> {
    methods().filter(move |it| ty.is_a(it.owner()))
}

/// The method that is meant by a wrong name; `PowerOffVM` is `PowerOffVM_Task`.
pub fn near_method(ty: Type, name: &str) -> Option<&'static str> {
    let full = format!("{name}_Task");
    let near = |name: &str| nearest(name, methods_of(ty).map(Method::name));
    near(name).or_else(|| near(&full))
}

/// An answer as it grows: lines for a person, fields for a program.
struct Page {
    lines: Vec<String>,
    record: Record,
    version: Option<Version>,
}

impl Page {
    fn note(&mut self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.lines.push(format!("{name}: {text}"));
        self.keep(name, json::text(text));
    }

    fn keep(&mut self, name: &'static str, value: Json) {
        self.record = std::mem::take(&mut self.record).value(name, value);
    }

    fn method(&mut self, method: Method) {
        self.note("method", format!("{method:?}"));
        self.note("effect", method.effect().word());
        if !method.privilege().is_empty() {
            self.note("privilege", method.privilege());
        }
        self.note("since", method.since().name());
        let params: Vec<Field> = method.params().collect();
        self.fields("arguments", &params, None);
        let result = method.result().map_or("nothing".into(), |(ty, array)| typed(ty, array));
        let task = if method.is_task() { ", when its task has ended" } else { "" };
        self.note("returns", format!("{result}{task}"));
        self.too_new(method.since(), &params);
    }

    fn of_type(&mut self, ty: Type) {
        self.note(kind_of(ty), ty.name());
        let fields: Vec<Field> = match ty.kind() {
            TypeKind::Data | TypeKind::Managed => ty.fields().collect(),
            TypeKind::Enum | TypeKind::Primitive => Vec::new(),
        };
        if ty.kind() == TypeKind::Data {
            self.note("since", ty.since().name());
        }
        let mut bases: Vec<&str> = ty.classes().into_iter().map(Type::name).collect();
        bases.pop();
        if !bases.is_empty() {
            self.note("extends", bases.join(" > "));
        }
        self.subtypes(ty);
        match ty.kind() {
            TypeKind::Enum => {
                let words: Vec<&str> = ty.values().collect();
                self.lines.push(format!("values: {}", words.join(", ")));
                let schema = [("type", json::text("string")), ("enum", json::texts(&words))];
                self.keep("schema", Json::Object(json::object(schema)));
            }
            TypeKind::Primitive => self.keep("schema", item(ty)),
            TypeKind::Data => self.fields("fields", &fields, Some(ty)),
            TypeKind::Managed => {
                self.fields("properties", &fields, None);
                self.methods(ty);
            }
        }
        self.too_new(ty.since(), &fields);
    }

    fn subtypes(&mut self, ty: Type) {
        let below: Vec<&str> =
            types().filter(|it| *it != ty && it.is_a(ty)).map(Type::name).collect();
        if below.is_empty() {
            return;
        }
        let shown = below.len().min(SUBTYPES);
        let more = match below.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let one_of = if is_abstract(ty) { "one of these is sent" } else { "extended by" };
        self.lines.push(format!("{one_of}: {}{more}", below[..shown].join(", ")));
        self.keep("abstract", Json::Bool(is_abstract(ty)));
        self.keep("subtypes", json::texts(&below[..shown]));
        self.keep("subtypes_total", json::int(below.len() as i64));
    }

    fn methods(&mut self, ty: Type) {
        let all: Vec<String> =
            methods_of(ty).map(|it| format!("{} ({})", it.name(), it.effect().word())).collect();
        self.lines.push(format!("methods: {}", all.join(", ")));
        self.keep("methods", json::texts(&all));
    }

    /// What the connected server is too old for.
    fn too_new(&mut self, since: Version, fields: &[Field]) {
        let Some(own) = self.version else { return };
        if since > own {
            let said = format!("all of it: the server speaks {}", own.name());
            return self.note("too_new_for_the_server", said);
        }
        let newer = fields.iter().filter(|it| it.since > own || it.ty.since() > own);
        let newer: Vec<&str> = newer.map(|it| it.name).collect();
        if !newer.is_empty() {
            self.note("too_new_for_the_server", newer.join(", "));
        }
    }

    fn fields(&mut self, what: &'static str, fields: &[Field], of: Option<Type>) {
        if fields.is_empty() {
            self.lines.push(format!("{what}: none"));
        } else {
            self.lines.push(format!("{what} (? may be left out):"));
        }
        let mut properties = Object::new();
        if let Some(ty) = of {
            let name = [("const", json::text(ty.name()))];
            properties.insert(TYPE_NAME.to_owned(), Json::Object(json::object(name)));
        }
        for field in fields {
            let since = match newer_than_oldest(field) {
                Some(since) => format!(" (since {since})"),
                None => String::new(),
            };
            self.lines.push(format!("- {}{since}", declared(field)));
            properties.insert(field.name.to_owned(), property(field));
        }
        let required: Vec<&str> =
            fields.iter().filter(|it| !it.optional).map(|it| it.name).collect();
        let schema = [
            ("type", json::text("object")),
            ("properties", Json::Object(properties)),
            ("required", json::texts(&required)),
        ];
        self.keep("schema", Json::Object(json::object(schema)));
    }
}

/// The version of a field that not every server has that is served at all.
fn newer_than_oldest(field: &Field) -> Option<&'static str> {
    (field.since > Version::oldest_served()).then(|| field.since.name())
}

fn property(field: &Field) -> Json {
    let item = item(field.ty);
    let mut schema = match (field.array, item) {
        (true, item) => json::object([("type", json::text("array")), ("items", item)]),
        (false, Json::Object(item)) => item,
        (false, _) => Object::new(),
    };
    if let Some(since) = newer_than_oldest(field) {
        schema.insert("x-since".to_owned(), json::text(since));
    }
    Json::Object(schema)
}

/// The JSON Schema of one value.
fn item(ty: Type) -> Json {
    let of = |name: &str| json::object([("type", json::text(name))]);
    let with = |name: &str, key: &str, value: Json| {
        let mut schema = of(name);
        schema.insert(key.to_owned(), value);
        schema
    };
    Json::Object(match (ty.kind(), ty.name()) {
        (TypeKind::Data, name) => json::object([("$ref", json::text(name))]),
        (TypeKind::Managed, name) => {
            with("string", "description", json::text(format!("a reference, {name}:ID")))
        }
        (TypeKind::Enum, name) => {
            let words: Vec<&str> = ty.values().take(WORDS + 1).collect();
            match words.len() {
                0..=WORDS => with("string", "enum", json::texts(&words)),
                _ => json::object([("$ref", json::text(name))]),
            }
        }
        (_, "boolean") => of("boolean"),
        (_, "byte" | "short" | "int" | "long") => of("integer"),
        (_, "float" | "double") => of("number"),
        (_, "dateTime") => with("string", "format", json::text("date-time")),
        (_, "base64Binary") => with("string", "contentEncoding", json::text("base64")),
        (_, "anyType") => {
            let said =
                "anything; {\"_typeName\":\"long\",\"_value\":1} where the form does not tell";
            json::object([("description", json::text(said))])
        }
        _ => of("string"),
    })
}
