//! JSON-RPC 2.0: one message from its bytes, answers to their text.
//!
//! Pure; it knows no method. Every failure carries the code that the protocol wants and the id it
//! belongs to, if one could be read. Surprising: `params: null` counts as left out, as common
//! libraries write it so, and a notification with bad params is still a notification, which is
//! never answered.

use crate::mcp::body::Body;
use crate::text::json;
use crate::text::json::{Number, Object, Value};

/// Not JSON, or not UTF-8.
pub const PARSE_ERROR: i64 = -32700;
/// JSON, but no request.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method here.
pub const NO_METHOD: i64 = -32601;
/// The method is known, its parameters are wrong.
pub const INVALID_PARAMS: i64 = -32602;
/// We failed.
pub const INTERNAL: i64 = -32603;
/// No such resource, for clients of the older era.
pub const NO_RESOURCE: i64 = -32002;
/// The headers say something else than the message.
pub const HEADERS: i64 = -32020;
/// The client did not declare what this needs.
pub const MISSING_CAPABILITY: i64 = -32021;
/// The request names a version of the protocol that we do not speak.
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// What a request is answered by, and what a progress token is: a string or a whole number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// The id that this value is; `None` for null, fractions and all else.
    pub fn of(value: &Value) -> Option<Id> {
        match value {
            Value::String(_) | Value::Number(Number::U64(_) | Number::I64(_)) => {
                Some(Id(json::write(value)))
            }
            _ => None,
        }
    }

    /// Its JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }
}

/// One message of a client.
#[derive(Debug)]
pub enum Message {
    Request(Request),
    Notification(Notification),
    Response(Response),
}

/// What a client answers to a request of ours.
#[derive(Debug)]
pub struct Response {
    /// None where it cannot be one of ours.
    pub id: Option<Id>,
    /// None where it failed there, or is no object.
    pub result: Option<Object>,
}

/// A message that wants an answer.
#[derive(Debug)]
pub struct Request {
    pub id: Id,
    pub method: String,
    pub params: Object,
}

/// A message that must not be answered.
#[derive(Debug)]
pub struct Notification {
    pub method: String,
    pub params: Object,
}

/// Why a request has no result.
#[derive(Debug)]
pub struct Failure {
    pub code: i64,
    pub message: String,
    /// What a program can use of it.
    pub data: Option<Object>,
}

impl Failure {
    /// A failure without data.
    pub fn new(code: i64, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), data: None }
    }

    /// The parameters are wrong.
    pub fn params(message: impl Into<String>) -> Failure {
        Failure::new(INVALID_PARAMS, message)
    }

    /// The same failure with data.
    pub fn with(mut self, data: Object) -> Failure {
        self.data = Some(data);
        self
    }
}

/// The result as JSON text, or the failure.
pub type Answer = Result<String, Failure>;

/// A message that is none, and the id to answer to.
#[derive(Debug)]
pub struct Refusal {
    pub id: Option<Id>,
    pub failure: Failure,
}

/// Reads one message; `None` for a blank line.
pub fn parse(line: &[u8]) -> Result<Option<Message>, Refusal> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|bad| {
        refused(None, PARSE_ERROR, format!("not UTF-8 after byte {}", bad.valid_up_to()))
    })?;
    let value =
        json::parse(text).map_err(|why| refused(None, PARSE_ERROR, format!("not JSON: {why}")))?;
    match value {
        Value::Object(members) => message(members).map(Some),
        Value::Array(_) => Err(refused(
            None,
            INVALID_REQUEST,
            "batches are not part of this protocol; send one message at a time",
        )),
        other => {
            let said = format!("a message must be an object, not {}", json::sort(&other));
            Err(refused(None, INVALID_REQUEST, said))
        }
    }
}

fn refused(id: Option<Id>, code: i64, message: impl Into<String>) -> Refusal {
    Refusal { id, failure: Failure::new(code, message) }
}

fn message(mut members: Object) -> Result<Message, Refusal> {
    let given = members.remove("id");
    let id = given.as_ref().and_then(Id::of);
    let invalid = |said: String| refused(id.clone(), INVALID_REQUEST, said);
    if json::get_text(&members, "jsonrpc") != Some("2.0") {
        return Err(invalid("`jsonrpc` must be \"2.0\"".to_owned()));
    }
    let method = match members.remove("method") {
        Some(Value::String(method)) => method,
        Some(other) => {
            return Err(invalid(format!("`method` must be a string, not {}", json::sort(&other))));
        }
        None if members.contains_key("result") || members.contains_key("error") => {
            let result = members.remove("result").and_then(|it| match it {
                Value::Object(result) => Some(result),
                _ => None,
            });
            return Ok(Message::Response(Response { id, result }));
        }
        None => return Err(invalid("`method` is missing".to_owned())),
    };
    let params = members.remove("params");
    match (given, id.clone()) {
        (None, _) => {
            let params = object(params).unwrap_or_default();
            Ok(Message::Notification(Notification { method, params }))
        }
        (Some(_), Some(id)) => match object(params) {
            Ok(params) => Ok(Message::Request(Request { id, method, params })),
            Err(sort) => {
                let said = format!("`params` must be an object, not {sort}");
                Err(refused(Some(id), INVALID_PARAMS, said))
            }
        },
        (Some(other), None) => {
            let sort = match other {
                Value::Number(_) => "a fraction or a number beyond 64 bits",
                other => json::sort(&other),
            };
            Err(invalid(format!("`id` must be a string or a whole number, not {sort}")))
        }
    }
}

fn object(params: Option<Value>) -> Result<Object, &'static str> {
    match params {
        None | Some(Value::Null) => Ok(Object::new()),
        Some(Value::Object(params)) => Ok(params),
        Some(other) => Err(json::sort(&other)),
    }
}

/// The text of an answer, without its newline; `id` is null where none could be read.
pub fn response(id: Option<&Id>, answer: &Answer) -> String {
    let head = Body::new().text("jsonrpc", "2.0").raw("id", id.map_or("null", Id::json));
    match answer {
        Ok(result) => head.raw("result", result).json(),
        Err(failure) => head.object("error", error(failure)).json(),
    }
}

/// A failure as the protocol shows it.
pub fn error(failure: &Failure) -> Body {
    let body = Body::new().raw("code", &failure.code.to_string()).text("message", &failure.message);
    match &failure.data {
        Some(data) => body.raw("data", &json::write_object(data)),
        None => body,
    }
}

/// The text of a question to the client, without its newline.
pub fn question(id: &Id, method: &str, params: &str) -> String {
    let head = Body::new().text("jsonrpc", "2.0").raw("id", id.json());
    head.text("method", method).raw("params", params).json()
}

/// The text of a notification, without its newline.
pub fn notification(method: &str, params: Body) -> String {
    Body::new().text("jsonrpc", "2.0").text("method", method).object("params", params).json()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Ok(Some(Message::Request(request))) => request,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refusal(line: &[u8]) -> (Option<String>, i64, String) {
        let it = parse(line).unwrap_err();
        (it.id.map(|id| id.json().to_owned()), it.failure.code, it.failure.message)
    }

    #[test]
    fn requests_keep_their_id() {
        for id in ["1", "-7", "0", "18446744073709551615", "\"a\\\"b\"", "\"\"", "\"1\""] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping","params":null}}"#);
            assert_eq!(request(&text).id.json(), id);
        }
        let it = request(r#" {"method":"x","params":{"a":1},"id":2,"jsonrpc":"2.0"} "#);
        assert_eq!(
            (it.method.as_str(), json::write_object(&it.params).as_str()),
            ("x", r#"{"a":1}"#)
        );
    }

    #[test]
    fn each_fault_has_its_code_and_the_id_if_there_is_one() {
        for (text, id, code, said) in [
            ("{not json", None, -32700, "not JSON: line 1 column 2: expected a string"),
            ("hello", None, -32700, "not JSON: line 1 column 1: expected a value"),
            ("[]", None, -32600, "batches"),
            ("3", None, -32600, "not a number"),
            (r#"{"id":1,"method":"x"}"#, Some("1"), -32600, "`jsonrpc`"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#, Some("1"), -32600, "`jsonrpc`"),
            (r#"{"jsonrpc":"2.0","id":"a"}"#, Some("\"a\""), -32600, "`method` is missing"),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, Some("1"), -32600, "not a number"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, None, -32600, "not null"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, None, -32600, "fraction"),
            (r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#, None, -32600, "boolean"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, None, -32600, "object"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, Some("1"), -32602, "array"),
        ] {
            let (found, number, message) = refusal(text.as_bytes());
            assert_eq!((found.as_deref(), number), (id, code), "{text}");
            assert!(message.contains(said), "{text}: {message}");
        }
        assert_eq!(refusal(b"{\"a\":\"\xff\"}").2, "not UTF-8 after byte 6");
        assert_eq!(refusal(&b"[".repeat(100_000)).1, PARSE_ERROR);
    }

    #[test]
    fn what_needs_no_answer_gets_none() {
        assert!(matches!(parse(b" \t\r"), Ok(None)));
        assert!(matches!(
            parse(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            Ok(Some(Message::Response(_)))
        ));
        for params in ["{}", "[]", "5"] {
            let text = format!(r#"{{"jsonrpc":"2.0","method":"n","params":{params}}}"#);
            assert!(matches!(parse(text.as_bytes()), Ok(Some(Message::Notification(_)))), "{text}");
        }
    }

    #[test]
    fn answers_are_one_line() {
        let id = Id::of(&json::int(7));
        assert_eq!(
            response(id.as_ref(), &Ok("{}".to_owned())),
            r#"{"jsonrpc":"2.0","id":7,"result":{}}"#
        );
        let failure = Failure::params("a\nb").with(json::object([("uri", json::text("x"))]));
        assert_eq!(
            response(None, &Err(failure)),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"a\nb","data":{"uri":"x"}}}"#
        );
        let params = Body::new().raw("progressToken", "1");
        assert_eq!(
            notification("notifications/progress", params),
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#
        );
    }
}
