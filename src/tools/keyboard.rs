//! Text and names of keys as strokes on a USB keyboard, for a few layouts.
//!
//! A layout is three rows of characters over the same positions: alone, with Shift, with AltGr.
//! Surprising: the guest decides which layout holds, so a wrong guess types other characters
//! without any error; and an error here must not repeat what may be a password.

use crate::error::{Error, Result};
use crate::hv::console::Stroke;
use crate::text::nearest::nearest;
use crate::text::words::counted;

/// Where characters are printed on the keys, by the tables below; a blank is a key without one.
pub struct Layout {
    pub name: &'static str,
    /// Alone, with Shift, with AltGr.
    rows: [&'static str; 3],
    /// Accents that show only when a blank follows.
    dead: &'static str,
}

/// The layouts' names, for the argument.
pub const LAYOUTS: &[&str] = &["us", "uk", "de", "fr"];

#[rustfmt::skip]
static TABLES: &[Layout] = &[
    Layout { name: "us", rows: [
        "abcdefghijklmnopqrstuvwxyz1234567890-=[]\\;'`,./ ",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()_+{}|:\"~<>? ",
        "",
    ], dead: "" },
    Layout { name: "uk", rows: [
        "abcdefghijklmnopqrstuvwxyz1234567890-=[]#;'`,./\\",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ!\"£$%^&*()_+{}~:@¬<>?|",
        "                             €             ¦    ",
    ], dead: "" },
    Layout { name: "de", rows: [
        "abcdefghijklmnopqrstuvwxzy1234567890ß´ü+#öä^,.-<",
        "ABCDEFGHIJKLMNOPQRSTUVWXZY!\"§$%&/()=?`Ü*'ÖÄ°;:_>",
        "    €       µ   @          ²³   {[]}\\  ~       |",
    ], dead: "^´`" },
    Layout { name: "fr", rows: [
        "qbcdefghijkl,noparstuvzxyw&é\"'(-è_çà)= $*mù²;:!<",
        "QBCDEFGHIJKL?NOPARSTUVZXYW1234567890°+¨£µM% ./§>",
        "    €                      ~#{[|`\\^@]}          ",
    ], dead: "¨" },
];

/// The positions of a row: letters, digits, and from here on the other keys.
const OTHERS: [u8; 12] = [0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x64];

/// With Control and Alt it restarts many a guest.
pub const DELETE: u8 = 0x4c;

/// Keys by name, without blanks, hyphens and underscores.
#[rustfmt::skip]
static KEYS: &[(&str, u8)] = &[
    ("enter", 0x28), ("return", 0x28), ("esc", 0x29), ("escape", 0x29), ("backspace", 0x2a),
    ("tab", 0x2b), ("space", 0x2c), ("capslock", 0x39), ("printscreen", 0x46), ("sysrq", 0x46),
    ("scrolllock", 0x47), ("pause", 0x48), ("break", 0x48), ("insert", 0x49), ("ins", 0x49),
    ("home", 0x4a), ("pageup", 0x4b), ("pgup", 0x4b), ("delete", DELETE), ("del", DELETE),
    ("end", 0x4d), ("pagedown", 0x4e), ("pgdn", 0x4e), ("right", 0x4f), ("left", 0x50),
    ("down", 0x51), ("up", 0x52), ("numlock", 0x53), ("menu", 0x65), ("minus", 0x2d),
    ("f1", 0x3a), ("f2", 0x3b), ("f3", 0x3c), ("f4", 0x3d), ("f5", 0x3e), ("f6", 0x3f),
    ("f7", 0x40), ("f8", 0x41), ("f9", 0x42), ("f10", 0x43), ("f11", 0x44), ("f12", 0x45),
    ("ctrl", 0xe0), ("shift", 0xe1), ("alt", 0xe2), ("win", 0xe3), ("altgr", 0xe6),
];

/// Words for keys that are held, and the name that is theirs among the keys.
static HELD: &[(&str, &str)] = &[
    ("ctrl", "ctrl"),
    ("control", "ctrl"),
    ("shift", "shift"),
    ("alt", "alt"),
    ("option", "alt"),
    ("altgr", "altgr"),
    ("win", "win"),
    ("gui", "win"),
    ("super", "win"),
    ("meta", "win"),
    ("cmd", "win"),
];

/// The layout of this name; the American one for any other.
pub fn layout(name: &str) -> &'static Layout {
    static US: &Layout = &TABLES[0];
    TABLES.iter().find(|it| it.name == name).unwrap_or(US)
}

impl Layout {
    /// The strokes for one character; none where no key gives it.
    fn character(&self, wanted: char) -> Option<Vec<Stroke>> {
        let plain = |usage| Stroke { usage, ..Stroke::default() };
        match wanted {
            ' ' => return Some(vec![plain(0x2c)]),
            '\n' => return Some(vec![plain(0x28)]),
            '\t' => return Some(vec![plain(0x2b)]),
            _ => {}
        }
        // A row that needs no AltGr comes first; an accent that stays alone comes last.
        let mut found = None;
        for (row, characters) in self.rows.iter().enumerate() {
            if let Some(at) = characters.chars().position(|it| it == wanted) {
                let (shift, alt_graph) = (row == 1, row == 2);
                found = Some(Stroke { shift, alt_graph, ..plain(usage(at)?) });
                break;
            }
        }
        let stroke = found?;
        match self.dead.contains(wanted) {
            true => Some(vec![stroke, plain(0x2c)]),
            false => Some(vec![stroke]),
        }
    }

    /// The strokes of a text; CR LF is one Enter.
    pub fn text(&self, text: &str) -> Result<Vec<Stroke>> {
        let (mut strokes, mut without) = (Vec::new(), String::new());
        for character in text.replace("\r\n", "\n").replace('\r', "\n").chars() {
            match self.character(character) {
                Some(keys) => strokes.extend(keys),
                None if without.contains(character) || without.chars().count() >= 10 => {}
                None => without.push(character),
            }
        }
        if without.is_empty() {
            return Ok(strokes);
        }
        let shown: Vec<String> = without
            .chars()
            .map(|it| {
                if it.is_control() { format!("U+{:04X}", u32::from(it)) } else { format!("`{it}`") }
            })
            .collect();
        let said = format!("no key of the {} layout gives {}", self.name, shown.join(", "));
        Err(Error::usage(said).hint(format!(
            "Pass the layout that the guest uses ({}), or paste the text inside the guest",
            LAYOUTS.join(", ")
        )))
    }

    /// The stroke of a word such as `enter`, `ctrl-alt-del` or `alt+f2`; `at` is its place among
    /// all.
    pub fn key(&self, word: &str, at: usize) -> Result<Vec<Stroke>> {
        let (mut held, mut rest) = (Stroke::default(), word.trim());
        let mut any = false;
        while let Some((name, behind)) = held_key(rest) {
            match name {
                "ctrl" => held.control = true,
                "shift" => held.shift = true,
                "alt" => held.alt = true,
                "altgr" => held.alt_graph = true,
                _ => held.gui = true,
            }
            (any, rest) = (true, behind);
        }
        let mut characters = rest.chars();
        if let (Some(one), None) = (characters.next(), characters.next()) {
            let one = if any { one.to_ascii_lowercase() } else { one };
            let Some(keys) = self.character(one) else { return Err(unknown(rest, at)) };
            let with = |it: Stroke| Stroke {
                usage: it.usage,
                control: held.control,
                shift: held.shift || it.shift,
                alt: held.alt,
                alt_graph: held.alt_graph || it.alt_graph,
                gui: held.gui,
            };
            return Ok(keys.into_iter().map(with).collect());
        }
        let name = plain(rest);
        let own = HELD.iter().find(|it| it.0 == name).map_or(name.as_str(), |it| it.1);
        // A word that ends in a hyphen lacks its key.
        match KEYS.iter().find(|it| it.0 == own && !rest.ends_with(['-', '+'])) {
            Some((_, usage)) => Ok(vec![Stroke { usage: *usage, ..held }]),
            None => Err(unknown(rest, at)),
        }
    }
}

/// The modifier that a word begins with, and what follows it.
fn held_key(word: &str) -> Option<(&'static str, &str)> {
    let at = word.find(['-', '+'])?;
    let (name, behind) = (word.get(..at)?, word.get(at + 1..)?);
    let held = HELD.iter().find(|it| it.0.eq_ignore_ascii_case(name))?.1;
    (!behind.is_empty()).then_some((held, behind))
}

fn plain(word: &str) -> String {
    let kept = word.chars().filter(|it| !matches!(it, '-' | '_' | ' '));
    kept.map(|it| it.to_ascii_lowercase()).collect()
}

/// Names the word only where it is nearly a key: it may be a password in the wrong place.
fn unknown(word: &str, at: usize) -> Error {
    let names = KEYS.iter().map(|it| it.0);
    let hint = "Keys are enter, tab, esc, f1 to f12, up, del and so on, with ctrl-, alt-, shift- \
                or win- before them; words go into text";
    match nearest(&plain(word), names) {
        Some(near) => Error::usage(format!("no key is called `{}`", crate::error::quoted(word)))
            .hint(format!("Did you mean `{near}`? {hint}")),
        None => Error::usage(format!(
            "keys[{at}] ({}) is no key",
            counted(word.chars().count(), "character")
        ))
        .hint(hint),
    }
}

/// The key at this place of a row.
fn usage(at: usize) -> Option<u8> {
    match u8::try_from(at).ok()? {
        at @ 0..36 => Some(at + 4),
        at => OTHERS.get(usize::from(at - 36)).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `+20` for the key 0x20 with Shift; `^` Control, `!` Alt, `~` AltGr, `#` the other one.
    fn shown(strokes: &[Stroke]) -> String {
        let one = |it: &Stroke| {
            let marks = [
                (it.shift, "+"),
                (it.control, "^"),
                (it.alt, "!"),
                (it.alt_graph, "~"),
                (it.gui, "#"),
            ];
            let held: String = marks.iter().filter(|it| it.0).map(|it| it.1).collect();
            format!("{held}{:02x}", it.usage)
        };
        strokes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_row_covers_every_key() {
        for layout in TABLES {
            for row in layout.rows.iter().filter(|it| !it.is_empty()) {
                assert_eq!(row.chars().count(), 48, "{} {row}", layout.name);
            }
        }
        assert_eq!(TABLES.iter().map(|it| it.name).collect::<Vec<_>>(), LAYOUTS);
    }

    #[test]
    fn texts() {
        for (name, text, keys) in [
            ("us", "aZ1! \n\t", "04 +1d 1e +1e 2c 28 2b"),
            ("us", "\\|/?~`\"@", "31 +31 38 +38 +35 35 +34 +1f"),
            ("us", "a\r\nb\r", "04 28 05 28"),
            ("uk", "\"@£#~\\|€", "+1f +34 +20 31 +31 64 +64 ~21"),
            ("de", "zy@€{[]}\\|~", "1c 1d ~14 ~08 ~24 ~25 ~26 ~27 ~2d ~64 ~30"),
            ("de", "^äÖß-_", "35 2c 34 +33 2d 38 +38"),
            ("fr", "azqwm,1.@^\\é", "14 1a 04 1d 33 10 +1e +36 ~27 ~26 ~25 1f"),
        ] {
            assert_eq!(shown(&layout(name).text(text).unwrap()), keys, "{name} {text}");
        }
        let error = layout("us").text("aäb€ä\u{1b}").unwrap_err().to_string();
        assert!(
            error.starts_with("no key of the us layout gives `ä`, `€`, U+001B. Pass"),
            "{error}"
        );
    }

    #[test]
    fn keys() {
        for (word, keys) in [
            ("enter", "28"),
            ("Ctrl-Alt-Del", "^!4c"),
            ("CTRL+ALT+DELETE", "^!4c"),
            ("alt-f2", "!3b"),
            ("F12", "45"),
            ("ctrl-C", "^06"),
            ("C", "+06"),
            ("ctrl--", "^2d"),
            ("-", "2d"),
            ("+", "+2e"),
            ("ctrl-+", "+^2e"),
            ("shift-tab", "+2b"),
            ("page-up", "4b"),
            ("ctrl-page_down", "^4e"),
            ("win", "e3"),
            ("super-r", "#15"),
            ("alt-sysrq", "!46"),
        ] {
            assert_eq!(shown(&layout("us").key(word, 0).unwrap()), keys, "{word}");
        }
        let said = |word: &str| layout("us").key(word, 3).unwrap_err().to_string();
        assert!(said("entr").starts_with("no key is called `entr`. Did you mean `enter`?"));
        assert!(said("hunter2!").starts_with("keys[3] (8 characters) is no key. Keys are"));
        assert!(
            said("").starts_with("keys[3] (0 characters)")
                && said("ctrl-").contains("called `ctrl-`")
        );
    }
}
