//! A tool's row as the JSON that MCP lists.
//!
//! Written as text, because the order of properties is worth keeping. Surprising: `host` and the
//! other arguments that every tool takes are not in each schema, and so additional properties are
//! not forbidden there; the gate checks names itself and says what was meant.

use crate::text::json::quote;
use crate::tools::args::{Arg, Default, Kind};
use crate::tools::{Effect, Tool};

/// The member of `tools/list`.
pub fn tool(tool: &Tool) -> String {
    offered(tool, false)
}

/// The same; what writes on this machine is absent where `read_only`.
pub fn offered(tool: &Tool, read_only: bool) -> String {
    let args: Vec<Arg> =
        tool.args.iter().filter(|arg| !(read_only && arg.writes_here)).copied().collect();
    let hint = |name: &str, value: bool| format!("\"{name}\":{value}");
    let hints = [
        hint("readOnlyHint", tool.effect == Effect::Reads),
        hint("destructiveHint", tool.effect == Effect::Destroys),
        hint("idempotentHint", tool.idempotent),
        hint("openWorldHint", false),
    ];
    format!(
        r#"{{"name":{},"title":{},"description":{},"inputSchema":{},"annotations":{{{}}}}}"#,
        quote(tool.name),
        quote(tool.title),
        quote(tool.about),
        input(&args),
        hints.join(",")
    )
}

/// The JSON Schema of a row's arguments.
pub fn input(args: &[Arg]) -> String {
    let properties: Vec<String> =
        args.iter().map(|arg| format!("{}:{}", quote(arg.name), property(arg))).collect();
    let required: Vec<String> =
        args.iter().filter(|arg| arg.required).map(|arg| quote(arg.name)).collect();
    let required = match required.is_empty() {
        true => String::new(),
        false => format!(r#","required":[{}]"#, required.join(",")),
    };
    format!(r#"{{"type":"object","properties":{{{}}}{required}}}"#, properties.join(","))
}

fn property(arg: &Arg) -> String {
    let mut text = match arg.kind {
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
            format!(r#"{{"type":"string","enum":[{}]"#, words.join(","))
        }
        Kind::Flag => r#"{"type":"boolean""#.to_owned(),
        Kind::Int { min, max } => {
            format!(r#"{{"type":"integer","minimum":{min},"maximum":{max}"#)
        }
        Kind::Object => r#"{"type":"object""#.to_owned(),
        Kind::Text => r#"{"type":"string""#.to_owned(),
        Kind::Texts => r#"{"type":"array","items":{"type":"string"}"#.to_owned(),
    };
    match arg.default {
        Default::None => {}
        Default::Flag(flag) => text.push_str(&format!(r#","default":{flag}"#)),
        Default::Int(number) => text.push_str(&format!(r#","default":{number}"#)),
        Default::Text(word) => text.push_str(&format!(r#","default":{}"#, quote(word))),
    }
    if !arg.about.is_empty() {
        text.push_str(&format!(r#","description":{}"#, quote(arg.about)));
    }
    text.push('}');
    text
}
