//! XML out, with every text escaped, and XML in, with hostile shapes refused first.
//!
//! It knows nothing of SOAP. Surprising: [`parse`] reads the text twice; the first pass costs a few
//! milliseconds a megabyte and refuses the shapes for which the parser would take minutes.

use roxmltree::{Document, Node, ParsingOptions};

use crate::error::{Error, Kind, Result, quoted};
use crate::text::scan::Scanner;

pub use crate::text::split::Splitter;

/// The namespace of `xsi:type`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The namespace of `xsd:string` and its like.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// Elements, texts, comments and instructions of one document; about 70 MB of tree.
const NODES: u32 = 1_000_000;

/// Parses text that a peer sent; DTDs, deep nesting and many attributes are refused.
pub fn parse(text: &str) -> Result<Document<'_>> {
    let (mut scanner, mut ahead) = (Scanner::new(), text.as_bytes());
    while !ahead.is_empty() {
        let (taken, event) = scanner.advance(ahead);
        event?;
        ahead = &ahead[taken..];
    }
    parse_scanned(text)
}

/// Parses what a [`Splitter`] handed out: it has been through the same scanner already.
pub fn parse_scanned(text: &str) -> Result<Document<'_>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..Default::default() };
    Document::parse_with_options(text, options).map_err(|e| {
        let why = quoted(&e.to_string());
        Error::new(Kind::Remote, format!("the XML cannot be read: {why}"))
    })
}

/// The first child element of this local name, whatever its namespace.
pub fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|it| it.is_element() && it.tag_name().name() == name)
}

/// The child elements.
pub fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The text of an element, also where CDATA or comments cut it in pieces.
pub fn text_of(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|it| it.text()).collect()
}

/// An element as text that stands for itself: it declares every namespace that it uses.
///
/// Prefixes are replaced by our own (`xsi`, `xsd`, `n0` ...), also in the value of `xsi:type`.
pub fn standalone(node: Node<'_, '_>) -> Result<String> {
    let mut writer = Writer::new();
    copy(&mut writer, node, None)?;
    Ok(writer.finish())
}

fn copy(writer: &mut Writer, node: Node<'_, '_>, outer: Option<&str>) -> Result<()> {
    let tag = node.tag_name();
    let namespace = tag.namespace().unwrap_or_default();
    let mut attributes: Vec<(String, String)> = Vec::new();
    if outer.unwrap_or_default() != namespace {
        attributes.push(("xmlns".into(), namespace.into()));
    }
    for it in node.attributes() {
        let value = match (it.namespace(), it.name()) {
            (Some(XSI), "type") => qualified(node, it.value(), namespace, &mut attributes),
            _ => it.value().to_owned(),
        };
        let prefix = it.namespace().map(|uri| prefix(uri, &mut attributes));
        attributes.push((joined(prefix, it.name()), value));
    }
    let borrowed: Vec<(&str, &str)> = attributes.iter().map(|(k, v)| (&**k, &**v)).collect();
    writer.open(tag.name(), &borrowed)?;
    for child in node.children() {
        match child.is_element() {
            true => copy(writer, child, Some(namespace))?,
            false if child.is_text() => writer.text(child.text().unwrap_or_default())?,
            false => {}
        }
    }
    writer.close(tag.name());
    Ok(())
}

/// A type's name with a prefix that holds where it will stand.
fn qualified(
    node: Node<'_, '_>,
    value: &str,
    namespace: &str,
    declared: &mut Vec<(String, String)>,
) -> String {
    let (old, local) = match value.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, value),
    };
    match node.lookup_namespace_uri(old) {
        Some(uri) if uri != namespace => joined(Some(prefix(uri, declared)), local),
        _ => local.to_owned(),
    }
}

/// Our prefix for a namespace, declared if it was not yet.
fn prefix(uri: &str, declared: &mut Vec<(String, String)>) -> String {
    const XML: &str = "http://www.w3.org/XML/1998/namespace";
    let own = |(key, value): &(String, String)| match key.strip_prefix("xmlns:") {
        Some(prefix) if value == uri => Some(prefix.to_owned()),
        _ => None,
    };
    if let Some(found) = declared.iter().find_map(own) {
        return found;
    }
    let fresh = match uri {
        XML => return "xml".to_owned(),
        XSI => "xsi".to_owned(),
        XSD => "xsd".to_owned(),
        _ => format!("n{}", declared.len()),
    };
    declared.push((format!("xmlns:{fresh}"), uri.to_owned()));
    fresh
}

fn joined(prefix: Option<String>, local: &str) -> String {
    match prefix {
        Some(prefix) => format!("{prefix}:{local}"),
        None => local.to_owned(),
    }
}

/// Writes XML; what is not markup is escaped.
#[derive(Default)]
pub struct Writer {
    out: String,
}

impl Writer {
    /// An empty text.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// `<name a="b">`.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<()> {
        self.out.push('<');
        self.out.push_str(name);
        for (key, value) in attributes {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("=\"");
            escape(&mut self.out, value, true)?;
            self.out.push('"');
        }
        self.out.push('>');
        Ok(())
    }

    /// `</name>`.
    pub fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Text between tags.
    pub fn text(&mut self, text: &str) -> Result<()> {
        escape(&mut self.out, text, false)
    }

    /// Markup as it is.
    pub fn raw(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.out
    }
}

/// Adds `text` with `&`, `<`, `>` escaped; in an attribute also quotes and line ends.
///
/// A carriage return is written as a reference, else the reader would make a line feed of it.
pub fn escape(out: &mut String, text: &str, attribute: bool) -> Result<()> {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => {
                let number = u32::from(c);
                return Err(Error::usage(format!("the character U+{number:04X} cannot be sent"))
                    .hint("Remove control characters from the text"));
            }
            _ => out.push(c),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn refused(text: &str) -> String {
        let begun = Instant::now();
        let error = parse(text).err().map(|e| (e.kind(), e.to_string()));
        // Minutes where it goes wrong; a busy machine is no fault.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let (kind, text) = error.unwrap();
        assert_eq!(kind, Kind::Remote);
        text
    }

    #[test]
    fn hostile_shapes_are_refused_quickly() {
        let attributes: String = (0..200_000).map(|it| format!(" a{it}='1'")).collect();
        let many = refused(&format!("<r{attributes}/>"));
        assert_eq!(many, "the XML is refused: a tag has more than 64 attributes");
        let deep = "<a>".repeat(100_000);
        assert_eq!(refused(&deep), "the XML is refused: elements are nested deeper than 128");
        let names: String = (0..4000).map(|it| format!("<a xmlns:n{it}='u{it}'>")).collect();
        assert!(refused(&names).contains("64 namespaces"));
        let dtd = "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>";
        assert_eq!(refused(dtd), "the XML is refused: it declares a document type");
        assert!(refused(&format!("<r>{}</r>", "<a/>".repeat(1_100_000))).contains("nodes limit"));
        for text in ["", "<a>", "<a></b>", "</a>", "<a", "<a x='", "<>", "<!-- ", "<![CDAT", "a"] {
            assert!(refused(text).starts_with("the XML "), "{text}");
        }
        assert!(refused("<a>\u{1}\u{1b}[31m</a>").chars().all(|c| !c.is_control()));
    }

    #[test]
    fn siblings_in_many_namespaces_are_quick() {
        let outer: String = (0..60).map(|it| format!(" xmlns:n{it}='u{it}'")).collect();
        let text = format!("<r{outer}>{}</r>", "<a xmlns:z='z'/>".repeat(50_000));
        let begun = Instant::now();
        assert!(parse(&text).is_ok());
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn what_is_written_reads_back() {
        let nasty = "a<b>&\"c'\r\n\t ]]> é \u{10ffff}";
        let mut writer = Writer::new();
        writer.open("a", &[("b", nasty)]).unwrap();
        writer.text(nasty).unwrap();
        writer.close("a");
        let text = writer.finish();
        let doc = parse(&text).unwrap();
        assert_eq!(doc.root_element().attribute("b"), Some(nasty));
        assert_eq!(text_of(doc.root_element()), nasty);
    }

    #[test]
    fn a_part_stands_for_itself() {
        let text = "<s:E xmlns:s='u:s' xmlns='urn:vim25' xmlns:x='http://www.w3.org/2001/XMLSchema'>\
            <a xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:type='x:string' type='&quot;'>\
            <b i:type='D' s:t='1' xml:lang='en'>&lt;</b><s:c i:type='s:F' i:nil='1'/></a></s:E>";
        let doc = parse(text).unwrap();
        let part = standalone(child(doc.root_element(), "a").unwrap()).unwrap();
        assert_eq!(
            part,
            format!(
                "<a xmlns=\"urn:vim25\" xmlns:xsd=\"{XSD}\" xmlns:xsi=\"{XSI}\" \
                 xsi:type=\"xsd:string\" type=\"&quot;\"><b xmlns:xsi=\"{XSI}\" xsi:type=\"D\" \
                 xmlns:n2=\"u:s\" n2:t=\"1\" xml:lang=\"en\">&lt;</b><c xmlns=\"u:s\" \
                 xmlns:xsi=\"{XSI}\" xsi:type=\"F\" xsi:nil=\"1\"></c></a>"
            )
        );
        assert!(parse(&part).is_ok());
    }

    #[test]
    fn control_characters_are_not_sent() {
        let error = Writer::new().text("bell \u{7}").unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (
                Kind::Usage,
                "the character U+0007 cannot be sent. Remove control characters from the text"
            )
        );
    }
}
