//! A terminal's bytes as what they do to the line that is being written.
//!
//! Which line that is and where it leads is for who applies the deeds. Surprising: this is no
//! terminal: a console is read as lines, so a jump to another place of the screen ends the line, and
//! what only colours, scrolls or reports is gone. A sequence that never ends is given up after
//! [`LONGEST`] bytes, or at the end of its line, so that it swallows no more than that.

/// Bytes of an escape sequence, title or other string before it is given up.
pub const LONGEST: usize = 1024;

/// What a byte does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Writes over what is at the cursor.
    Put(char),
    /// A control character that is shown: `^G`.
    Shown(u8),
    /// Ends the line.
    Line,
    /// Ends it unless there is nothing on it.
    FreshLine,
    /// To this column, from 0.
    Column(usize),
    /// Back so many columns.
    Back(usize),
    /// On so many columns.
    On(usize),
    /// Erases from the cursor to the end; up to the cursor; the whole line.
    EraseAfter,
    EraseBefore,
    EraseLine,
    /// Takes so many characters out at the cursor; puts so many blanks in.
    Delete(usize),
    Insert(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// Behind ESC.
    Escape,
    /// Behind ESC and what announces one more byte, as in `ESC ( B`.
    Charset,
    /// Behind `ESC [`.
    Control,
    /// A title or another string, up to BEL or `ESC \`.
    Text,
    /// Behind ESC in one.
    TextEscape,
}

/// Bytes in, deeds out; how the bytes are cut changes nothing.
pub struct Machine {
    state: State,
    /// Bytes of this sequence.
    length: usize,
    /// The first number of a control sequence and whether more follow; a private one has none.
    number: Option<usize>,
    parameters: usize,
    private: bool,
    /// The beginning of a character.
    character: [u8; 4],
    held: usize,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

/// Where deeds go.
pub type Sink<'a> = &'a mut dyn FnMut(Deed);

impl Machine {
    /// In the open, before any byte.
    pub fn new() -> Machine {
        Machine {
            state: State::Ground,
            length: 0,
            number: None,
            parameters: 0,
            private: false,
            character: [0; 4],
            held: 0,
        }
    }

    /// Whether no character and no sequence is only half there.
    pub fn is_whole(&self) -> bool {
        self.state == State::Ground && self.held == 0
    }

    /// Takes a byte.
    pub fn take(&mut self, byte: u8, sink: Sink<'_>) {
        if self.held > 0 && self.continued(byte, sink) {
            return;
        }
        if self.state != State::Ground {
            self.length += 1;
            if self.length > LONGEST {
                self.state = State::Ground;
            }
        }
        match (self.state, byte) {
            // Cancel, and substitute.
            (State::Ground, 0x18 | 0x1a) => sink(Deed::Shown(byte)),
            (_, 0x18 | 0x1a) => self.state = State::Ground,
            (State::Text, 0x1b) => self.state = State::TextEscape,
            (State::Text, 0x07) => self.state = State::Ground,
            (State::TextEscape, b'\\') => self.state = State::Ground,
            (_, 0x1b) => self.begin(State::Escape),
            (State::Text | State::TextEscape, b'\n' | b'\r') => {
                self.state = State::Ground;
                control(byte, sink);
            }
            (State::Text, _) => {}
            (State::Ground, 0x80..) => self.lead(byte, sink),
            (State::Ground, 0x20..=0x7e) => sink(Deed::Put(char::from(byte))),
            // Controls work within sequences too.
            (_, 0..0x20 | 0x7f) => control(byte, sink),
            (State::Escape | State::TextEscape, _) => self.escape(byte, sink),
            (State::Charset, _) => {
                if !matches!(byte, 0x20..=0x2f) {
                    self.state = State::Ground;
                }
            }
            (State::Control, _) => self.parameter(byte, sink),
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.length = 0;
    }

    /// The first byte of a character of several.
    fn lead(&mut self, byte: u8, sink: Sink<'_>) {
        match byte {
            0xc2..=0xf4 => {
                self.character[0] = byte;
                self.held = 1;
            }
            _ => sink(Deed::Put(char::REPLACEMENT_CHARACTER)),
        }
    }

    /// A byte behind the beginning of a character; false if it does not belong there.
    fn continued(&mut self, byte: u8, sink: Sink<'_>) -> bool {
        let mut all = self.character;
        let Some(place) = all.get_mut(self.held) else { return false };
        *place = byte;
        let so_far = all.get(..=self.held).unwrap_or_default();
        match std::str::from_utf8(so_far) {
            Ok(text) => {
                self.held = 0;
                let one = text.chars().next().filter(|it| !it.is_control());
                sink(Deed::Put(one.unwrap_or(char::REPLACEMENT_CHARACTER)));
                true
            }
            Err(error) if error.error_len().is_none() => {
                self.character = all;
                self.held += 1;
                true
            }
            Err(_) => {
                self.held = 0;
                sink(Deed::Put(char::REPLACEMENT_CHARACTER));
                false
            }
        }
    }

    fn escape(&mut self, byte: u8, sink: Sink<'_>) {
        match byte {
            b'[' => {
                self.begin(State::Control);
                (self.number, self.parameters, self.private) = (None, 0, false);
            }
            b']' | b'P' | b'X' | b'^' | b'_' => self.begin(State::Text),
            0x20..=0x2f => self.state = State::Charset,
            _ => {
                self.state = State::Ground;
                // Next line, index, and a reset.
                if matches!(byte, b'E' | b'D' | b'c') {
                    sink(if byte == b'c' { Deed::FreshLine } else { Deed::Line });
                }
            }
        }
    }

    fn parameter(&mut self, byte: u8, sink: Sink<'_>) {
        match byte {
            b'0'..=b'9' if self.parameters == 0 => {
                let digit = usize::from(byte - b'0');
                // No line is as long.
                let number = self.number.unwrap_or(0).saturating_mul(10).saturating_add(digit);
                self.number = Some(number.min(usize::from(u16::MAX)));
            }
            b';' | b':' => self.parameters += 1,
            b'<'..=b'?' => self.private = true,
            0x40..=0x7e => {
                self.state = State::Ground;
                if !self.private {
                    self.finish(byte, sink);
                }
            }
            0x80.. => {
                // Nobody's sequence.
                self.state = State::Ground;
                self.lead(byte, sink);
            }
            _ => {}
        }
    }

    fn finish(&self, byte: u8, sink: Sink<'_>) {
        let count = self.number.filter(|it| *it > 0).unwrap_or(1);
        let deed = match (byte, self.number.unwrap_or(0)) {
            (b'H' | b'f' | b'd' | b'E' | b'F', _) | (b'J', 2 | 3) => Deed::FreshLine,
            (b'J' | b'K', 0) => Deed::EraseAfter,
            (b'K', 1) => Deed::EraseBefore,
            (b'K', 2) => Deed::EraseLine,
            (b'G' | b'`', _) => Deed::Column(count - 1),
            (b'D', _) => Deed::Back(count),
            (b'C' | b'a', _) => Deed::On(count),
            (b'P', _) => Deed::Delete(count),
            (b'@', _) => Deed::Insert(count),
            _ => return,
        };
        sink(deed);
    }
}

/// A control character outside of a sequence, or within one.
fn control(byte: u8, sink: Sink<'_>) {
    match byte {
        b'\n' | 0x0b | 0x0c => sink(Deed::Line),
        b'\r' => sink(Deed::Column(0)),
        0x08 => sink(Deed::Back(1)),
        b'\t' => sink(Deed::Put('\t')),
        // Shift out and in choose a character set.
        0x0e | 0x0f => {}
        _ => sink(Deed::Shown(byte)),
    }
}
