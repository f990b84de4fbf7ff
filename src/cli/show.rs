//! `jumpvisor tools`: the table of tools for a person, or as MCP lists it.

use crate::cli::{ToolsCommand, print};
use crate::error::Result;
use crate::tools::args::{Arg, COMMON, Default, Kind};
use crate::tools::offer::{Offer, unknown_tool};
use crate::tools::{Effect, Tool, find, schema};

/// Lists the tools, or shows one.
pub fn tools(offer: &Offer, command: &ToolsCommand) -> Result<u8> {
    match &command.name {
        Some(name) => {
            let (_, tool) = find(name).ok_or_else(|| unknown_tool(name))?;
            print::line(&if command.json { schema::tool(tool) } else { one(tool) })
        }
        None if command.json => {
            let all: Vec<String> = offer.list().map(schema::tool).collect();
            print::line(&format!("{{\"tools\":[{}]}}", all.join(",")))
        }
        None => {
            let row = |tool: &'static Tool| {
                let family = find(tool.name).map_or("", |(family, _)| family.name);
                let first = tool.about.split(['.', ';']).next().unwrap_or(tool.about);
                vec![
                    tool.name.to_owned(),
                    family.to_owned(),
                    tool.level.word().to_owned(),
                    effect(tool).to_owned(),
                    first.to_owned(),
                ]
            };
            let rows: Vec<Vec<String>> = offer.list().map(row).collect();
            print::line(&print::table(
                &["tool", "family", "level", "effect", "what it does"],
                &rows,
            ))
        }
    }
}

fn effect(tool: &Tool) -> &'static str {
    match tool.effect {
        Effect::Reads => "reads",
        Effect::Changes => "changes",
        Effect::Destroys => "destroys",
    }
}

fn one(tool: &Tool) -> String {
    let row = |arg: &Arg| vec![arg.name.to_owned(), kind(arg), default(arg), arg.about.to_owned()];
    let rows: Vec<Vec<String>> = tool.args.iter().chain(COMMON).map(row).collect();
    format!(
        "{}: {}\n{}\nLevel {}, {}{}.\n\n{}",
        tool.name,
        tool.title,
        tool.about,
        tool.level.word(),
        effect(tool),
        if tool.idempotent { ", may be repeated" } else { "" },
        print::table(&["argument", "type", "default", "meaning"], &rows)
    )
}

fn kind(arg: &Arg) -> String {
    match arg.kind {
        Kind::Choice(words) => words.join("|"),
        Kind::Flag => "true|false".to_owned(),
        Kind::Int { min, max } => format!("{min}..{max}"),
        Kind::Object => "JSON".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Texts => "list".to_owned(),
    }
}

fn default(arg: &Arg) -> String {
    match arg.default {
        _ if arg.required => "required".to_owned(),
        Default::Flag(flag) => flag.to_string(),
        Default::Int(number) => number.to_string(),
        Default::Text(text) if !text.is_empty() => text.to_owned(),
        _ => "-".to_owned(),
    }
}
