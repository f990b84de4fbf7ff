//! What a caller without rights is told: how to sign in, and for what.
//!
//! It makes texts of headers and one document; who sends them is not its affair. Sources: RFC 6750
//! section 3, RFC 9728, `mcp.md` 14. Surprising: the address of this server is the one that the
//! configuration gives, never what a request calls it, or a request could choose the audience.

use crate::auth::claims::canonical;
use crate::error::{Error, Result};
use crate::text::json;
use crate::text::json::Value;

/// The one endpoint.
pub const ENDPOINT: &str = "/mcp";

/// Where clients look for the document, with or without the path of the endpoint behind it.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// This server, as something that tokens are issued for.
#[derive(Clone, Debug)]
pub struct Resource {
    uri: String,
    metadata: String,
    /// Path of the endpoint as clients see it, such as `/jump/mcp` behind a proxy.
    path: String,
    issuer: String,
    scopes: Vec<String>,
}

impl Resource {
    /// `base` is where clients reach this server; with or without `/mcp`.
    pub fn new(base: &str, issuer: &str, scopes: &[String]) -> Result<Resource> {
        let base = canonical(base);
        let Some((scheme, rest)) = base.split_once("://").filter(|it| !it.1.is_empty()) else {
            return Err(Error::usage("where clients reach this server is not a whole address")
                .hint("It looks like `https://jump.example.com`"));
        };
        if rest.contains(['?', '#', '@', ' ', '"', '\\']) {
            return Err(Error::usage("where clients reach this server has a query or a user")
                .hint("It looks like `https://jump.example.com`"));
        }
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = match path.strip_suffix(ENDPOINT) {
            Some(before) => format!("{before}{ENDPOINT}"),
            None => format!("{path}{ENDPOINT}"),
        };
        // No client is to be asked for it by a resource; it is a matter of client and issuer.
        let fits = |it: &&String| it.as_str() != "offline_access" && is_scope(it);
        Ok(Resource {
            uri: format!("{scheme}://{host}{path}"),
            metadata: format!("{scheme}://{host}{WELL_KNOWN}{path}"),
            path,
            issuer: issuer.to_owned(),
            scopes: scopes.iter().filter(fits).cloned().collect(),
        })
    }

    /// The address that tokens must name as their audience.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether the document is what a path asks for. A proxy may have cut its own part off.
    pub fn serves(&self, path: &str) -> bool {
        match path.trim_end_matches('/').strip_prefix(WELL_KNOWN) {
            Some(rest) => rest.is_empty() || rest == ENDPOINT || rest == self.path,
            None => false,
        }
    }

    /// The document about this server, in JSON.
    pub fn document(&self) -> String {
        let mut document = json::object([
            ("resource", json::text(&self.uri)),
            ("authorization_servers", json::texts(&[&self.issuer])),
            ("bearer_methods_supported", json::texts(&["header"])),
            ("resource_name", json::text("jumpvisor")),
        ]);
        if !self.scopes.is_empty() {
            document.insert("scopes_supported".to_owned(), json::texts(&self.scopes));
        }
        json::write(&Value::Object(document))
    }
}

/// Why a request is turned away, in the words of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It brings nothing: 401.
    Nothing,
    /// Its token or key is refused: 401.
    Token,
    /// It is known who asks, and more rights are needed: 403.
    Scope,
    /// It cannot be told what it brings: 400.
    Request,
}

impl Why {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Why::Nothing | Why::Token => 401,
            Why::Scope => 403,
            Why::Request => 400,
        }
    }

    fn word(self) -> Option<&'static str> {
        match self {
            Why::Nothing => None,
            Why::Token => Some("invalid_token"),
            Why::Scope => Some("insufficient_scope"),
            Why::Request => Some("invalid_request"),
        }
    }
}

/// The value of `WWW-Authenticate`; without a resource nobody issues tokens, and keys are asked for.
pub fn challenge(resource: Option<&Resource>, why: Why, description: &str) -> String {
    let mut parts = Vec::new();
    match resource {
        Some(it) => {
            parts.push(("resource_metadata", it.metadata.clone()));
            if !it.scopes.is_empty() && why != Why::Request {
                parts.push(("scope", it.scopes.join(" ")));
            }
        }
        None => parts.push(("realm", "jumpvisor".to_owned())),
    }
    if let Some(word) = why.word() {
        parts.push(("error", word.to_owned()));
        if !description.is_empty() {
            parts.push(("error_description", plain(description)));
        }
    }
    let parts: Vec<String> = parts.iter().map(|(name, it)| format!("{name}=\"{it}\"")).collect();
    format!("Bearer {}", parts.join(", "))
}

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 300;

/// What may stand between quotes there: visible ASCII without `"` and `\`.
fn plain(text: &str) -> String {
    let fit = |it: char| match it {
        '"' | '`' | '\\' => '\'',
        ' '..='~' => it,
        _ => '?',
    };
    text.chars().take(MAX_DESCRIPTION).map(fit).collect()
}

fn is_scope(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_graphic() && it != b'"' && it != b'\\';
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(base: &str) -> Resource {
        let scopes = ["openid", "offline_access", "a b", "x\"y", "groups"].map(str::to_owned);
        Resource::new(base, "https://id.example/", &scopes).unwrap()
    }

    #[test]
    fn one_address_however_it_is_written() {
        for base in ["https://Jump.example", "HTTPS://jump.example/", "https://jump.example/mcp/"] {
            let it = resource(base);
            assert_eq!(it.uri(), "https://jump.example/mcp");
            assert_eq!(
                it.metadata,
                "https://jump.example/.well-known/oauth-protected-resource/mcp"
            );
        }
        let behind = resource("https://a:8443/jump");
        assert_eq!(behind.uri(), "https://a:8443/jump/mcp");
        for path in ["", "/", "/mcp", "/mcp/", "/jump/mcp"] {
            assert!(behind.serves(&format!("{WELL_KNOWN}{path}")), "{path}");
        }
        for path in ["/mcp", "", "/", "/.well-known/oauth-protected-resourcex", "/x/.well-known/"] {
            assert!(!behind.serves(path), "{path}");
        }
        assert!(!behind.serves(&format!("{WELL_KNOWN}/other")));
        for base in ["jump.example", "https://", "https://a/?b", "https://u:p@a", "https://a/\"b"] {
            assert!(Resource::new(base, "https://id", &[]).is_err(), "{base}");
        }
    }

    #[test]
    fn the_document() {
        assert_eq!(
            resource("https://a").document(),
            r#"{"authorization_servers":["https://id.example/"],"bearer_methods_supported":["header"],"resource":"https://a/mcp","resource_name":"jumpvisor","scopes_supported":["openid","groups"]}"#
        );
        let without = Resource::new("https://a", "https://id", &[]).unwrap();
        assert!(!without.document().contains("scopes_supported"));
    }

    #[test]
    fn challenges() {
        let it = resource("https://a");
        let metadata = "resource_metadata=\"https://a/.well-known/oauth-protected-resource/mcp\"";
        let scope = "scope=\"openid groups\"";
        assert_eq!(challenge(Some(&it), Why::Nothing, "x"), format!("Bearer {metadata}, {scope}"));
        assert_eq!(
            challenge(Some(&it), Why::Token, "it is `x\"\\\r\nSet-Cookie: ü`"),
            format!(
                "Bearer {metadata}, {scope}, error=\"invalid_token\", \
                 error_description=\"it is 'x''??Set-Cookie: ?'\""
            )
        );
        let more = challenge(Some(&it), Why::Scope, &"x".repeat(10_000));
        assert!(more.contains(", error=\"insufficient_scope\"") && more.len() < 600, "{more}");
        assert_eq!(challenge(None, Why::Nothing, ""), "Bearer realm=\"jumpvisor\"");
        assert_eq!(
            challenge(None, Why::Request, "two"),
            "Bearer realm=\"jumpvisor\", error=\"invalid_request\", error_description=\"two\""
        );
    }
}
