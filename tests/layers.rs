//! The house rules that a reader of a diff should not have to check: who may use whom, what a file
//! looks like, which words stay where.
//!
//! It reads text, not meaning: comments are left out, and everything from `#[cfg(test)]` on counts
//! as tests. A macro could fool it; that is good enough here, and no proof. Every finding is told
//! as `file:line: rule`, all of them at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, what it may name of ours, and which outside crates are at home there. `log` and the macros
/// of `logging` are free everywhere, and everybody may name himself.
const LAYERS: &[(&str, &str, &str)] = &[
    ("error", "", ""),
    // zeroize: the one type that holds secrets wipes them. memchr: the next tag in megabytes.
    ("text", "error", "base64 memchr miniserde roxmltree zeroize"),
    // rustix: what is too large for a datagram goes to the journal as a file in memory.
    ("audit", "error text", "rustix"),
    // ring: signatures of tokens, digests of keys, approval tokens. No sockets: whoever needs a
    // document is given a function that fetches it.
    ("auth", "error text", "ring"),
    // rustix: openat2, which the standard library lacks.
    ("files", "error text web", "rustix"),
    ("metrics", "text", ""),
    ("threads", "", ""),
    // ring: digests of certificates for pins. listenfd, rustix, smol: the server's sockets.
    (
        "web",
        "error text threads",
        "flate2 listenfd ring rustix rustls rustls_native_certs smol ureq webpki",
    ),
    // web: its listeners, its TLS without waiting. ring: the secrets of moves. rustix: keepalive.
    ("serial", "error text web threads", "ring rustix rustls smol"),
    // ring: digests of the files. roxmltree: the descriptor's tree.
    ("ova", "error text web", "ring roxmltree"),
    // flate2: the schema is carried deflated.
    ("vim", "error text", "flate2"),
    // text: the type that holds secrets.
    ("hv", "error text threads", ""),
    // roxmltree: `decode` walks the tree that `text::xml` has parsed; wrapping each node in a type
    // of our own would only give the same things other names. Parsing stays in `text::xml`.
    // memchr: `quick` reads rows by searching.
    ("vsphere", "error text web hv vim threads", "memchr roxmltree"),
    // rcgen: its certificate when it listens. roxmltree: its own reader of requests. flate2: PNG and
    // its inventory. miniserde: the state file. ring: digests of uploads.
    ("sim", "error text web vim threads", "flate2 miniserde rcgen ring roxmltree rustls"),
    // ring: random correlation ids.
    ("tools", "error text audit auth metrics files ova hv serial threads", "ring"),
    ("tools/esxi", "error text audit auth metrics files ova hv tools vsphere vim", ""),
    // web: the edge gives its requests to mcp/http.rs.
    ("mcp", "error text audit auth metrics files web hv serial tools threads", "smol"),
    // auth: the words of levels. zeroize: whole env files are read, passwords in them, and wiped after.
    ("config", "error text auth", "zeroize"),
    ("logging", "error text", ""),
    // rustls: how consoles check a host, handed on.
    (
        "app",
        "error text audit auth metrics files web hv serial vsphere sim tools mcp config logging threads",
        "async_signal rustls smol",
    ),
    // rustix: a raw terminal.
    (
        "cli",
        "error text audit auth metrics files web hv serial sim tools mcp config logging app threads",
        "argh rustix",
    ),
    ("main", "cli", ""),
    ("lib", "", ""),
];

/// Crates that stay in some files or folders of their layer: what waits, waits in one place.
const ONLY_IN: &[(&str, &str)] = &[
    ("async_signal", "app/signals.rs"),
    ("listenfd", "web/serve/listen.rs"),
    // In cli: a raw terminal. In files: a look at a pipe before it is read; names given at the end.
    (
        "rustix",
        "audit/ cli/terminal.rs files/mod.rs files/stdin.rs files/target.rs serial/dial.rs web/serve/",
    ),
    ("smol", "app/signals.rs mcp/stdio.rs mcp/http.rs serial/ web/serve/"),
    // The tests of text/split.rs compare with a whole parse.
    (
        "roxmltree",
        "ova/ovf.rs text/split.rs text/xml.rs sim/elements.rs sim/ovf.rs sim/ovf/parse.rs \
         sim/reader.rs vsphere/decode.rs vsphere/open.rs vsphere/scalar.rs",
    ),
];

/// Names of the schema that are words of ours too: an error's kind, and what every hypervisor has.
const OUR_WORDS: &[&str] =
    &["NotFound", "PowerState", "RebootGuest", "ResourcePool", "ShutdownGuest", "StandbyGuest"];

struct Source {
    /// As a person finds it, below `src` for sources.
    path: String,
    /// All of it.
    text: String,
    /// The same lines, with comments and what stands in quotes blanked.
    code: String,
    /// The same lines, with only comments blanked.
    spoken: String,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Source {
        let text = fs::read_to_string(path).unwrap();
        let (code, spoken) = blanked(&text);
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        Source { path, text, code, spoken }
    }

    fn layer(&self) -> &str {
        match self.path.split_once('/') {
            Some(("tools", rest)) if rest.starts_with("esxi/") => "tools/esxi",
            Some((folder, _)) => folder,
            None => self.path.trim_end_matches(".rs"),
        }
    }

    /// Where the tests of the file begin; a whole file of tests is called so.
    fn tests_from(&self) -> usize {
        match self.path.ends_with("tests.rs") {
            true => 0,
            false => self.code.find("#[cfg(test)]").unwrap_or(self.code.len()),
        }
    }

    fn at(&self, offset: usize) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}", self.path)
    }
}

/// The text with comments and quoted text blanked, and with comments alone blanked.
fn blanked(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut spoken) = (bytes.to_vec(), bytes.to_vec());
    let blank = |to: &mut Vec<u8>, from: usize, until: usize| {
        to[from..until].iter_mut().filter(|it| **it != b'\n').for_each(|it| *it = b' ');
    };
    let starts = |at: usize, word: &str| bytes[at..].starts_with(word.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        let word_before = at > 0 && is_word(bytes[at - 1]);
        if starts(at, "//") {
            let end = text[at..].find('\n').map_or(bytes.len(), |it| at + it);
            blank(&mut code, at, end);
            blank(&mut spoken, at, end);
            at = end;
        } else if bytes[at] == b'r' && !word_before && (starts(at, "r\"") || starts(at, "r#")) {
            let hashes = bytes[at + 1..].iter().take_while(|it| **it == b'#').count();
            let open = at + 1 + hashes;
            let close = format!("\"{}", "#".repeat(hashes));
            if bytes.get(open) == Some(&b'"') {
                let end = open + 1 + text[open + 1..].find(&close).unwrap();
                blank(&mut code, open + 1, end);
                at = end + close.len();
            } else {
                at = open;
            }
        } else if bytes[at] == b'"' {
            let mut end = at + 1;
            while bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            blank(&mut code, at + 1, end);
            at = end + 1;
        } else if bytes[at] == b'\'' {
            // A character; a lifetime has no quote behind its first character.
            let width = text[at + 1..].chars().next().map_or(1, char::len_utf8);
            let end = match bytes.get(at + 1) {
                Some(b'\\') => text[at + 3..].find('\'').map(|it| at + 3 + it),
                _ => (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 1 + width),
            };
            if let Some(end) = end {
                blank(&mut code, at + 1, end);
            }
            at = end.unwrap_or(at) + 1;
        } else {
            at += 1;
        }
    }
    (String::from_utf8(code).unwrap(), String::from_utf8(spoken).unwrap())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Every identifier with its offset.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        let start = (from..bytes.len()).find(|at| is_word(bytes[*at]))?;
        let end = (start..bytes.len()).find(|at| !is_word(bytes[*at])).unwrap_or(bytes.len());
        from = end;
        Some((start, &text[start..end]))
    })
}

/// Where `needle` stands as a path of its own, not as the tail of a longer one.
fn paths<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(at, _)| at).filter(|at| {
        let before = text[..*at].bytes().next_back();
        before.is_none_or(|it| !is_word(it) && it != b':')
    })
}

fn rust_files(root: &Path, below: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let hidden = path.file_name().unwrap().to_str().unwrap().starts_with('.');
            if path.is_dir() && !hidden && !path.ends_with("target") {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root.join(below), &mut found);
    found.sort();
    found.iter().map(|path| Source::read(root, path)).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let all = rust_files(&root().join("src"), "");
    assert!(all.len() > 50, "the sources are not where this test looks");
    all
}

fn none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{} against the house rules:\n{}\n", found.len(), found.join("\n"));
}

/// The dependencies as code names them, with the line of each: of the sections that end so.
fn dependencies(sections: &str) -> Vec<(usize, String)> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut inside, mut found) = (false, Vec::new());
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.ends_with(sections);
        } else if let (true, Some((name, _))) = (inside, line.split_once('='))
            && !line.starts_with([' ', '#', ']'])
        {
            found.push((number + 1, name.trim().replace('-', "_")));
        }
    }
    assert!(found.len() > 5, "no dependencies in Cargo.toml?");
    found
}

#[test]
fn a_layer_names_only_what_its_row_lists() {
    let mut found = Vec::new();
    for file in sources() {
        let layer = file.layer();
        let Some((_, uses, _)) = LAYERS.iter().find(|(name, ..)| *name == layer) else {
            found.push(format!("{}:1: `{layer}` has no row in tests/layers.rs", file.path));
            continue;
        };
        // A macro is for everybody, whoever defines it; it names its own layer by $crate.
        let allowed = |name: &str| {
            name == layer
                || name == "change"
                || uses.split(' ').any(|it| it == name)
                || (layer == "tools/esxi" && name == "tools")
        };
        for (at, name) in
            file.code.match_indices("crate::").chain(file.code.match_indices("jumpvisor::"))
        {
            let rest = &file.code[at + name.len()..];
            if rest.starts_with('{') {
                found.push(format!("{}: one `use` a line, no groups from the root", file.at(at)));
                continue;
            }
            let Some((0, named)) = words(rest).next() else { continue };
            let told = ["logging::info!", "logging::debug!"].iter().any(|it| rest.starts_with(it));
            if !told && !allowed(named) {
                found.push(format!("{}: `{layer}` may not use `{named}`", file.at(at)));
            }
            if layer == "tools" && file.path != "tools/mod.rs" && rest.starts_with("tools::esxi") {
                found.push(format!("{}: only the table of tools/mod.rs names esxi", file.at(at)));
            }
        }
        if layer != "lib" && layer != "main" {
            let shallow = &file.code[..file.tests_from()];
            for at in paths(shallow, "super::") {
                found.push(format!("{}: `super::` is for tests; say crate::", file.at(at)));
            }
        }
    }
    none(found);
}

#[test]
fn an_outside_crate_is_used_only_where_it_is_at_home() {
    let mut found = Vec::new();
    let files = sources();
    for (line, name) in dependencies("[dependencies]") {
        let homes: Vec<&str> = LAYERS
            .iter()
            .filter(|(_, _, crates)| crates.split(' ').any(|it| it == name))
            .map(|(layer, ..)| *layer)
            .collect();
        if homes.is_empty() && name != "log" {
            found.push(format!("Cargo.toml:{line}: `{name}` has no home in tests/layers.rs"));
        }
        let files_only = ONLY_IN.iter().find(|(it, _)| *it == name).map(|(_, files)| *files);
        let (path, used) = (format!("{name}::"), format!("use {name};"));
        for file in files.iter().filter(|_| name != "log") {
            // A module of ours may bear the name of a crate.
            let ours = file.code.contains(&format!("::{name};"));
            let first = paths(&file.code, &path).next().filter(|_| !ours);
            let Some(at) = first.or(file.code.find(&used)) else { continue };
            let home = homes.contains(&file.layer());
            let listed =
                |it: &str| it == file.path || (it.ends_with('/') && file.path.starts_with(it));
            if !home || files_only.is_some_and(|files| !files.split_whitespace().any(listed)) {
                found.push(format!("{}: `{name}` is not at home here", file.at(at)));
            }
        }
    }
    none(found);
}

#[test]
fn what_is_no_warning_goes_past_the_facade() {
    let mut found = Vec::new();
    for file in sources() {
        for at in ["log::info!", "log::debug!"].iter().flat_map(|it| paths(&file.code, it)) {
            found.push(format!("{}: compiled out; say crate::logging::", file.at(at)));
        }
    }
    none(found);
}

/// The names that make code about vSphere: types and methods of the schema of more than one word.
/// Single words, such as Folder or Network, are everybody's.
fn vsphere_words() -> BTreeSet<String> {
    let schema = fs::read_to_string(root().join("src/vim/vim25.schema")).unwrap();
    let mut all = BTreeSet::from(["MoRef".to_owned(), "moref".to_owned(), "vim25".to_owned()]);
    for line in schema.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split([' ', '(']);
        let (Some(word), Some(name)) = (parts.next(), parts.next()) else { continue };
        let name = if word == "method" { name.split('.').next_back().unwrap() } else { name };
        let humps = name.chars().filter(char::is_ascii_uppercase).count();
        if humps > 1 && !OUR_WORDS.contains(&name) {
            all.insert(name.to_owned());
        }
    }
    assert!(all.contains("VirtualMachine") && all.contains("PowerOnVM_Task"));
    all
}

#[test]
fn what_spans_hypervisors_does_not_speak_vsphere() {
    let (words_of, mut found) = (vsphere_words(), Vec::new());
    for file in sources().iter().filter(|it| matches!(it.layer(), "hv" | "tools")) {
        for (at, word) in words(&file.spoken) {
            let path = &file.code[at..];
            if words_of.contains(word) {
                found.push(format!("{}: `{word}` belongs behind `hv`", file.at(at)));
            } else if word.starts_with("ESXI_") || word.starts_with("VCENTER_") {
                found.push(format!("{}: settings of one product: `{word}`", file.at(at)));
            } else if ["vim::", "vsphere::", "roxmltree::"].iter().any(|it| path.starts_with(it)) {
                found.push(format!("{}: `{word}::` belongs behind `hv`", file.at(at)));
            }
        }
        // `[datastore] path` taken apart; an argument's help may show one, with words in it.
        for quoted in ["\"[\"", "'['", "\"] \"", "\"]\"", "']'"] {
            let body = &file.spoken[..file.tests_from()];
            for (at, _) in body.match_indices(quoted) {
                let rule = "`[datastore] path` is taken apart behind `hv`";
                found.push(format!("{}: {rule}", file.at(at)));
            }
        }
    }
    none(found);
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut found = Vec::new();
    let mut all = rust_files(&root(), "src");
    all.extend(rust_files(&root(), "tests"));
    all.push(Source::read(&root(), &root().join("build.rs")));
    for file in &all {
        if !file.text.starts_with("//! ") {
            found.push(format!("{}:1: begins with `//!` and what it is for", file.path));
        }
        let lines = file.text.lines().count();
        if lines > 500 {
            found.push(format!("{}:501: {lines} lines, 500 are allowed", file.path));
        }
    }
    none(found);
}

/// Types, functions, constants and traits of a module say what they are. Fields, variants and
/// methods may be called so that there is nothing to add, which is why `missing_docs` is not on:
/// it would ask for some 280 comments of the kind "the name".
#[test]
fn what_a_module_gives_away_is_documented() {
    const ITEMS: &[&str] =
        &["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules!"];
    // The rows of a family; the header of the file is about nothing else.
    const TABLES: &[&str] = &["TOOLS"];
    let mut found = Vec::new();
    for file in sources() {
        let mut offset = 0;
        let (mut documented, mut attribute) = (false, false);
        for line in file.text.split_inclusive('\n') {
            let rest = line.strip_prefix("pub ").or(line.strip_prefix("macro_rules! "));
            if let Some(rest) = rest.filter(|_| offset < file.tests_from()) {
                let mut all = words(rest).map(|it| it.1).skip_while(|it| *it == "unsafe");
                let (item, name) = (all.next().unwrap_or(""), all.next().unwrap_or(""));
                let is_item = ITEMS.contains(&item) || line.starts_with("macro_rules!");
                if is_item && !documented && !TABLES.contains(&name) {
                    found.push(format!("{}: `{name}` has no `///`", file.at(offset)));
                }
            }
            let now_documented = line.starts_with("///");
            attribute = line.starts_with("#[") || (attribute && !line.starts_with("pub "));
            if now_documented || !attribute || line.trim().is_empty() {
                documented = now_documented;
                attribute = false;
            }
            offset += line.len();
        }
    }
    none(found);
}

#[test]
fn the_manifest_explains_itself_and_forbids_unsafe_code() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lines: Vec<&str> = manifest.lines().collect();
    let mut found = Vec::new();
    for (number, name) in dependencies("dependencies]") {
        if !lines[number - 2].starts_with("# ") {
            found.push(format!("Cargo.toml:{number}: a comment before `{name}` says what for"));
        }
    }
    let lints = manifest.split("[lints.rust]").nth(1).unwrap_or_default();
    let lints = lints.split("\n[").next().unwrap_or_default();
    if !lints.contains("unsafe_code = \"forbid\"") {
        found.push("Cargo.toml: [lints.rust] forbids unsafe_code".to_owned());
    }
    none(found);
}

#[test]
fn the_changelog_has_a_place_for_the_next_change() {
    if let Ok(text) = fs::read_to_string(root().join("CHANGELOG.md")) {
        let first = text.lines().find(|line| line.starts_with("## ")).unwrap_or_default();
        let unreleased = first.trim_start_matches(['#', ' ', '[']).starts_with("Unreleased");
        assert!(unreleased, "CHANGELOG.md: the first section is `{first}`, not Unreleased");
    }
}

#[test]
fn comments_and_quotes_are_told_from_code() {
    let text = r##"a::b("// no \" c::d", 'x', '"', '\'', &'static str) // e::f
r#"g"::h"#; i::j"##;
    let (code, spoken) = blanked(text);
    assert_eq!(code.len(), text.len());
    for there in ["a::b(", "&'static str)", "i::j"] {
        assert!(code.contains(there), "{code}");
    }
    for gone in ["c::d", "e::f", "g\"::h", "no"] {
        assert!(!code.contains(gone), "{code}");
    }
    assert!(spoken.contains("c::d") && !spoken.contains("e::f"), "{spoken}");
}
