//! What a POST must be, step by step, before anything is done for it: head, message, era, and that
//! headers and message say the same.
//!
//! Pure; each refusal has its status and its code. Source: the tables of Streamable HTTP in both eras.
//! Surprising: headers repeat what the message says so that a proxy may act on them, so a request
//! where they differ is refused, or it would pass there as something that it is not here.

use crate::mcp::era;
use crate::mcp::era::Era;
use crate::mcp::rpc;
use crate::mcp::rpc::{Failure, HEADERS, INVALID_REQUEST, Id, Message, PARSE_ERROR};
use crate::text::base64;
use crate::text::json;
use crate::text::json::Value;
use crate::web::serve::handler;

/// Where requests and notifications name their version.
pub const VERSION: &str = "MCP-Protocol-Version";
/// Where requests of the older era name their session.
pub const SESSION: &str = "Mcp-Session-Id";

/// A request that is refused.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    /// What it is the answer to, if that could be read.
    pub id: Option<Id>,
    pub failure: Failure,
}

impl Refused {
    /// A refusal of a whole request, whatever its message is.
    pub fn new(status: u16, said: impl Into<String>) -> Refused {
        Refused { status, id: None, failure: Failure::new(INVALID_REQUEST, said) }
    }

    /// The answer, a message too, since clients show what that says.
    pub fn answer(self) -> handler::Answer {
        answer(self.status, self.id.as_ref(), &Err(self.failure))
    }
}

/// An answer of one message.
pub fn answer(status: u16, id: Option<&Id>, message: &rpc::Answer) -> handler::Answer {
    handler::Answer::of(status, "application/json", rpc::response(id, message))
}

/// The status of an answer: in the older era errors are good answers.
pub fn status(era: Era, answer: &rpc::Answer) -> u16 {
    match answer {
        Err(failure) if era == Era::Modern => match failure.code {
            rpc::NO_METHOD => 404,
            PARSE_ERROR | INVALID_REQUEST | rpc::INVALID_PARAMS | -32022..=-32020 => 400,
            _ => 200,
        },
        _ => 200,
    }
}

/// What can be told by the head of a POST.
pub fn head(request: &handler::Request) -> Result<(), Refused> {
    if !["application/json", "text/event-stream"].iter().all(|it| accepts(request, it)) {
        let said = "`Accept` must list both application/json and text/event-stream";
        return Err(Refused::new(406, said));
    }
    let kind = request.header("Content-Type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Refused::new(415, "`Content-Type` must be application/json")),
    }
}

/// Whether a type may be sent; who lists none takes any.
pub fn accepts(request: &handler::Request, kind: &str) -> bool {
    let any = kind.split_once('/').map_or(kind, |it| it.0);
    let fits = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let by = name == "*/*"
            || name.eq_ignore_ascii_case(kind)
            || name.strip_suffix("/*").is_some_and(|it| it.eq_ignore_ascii_case(any));
        let weight = parts.find_map(|it| it.strip_prefix("q=")).and_then(|it| it.parse().ok());
        by && weight != Some(0.0)
    };
    let mut listed = all(request, "Accept").peekable();
    listed.peek().is_none() || listed.any(|it| it.split(',').any(fits))
}

/// The version that the headers name, if any; it must be one that is served.
pub fn version(request: &handler::Request) -> Result<Option<&str>, Refused> {
    let version = single(request, VERSION)?;
    match version {
        Some(it) if !era::supported().contains(&it) => Err(refused(None, era::unsupported(it))),
        version => Ok(version),
    }
}

/// What is asked, in which era. `mirrored` names the headers, and the arguments of a tool in them.
pub fn post(
    request: &handler::Request,
    mirrored: &dyn Fn(&str) -> Vec<(String, String)>,
) -> Result<(Era, Message), Refused> {
    let message = match rpc::parse(&request.body) {
        Ok(Some(message)) => message,
        Ok(None) => {
            return Err(refused(None, Failure::new(PARSE_ERROR, "not JSON: it is empty")));
        }
        Err(it) => return Err(refused(it.id, it.failure)),
    };
    let era = match &message {
        Message::Request(it) => asked(request, it, mirrored)
            .map_err(|it_was| Refused { id: Some(it.id.clone()), ..it_was })?,
        Message::Notification(it) => {
            let meta = json::get_object(&it.params, "_meta");
            match meta.is_some_and(|meta| meta.contains_key(era::VERSION_KEY)) {
                true => Era::Modern,
                false => by_header(request)?,
            }
        }
        Message::Response(_) => by_header(request)?,
    };
    match message {
        Message::Response(_) if era == Era::Modern => {
            Err(Refused::new(400, "this is an answer, and nothing was asked"))
        }
        message => Ok((era, message)),
    }
}

fn by_header(request: &handler::Request) -> Result<Era, Refused> {
    Ok(match version(request)? {
        Some(era::MODERN) => Era::Modern,
        _ => Era::Legacy,
    })
}

fn asked(
    request: &handler::Request,
    message: &rpc::Request,
    mirrored: &dyn Fn(&str) -> Vec<(String, String)>,
) -> Result<Era, Refused> {
    let meta = json::get_object(&message.params, "_meta");
    match meta.and_then(|it| it.get(era::VERSION_KEY)) {
        None => match by_header(request)? {
            Era::Modern => Err(refused(None, era::no_envelope(&message.params))),
            // What else is wrong with it is told in its answer.
            Era::Legacy => Ok(Era::Legacy),
        },
        Some(version) => {
            if let Value::String(version) = version {
                same(request, VERSION, "the version in `_meta`", version)?;
                same(request, "Mcp-Method", "`method`", &message.method)?;
                names(request, message)?;
                arguments(request, message, mirrored)?;
            }
            era::of(&message.params).map_err(|it| refused(None, it))
        }
    }
}

/// What the request is about stands in a header too.
fn names(request: &handler::Request, message: &rpc::Request) -> Result<(), Refused> {
    let member = match message.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(()),
    };
    // Where the message lacks it, that is told instead.
    match json::get_text(&message.params, member) {
        Some(name) => same(request, "Mcp-Name", &format!("`{member}`"), name),
        None => Ok(()),
    }
}

fn arguments(
    request: &handler::Request,
    message: &rpc::Request,
    mirrored: &dyn Fn(&str) -> Vec<(String, String)>,
) -> Result<(), Refused> {
    let tool = json::get_text(&message.params, "name").filter(|_| message.method == "tools/call");
    let given = json::get_object(&message.params, "arguments");
    let (Some(tool), Some(given)) = (tool, given) else { return Ok(()) };
    for (header, argument) in mirrored(tool) {
        let (header, what) = (format!("Mcp-Param-{header}"), format!("`{argument}`"));
        match given.get(&argument) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => same(request, &header, &what, text)?,
            Some(value) => {
                let said = single(request, &header)?.and_then(|it| json::parse(it).ok());
                let text = |it: &Value| json::write(it);
                if said.as_ref().map(text) != Some(text(value)) {
                    return Err(differs(&header, &what));
                }
            }
        }
    }
    Ok(())
}

fn same(request: &handler::Request, name: &str, what: &str, want: &str) -> Result<(), Refused> {
    let given = single(request, name)?.ok_or_else(|| {
        refused(None, Failure::new(HEADERS, format!("the header {name} is missing")))
    })?;
    let fits = match given.strip_prefix("=?base64?").and_then(|it| it.strip_suffix("?=")) {
        Some(coded) => base64::decode(coded).is_some_and(|it| it == want.as_bytes()),
        None => given == want,
    };
    if fits { Ok(()) } else { Err(differs(name, what)) }
}

fn differs(name: &str, what: &str) -> Refused {
    refused(None, Failure::new(HEADERS, format!("the header {name} differs from {what}")))
}

/// The values of a header.
pub fn all<'a>(request: &'a handler::Request, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    let named = request.headers.iter().filter(move |it| it.0.eq_ignore_ascii_case(name));
    named.map(|it| it.1.trim())
}

/// The value of a header that two readers must not read differently.
pub fn single<'a>(
    request: &'a handler::Request,
    name: &'a str,
) -> Result<Option<&'a str>, Refused> {
    let mut values = all(request, name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => {
            let said = format!("the header {name} stands there more than once");
            Err(refused(None, Failure::new(HEADERS, said)))
        }
    }
}

fn refused(id: Option<Id>, failure: Failure) -> Refused {
    Refused { status: 400, id, failure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::serve::handler::Peer;

    fn request(headers: &[(&str, &str)], body: &str) -> handler::Request {
        handler::Request {
            method: "POST".to_owned(),
            target: "/mcp".to_owned(),
            headers: headers.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect(),
            body: body.as_bytes().to_vec(),
            peer: Peer::Local(None),
            tls: false,
            listener: "a".into(),
        }
    }

    fn code(headers: &[(&str, &str)], body: &str) -> i64 {
        let mirrored = |tool: &str| match tool {
            "t" => vec![
                ("Region".to_owned(), "region".to_owned()),
                ("Count".to_owned(), "count".to_owned()),
            ],
            _ => Vec::new(),
        };
        match post(&request(headers, body), &mirrored) {
            Ok((Era::Modern, _)) => 1,
            Ok((Era::Legacy, _)) => 0,
            Err(it) => {
                assert_eq!(it.status, 400);
                it.failure.code
            }
        }
    }

    #[test]
    fn what_a_client_takes() {
        let head = |accept: &[&str], kind: &str| {
            let mut headers: Vec<_> = accept.iter().map(|it| ("accept", *it)).collect();
            headers.push(("CONTENT-TYPE", kind));
            head(&request(&headers, "")).map_or_else(|it| it.status, |()| 200)
        };
        let json = "Application/JSON; charset=utf-8";
        for accept in [
            &[][..],
            &["*/*"],
            &["application/json, text/event-stream"],
            &["text/event-stream;q=0.5", "application/*"],
            &["text/html, */*;q=0.1"],
        ] {
            assert_eq!(head(accept, json), 200, "{accept:?}");
        }
        for accept in [
            &["application/json"][..],
            &["text/event-stream"],
            &["text/html"],
            &["application/json, text/event-stream;q=0"],
            &[""],
        ] {
            assert_eq!(head(accept, json), 406, "{accept:?}");
        }
        for kind in ["", "text/plain", "application/jsonx", "application/x-www-form-urlencoded"] {
            assert_eq!(head(&[], kind), 415, "{kind}");
        }
    }

    #[test]
    fn headers_must_say_what_the_message_says() {
        let body = |method: &str, more: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{more}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
            )
        };
        let (version, list) = ((VERSION, "2026-07-28"), body("tools/list", ""));
        assert_eq!(code(&[version, ("mcp-method", "tools/list")], &list), 1);
        for bad in [
            &[][..],
            &[version],
            &[version, ("Mcp-Method", "Tools/list")],
            &[("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", "tools/list")],
            &[version, version, ("Mcp-Method", "tools/list")],
        ] {
            assert_eq!(code(bad, &list), HEADERS, "{bad:?}");
        }
        let call = body("tools/call", r#""name":"läs","#);
        let method = ("Mcp-Method", "tools/call");
        assert_eq!(code(&[version, method, ("Mcp-Name", "=?base64?bMOkcw==?=")], &call), 1);
        for bad in ["x", "=?base64?bMOkcw?=", "=?base64?!?=", "bMOkcw=="] {
            assert_eq!(code(&[version, method, ("Mcp-Name", bad)], &call), HEADERS, "{bad}");
        }
        assert_eq!(code(&[version, method], &call), HEADERS);
        assert_eq!(code(&[version, method], &body("tools/call", "")), 1);
        // Of an unknown method it is not known what it is about; that it is unknown is told later.
        for (named, wanted) in
            [("tasks/get", HEADERS), ("tasks/cancel", HEADERS), ("tasks/result", 1)]
        {
            let task = body(named, r#""taskId":"t","#);
            assert_eq!(code(&[version, ("Mcp-Method", named)], &task), wanted, "{named}");
        }
        let call = body("tools/call", r#""name":"t","arguments":{"region":"eu","count":2},"#);
        let named = [version, method, ("Mcp-Name", "t"), ("Mcp-Param-Region", "eu")];
        assert_eq!(code(&[&named[..], &[("Mcp-Param-Count", "2")]].concat(), &call), 1);
        assert_eq!(code(&[&named[..], &[("Mcp-Param-Count", "3")]].concat(), &call), HEADERS);
        assert_eq!(code(&named, &call), HEADERS);
        let call = body("tools/call", r#""name":"t","arguments":{"region":null},"#);
        assert_eq!(code(&named[..3], &call), 1);
    }

    #[test]
    fn the_era_is_the_messages_unless_the_header_says_more() {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        for version in era::LEGACY {
            assert_eq!(code(&[(VERSION, version)], ping), 0);
        }
        assert_eq!(code(&[], ping), 0);
        assert_eq!(code(&[(VERSION, "2026-07-28")], ping), -32602);
        assert_eq!(code(&[(VERSION, "1999-01-01")], ping), -32022);
        let told = r#"{"jsonrpc":"2.0","method":"n"}"#;
        assert_eq!((code(&[], told), code(&[(VERSION, "2026-07-28")], told)), (0, 1));
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        assert_eq!((code(&[], answer), code(&[(VERSION, "2026-07-28")], answer)), (0, -32600));
        for (body, wanted) in [
            ("", -32700),
            ("{", -32700),
            ("[]", -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600),
        ] {
            assert_eq!(code(&[(VERSION, "2026-07-28")], body), wanted, "{body}");
        }
        assert_eq!(
            code(
                &[(VERSION, "2030-01-01"), ("Mcp-Method", "x")],
                r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01"}}}"#
            ),
            -32022
        );
    }
}
