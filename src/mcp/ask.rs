//! The question for a person's approval as the protocol puts it, and their answer: the same form
//! whether it goes out as a request of ours or comes back with a call of theirs.
//!
//! Pure: it neither sends nor waits. Surprising: only a form whose one box was ticked is a yes; a
//! client that accepts and leaves it empty has not said anything.

use crate::error::{Error, Kind};
use crate::mcp::body::Body;
use crate::mcp::era;
use crate::mcp::link::Asked;
use crate::mcp::rpc;
use crate::mcp::rpc::{Failure, Id};
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::tools::run::Brought;

/// The method that puts a form to a person.
pub const METHOD: &str = "elicitation/create";
/// The name of our one question, and of the one box in its form.
const APPROVE: &str = "approve";

/// Whether a client's capabilities say that it can put a form to a person.
pub fn can(capabilities: Option<&Object>) -> bool {
    let elicitation = capabilities.and_then(|it| json::get_object(it, "elicitation"));
    // Older clients say nothing more; newer ones may be able to open links alone.
    elicitation.is_some_and(|it| it.is_empty() || it.contains_key("form"))
}

/// What a modern call brings of an answer; None for a client that cannot be asked.
pub fn brought(params: &Object) -> Result<Option<Brought>, Failure> {
    let meta = json::get_object(params, "_meta");
    if !can(meta.and_then(|it| json::get_object(it, era::CAPABILITIES_KEY))) {
        return Ok(None);
    }
    let state = match params.get("requestState") {
        None | Some(Value::Null) => None,
        Some(Value::String(state)) => Some(state.clone()),
        Some(other) => {
            let sort = json::sort(other);
            return Err(Failure::params(format!("`requestState` must be a string, not {sort}")));
        }
    };
    let answers = json::get_object(params, "inputResponses");
    let answer = answers.and_then(|it| json::get_object(it, APPROVE)).and_then(answer);
    Ok(Some(Brought { state, answer }))
}

/// What the result of a form says; None where it is neither yes nor no.
pub fn answer(result: &Object) -> Option<bool> {
    match json::get_text(result, "action")? {
        "accept" => match json::get_object(result, "content")?.get(APPROVE)? {
            Value::Bool(approves) => Some(*approves),
            _ => None,
        },
        "decline" | "cancel" => Some(false),
        _ => None,
    }
}

/// What a request of ours has brought: only a yes is one.
pub fn heard(asked: Asked) -> crate::error::Result<bool> {
    let (kind, said) = match asked {
        Asked::Answer(Some(result)) => return Ok(answer(&result).unwrap_or(false)),
        Asked::Answer(None) => (Kind::Denied, "the client could not ask anybody for the approval"),
        Asked::Cancelled => (Kind::Cancelled, "cancelled by the caller"),
        Asked::Late => (Kind::Denied, "nobody has answered whether this may be done"),
        Asked::Nobody => (Kind::Denied, "the client went away before it was approved"),
    };
    Err(Error::new(kind, said).hint("Nothing was changed; call it again when somebody can answer"))
}

/// Our own request, to a client of the `initialize` era, without its newline.
pub fn request(id: &Id, question: &str) -> String {
    let head = Body::new().text("jsonrpc", "2.0").raw("id", id.json()).text("method", METHOD);
    head.object("params", form(question)).json()
}

/// Takes our request back.
pub fn withdrawn(id: &Id) -> String {
    rpc::notification("notifications/cancelled", Body::new().raw("requestId", id.json()))
}

/// The result of a call that is to come again with an answer.
pub fn sent_back(question: &str, state: &str) -> String {
    let ask =
        Body::new().text("method", METHOD).object("params", form(question).text("mode", "form"));
    let body = Body::new()
        .object("inputRequests", Body::new().object(APPROVE, ask))
        .text("requestState", state);
    era::unended(body, "input_required")
}

/// The form that a question is.
pub fn form(question: &str) -> Body {
    let box_ = Body::new()
        .text("type", "boolean")
        .text("title", "Approve")
        .text("description", "Do it as described")
        .flag("default", false);
    let schema = Body::new()
        .text("type", "object")
        .object("properties", Body::new().object(APPROVE, box_))
        .array("required", &[json::quote(APPROVE)]);
    Body::new().text("message", question).object("requestedSchema", schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        match json::parse(text) {
            Ok(Value::Object(it)) => it,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn only_a_ticked_box_is_a_yes() {
        for (text, said) in [
            (r#"{"action":"accept","content":{"approve":true}}"#, Some(true)),
            (r#"{"action":"accept","content":{"approve":true,"x":1}}"#, Some(true)),
            (r#"{"action":"accept","content":{"approve":false}}"#, Some(false)),
            (r#"{"action":"accept","content":{"approve":"true"}}"#, None),
            (r#"{"action":"accept","content":{}}"#, None),
            (r#"{"action":"accept","content":[true]}"#, None),
            (r#"{"action":"accept"}"#, None),
            (r#"{"action":"decline"}"#, Some(false)),
            (r#"{"action":"cancel","content":{"approve":true}}"#, Some(false)),
            (r#"{"action":"ACCEPT","content":{"approve":true}}"#, None),
            (r#"{"action":5}"#, None),
            ("{}", None),
        ] {
            assert_eq!(answer(&object(text)), said, "{text}");
        }
    }

    #[test]
    fn who_can_be_asked_and_what_they_bring() {
        let of = |able: &str, rest: &str| {
            let key = era::CAPABILITIES_KEY;
            brought(&object(&format!(r#"{{"_meta":{{"{key}":{able}}}{rest}}}"#)))
        };
        for able in ["{}", r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":true}"#] {
            assert_eq!(of(able, r#","requestState":"x""#).unwrap(), None, "{able}");
        }
        let asked = r#"{"elicitation":{}}"#;
        assert_eq!(of(asked, "").unwrap(), Some(Brought::default()));
        assert!(of(r#"{"elicitation":{"form":{},"url":{}}}"#, "").unwrap().is_some());
        let yes =
            r#""inputResponses":{"approve":{"action":"accept","content":{"approve":true}},"z":1}"#;
        let full = of(asked, &format!(r#","requestState":"s",{yes}"#)).unwrap();
        assert_eq!(full, Some(Brought { state: Some("s".to_owned()), answer: Some(true) }));
        let odd = of(asked, r#","requestState":null,"inputResponses":[1]"#).unwrap();
        assert_eq!(odd, Some(Brought::default()));
        assert_eq!(of(asked, r#","requestState":5"#).unwrap_err().code, -32602);
    }
}
