//! `jumpvisor tools`: the table of tools for a person, or as MCP lists it.

use crate::cli::{ToolsCommand, print};
use crate::error::Result;
use crate::tools::args::{Arg, COMMON};
use crate::tools::docs;
use crate::tools::offer::{Offer, unknown_tool};
use crate::tools::{Tool, find, schema};

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
                    docs::effect(tool).to_owned(),
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

/// Prints the reference of all tools as Markdown.
pub fn docs() -> Result<u8> {
    print::line(docs::reference().trim_end())
}

fn one(tool: &Tool) -> String {
    let row = |arg: &Arg| {
        vec![arg.name.to_owned(), docs::kind(arg), docs::default(arg), arg.about.to_owned()]
    };
    let rows: Vec<Vec<String>> = tool.args.iter().chain(COMMON).map(row).collect();
    format!(
        "{}: {}\n{}\nLevel {}, {}.\n\n{}",
        tool.name,
        tool.title,
        tool.about,
        tool.level.word(),
        docs::effect(tool),
        print::table(&["argument", "type", "default", "meaning"], &rows)
    )
}
