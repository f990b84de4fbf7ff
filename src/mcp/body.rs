//! A JSON object as text, in the order in which its members are added.
//!
//! For what is only passed on: the schemas of the tools come as text, and their order is worth
//! keeping, which an object of `text::json` would not do.

use crate::text::json;

/// An object in the making: nothing, or its text without the last brace.
#[derive(Default)]
pub struct Body(String);

impl Body {
    /// An object without members.
    pub fn new() -> Body {
        Body::default()
    }

    /// Adds a member whose value is JSON text already; its name is one of ours and needs no escapes.
    pub fn raw(mut self, name: &str, value: &str) -> Body {
        debug_assert!(!name.contains(['"', '\\']) && !name.contains(char::is_control), "{name}");
        let first = if self.0.is_empty() { "{\"" } else { ",\"" };
        // Room for all of it at once: results are nested, and copied often enough.
        self.0.reserve(name.len() + value.len() + 5);
        for part in [first, name, "\":", value] {
            self.0.push_str(part);
        }
        self
    }

    /// Adds a text.
    pub fn text(self, name: &str, value: &str) -> Body {
        self.raw(name, &json::quote(value))
    }

    /// Adds a text that may be missing.
    pub fn maybe_text(self, name: &str, value: Option<&str>) -> Body {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a switch.
    pub fn flag(self, name: &str, value: bool) -> Body {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// Adds an object.
    pub fn object(self, name: &str, value: Body) -> Body {
        self.raw(name, &value.json())
    }

    /// Adds an array of values that are JSON text already.
    pub fn array<S: AsRef<str>>(self, name: &str, items: &[S]) -> Body {
        let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        self.raw(name, &format!("[{}]", items.join(",")))
    }

    /// True while it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as JSON text.
    pub fn json(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_are_quoted() {
        let inner = Body::new().flag("z", true).array("a", &["1", "\"x\""]);
        let body = Body::new().text("t", "a\n\"b\"").maybe_text("none", None).object("o", inner);
        assert_eq!(body.json(), r#"{"t":"a\n\"b\"","o":{"z":true,"a":[1,"x"]}}"#);
        assert_eq!((Body::new().is_empty(), Body::new().json()), (true, "{}".to_owned()));
    }
}
