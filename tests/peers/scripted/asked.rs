//! A request as the peer reads it: by a parser of its own, so that it judges what arrives.
//!
//! It knows nothing of the program under test. Surprising: the body is parsed anew for every
//! question about it, which is cheap at the sizes of tests and keeps the type plain.

use roxmltree::{Document, Node};

/// One HTTP request and, where it is SOAP, which method of which object it calls.
#[derive(Default)]
pub struct Asked {
    pub verb: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// `PowerOnVM_Task`; for a GET the verb and the path.
    pub method: String,
    pub this_kind: String,
    pub this: String,
}

impl Asked {
    pub fn new(verb: &str, path: &str, headers: Vec<(String, String)>, body: &[u8]) -> Asked {
        let body = String::from_utf8(body.to_vec()).unwrap();
        let (verb, path) = (verb.to_owned(), path.to_owned());
        let mut asked = Asked { verb, path, headers, body, ..Asked::default() };
        if asked.body.is_empty() {
            asked.method = format!("{} {}", asked.verb, asked.path);
            return asked;
        }
        let (method, kind, id) = asked.with(|call| {
            let this = call.first_element_child().unwrap();
            assert_eq!(this.tag_name().name(), "_this", "`_this` comes first");
            assert_eq!(call.tag_name().namespace(), Some("urn:vim25"));
            let kind = this.attribute("type").unwrap().to_owned();
            (call.tag_name().name().to_owned(), kind, text(this))
        });
        (asked.method, asked.this_kind, asked.this) = (method, kind, id);
        asked
    }

    /// Gives the element of the call to `look`.
    pub fn with<T>(&self, look: impl FnOnce(Node<'_, '_>) -> T) -> T {
        let document = Document::parse(&self.body).unwrap();
        let body = document
            .root_element()
            .children()
            .find(|node| node.tag_name().name() == "Body")
            .unwrap();
        look(body.first_element_child().unwrap())
    }

    /// The texts at a path of element names below the call.
    pub fn args(&self, path: &str) -> Vec<String> {
        self.with(|call| at(call, path).into_iter().map(text).collect())
    }

    /// The first of them.
    pub fn arg(&self, path: &str) -> Option<String> {
        self.args(path).into_iter().next()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Every element at a path of names below `from`.
pub fn at<'a, 'i>(from: Node<'a, 'i>, path: &str) -> Vec<Node<'a, 'i>> {
    let mut found = vec![from];
    for name in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|node| node.children().filter(|child| child.tag_name().name() == name))
            .collect();
    }
    found
}

/// All text of an element.
pub fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().to_owned()
}
