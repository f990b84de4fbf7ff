//! The README's table of tools is what the program has. UPDATE=1 writes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use jumpvisor::tools::{Effect, FAMILIES, Tool};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- tools: begin -->\n";
const END: &str = "<!-- tools: end -->";

fn row(tool: &Tool) -> String {
    let arg = |arg: &jumpvisor::tools::args::Arg| {
        format!("`{}`{}", arg.name, if arg.required { "\\*" } else { "" })
    };
    let args: Vec<String> = tool.args.iter().map(arg).collect();
    let effect = match tool.effect {
        Effect::Reads => "reads",
        Effect::Changes => "changes",
        Effect::Destroys => "destroys",
    };
    let again = match tool.effect {
        Effect::Reads => "",
        _ if tool.idempotent => ", may be repeated",
        _ => "",
    };
    let level = tool.level.word();
    let about = tool.about.replace('|', "\\|");
    format!("| `{}` | {} | {level} | {effect}{again} | {about} |\n", tool.name, args.join(", "))
}

/// What stands between the marks.
fn table() -> String {
    let mut text = String::from(
        "An argument with \\* is required. Every tool also takes `host`, `response_format`, `dry_run`\n\
         and `timeout_seconds`; `jumpvisor tools NAME` tells of each argument.\n",
    );
    for family in FAMILIES {
        let default = if family.default { ", offered by default" } else { "" };
        text.push_str(&format!("\n{}: {}{default}.\n\n", family.name, family.about));
        text.push_str("| Tool | Arguments | Level | Effect | What it does |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        text.extend(family.shelves.iter().flat_map(|shelf| shelf.iter()).map(row));
    }
    text.push('\n');
    text
}

#[test]
fn the_readme_lists_the_tools_that_there_are() {
    let readme = std::fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README.md lacks the first mark");
    let (listed, after) = rest.split_once(END).expect("README.md lacks the second mark");
    let wanted = table();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(README, format!("{before}{BEGIN}\n{wanted}{END}{after}")).unwrap();
        return;
    }
    let odd = listed.trim_start().lines().zip(wanted.lines()).find(|(is, be)| is != be);
    assert!(
        listed.trim() == wanted.trim(),
        "README.md's tools are not the program's (UPDATE=1 cargo test --test readme writes them): {odd:?}"
    );
}
