//! The reference of the tools as Markdown, derived from their rows: for the README and for `docs`.
//!
//! Nothing is written here that a row does not say. Surprising: what a family costs is told in bytes
//! and in tokens of its listing, because each conversation pays for it; tokens are counted as bytes
//! by [`BYTES_PER_TOKEN`], which holds for listings of this kind.

use crate::tools::args::{Arg, Default, Kind};
use crate::tools::{Effect, FAMILIES, Family, Tool, schema};

/// Bytes of a tool listing that make one token, in tenths: 137.4 kB of another server's rows were
/// measured as 35,274 tokens (o200k_base).
pub const BYTES_PER_TOKEN: usize = 39;

/// What a set of tools costs each conversation.
pub struct Cost {
    pub tools: usize,
    /// Of the `tools/list` answer's rows.
    pub bytes: usize,
}

impl Cost {
    /// What these tools cost.
    pub fn of<'a>(tools: impl Iterator<Item = &'a Tool>) -> Cost {
        let mut cost = Cost { tools: 0, bytes: 0 };
        for tool in tools {
            cost.tools += 1;
            cost.bytes += schema::tool(tool).len() + 1;
        }
        cost
    }

    /// Tokens, to the next hundred.
    pub fn tokens(&self) -> usize {
        (self.bytes * 10 / BYTES_PER_TOKEN).div_ceil(100) * 100
    }
}

fn tools(family: &Family) -> impl Iterator<Item = &'static Tool> + use<> {
    family.shelves.iter().flat_map(|shelf| shelf.iter())
}

/// The families as a table with their cost, the sets that have a name last.
pub fn toolsets() -> String {
    let mut text = String::from(
        "| Toolset | Tools | Bytes | Tokens, about | What for |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut row = |name: &str, cost: Cost, about: &str| {
        let (tools, bytes, tokens) = (cost.tools, cost.bytes, cost.tokens());
        text.push_str(&format!("| {name} | {tools} | {bytes} | {tokens} | {about} |\n"));
    };
    for family in FAMILIES {
        let mark = if family.default { " (default)" } else { "" };
        row(&format!("`{}`{mark}", family.name), Cost::of(tools(family)), family.about);
    }
    let usual = FAMILIES.iter().filter(|it| it.default).flat_map(tools);
    row("`default`", Cost::of(usual), "The families that are marked so");
    row("`all`", Cost::of(FAMILIES.iter().flat_map(tools)), "Everything");
    text
}

/// Every tool in one line of a table, a table a family.
pub fn summary() -> String {
    let mut text = String::from(
        "An argument with \\* is required. Every tool also takes `host`, `response_format`, `dry_run`,\n\
         `timeout_seconds` and `approval_token`; `jumpvisor tools NAME` tells of each argument, `jumpvisor docs` of all.\n",
    );
    for family in FAMILIES {
        let default = if family.default { ", offered by default" } else { "" };
        text.push_str(&format!("\n{}: {}{default}.\n\n", family.name, family.about));
        text.push_str("| Tool | Arguments | Level | Effect | What it does |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        text.extend(tools(family).map(line));
    }
    text.push('\n');
    text
}

fn line(tool: &Tool) -> String {
    let arg = |arg: &Arg| format!("`{}`{}", arg.name, if arg.required { "\\*" } else { "" });
    let args: Vec<String> = tool.args.iter().map(arg).collect();
    let (level, about) = (tool.level.word(), escaped(tool.about));
    let args = args.join(", ");
    format!("| `{}` | {args} | {level} | {} | {about} |\n", tool.name, effect(tool))
}

/// The whole reference: every family, tool and argument.
pub fn reference() -> String {
    let mut text = String::from("# Tools of jumpvisor\n\n");
    text.push_str(&toolsets());
    for family in FAMILIES {
        text.push_str(&format!("\n## {}\n\n{}.\n", family.name, family.about));
        for tool in tools(family) {
            text.push_str(&format!(
                "\n### {}\n\n{}\n\nLevel {}; {}.\n",
                tool.name,
                tool.about,
                tool.level.word(),
                effect(tool)
            ));
            if tool.args.is_empty() {
                continue;
            }
            text.push_str("\n| Argument | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
            for arg in tool.args {
                let (kind, default) = (escaped(&kind(arg)), default(arg));
                let about = escaped(arg.about);
                text.push_str(&format!("| `{}` | {kind} | {default} | {about} |\n", arg.name));
            }
        }
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What a tool does to the world, in words.
pub fn effect(tool: &Tool) -> &'static str {
    match (tool.effect, tool.idempotent) {
        (Effect::Reads, _) => "reads",
        (Effect::Changes, false) => "changes",
        (Effect::Changes, true) => "changes, may be repeated",
        (Effect::Destroys, false) => "destroys",
        (Effect::Destroys, true) => "destroys, may be repeated",
    }
}

/// What an argument takes, in words.
pub fn kind(arg: &Arg) -> String {
    match arg.kind {
        Kind::Choice(words) => words.join("|"),
        Kind::Flag => "true|false".to_owned(),
        Kind::Int { min, max } => format!("{min}..{max}"),
        Kind::Object => "JSON".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Texts => "list".to_owned(),
    }
}

/// What stands for an argument that is left out, in words.
pub fn default(arg: &Arg) -> String {
    match arg.default {
        _ if arg.required => "required".to_owned(),
        Default::Flag(flag) => flag.to_string(),
        Default::Int(number) => number.to_string(),
        Default::Text(text) if !text.is_empty() => text.to_owned(),
        _ => "-".to_owned(),
    }
}
