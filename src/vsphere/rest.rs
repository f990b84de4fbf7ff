//! The REST interface of a vCenter, as far as tags need it: its own session, two dialects, errors.
//!
//! Since 7.0 it lies at `/api`; before, at `/rest`, where answers are wrapped in `value`. It must
//! not know what a tag is. The second gate stands here as it stands in the session: what is on no
//! list writes. Surprising: it shares nothing with the SOAP session, neither cookie nor expiry,
//! and a real vCenter may forget the one and keep the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::{Call, Rights};
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::text::percent::encode;
use crate::text::secret::Secret;
use crate::vsphere::session::Session;
use crate::vsphere::wire::Wire;
use crate::web::exchange::{Request, Response, read_capped};
use crate::web::failure::was_silent;

/// Where a session begins, in the dialect of today and in the older one.
const SESSIONS: [&str; 2] = ["/api/session", "/rest/com/vmware/cis/session"];
const TAGGING: [&str; 2] = ["/api/cis/tagging", "/rest/com/vmware/cis/tagging"];

/// Largest answer: ids of some 50,000 tags.
const MAX_ANSWER: usize = 4 << 20;

/// Longest session id that is believed.
const MAX_ID: usize = 1_000;

/// The mark of an answer that says that the session has ended.
const EXPIRED: &str = "unauthenticated";

/// The actions that only read; sorted.
static READS: &[&str] = &["", "list-attached-tags", "list-tags-for-category"];

/// One request below `tagging`.
pub struct Ask<'a> {
    /// `category`, `tag` or `tag-association`.
    pub part: &'static str,
    /// Which one; all where it is left out.
    pub id: Option<&'a str>,
    /// `attach`, `list-attached-tags` ...; empty to read.
    pub action: &'static str,
    pub body: Object,
}

/// A server's one REST session.
#[derive(Default)]
pub struct Rest(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Open(Arc<Open>),
    /// The server said no to the account; asking again could lock it.
    Refused(Error),
}

struct Open {
    id: Secret,
    old: bool,
}

impl Rest {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where there is a session to end; one that is being opened counts.
    pub fn is_open(&self) -> bool {
        match self.0.try_lock() {
            Ok(state) => matches!(*state, State::Open(_)),
            Err(_) => true,
        }
    }

    /// Ends the session, waiting for the answer no longer than `parting`.
    pub fn close(&self, wire: &Wire, parting: Duration) {
        let until = Instant::now() + parting;
        let open = loop {
            match self.0.try_lock() {
                Ok(mut state) => break taken(&mut state),
                Err(TryLockError::Poisoned(it)) => break taken(&mut it.into_inner()),
                // A login is under way; it must be ended too, or it leaks.
                Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return,
            }
        };
        let Some(open) = open else { return };
        let mut request = Request::new("DELETE", session_path(open.old), b"")
            .header("vmware-api-session-id", open.id.reveal());
        request.silence = Some(parting);
        if let Err(error) = wire.send(&request) {
            crate::logging::info!("end of the REST session: {error}");
        }
    }
}

/// The session out of its place; a refusal stays, so that the account is not tried again.
fn taken(state: &mut State) -> Option<Arc<Open>> {
    let State::Open(open) = state else { return None };
    let open = open.clone();
    *state = State::Closed;
    Some(open)
}

fn session_path(old: bool) -> &'static str {
    SESSIONS[usize::from(old)]
}

impl Session {
    /// Asks the REST interface of a vCenter; nothing where the answer is empty.
    pub fn rest(self: &Arc<Session>, call: &Call, ask: &Ask<'_>) -> Result<Value> {
        if call.rights() == Rights::ReadOnly && !READS.contains(&ask.action) {
            let said =
                format!("{} {} changes things, and this call may only read", ask.part, ask.action);
            return Err(Error::new(Kind::Denied, said));
        }
        // The SOAP session tells what the server is, and its janitor ends this one too.
        self.with(call, |_| {
            let open = self.opened(call, None)?;
            match self.rest_once(call, ask, &open) {
                Err(error) if error.fault_name() == Some(EXPIRED) => {
                    crate::logging::info!("the REST session has expired; logging in again");
                    let open = self.opened(call, Some(&open))?;
                    self.rest_once(call, ask, &open)
                }
                result => result,
            }
        })
    }

    /// The open session, but not `dead`, which has expired.
    fn opened(&self, call: &Call, dead: Option<&Arc<Open>>) -> Result<Arc<Open>> {
        let mut state = self.rest.lock();
        call.check()?;
        match &*state {
            State::Open(open) if !dead.is_some_and(|dead| Arc::ptr_eq(dead, open)) => {
                return Ok(open.clone());
            }
            State::Refused(error) => return Err(error.clone()),
            _ => {}
        }
        *state = State::Closed;
        match self.open_rest(call) {
            Ok(open) => {
                let open = Arc::new(open);
                *state = State::Open(open.clone());
                Ok(open)
            }
            Err(error) => {
                if error.fault_name() == Some(EXPIRED) {
                    *state = State::Refused(error.clone());
                }
                Err(error)
            }
        }
    }

    fn open_rest(&self, call: &Call) -> Result<Open> {
        let mut last = None;
        for old in [false, true] {
            let mut request = Request::new("POST", session_path(old), b"")
                .header("Accept", "application/json")
                .header("Authorization", self.basic().reveal());
            request.silence = Some(self.patience(call, None));
            let response = self.wire.send(&request)?;
            match answer(response, old) {
                Ok(Value::String(id)) if fits(&id) => return Ok(Open { id: Secret::new(id), old }),
                Ok(_) => last = Some(Error::new(Kind::Remote, "the answer names no session")),
                Err(error) if matches!(error.kind(), Kind::Denied | Kind::Busy) => {
                    return Err(error.during("login to the REST interface"));
                }
                // What lies at `/api` of an older server answers in its own way. Unverified: in which.
                Err(error) => last = Some(error),
            }
        }
        let last = last.map_or(String::new(), |it| format!(": {}", it.sentence()));
        Err(Error::new(Kind::Remote, format!("the vCenter opens no REST session{last}")).hint(
            "Tags need its REST interface; look whether a proxy on the way lets /api through",
        ))
    }

    fn rest_once(&self, call: &Call, ask: &Ask<'_>, open: &Open) -> Result<Value> {
        call.check()?;
        let (method, path, body) = written(ask, open.old);
        let mut request = Request::new(method, path, body.as_bytes())
            .header("Accept", "application/json")
            .header("vmware-api-session-id", open.id.reveal());
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json");
        }
        request.silence = Some(self.patience(call, None));
        let send = || answer(self.wire.send(&request)?, open.old);
        match send() {
            Err(error)
                if error.kind() == Kind::Network
                    && !was_silent(&error)
                    && READS.contains(&ask.action) =>
            {
                crate::logging::info!("{}: {error}; trying once more", ask.part);
                send()
            }
            result => result,
        }
        .map_err(|error| error.during(format!("{} {}", ask.part, ask.action).trim().to_owned()))
    }
}

/// Method, path and body of a request in one of the two dialects.
fn written(ask: &Ask<'_>, old: bool) -> (&'static str, String, String) {
    let mut path = format!("{}/{}", TAGGING[usize::from(old)], ask.part);
    let mut body = ask.body.clone();
    match ask.id {
        // Today's dialect wants this one id in the body.
        Some(id) if !old && ask.action == "list-tags-for-category" => {
            body.insert("category_id".to_owned(), json::text(id));
        }
        Some(id) => {
            path.push_str(if old { "/id:" } else { "/" });
            path.push_str(&encode(id, ":"));
        }
        None => {}
    }
    if ask.action.is_empty() {
        return ("GET", path, String::new());
    }
    path.push_str(if old { "?~action=" } else { "?action=" });
    path.push_str(ask.action);
    let body = if body.is_empty() { String::new() } else { json::write_object(&body) };
    ("POST", path, body)
}

/// A session id that may stand in a header.
fn fits(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic())
}

/// What an answer says, without the wrapping of the older dialect.
fn answer(mut response: Response, old: bool) -> Result<Value> {
    let bytes = read_capped(&mut response.body, MAX_ANSWER)?;
    let text = String::from_utf8_lossy(&bytes);
    let good = matches!(response.status, 200..=204);
    if good && text.trim().is_empty() {
        return Ok(Value::Null);
    }
    match (json::parse(&text), good) {
        (Ok(Value::Object(mut object)), true) if old => {
            Ok(object.remove("value").unwrap_or(Value::Null))
        }
        (Ok(value), true) => Ok(value),
        (Err(error), true) => {
            Err(Error::new(Kind::Remote, format!("the answer is no JSON: {error}")))
        }
        (value, false) => Err(refused(response.status, value.ok())),
    }
}

/// The error for a status that is none of success, with the server's own words.
fn refused(status: u16, value: Option<Value>) -> Error {
    let outer = match &value {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    };
    let inner = outer.and_then(|it| json::get_object(it, "value")).or(outer);
    let first = inner.and_then(|it| match it.get("messages") {
        Some(Value::Array(all)) => all.iter().next(),
        _ => None,
    });
    let words = match first {
        Some(Value::Object(message)) => json::get_text(message, "default_message"),
        _ => None,
    };
    let words = quoted(words.unwrap_or_default());
    let said = match words.trim_end_matches('.') {
        "" => format!("the server refused with HTTP {status}"),
        words => format!("the server refused: {words} (HTTP {status})"),
    };
    let (kind, hint) = match status {
        401 => (Kind::Denied, "The account may lack the right to use the REST interface"),
        403 => (Kind::Denied, "Ask the server's administrator for the privilege (vSphere Tagging)"),
        404 => (Kind::NotFound, "list_tags shows what there is"),
        429 | 503 => {
            (Kind::Busy, "Its session table is full, or it is starting; try again in a minute")
        }
        502 | 504 => (Kind::Network, "Look at the proxy, or set NO_PROXY for this host"),
        _ => (Kind::Remote, ""),
    };
    let error = Error::new(kind, said);
    match status {
        401 => error.fault(EXPIRED).hint(hint),
        _ if hint.is_empty() => error,
        _ => error.hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(id: Option<&'static str>, action: &'static str) -> Ask<'static> {
        Ask { part: "tag", id, action, body: Object::new() }
    }

    #[test]
    fn a_request_is_written_in_both_dialects() {
        let told = |ask: &Ask<'_>, old| {
            let (method, path, body) = written(ask, old);
            format!("{method} {path} {body}")
        };
        let one = ask(Some("urn:a/../b?c d\r\n:GLOBAL"), "");
        assert_eq!(
            told(&one, false),
            "GET /api/cis/tagging/tag/urn:a%2F..%2Fb%3Fc%20d%0D%0A:GLOBAL "
        );
        let by_category = ask(Some("c1"), "list-tags-for-category");
        assert_eq!(
            told(&by_category, false),
            "POST /api/cis/tagging/tag?action=list-tags-for-category {\"category_id\":\"c1\"}"
        );
        assert_eq!(
            told(&by_category, true),
            "POST /rest/com/vmware/cis/tagging/tag/id:c1?~action=list-tags-for-category "
        );
    }

    #[test]
    fn answers_are_unwrapped_and_refusals_told() {
        let read = |status, text: &'static str, old| {
            answer(Response::new(status, Vec::new(), Box::new(text.as_bytes())), old)
        };
        assert_eq!(json::write(&read(200, r#"{"value":["a"]}"#, true).unwrap()), r#"["a"]"#);
        assert_eq!(json::write(&read(200, r#"["a"]"#, false).unwrap()), r#"["a"]"#);
        assert!(matches!(read(204, "", false), Ok(Value::Null)));
        assert!(read(200, "<html>", false).unwrap_err().to_string().contains("no JSON"));
        let old = r#"{"type":"x","value":{"messages":[{"default_message":"Gone."}]}}"#;
        let said = read(404, old, true).unwrap_err();
        assert_eq!(
            (said.kind(), said.sentence()),
            (Kind::NotFound, "the server refused: Gone (HTTP 404)".into())
        );
        let expired = read(401, r#"{"messages":[]}"#, false).unwrap_err();
        assert_eq!(expired.fault_name(), Some(EXPIRED));
        assert_eq!(read(500, "no\u{1b}[0m JSON", false).unwrap_err().kind(), Kind::Remote);
    }

    #[test]
    fn a_session_id_fits_a_header_or_is_not_believed() {
        assert!(fits("b00c5f34") && !fits("") && !fits("a\r\nb: c") && !fits(&"x".repeat(2_000)));
    }
}
