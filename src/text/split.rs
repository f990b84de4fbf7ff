//! Cuts a long answer into small documents while it arrives, so that memory stays flat.
//!
//! Fed with bytes in chunks of any size, [`Splitter`] hands out each element at a path, wrapped in
//! its ancestors' start tags so that it stands for itself; what is left over is a document too.
//! Whether the pieces are well-formed is for `crate::text::xml::parse` to say. Surprising: how the
//! bytes were cut into chunks never changes the outcome, not even that of broken input.

use crate::error::{Error, Kind, Result};
use crate::text::scan::{Event, Scanner};

/// Bytes that one element, or the remainder, may have unless said otherwise.
const CAP: usize = 16 << 20;

/// Takes bytes, gives documents.
pub struct Splitter {
    path: Vec<String>,
    cap: usize,
    scanner: Scanner,
    /// The start tags of open elements as long as they follow the path, and their names.
    ancestors: Vec<(String, String)>,
    /// The element being gathered, with its ancestors in front.
    element: Option<Vec<u8>>,
    remainder: Vec<u8>,
    /// Where in the remainder the present tag began.
    tag: usize,
}

/// What is done with each document; an error of it ends the feeding.
pub type Sink<'a> = &'a mut dyn FnMut(&str) -> Result<()>;

impl Splitter {
    /// Hands out the elements at this path of local names, root first; `*` is any name.
    pub fn new(path: &[&str]) -> Splitter {
        Splitter::with_cap(path, CAP)
    }

    /// The same with another bound on the bytes of an element, and on those of the remainder.
    pub fn with_cap(path: &[&str], cap: usize) -> Splitter {
        Splitter {
            path: path.iter().map(|it| (*it).to_owned()).collect(),
            cap,
            scanner: Scanner::new(),
            ancestors: Vec::new(),
            element: None,
            remainder: Vec::new(),
            tag: 0,
        }
    }

    /// Takes the next bytes; after an error the splitter is of no further use.
    pub fn feed(&mut self, bytes: &[u8], sink: Sink) -> Result<()> {
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            let (taken, event) = self.scanner.advance(&bytes[at..]);
            at += taken;
            let upto = match event {
                Ok(Event::None) => continue,
                // Inside an element that is being gathered only its end counts.
                Ok(event) if self.element.is_some() && !self.ends(event) => continue,
                // The `<` itself belongs to the tag that it begins.
                Ok(Event::Begin) => at - 1,
                Ok(_) | Err(_) => at,
            };
            self.keep(&bytes[from..upto])?;
            from = upto;
            self.react(event?, sink)?;
        }
        self.keep(&bytes[from..])
    }

    /// Whether this completes the element that is being gathered.
    fn ends(&self, event: Event) -> bool {
        event == Event::Close && self.scanner.depth() + 1 == self.path.len()
    }

    /// The answer without the elements that were handed out.
    pub fn finish(self) -> Result<String> {
        if !self.scanner.in_text() || self.scanner.depth() > 0 {
            return Err(Error::new(Kind::Remote, "the answer ended in the middle"));
        }
        text(self.remainder)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        let to = self.element.as_mut().unwrap_or(&mut self.remainder);
        if to.len() + bytes.len() > self.cap {
            let cap = self.cap;
            return Err(Error::new(
                Kind::Remote,
                format!("a part of the answer is longer than {cap} bytes"),
            ));
        }
        to.extend_from_slice(bytes);
        Ok(())
    }

    fn react(&mut self, event: Event, sink: Sink) -> Result<()> {
        match event {
            Event::None => Ok(()),
            Event::Begin => {
                self.tag = self.remainder.len();
                Ok(())
            }
            Event::Open { empty } => self.opened(empty, sink),
            Event::Close => self.closed(sink),
        }
    }

    fn opened(&mut self, empty: bool, sink: Sink) -> Result<()> {
        let level = self.scanner.depth() - usize::from(!empty);
        if self.element.is_some() || level != self.ancestors.len() || !self.follows(level) {
            return Ok(());
        }
        if level + 1 == self.path.len() {
            let tag = self.remainder.split_off(self.tag);
            let mut element: Vec<u8> =
                self.ancestors.iter().flat_map(|(tag, _)| tag.bytes()).collect();
            element.extend(tag);
            self.element = Some(element);
            return if empty { self.hand_out(sink) } else { Ok(()) };
        }
        if !empty {
            let tag = text(self.remainder[self.tag..].to_vec())?;
            let name = text(self.scanner.name().to_vec())?;
            self.ancestors.push((tag, name));
        }
        Ok(())
    }

    /// Whether the tag that was just completed continues the path at this level.
    fn follows(&self, level: usize) -> bool {
        let name = self.scanner.name();
        let local = name.iter().position(|it| *it == b':').map_or(name, |at| &name[at + 1..]);
        self.path.get(level).is_some_and(|it| it == "*" || it.as_bytes() == local)
    }

    fn closed(&mut self, sink: Sink) -> Result<()> {
        if self.element.is_some() {
            return self.hand_out(sink);
        }
        self.ancestors.truncate(self.scanner.depth());
        Ok(())
    }

    fn hand_out(&mut self, sink: Sink) -> Result<()> {
        let mut document = text(self.element.take().unwrap_or_default())?;
        for (_, name) in self.ancestors.iter().rev() {
            document.push_str("</");
            document.push_str(name);
            document.push('>');
        }
        sink(&document)
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::new(Kind::Remote, "the answer is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml::{parse, text_of};

    const PATH: [&str; 4] = ["Envelope", "Body", "*", "objects"];

    fn split(bytes: &[u8], cuts: &mut dyn FnMut() -> usize) -> (Vec<String>, Result<String>) {
        let (mut all, mut splitter) = (Vec::new(), Splitter::with_cap(&PATH, 4000));
        let mut rest = bytes;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(cuts().clamp(1, rest.len()));
            let mut sink = |it: &str| {
                all.push(it.to_owned());
                Ok(())
            };
            if let Err(error) = splitter.feed(head, &mut sink) {
                return (all, Err(error));
            }
            rest = tail;
        }
        (all, splitter.finish())
    }

    fn whole(text: &str) -> (Vec<String>, Result<String>) {
        split(text.as_bytes(), &mut || usize::MAX)
    }

    const ANSWER: &str = "<?xml version='1.0'?><s:Envelope xmlns:s='u:s'><s:Body>\
        <R xmlns='urn:vim25'><!-- <objects> --><objects><a>é&lt;</a><objects/></objects>\
        <token a='>'>1</token><v:objects xmlns:v='urn:vim25'><![CDATA[</objects>]]></v:objects>\
        <objects/><other><objects>kept</objects></other></R></s:Body></s:Envelope>";

    #[test]
    fn elements_stand_for_themselves_and_nothing_is_lost() {
        let (all, rest) = whole(ANSWER);
        let rest = rest.unwrap();
        assert_eq!(all.len(), 3);
        let inner = |text: &str| {
            let doc = parse(text).unwrap();
            let found = doc.descendants().find(|it| it.has_tag_name(("urn:vim25", "objects")));
            found.map(|it| it.descendants().filter(|n| n.is_text()).map(text_of_any).collect())
        };
        let texts: Vec<Option<String>> = all.iter().map(|it| inner(it)).collect();
        assert_eq!(texts[0].as_deref(), Some("é<"));
        assert_eq!(texts[1].as_deref(), Some("</objects>"));
        assert_eq!(texts[2].as_deref(), Some(""));
        let doc = parse(&rest).unwrap();
        let token = doc.descendants().find(|it| it.has_tag_name("token")).unwrap();
        assert_eq!(text_of(token), "1");
        assert!(rest.contains("<other><objects>kept</objects></other>"));
    }

    fn text_of_any(node: roxmltree::Node) -> String {
        node.text().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_fault_is_left_in_the_remainder() {
        let fault =
            "<Envelope><Body><Fault><faultstring>no</faultstring></Fault></Body></Envelope>";
        assert_eq!(whole(fault).1.unwrap(), fault);
    }

    #[test]
    fn broken_input_is_an_error() {
        let error = |bytes: &[u8]| split(bytes, &mut || 7).1.unwrap_err().to_string();
        assert_eq!(error(b"<Envelope><Body>"), "the answer ended in the middle");
        assert_eq!(error(b"<Envelope>\xff</Envelope>"), "the answer is not valid UTF-8");
        let long = format!("<Envelope>{}</Envelope>", "x".repeat(5000));
        assert_eq!(error(long.as_bytes()), "a part of the answer is longer than 4000 bytes");
        let deep = "<a>".repeat(200);
        assert!(error(deep.as_bytes()).contains("nested deeper"));
        let dtd = error(b"<!DOCTYPE a><a/>");
        assert!(dtd.contains("document type"));
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }

    #[test]
    fn chunks_never_change_the_outcome() {
        for seed in 1..=400u64 {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut bytes = ANSWER.repeat(1 + random.below(2)).into_bytes();
            for _ in 0..random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = b"<>/\"'!-[]? a\xc3\xa9"[random.below(14)];
            }
            bytes.truncate(1 + random.below(bytes.len() * 2));
            let show =
                |(all, rest): (Vec<String>, Result<String>)| (all, rest.map_err(|e| e.to_string()));
            let want = show(split(&bytes, &mut || usize::MAX));
            assert_eq!(want, show(split(&bytes, &mut || 1)), "seed {seed}");
            assert_eq!(want, show(split(&bytes, &mut || 1 + random.below(40))), "seed {seed}");
        }
    }

    #[test]
    fn memory_stays_flat_over_many_elements() {
        let mut splitter = Splitter::with_cap(&PATH, 1000);
        let mut seen = 0;
        let mut sink = |_: &str| {
            seen += 1;
            Ok(())
        };
        splitter.feed(b"<Envelope><Body><R>", &mut sink).unwrap();
        for _ in 0..10_000 {
            splitter.feed(b"<objects><obj>1</obj></objects>", &mut sink).unwrap();
        }
        splitter.feed(b"</R></Body></Envelope>", &mut sink).unwrap();
        assert_eq!(splitter.finish().unwrap(), "<Envelope><Body><R></R></Body></Envelope>");
        assert_eq!(seen, 10_000);
    }
}
