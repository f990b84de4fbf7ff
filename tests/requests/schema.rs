//! The schema once more, and what a request must be by it: an own reader of `vim25.schema` and an
//! own judge, so that a mistake of the program's encoder is not repeated by its test.
//!
//! Simulators let most of this pass; a real host answers any of it with a fault for the whole
//! request: wrong order, a field that it is too old for, a type that it cannot place.

use std::collections::HashMap;

use roxmltree::{Document, Node};

const VIM: &str = "urn:vim25";
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XSD: &str = "http://www.w3.org/2001/XMLSchema";

const PRIMITIVES: &[&str] = &[
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

/// What the file's header takes for granted.
const BUILT_IN: &str = "\
data MethodFault - 2.0 : faultCause?:LocalizedMethodFault@4.0 faultMessage?:LocalizableMessage[]@4.0
data RuntimeFault MethodFault 2.0 :
data LocalizedMethodFault DynamicData 2.0 : fault:=MethodFault localizedMessage?:string
managed ManagedObject - :
method ManagedObject.Fetch(prop:string) -> anyType [System.View] -";

struct Member {
    name: String,
    of: String,
    optional: bool,
    array: bool,
    since: usize,
}

struct Data {
    parent: String,
    since: usize,
    members: Vec<Member>,
}

/// The API as the file declares it.
pub struct Schema {
    versions: Vec<String>,
    data: HashMap<String, Data>,
    enums: HashMap<String, Vec<String>>,
    managed: HashMap<String, Data>,
    methods: HashMap<(String, String), (Vec<Member>, usize)>,
}

impl Schema {
    pub fn read(text: &str) -> Schema {
        let listed = text.lines().find_map(|line| line.split_once("oldest first: "));
        let versions = listed.unwrap().1.split(' ').map(str::to_owned).collect();
        let mut it = Schema {
            versions,
            data: HashMap::new(),
            enums: HashMap::new(),
            managed: HashMap::new(),
            methods: HashMap::new(),
        };
        for line in BUILT_IN.lines().chain(text.lines()) {
            let line = line.trim_end();
            if !line.starts_with('#') && !line.is_empty() {
                it.declare(line).unwrap_or_else(|| panic!("cannot read: {line}"));
            }
        }
        it
    }

    fn declare(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "enum" => {
                let mut words = rest.split(' ').map(str::to_owned);
                self.enums.insert(words.next()?, words.collect());
            }
            "data" => {
                let (head, fields) = rest.split_once(" :")?;
                let [name, parent, since] = head.split(' ').collect::<Vec<_>>()[..] else {
                    return None;
                };
                let since = self.version(since)?;
                let members = self.members(fields, since)?;
                self.data.insert(name.into(), Data { parent: parent.into(), since, members });
            }
            "managed" => {
                let (head, fields) = rest.split_once(" :")?;
                let (name, parent) = head.split_once(' ')?;
                let members = self.members(fields, 0)?;
                self.managed.insert(name.into(), Data { parent: parent.into(), since: 0, members });
            }
            "method" => {
                let (owner, rest) = rest.split_once('.')?;
                let (name, rest) = rest.split_once('(')?;
                let (params, rest) = rest.split_once(')')?;
                let since = self.version(rest.rsplit_once(' ')?.1)?;
                let params = self.members(params, since)?;
                self.methods.insert((owner.into(), name.into()), (params, since));
            }
            _ => return None,
        }
        Some(())
    }

    fn members(&self, text: &str, since: usize) -> Option<Vec<Member>> {
        let member = |word: &str| {
            let (name, of) = word.split_once(':')?;
            let (of, since) = match of.split_once('@') {
                Some((of, since)) => (of, self.version(since)?),
                None => (of, since),
            };
            let single = of.trim_end_matches("[]");
            let on_the_wire = match single {
                "MethodFault" => "LocalizedMethodFault",
                other => other.trim_start_matches('='),
            };
            Some(Member {
                name: name.trim_end_matches('?').to_owned(),
                of: on_the_wire.to_owned(),
                optional: name.ends_with('?'),
                array: of.ends_with("[]"),
                since,
            })
        };
        text.split(' ').filter(|it| !it.is_empty()).map(member).collect()
    }

    fn version(&self, name: &str) -> Option<usize> {
        match name {
            "-" => Some(0),
            name => self.versions.iter().position(|it| it == name),
        }
    }

    /// The fields on the wire: the base class's first.
    fn fields(&self, of: &str) -> Vec<&Member> {
        match self.data.get(of).or(self.managed.get(of)) {
            None => Vec::new(),
            // dynamicType and dynamicProperty: declared, never sent by anybody.
            Some(_) if of == "DynamicData" => Vec::new(),
            Some(it) => {
                let mut all = self.fields(&it.parent);
                all.extend(&it.members);
                all
            }
        }
    }

    fn is_a(&self, own: &str, base: &str) -> bool {
        own == base
            || self
                .data
                .get(own)
                .or(self.managed.get(own))
                .is_some_and(|it| self.is_a(&it.parent, base))
    }

    /// What is wrong with a request to a server of this version; nothing if all is well.
    pub fn judge(&self, request: &str, version: &str) -> Vec<String> {
        let mut judge = Judge { schema: self, at: self.version(version).unwrap(), found: vec![] };
        match Document::parse(request) {
            Ok(document) => judge.envelope(document.root_element()),
            Err(error) => judge.found.push(format!("not XML: {error}")),
        }
        judge.found
    }
}

struct Judge<'a> {
    schema: &'a Schema,
    at: usize,
    found: Vec<String>,
}

fn children<'a, 'i>(node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
    node.children().filter(Node::is_element).collect()
}

fn text(node: Node) -> String {
    node.children().filter(Node::is_text).filter_map(|it| it.text()).collect()
}

/// The attribute `type` without a namespace: the class of a reference.
fn class<'a>(node: Node<'a, '_>) -> &'a str {
    let plain = node.attributes().find(|it| it.name() == "type" && it.namespace().is_none());
    plain.map_or("", |it| it.value())
}

impl Judge<'_> {
    fn wrong(&mut self, path: &str, what: impl Into<String>) {
        self.found.push(format!("{path}: {}", what.into()));
    }

    fn envelope(&mut self, root: Node) {
        let inside = children(root);
        let body = inside.iter().find(|it| it.has_tag_name((SOAP, "Body")));
        let (true, Some(body)) = (root.has_tag_name((SOAP, "Envelope")), body) else {
            return self.wrong("envelope", "not a SOAP envelope with a body");
        };
        let [call] = children(*body)[..] else {
            return self.wrong("body", "not exactly one call");
        };
        let name = call.tag_name().name();
        let inside = children(call);
        let Some((this, args)) = inside.split_first() else {
            return self.wrong(name, "no _this");
        };
        if call.tag_name().namespace() != Some(VIM) || !this.has_tag_name((VIM, "_this")) {
            return self.wrong(name, "not of urn:vim25, or _this does not come first");
        }
        let mut owner = class(*this);
        if !self.schema.managed.contains_key(owner) || text(*this).is_empty() {
            return self.wrong(name, format!("_this is a `{owner}`, `{}`", text(*this)));
        }
        let (params, since) = loop {
            if let Some(found) = self.schema.methods.get(&(owner.into(), name.into())) {
                break found;
            }
            match self.schema.managed.get(owner) {
                Some(it) => owner = &it.parent,
                None => return self.wrong(name, format!("a {} has no such method", class(*this))),
            }
        };
        if *since > self.at {
            self.wrong(name, "the method is newer than the server");
        }
        self.in_order(args, &params.iter().collect::<Vec<_>>(), name);
        self.property_paths(call);
    }

    /// Elements against what is declared: known, in order, once or many times, all that is due.
    fn in_order(&mut self, elements: &[Node], declared: &[&Member], path: &str) {
        let mut from = 0;
        let mut counts = vec![0; declared.len()];
        for element in elements {
            let name = element.tag_name().name();
            let here = format!("{path}.{name}");
            let Some(at) = declared.iter().position(|it| it.name == name) else {
                self.wrong(&here, "unknown");
                continue;
            };
            let member = declared[at];
            if at < from {
                self.wrong(&here, format!("comes after {}", declared[from].name));
            }
            if element.tag_name().namespace() != Some(VIM) {
                self.wrong(&here, "not of urn:vim25");
            }
            counts[at] += 1;
            if counts[at] == 2 && !member.array {
                self.wrong(&here, "comes twice");
            }
            if member.since > self.at {
                self.wrong(&here, format!("since {}", self.schema.versions[member.since]));
            }
            from = at;
            self.value(*element, &member.of, &here);
        }
        for (member, count) in declared.iter().zip(counts) {
            if !member.optional && count == 0 && member.since <= self.at {
                self.wrong(path, format!("{} is required", member.name));
            }
        }
    }

    fn value(&mut self, node: Node, declared: &str, path: &str) {
        if node.attribute((XSI, "nil")).is_some() {
            return self.wrong(path, "nil is never sent");
        }
        let stated = node.attribute((XSI, "type")).map(|it| {
            let (prefix, name) = it.split_once(':').map_or((None, it), |(p, n)| (Some(p), n));
            (node.lookup_namespace_uri(prefix).unwrap_or_default(), name)
        });
        let own = stated.map_or(declared, |(_, name)| name);
        if let Some((space, name)) = stated {
            let basic = PRIMITIVES.contains(&name);
            if space != (if basic { XSD } else { VIM }) {
                self.wrong(path, format!("xsi:type {name} in namespace `{space}`"));
            }
        }
        if declared == "anyType" {
            return match stated {
                None => self.wrong(path, "anyType without xsi:type"),
                Some(_) => self.any(node, own, path),
            };
        }
        if !self.schema.is_a(own, declared) {
            self.wrong(path, format!("a {own} where a {declared} belongs"));
        }
        self.concrete(node, own, path);
    }

    fn any(&mut self, node: Node, own: &str, path: &str) {
        match own.strip_prefix("ArrayOf") {
            Some(item) if !self.schema.data.contains_key(own) => {
                for child in children(node) {
                    self.concrete(child, &item.replacen("String", "string", 1), path);
                }
            }
            _ if own == "ManagedObjectReference" => self.concrete(node, "ManagedObject", path),
            _ => self.concrete(node, own, path),
        }
    }

    fn concrete(&mut self, node: Node, own: &str, path: &str) {
        if PRIMITIVES.contains(&own) {
            if !children(node).is_empty() || !fits(own, &text(node)) {
                self.wrong(path, format!("`{}` is no {own}", text(node)));
            }
        } else if let Some(values) = self.schema.enums.get(own) {
            if !values.contains(&text(node)) {
                self.wrong(path, format!("`{}` is no {own}", text(node)));
            }
        } else if self.schema.managed.contains_key(own) {
            let kind = class(node);
            if !self.schema.is_a(kind, own) || text(node).trim().is_empty() {
                self.wrong(path, format!("`{}` of type `{kind}` is no {own}", text(node)));
            }
        } else if let Some(it) = self.schema.data.get(own) {
            if it.since > self.at {
                self.wrong(path, format!("{own} is newer than the server"));
            }
            if !text(node).trim().is_empty() {
                self.wrong(path, format!("text in a {own}"));
            }
            self.in_order(&children(node), &self.schema.fields(own), path);
        } else {
            self.wrong(path, format!("no type {own} in the schema"));
        }
    }

    /// Queries name properties by text: those too must be there, and old enough.
    fn property_paths(&mut self, call: Node) {
        for set in call.descendants().filter(|it| it.has_tag_name((VIM, "propSet"))) {
            let inside = children(set);
            let kind = inside.iter().find(|it| it.has_tag_name((VIM, "type")));
            let kind = kind.map(|it| text(*it)).unwrap_or_default();
            for path in inside.iter().filter(|it| it.has_tag_name((VIM, "pathSet"))) {
                let path = text(*path);
                let (mut of, mut found) = (kind.clone(), true);
                for part in path.split('.') {
                    // A key names one item of a list; none of ours has dots.
                    let (name, key) = part.split_once('[').unwrap_or((part, "]"));
                    found &= key.ends_with(']');
                    match self.schema.fields(&of).into_iter().find(|it| it.name == name) {
                        Some(member) if member.since <= self.at => of = member.of.clone(),
                        _ => found = false,
                    }
                }
                if !found {
                    self.wrong("pathSet", format!("{kind} has no {path} in this version"));
                }
            }
        }
        for named in ["CreateContainerView", "TraversalSpec"] {
            for node in call.descendants().filter(|it| it.tag_name().name() == named) {
                let unknown = |it: &&Node| !self.schema.managed.contains_key(&text(**it));
                let kinds = children(node);
                let kind = kinds.iter().filter(|it| it.has_tag_name((VIM, "type"))).find(unknown);
                if let Some(kind) = kind {
                    let what = format!("no type {}", text(*kind));
                    self.wrong(named, what);
                }
            }
        }
    }
}

fn fits(own: &str, text: &str) -> bool {
    match own {
        "boolean" => matches!(text, "true" | "false"),
        "byte" => text.parse::<i8>().is_ok(),
        "short" => text.parse::<i16>().is_ok(),
        "int" => text.parse::<i32>().is_ok(),
        "long" => text.parse::<i64>().is_ok(),
        "float" | "double" => text.parse::<f64>().is_ok(),
        "dateTime" => text.len() >= 19 && text.as_bytes()[10] == b'T',
        "base64Binary" => text.len().is_multiple_of(4) && text.bytes().all(|it| it > b' '),
        _ => true,
    }
}
