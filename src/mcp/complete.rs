//! `completion/complete`: what is being completed, checked before anybody is asked.
//!
//! Only arguments of offered prompts and of listed templates; the values come from
//! `tools::completions`.

use crate::mcp::body::Body;
use crate::mcp::lists;
use crate::mcp::rpc::Failure;
use crate::text::json;
use crate::text::json::Object;
use crate::tools::completions;
use crate::tools::offer::Offer;
use crate::tools::resources;

/// An argument that a person is typing.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// What was typed so far.
    pub begun: String,
    /// The server that was chosen before, if it was.
    pub server: Option<String>,
}

/// Reads the parameters; fails for a prompt, template or argument that we do not have.
pub fn read(offer: &Offer, params: &Object) -> Result<Wanted, Failure> {
    let part = |name: &str| {
        let missing = || Failure::params(format!("`{name}` must be an object"));
        json::get_object(params, name).ok_or_else(missing)
    };
    let (reference, argument) = (part("ref")?, part("argument")?);
    let name = lists::named(argument, "name")?;
    let known: Vec<&str> = match lists::named(reference, "type")? {
        "ref/prompt" => {
            let prompt = lists::prompt_named(offer, lists::named(reference, "name")?)?;
            prompt.args.iter().map(|arg| arg.name).collect()
        }
        "ref/resource" => template_args(lists::named(reference, "uri")?)?,
        other => {
            let said = format!("no reference is of type `{}`", crate::error::quoted(other));
            return Err(Failure::params(said));
        }
    };
    if !known.contains(&name) {
        let said = format!("no argument `{}` there", crate::error::quoted(name));
        return Err(Failure::params(format!("{said}. Known: {}", known.join(", "))));
    }
    let chosen = lists::object(&lists::object(params, "context")?, "arguments")?;
    Ok(Wanted {
        name: name.to_owned(),
        begun: lists::named(argument, "value")?.to_owned(),
        server: json::get_text(&chosen, "host").filter(|it| !it.is_empty()).map(str::to_owned),
    })
}

fn template_args(uri: &str) -> Result<Vec<&'static str>, Failure> {
    let named = resources::templates().into_iter().find(|it| it.uri == uri);
    let plain = resources::RESOURCES.iter().any(|it| resources::uri(it) == uri);
    match (named, plain) {
        (Some(it), _) => Ok(it.args.to_vec()),
        (_, true) => Ok(Vec::new()),
        _ => Err(Failure::params(format!("no template `{}`", crate::error::quoted(uri)))),
    }
}

/// The result: at most as many values as the protocol allows, and how many there are.
pub fn result(values: &[String], total: usize) -> Body {
    let quoted: Vec<String> = values.iter().map(|it| json::quote(it)).collect();
    let completion = Body::new()
        .array("values", &quoted)
        .raw("total", &total.to_string())
        .flag("hasMore", total > values.len());
    debug_assert!(values.len() <= completions::MOST);
    Body::new().object("completion", completion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::json::Value;

    fn wanted(text: &str) -> Result<Wanted, Failure> {
        match json::parse(text) {
            Ok(Value::Object(params)) => read(&Offer::everything(), &params),
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn arguments_of_prompts_and_templates() {
        let vm = wanted(
            r#"{"ref":{"type":"ref/prompt","name":"diagnose_vm"},"argument":{"name":"vm","value":"we"},"context":{"arguments":{"host":"lab"}}}"#,
        );
        let (name, begun) = ("vm".to_owned(), "we".to_owned());
        assert_eq!(vm.unwrap(), Wanted { name, begun, server: Some("lab".to_owned()) });
        let host = wanted(
            r#"{"ref":{"type":"ref/resource","uri":"esxi://{host}/vms"},"argument":{"name":"host","value":""}}"#,
        );
        assert_eq!(host.unwrap().server, None);
    }

    #[test]
    fn what_we_do_not_have_is_named() {
        for (text, said) in [
            ("{}", "`ref` must be"),
            (r#"{"ref":{"type":"x"},"argument":{"name":"a","value":""}}"#, "of type `x`"),
            (
                r#"{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":""}}"#,
                "no prompt",
            ),
            (
                r#"{"ref":{"type":"ref/prompt","name":"make_vm"},"argument":{"name":"a","value":""}}"#,
                "no argument `a`",
            ),
            (
                r#"{"ref":{"type":"ref/prompt","name":"make_vm"},"argument":{"name":"host"}}"#,
                "`value` is missing",
            ),
            (
                r#"{"ref":{"type":"ref/resource","uri":"file:///x"},"argument":{"name":"a","value":""}}"#,
                "no template",
            ),
        ] {
            let failure = wanted(text).unwrap_err();
            assert!(
                failure.code == -32602 && failure.message.contains(said),
                "{}",
                failure.message
            );
        }
    }
}
