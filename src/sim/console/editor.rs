//! The line that somebody is typing: echo, correction, a short history.
//!
//! It knows no command. Surprising: control characters that it has no use for are handed back, since
//! Ctrl-C means one thing to a shell and another to a router.

use std::collections::VecDeque;

/// Longer lines are answered with a bell.
const LONGEST: usize = 1024;
const REMEMBERED: usize = 16;

/// What became of a character.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// It is in the line, or was of no use.
    Nothing,
    /// Enter.
    Line(String),
    /// A control character, for whoever asked.
    Control(u8),
}

/// The line so far.
#[derive(Default)]
pub struct Editor {
    line: Vec<u8>,
    after_return: bool,
    /// 0 outside of an escape sequence, 1 behind ESC, 2 inside of `ESC [`.
    escape: u8,
    history: VecDeque<Vec<u8>>,
    /// How far back in the history the shown line is; 0 is the newest, not entered yet.
    back: usize,
}

impl Editor {
    /// One kind of Enter for all: `\r`; nothing for the second half of `\r\n` and of `\r\0`.
    pub fn newline(&mut self, byte: u8) -> Option<u8> {
        let second = self.after_return && matches!(byte, b'\n' | 0);
        self.after_return = byte == b'\r';
        match byte {
            _ if second => None,
            b'\n' => Some(b'\r'),
            byte => Some(byte),
        }
    }

    /// What is typed and not entered.
    pub fn line(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }

    /// Puts characters behind the line, as if they were typed.
    pub fn insert(&mut self, text: &str, out: &mut Vec<u8>) {
        for byte in text.bytes() {
            self.push(byte, true, out);
        }
    }

    /// Forgets what is typed, without a trace on the screen.
    pub fn clear(&mut self) {
        self.line.clear();
        self.escape = 0;
        self.back = 0;
    }

    /// Forgets what was entered before, at the end of a session.
    pub fn forget(&mut self) {
        self.clear();
        self.history.clear();
    }

    /// Takes a character that `newline` has let through; a line without echo is not remembered.
    pub fn hear(&mut self, byte: u8, echo: bool, out: &mut Vec<u8>) -> Heard {
        match (self.escape, byte) {
            (1, b'[' | b'O') => self.escape = 2,
            (1, _) => self.escape = 0,
            (2, 0x40..=0x7e) => {
                self.escape = 0;
                if echo && matches!(byte, b'A' | b'B') {
                    self.recall(byte == b'A', out);
                }
            }
            (2, _) => {}
            (_, 0x1b) => self.escape = 1,
            (_, b'\r') => {
                out.extend(b"\r\n");
                let line = std::mem::take(&mut self.line);
                let text = String::from_utf8_lossy(&line).into_owned();
                if echo && !text.trim().is_empty() && self.history.front() != Some(&line) {
                    self.history.truncate(REMEMBERED - 1);
                    self.history.push_front(line);
                }
                self.clear();
                return Heard::Line(text);
            }
            (_, 0x08 | 0x7f) => self.erase(1, echo, out),
            // Ctrl-U.
            (_, 0x15) => self.erase(usize::MAX, echo, out),
            // Ctrl-W: the word and the spaces behind it.
            (_, 0x17) => {
                let kept = self.line.trim_ascii_end();
                let from = kept.iter().rposition(|it| *it == b' ').map_or(0, |it| it + 1);
                self.erase(self.line.len() - from, echo, out);
            }
            (_, 0..=0x1f) => return Heard::Control(byte),
            _ => self.push(byte, echo, out),
        }
        Heard::Nothing
    }

    fn push(&mut self, byte: u8, echo: bool, out: &mut Vec<u8>) {
        if self.line.len() >= LONGEST {
            out.push(7);
            return;
        }
        self.line.push(byte);
        if echo {
            out.push(byte);
        }
    }

    /// Takes back so many characters, which may be of several bytes.
    fn erase(&mut self, mut count: usize, echo: bool, out: &mut Vec<u8>) {
        while count > 0 {
            let Some(byte) = self.line.pop() else { return };
            if byte & 0xc0 != 0x80 {
                count -= 1;
                if echo {
                    out.extend(b"\x08 \x08");
                }
            }
        }
    }

    fn recall(&mut self, older: bool, out: &mut Vec<u8>) {
        let back = if older { self.back + 1 } else { self.back.saturating_sub(1) };
        let line = match back.checked_sub(1) {
            None => Vec::new(),
            Some(at) => match self.history.get(at) {
                Some(line) => line.clone(),
                None => return out.push(7),
            },
        };
        self.erase(usize::MAX, true, out);
        out.extend(&line);
        self.line = line;
        self.back = back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(editor: &mut Editor, keys: &[u8], echo: bool) -> (Vec<Heard>, Vec<u8>) {
        let (mut heard, mut out) = (Vec::new(), Vec::new());
        for byte in keys {
            if let Some(byte) = editor.newline(*byte) {
                heard.push(editor.hear(byte, echo, &mut out));
            }
        }
        heard.retain(|it| *it != Heard::Nothing);
        (heard, out)
    }

    #[test]
    fn every_enter_is_one_line() {
        let (heard, _) = type_in(&mut Editor::default(), b"a\rb\r\nc\nd\r\0e\n\n", true);
        let lines = ["a", "b", "c", "d", "e", ""].map(|it| Heard::Line(it.to_owned()));
        assert_eq!(heard, lines);
    }

    #[test]
    fn corrections_show_and_count() {
        let (heard, out) =
            type_in(&mut Editor::default(), "shoe\x7fw vé\x08x foo\x17\r".as_bytes(), true);
        assert_eq!(heard, [Heard::Line("show vx ".to_owned())]);
        assert!(out.starts_with(b"shoe\x08 \x08w v"), "{out:?}");
        let (heard, out) = type_in(&mut Editor::default(), b"secret\x15pass\r", false);
        assert_eq!((heard, out.as_slice()), (vec![Heard::Line("pass".to_owned())], &b"\r\n"[..]));
    }

    #[test]
    fn a_line_is_bounded() {
        let (heard, out) = type_in(&mut Editor::default(), &[b'x'; 5000], true);
        assert!(heard.is_empty() && out[LONGEST..].iter().all(|it| *it == 7));
    }

    #[test]
    fn up_and_down_bring_lines_back() {
        let mut editor = Editor::default();
        type_in(&mut editor, b"one\rtwo\r", true);
        let (heard, _) = type_in(&mut editor, b"\x1b[A\x1b[A\r\x1b[A\x1b[A\x1b[B\r", true);
        assert_eq!(heard, [Heard::Line("one".to_owned()), Heard::Line("one".to_owned())]);
    }
}
