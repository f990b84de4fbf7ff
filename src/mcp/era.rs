//! The two eras of the protocol: how a message shows its era, and how answers differ.
//!
//! Modern requests (since 2026-07-28) carry their version in `_meta`; legacy clients shake hands
//! with `initialize` and then send bare requests. Surprising: the version key alone decides, so
//! that a modern envelope that lacks the rest is told so instead of being served as legacy.

use crate::mcp::body::Body;
use crate::mcp::rpc::{Failure, UNSUPPORTED_VERSION};
use crate::text::json;
use crate::text::json::{Object, Value};

/// The version that requests name in `_meta`.
pub const MODERN: &str = "2026-07-28";
/// Versions that are reached by `initialize`, the newest first.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Where a modern request names its version.
pub const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// Where a modern request says what its client can do.
pub const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// Where a modern result says who made it.
pub const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Which rules one request is served by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

/// The era of a request, after its envelope was checked.
pub fn of(params: &Object) -> Result<Era, Failure> {
    let meta = match params.get("_meta") {
        None | Some(Value::Null) => return Ok(Era::Legacy),
        Some(Value::Object(meta)) => meta,
        Some(other) => {
            return Err(Failure::params(format!(
                "`_meta` must be an object, not {}",
                json::sort(other)
            )));
        }
    };
    match meta.get(VERSION_KEY) {
        None => return Ok(Era::Legacy),
        Some(Value::String(version)) if version == MODERN => {}
        Some(Value::String(version)) => return Err(unsupported(version)),
        Some(other) => return Err(wrong(VERSION_KEY, "a string", other)),
    }
    match meta.get(CAPABILITIES_KEY) {
        Some(Value::Object(_)) => Ok(Era::Modern),
        Some(other) => Err(wrong(CAPABILITIES_KEY, "an object", other)),
        None => Err(lacking(&[CAPABILITIES_KEY])),
    }
}

/// For a method that only modern clients have, sent without their envelope.
pub fn no_envelope(params: &Object) -> Failure {
    let meta = json::get_object(params, "_meta");
    let has = |key: &&str| meta.is_some_and(|meta| meta.contains_key(*key));
    let keys: Vec<&str> =
        [VERSION_KEY, CAPABILITIES_KEY].into_iter().filter(|it| !has(it)).collect();
    lacking(&keys)
}

fn lacking(keys: &[&str]) -> Failure {
    Failure::params(format!("`_meta` lacks {}", keys.join(" and ")))
}

fn wrong(key: &str, want: &str, value: &Value) -> Failure {
    Failure::params(format!("{key} in `_meta` must be {want}, not {}", json::sort(value)))
}

/// For a version that is neither spoken nor reached by `initialize`.
pub fn unsupported(version: &str) -> Failure {
    let said = format!("unsupported protocol version `{}`", crate::error::quoted(version));
    Failure::new(UNSUPPORTED_VERSION, said).with(json::object([
        ("supported", json::texts(&supported())),
        ("requested", json::text(version)),
    ]))
}

/// Every version, the newest first. The older ones are named too: clients take the newest that
/// they know, and one that knows only those finds its way to `initialize`.
pub fn supported() -> Vec<&'static str> {
    std::iter::once(MODERN).chain(LEGACY).collect()
}

/// Who we are.
pub fn server_info() -> Body {
    Body::new()
        .text("name", "jumpvisor")
        .text("title", "jumpvisor for VMware ESXi and vCenter")
        .text("version", env!("CARGO_PKG_VERSION"))
}

/// Completes a modern result of another sort than `complete`, which ends nothing yet.
pub fn unended(body: Body, sort: &str) -> String {
    let meta = Body::new().object(SERVER_KEY, server_info());
    body.text("resultType", sort).object("_meta", meta).json()
}

impl Era {
    /// Completes a result: what modern ones must carry, and our own `_meta` in both eras. `ttl_ms`
    /// is given for those results that the protocol calls cacheable.
    pub fn finish(self, mut body: Body, mut meta: Body, ttl_ms: Option<u32>) -> String {
        if self == Era::Modern {
            body = body.text("resultType", "complete");
            if let Some(ttl_ms) = ttl_ms {
                body = body.raw("ttlMs", &ttl_ms.to_string()).text("cacheScope", "private");
            }
            meta = meta.object(SERVER_KEY, server_info());
        }
        if !meta.is_empty() {
            body = body.object("_meta", meta);
        }
        body.json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn era(meta: &str) -> Result<Era, Failure> {
        match json::parse(&format!(r#"{{"_meta":{meta}}}"#)) {
            Ok(Value::Object(params)) => of(&params),
            other => panic!("{:?}", other.err()),
        }
    }

    #[test]
    fn the_version_key_decides() {
        let modern = format!(r#"{{"{VERSION_KEY}":"2026-07-28","{CAPABILITIES_KEY}":{{}}}}"#);
        assert_eq!(era(&modern).unwrap(), Era::Modern);
        assert_eq!(of(&Object::new()).unwrap(), Era::Legacy);
        for legacy in ["null", "{}", r#"{"progressToken":1}"#] {
            assert_eq!(era(legacy).unwrap(), Era::Legacy);
        }
        assert_eq!(era(&format!(r#"{{"{CAPABILITIES_KEY}":{{}}}}"#)).unwrap(), Era::Legacy);
    }

    #[test]
    fn half_an_envelope_is_told_what_it_lacks() {
        for (meta, code, said) in [
            ("5".to_owned(), -32602, "not a number"),
            (format!(r#"{{"{VERSION_KEY}":5}}"#), -32602, "must be a string"),
            (
                format!(r#"{{"{VERSION_KEY}":"2026-07-28"}}"#),
                -32602,
                "lacks io.modelcontextprotocol/clientCap",
            ),
            (
                format!(r#"{{"{VERSION_KEY}":"2026-07-28","{CAPABILITIES_KEY}":[]}}"#),
                -32602,
                "not an array",
            ),
            (format!(r#"{{"{VERSION_KEY}":"1900-01-01"}}"#), -32022, "`1900-01-01`"),
            (
                format!(r#"{{"{VERSION_KEY}":"2025-11-25","{CAPABILITIES_KEY}":{{}}}}"#),
                -32022,
                "2025",
            ),
        ] {
            let failure = era(&meta).unwrap_err();
            assert_eq!(failure.code, code, "{meta}");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
        let said = no_envelope(&Object::new()).message;
        assert!(said.contains(VERSION_KEY) && said.contains(CAPABILITIES_KEY), "{said}");
    }

    #[test]
    fn legacy_results_stay_bare() {
        let bare = Era::Legacy.finish(Body::new().raw("a", "1"), Body::new(), Some(5));
        assert_eq!(bare, r#"{"a":1}"#);
        let full = Era::Modern.finish(Body::new(), Body::new(), Some(5));
        assert!(full.starts_with(
            r#"{"resultType":"complete","ttlMs":5,"cacheScope":"private","_meta":{"io."#
        ));
    }
}
