//! USB key events to the characters that a guest with a US keyboard gets.
//!
//! It knows nothing of screens or programs. Surprising: the wire carries the usage shifted left by
//! sixteen bits, with a 7 (the keyboard's page) below.

/// Modifier keys that are held; left and right are the same to a text console.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Modifiers {
    pub control: bool,
    pub shift: bool,
    pub alt: bool,
    pub gui: bool,
}

/// What a key event comes to.
#[derive(Debug, PartialEq)]
pub enum Typed {
    /// These characters; none for a key that types nothing.
    Bytes(Vec<u8>),
    /// Ctrl-Alt-Del: the machine resets, or a guest of this kind asks for a login.
    Reset,
}

/// From usage 0x1e on, alone and with shift; 0x28 to 0x2b are Enter, Esc, Backspace, Tab.
const PLAIN: &[u8] = b"1234567890\r\x1b\x7f\t -=[]\\#;'`,./";
const SHIFTED: &[u8] = b"!@#$%^&*()\r\x1b\x7f\t _+{}|~:\"~<>?";

/// F1 to F12, as a Linux terminal knows them.
const FUNCTIONS: &str = "[[A [[B [[C [[D [[E [17~ [18~ [19~ [20~ [21~ [23~ [24~";
/// From usage 0x49 on: Insert, Home, Page Up, Delete, End, Page Down, right, left, down, up.
const MOVES: &str = "[2~ [1~ [5~ [3~ [4~ [6~ [C [D [B [A";
/// From usage 0x54 on: the numeric pad, NumLock on.
const PAD: &[u8] = b"/*-+\r1234567890.";

/// A keyboard; CapsLock is all that it remembers.
#[derive(Default)]
pub struct Keyboard {
    caps: bool,
}

/// The usage inside of `usbHidCode`; nothing for a code of another page.
pub fn usage(code: i32) -> Option<u8> {
    // unverified: that a host refuses other pages.
    if code & 0xffff == 7 { u8::try_from(code >> 16).ok() } else { None }
}

impl Keyboard {
    /// A key is pressed and released.
    pub fn press(&mut self, usage: u8, held: Modifiers) -> Typed {
        if held.control && held.alt && matches!(usage, 0x4c | 0x63) {
            return Typed::Reset;
        }
        let from = |start: u8| usize::from(usage.saturating_sub(start));
        let escape = |all: &str, start: u8| {
            let found = all.split(' ').nth(from(start)).unwrap_or_default();
            format!("\x1b{found}").into_bytes()
        };
        let byte = match usage {
            0x04..=0x1d if held.shift != self.caps => b'A' + usage - 4,
            0x04..=0x1d => b'a' + usage - 4,
            0x1e..=0x38 => {
                let row = if held.shift { SHIFTED } else { PLAIN };
                row.get(from(0x1e)).copied().unwrap_or_default()
            }
            0x39 => {
                self.caps = !self.caps;
                return Typed::Bytes(Vec::new());
            }
            0x3a..=0x45 => return Typed::Bytes(escape(FUNCTIONS, 0x3a)),
            0x49..=0x52 => return Typed::Bytes(escape(MOVES, 0x49)),
            0x54..=0x63 => PAD.get(from(0x54)).copied().unwrap_or_default(),
            // The additional key of European keyboards.
            0x64 => {
                if held.shift {
                    b'|'
                } else {
                    b'\\'
                }
            }
            _ => return Typed::Bytes(Vec::new()),
        };
        let byte = match byte {
            b'@'..=b'_' | b'a'..=b'z' if held.control => byte & 0x1f,
            b' ' if held.control => 0,
            byte => byte,
        };
        // Alt is an escape before the character, as on a Linux console.
        let alt: &[u8] = if held.alt { b"\x1b" } else { b"" };
        Typed::Bytes([alt, &[byte]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIFT: Modifiers = Modifiers { shift: true, control: false, alt: false, gui: false };
    const CONTROL: Modifiers = Modifiers { shift: false, control: true, alt: false, gui: false };

    fn typed(usage: u8, held: Modifiers) -> String {
        match Keyboard::default().press(usage, held) {
            Typed::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            Typed::Reset => "reset".to_owned(),
        }
    }

    #[test]
    fn the_us_layout() {
        let none = Modifiers::default();
        // Usage, alone, with shift.
        for (key, plain, shifted) in [
            (0x04, "a", "A"),
            (0x1d, "z", "Z"),
            (0x1e, "1", "!"),
            (0x27, "0", ")"),
            (0x28, "\r", "\r"),
            (0x2a, "\x7f", "\x7f"),
            (0x2c, " ", " "),
            (0x2d, "-", "_"),
            (0x2e, "=", "+"),
            (0x2f, "[", "{"),
            (0x30, "]", "}"),
            (0x31, "\\", "|"),
            (0x33, ";", ":"),
            (0x34, "'", "\""),
            (0x35, "`", "~"),
            (0x36, ",", "<"),
            (0x37, ".", ">"),
            (0x38, "/", "?"),
            (0x3a, "\x1b[[A", "\x1b[[A"),
            (0x45, "\x1b[24~", "\x1b[24~"),
            (0x4f, "\x1b[C", "\x1b[C"),
            (0x52, "\x1b[A", "\x1b[A"),
            (0x59, "1", "1"),
            (0x63, ".", "."),
            (0xe1, "", ""),
        ] {
            assert_eq!(
                (typed(key, none), typed(key, SHIFT)),
                (plain.into(), shifted.into()),
                "{key:x}"
            );
        }
    }

    #[test]
    fn modifiers() {
        assert_eq!(typed(0x06, CONTROL), "\x03");
        assert_eq!(typed(0x30, CONTROL), "\x1d");
        assert_eq!(typed(0x06, Modifiers { alt: true, ..Modifiers::default() }), "\x1bc");
        assert_eq!(typed(0x4c, Modifiers { alt: true, ..CONTROL }), "reset");
        let mut keyboard = Keyboard::default();
        keyboard.press(0x39, Modifiers::default());
        assert_eq!(keyboard.press(0x04, Modifiers::default()), Typed::Bytes(b"A".to_vec()));
        assert_eq!(keyboard.press(0x1e, Modifiers::default()), Typed::Bytes(b"1".to_vec()));
    }

    #[test]
    fn codes_as_they_travel() {
        assert_eq!(usage(262_151), Some(4));
        assert_eq!((usage(4), usage(-1), usage(0x1ff_0007)), (None, None, None));
    }
}
