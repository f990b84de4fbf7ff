//! The usual row of a list, read without building a tree: a list is made of thousands.
//!
//! It knows one shape only, `<objects>` with plain values, and gives up at anything else: an
//! escape, a comment, a nested value, a missing property. Giving up costs nothing but time, since
//! `crate::vsphere::decode` then reads the same text. Surprising: a prefixed attribute `type` is
//! taken for `xsi:type` whatever its prefix; no answer has another one.

use crate::vim::table::Type;
use crate::vim::value::{Ref, Value};
use crate::vsphere::decode::Content;
use crate::vsphere::scalar;

/// The first `<objects>` in a document, if it has the usual shape.
pub fn content(document: &str) -> Option<Content> {
    let mut at = document.find("<objects>").map(|at| Cursor(document.get(at..).unwrap_or("")))?;
    at.open("objects")?;
    let obj = at.open("obj")?;
    let object = Ref::new(Type::find(obj.own?)?.name(), at.text("obj")?);
    let mut properties = Vec::new();
    while at.0.starts_with("<propSet>") {
        at.open("propSet")?;
        at.open("name")?;
        let name = at.text("name")?.to_owned();
        let value = at.open("val")?;
        let text = at.text("val")?;
        properties.push((name, plain(&value, text)?));
        at.close("propSet")?;
    }
    at.close("objects")?;
    Some(Content { at: object, properties, missing: Vec::new() })
}

fn plain(tag: &Tag<'_>, text: &str) -> Option<Value> {
    match tag.concrete? {
        "string" => Some(Value::Text(text.to_owned())),
        "int" => text.parse::<i32>().ok().map(|number| Value::Int(number.into())),
        "boolean" => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        "ManagedObjectReference" => {
            Some(Ref::new(Type::find(tag.own?)?.name(), text.to_owned()).into())
        }
        name => {
            let ty = Type::find(name).filter(|ty| scalar::is_plain(*ty))?;
            Some(scalar::read_any(ty, text.to_owned()))
        }
    }
}

/// A start tag: its attribute `type` without a prefix, and that with one, without its own prefix.
struct Tag<'a> {
    own: Option<&'a str>,
    concrete: Option<&'a str>,
}

/// What is left of the text.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip(&mut self, start: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(start)?;
        Some(())
    }

    /// A start tag of this name.
    fn open(&mut self, name: &str) -> Option<Tag<'a>> {
        self.skip("<")?;
        self.skip(name)?;
        let end = memchr::memchr(b'>', self.0.as_bytes())?;
        let attributes = self.0.get(..end)?;
        self.0 = self.0.get(end + 1..)?;
        let mut tag = Tag { own: None, concrete: None };
        let mut rest = attributes;
        while let Some(next) = rest.strip_prefix(' ') {
            let (name, value) = next.split_once("=\"")?;
            let (value, after) = value.split_once('"')?;
            match name.rsplit_once(':') {
                None if name == "type" => tag.own = Some(value),
                Some((prefix, "type")) if prefix != "xmlns" => {
                    tag.concrete = Some(value.rsplit_once(':').map_or(value, |it| it.1));
                }
                _ => {}
            }
            rest = after;
        }
        // Whatever else stands there, a slash or a `>` in a value, is not the usual shape.
        rest.is_empty().then_some(tag)
    }

    /// The text of an element, and its end tag.
    fn text(&mut self, name: &str) -> Option<&'a str> {
        let end = memchr::memchr2(b'<', b'&', self.0.as_bytes())?;
        let text = self.0.get(..end)?;
        self.0 = self.0.get(end..)?;
        self.close(name)?;
        Some(text)
    }

    fn close(&mut self, name: &str) -> Option<()> {
        self.skip("</")?;
        self.skip(name)?;
        self.skip(">")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml;
    use crate::vsphere::decode;

    const ROW: &str = r#"<r xmlns="urn:vim25" xmlns:x="http://www.w3.org/2001/XMLSchema-instance" xmlns:s="http://www.w3.org/2001/XMLSchema"><objects><obj type="VirtualMachine">vm-1</obj><propSet><name>name</name><val x:type="s:string">web 01</val></propSet><propSet><name>parent</name><val type="Folder" x:type="ManagedObjectReference">group-v3</val></propSet><propSet><name>runtime.powerState</name><val x:type="VirtualMachinePowerState">poweredOn</val></propSet><propSet><name>summary.config.numCpu</name><val x:type="s:int">2</val></propSet><propSet><name>summary.config.template</name><val x:type="s:boolean">false</val></propSet><propSet><name>summary.storage.committed</name><val x:type="s:long">5000000000</val></propSet></objects></r>"#;

    fn slow(document: &str) -> Content {
        let parsed = xml::parse(document).unwrap();
        let node = parsed.descendants().find(|it| it.tag_name().name() == "objects").unwrap();
        decode::content(node).unwrap()
    }

    #[test]
    fn reads_the_usual_row_as_the_tree_does() {
        let (quick, slow) = (content(ROW).unwrap(), slow(ROW));
        assert_eq!((quick.at, quick.properties.len()), (slow.at, 6));
        for ((name, quick), (other, slow)) in quick.properties.iter().zip(&slow.properties) {
            assert_eq!((name, quick.plain()), (other, slow.plain()));
        }
    }

    #[test]
    fn gives_up_at_anything_else() {
        for (usual, odd) in [
            ("web 01", "a &amp; b"),
            ("web 01", "<!-- x -->a"),
            ("web 01", "<![CDATA[a]]>"),
            ("<val x:type=\"s:string\">web 01</val>", "<val x:type=\"GuestInfo\"><a/></val>"),
            ("<val x:type=\"s:string\">web 01</val>", "<val x:type=\"s:string\"/>"),
            ("<val x:type=\"s:string\">", "<val x:type='s:string'>"),
            ("<val x:type=\"s:string\">", "<val y=\"a>b\" x:type=\"s:string\">"),
            ("<val x:type=\"s:string\">", "<val>"),
            ("</propSet></objects>", "</propSet><missingSet/></objects>"),
            ("s:int\">2", "s:int\">two"),
            ("VirtualMachinePowerState", "GuestNicInfo"),
            ("VirtualMachine\"", "SomethingNewer\""),
        ] {
            assert!(ROW.contains(usual), "{usual}");
            assert!(content(&ROW.replacen(usual, odd, 1)).is_none(), "{odd}");
        }
        for cut in 0..ROW.len() - "</r>".len() {
            assert!(content(&ROW[..cut]).is_none(), "{cut}");
        }
    }
}
