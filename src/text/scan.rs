//! Where XML tags begin and end, byte by byte: the part that [`crate::text::xml`] and
//! [`crate::text::split`] share.
//!
//! It is no parser: it knows just enough (comments, CDATA, instructions, quotes) not to be fooled,
//! and refuses what makes the real parser slow. Surprising: neither many attributes nor nested
//! namespaces are illegal, but the parser's time grows with their square, so both are bounded.

use crate::error::{Error, Kind, Result};

/// Attributes that one tag may have.
const ATTRIBUTES: usize = 64;
/// Elements that may be open at once.
const DEPTH: usize = 128;
/// Namespace declarations that may be in force at once.
const NAMESPACES: usize = 64;
/// Bytes of an element's name.
const NAME: usize = 256;

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing, or a comment or the like.
    None,
    /// A `<` that begins a tag, a comment or the like.
    Begin,
    /// A start tag; an empty element has no end tag.
    Open { empty: bool },
    /// An end tag.
    Close,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Text,
    /// Behind `<`.
    Less,
    /// Behind `<!`, and this many bytes of `--` or `[CDATA[`.
    Bang(u8),
    CdataStart(u8),
    /// Inside, with this many of the closing dashes or brackets seen.
    Comment(u8),
    Cdata(u8),
    /// Inside `<? ?>`; whether the last byte was the question mark.
    Instruction(bool),
    EndTag,
    Name,
    /// Between attributes; whether the last byte was a slash.
    Tag(bool),
    /// In an attribute's name, with this many bytes of `xmlns` seen.
    Word(u8),
    Quoted(u8),
}

/// A scanner between two bytes.
pub(crate) struct Scanner {
    state: State,
    name: Vec<u8>,
    attributes: usize,
    /// Namespace declarations of each open element.
    declared: Vec<u8>,
    in_force: usize,
    here: u8,
}

impl Scanner {
    pub(crate) fn new() -> Scanner {
        let (name, declared) = (Vec::new(), Vec::new());
        Scanner { state: State::Text, name, attributes: 0, declared, in_force: 0, here: 0 }
    }

    /// Takes bytes up to the next event; how many, and the event, or none at their end.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> (usize, Result<Event>) {
        let mut at = 0;
        loop {
            match self.skip(&bytes[at..]) {
                Ok(skipped) => at += skipped,
                Err(error) => return (at, Err(error)),
            }
            let Some(byte) = bytes.get(at) else { return (at, Ok(Event::None)) };
            at += 1;
            match self.step(*byte) {
                Ok(Event::None) => {}
                event => return (at, event),
            }
        }
    }

    /// Passes over bytes that complete nothing, found by a search: several times faster than step
    /// by step.
    fn skip(&mut self, ahead: &[u8]) -> Result<usize> {
        let until = match self.state {
            State::Text => b'<',
            State::EndTag => b'>',
            State::Quoted(quote) => quote,
            State::Name => return self.take_name(ahead),
            State::Tag(_) => return Ok(self.take_word(ahead)),
            _ => return Ok(0),
        };
        Ok(memchr::memchr(until, ahead).unwrap_or(ahead.len()))
    }

    /// An attribute's name that is there as a whole; in pieces it goes step by step.
    fn take_word(&mut self, ahead: &[u8]) -> usize {
        let length = ahead.iter().position(|byte| ends(*byte) || *byte == b'=').unwrap_or(0);
        if length > 0 {
            let seen = if ahead.starts_with(b"xmlns") { 5 } else { 6 };
            self.state = State::Word(seen);
        }
        length
    }

    fn take_name(&mut self, ahead: &[u8]) -> Result<usize> {
        let taken = ahead.iter().position(|byte| ends(*byte)).unwrap_or(ahead.len());
        if self.name.len() + taken > NAME {
            return Err(broken("a name is too long"));
        }
        self.name.extend_from_slice(&ahead[..taken]);
        Ok(taken)
    }

    /// True between tags.
    pub(crate) fn in_text(&self) -> bool {
        self.state == State::Text
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.declared.len()
    }

    /// The name of the start tag that was just completed, with its prefix.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Takes one byte.
    pub(crate) fn step(&mut self, byte: u8) -> Result<Event> {
        self.state = match self.state {
            State::Text if byte == b'<' => {
                self.state = State::Less;
                return Ok(Event::Begin);
            }
            State::Text => State::Text,
            State::Less => self.after_less(byte)?,
            State::Bang(seen) => bang(seen, byte)?,
            State::CdataStart(seen) => cdata_start(seen, byte)?,
            State::Comment(2) if byte == b'>' => State::Text,
            State::Comment(seen) => State::Comment(run(seen, byte == b'-')),
            State::Cdata(2) if byte == b'>' => State::Text,
            State::Cdata(seen) => State::Cdata(run(seen, byte == b']')),
            State::Instruction(true) if byte == b'>' => State::Text,
            State::Instruction(_) => State::Instruction(byte == b'?'),
            State::EndTag if byte == b'>' => return self.close(),
            State::EndTag => State::EndTag,
            State::Quoted(quote) if byte == quote => State::Tag(false),
            State::Quoted(quote) => State::Quoted(quote),
            State::Name | State::Tag(_) | State::Word(_) => return self.in_tag(byte),
        };
        Ok(Event::None)
    }

    fn after_less(&mut self, byte: u8) -> Result<State> {
        match byte {
            b'!' => Ok(State::Bang(0)),
            b'?' => Ok(State::Instruction(false)),
            b'/' => Ok(State::EndTag),
            b'>' | b'<' | b'=' | b'"' | b'\'' => Err(broken("a tag has no name")),
            first => {
                self.name.clear();
                self.name.push(first);
                self.attributes = 0;
                self.here = 0;
                Ok(State::Name)
            }
        }
    }

    /// In a start tag, outside of quotes.
    fn in_tag(&mut self, byte: u8) -> Result<Event> {
        self.state = match byte {
            b'>' => return self.open(self.state == State::Tag(true)),
            b'/' => State::Tag(true),
            b'<' => return Err(broken("a tag begins inside another one")),
            b'"' | b'\'' => {
                self.attribute()?;
                State::Quoted(byte)
            }
            _ if byte.is_ascii_whitespace() => match self.state {
                State::Word(5) => State::Word(5),
                _ => State::Tag(false),
            },
            _ => self.letter(byte)?,
        };
        Ok(Event::None)
    }

    fn letter(&mut self, byte: u8) -> Result<State> {
        const MARK: &[u8; 5] = b"xmlns";
        let seen = match self.state {
            State::Name if self.name.len() == NAME => return Err(broken("a name is too long")),
            State::Name => {
                self.name.push(byte);
                return Ok(State::Name);
            }
            State::Word(seen) => seen,
            _ => 0,
        };
        Ok(State::Word(match MARK.get(usize::from(seen)) {
            Some(next) if *next == byte => seen + 1,
            // Five stay five; anything else can no longer become the mark.
            None if seen == 5 => 5,
            _ => 6,
        }))
    }

    fn attribute(&mut self) -> Result<()> {
        self.attributes += 1;
        if self.attributes > ATTRIBUTES {
            return Err(hostile(format!("a tag has more than {ATTRIBUTES} attributes")));
        }
        if self.state == State::Word(5) {
            self.here += 1;
            if self.in_force + usize::from(self.here) > NAMESPACES {
                return Err(hostile(format!("more than {NAMESPACES} namespaces are in force")));
            }
        }
        Ok(())
    }

    fn open(&mut self, empty: bool) -> Result<Event> {
        self.state = State::Text;
        if self.declared.len() == DEPTH {
            return Err(hostile(format!("elements are nested deeper than {DEPTH}")));
        }
        if !empty {
            self.declared.push(self.here);
            self.in_force += usize::from(self.here);
        }
        Ok(Event::Open { empty })
    }

    fn close(&mut self) -> Result<Event> {
        self.state = State::Text;
        match self.declared.pop() {
            Some(declared) => self.in_force -= usize::from(declared),
            None => return Err(broken("an end tag has no start tag")),
        }
        Ok(Event::Close)
    }
}

/// Ends a name.
fn ends(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'>' | b'/' | b'<' | b'"' | b'\'')
}

fn bang(seen: u8, byte: u8) -> Result<State> {
    match (seen, byte) {
        (0, b'-') => Ok(State::Bang(1)),
        (1, b'-') => Ok(State::Comment(0)),
        (0, b'[') => Ok(State::CdataStart(1)),
        (0, b'D') => Err(hostile("it declares a document type")),
        _ => Err(broken("`<!` begins neither a comment nor CDATA")),
    }
}

fn cdata_start(seen: u8, byte: u8) -> Result<State> {
    match b"[CDATA[".get(usize::from(seen)) {
        Some(wanted) if *wanted != byte => Err(broken("`<![` does not begin CDATA")),
        _ if seen == 6 => Ok(State::Cdata(0)),
        _ => Ok(State::CdataStart(seen + 1)),
    }
}

/// Counts up to two closing marks in a row.
fn run(seen: u8, more: bool) -> u8 {
    if more { (seen + 1).min(2) } else { 0 }
}

fn broken(why: &str) -> Error {
    Error::new(Kind::Remote, format!("the XML is broken: {why}"))
}

fn hostile(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Remote, format!("the XML is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Result<(Vec<String>, usize)> {
        let (mut scanner, mut all) = (Scanner::new(), Vec::new());
        for byte in text.bytes() {
            match scanner.step(byte)? {
                Event::Open { empty } => {
                    let name = String::from_utf8_lossy(scanner.name()).into_owned();
                    all.push(format!("{name}{}", if empty { "/" } else { "" }));
                }
                Event::Close => all.push("^".into()),
                Event::None | Event::Begin => {}
            }
        }
        Ok((all, scanner.depth()))
    }

    #[test]
    fn is_not_fooled() {
        let text = "<?xml version='1.0'?><a x='>' y = \"/>'\"><!-- <b> -- ><c/> --><![CDATA[<d>]]]]>\
                    <p:e/><f x='1'/ ><g /></a><!---->";
        let (all, depth) = events(text).unwrap();
        assert_eq!((all, depth), (["a", "p:e/", "f", "g/", "^"].map(String::from).to_vec(), 1));
    }

    #[test]
    fn namespaces_are_counted_while_in_force() {
        let few = "<a xmlns='x' xmlns:b='y'/>".repeat(100);
        assert!(events(&format!("<r>{few}</r>")).is_ok());
        let nested = "<a xmlns ='x' xmlns:b='y' other='1' axmlns='2'>".repeat(33);
        let error = events(&nested).unwrap_err().to_string();
        assert_eq!(error, "the XML is refused: more than 64 namespaces are in force");
        assert!(events(&"<a xmln='x' noxmlns='1' xmlnsx='2'>".repeat(40)).is_ok());
    }
}
