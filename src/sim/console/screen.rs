//! A text screen of 80 by 25, as the guest's console output leaves it.
//!
//! It shows, and answers nothing. Surprising: colours are read and forgotten, and what is not ASCII
//! takes one place and shows `?`.

/// Places in a row.
pub const COLUMNS: usize = 80;
/// Rows.
pub const ROWS: usize = 25;

/// Numbers of one escape sequence.
const NUMBERS: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Text,
    Escape,
    /// Behind `ESC [`.
    Sequence,
    /// A title or the like, up to its end.
    Title,
    /// One more character that means nothing here.
    Skip,
}

/// The screen.
#[derive(Clone)]
pub struct Screen {
    cells: Vec<u8>,
    row: usize,
    column: usize,
    state: State,
    numbers: Vec<usize>,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen::new()
    }
}

impl Screen {
    /// An empty one.
    pub fn new() -> Screen {
        Screen {
            cells: vec![b' '; COLUMNS * ROWS],
            row: 0,
            column: 0,
            state: State::Text,
            numbers: Vec::new(),
        }
    }

    /// Takes what a console prints.
    pub fn feed(&mut self, output: &[u8]) {
        output.iter().for_each(|byte| self.take(*byte));
    }

    /// Row and column of the cursor.
    pub fn cursor(&self) -> (usize, usize) {
        (self.row, self.column.min(COLUMNS - 1))
    }

    /// What stands at a place; a blank outside.
    pub fn at(&self, row: usize, column: usize) -> u8 {
        self.cells.get(row * COLUMNS + column).copied().unwrap_or(b' ')
    }

    /// All rows, without the blanks behind.
    pub fn rows(&self) -> Vec<String> {
        let text = |row: &[u8]| String::from_utf8_lossy(row).trim_end().to_owned();
        self.cells.chunks(COLUMNS).map(text).collect()
    }

    fn take(&mut self, byte: u8) {
        match (self.state, byte) {
            (_, 0x18 | 0x1a) => self.state = State::Text,
            (State::Title, 7) => self.state = State::Text,
            (_, 0x1b) => self.state = State::Escape,
            (State::Title, _) => {}
            (State::Skip, _) => self.state = State::Text,
            (State::Escape, b'[') => {
                self.numbers.clear();
                self.state = State::Sequence;
            }
            (State::Escape, b']') => self.state = State::Title,
            (State::Escape, b'(' | b')' | b'#') => self.state = State::Skip,
            (State::Escape, b'c') => *self = Screen::new(),
            (State::Escape, _) => self.state = State::Text,
            (State::Sequence, b'0'..=b'9') => {
                let digit = usize::from(byte - b'0');
                match self.numbers.last_mut() {
                    Some(last) => *last = (*last * 10 + digit).min(999),
                    None => self.numbers.push(digit),
                }
            }
            (State::Sequence, b';') => {
                if self.numbers.is_empty() {
                    self.numbers.push(0);
                }
                if self.numbers.len() < NUMBERS {
                    self.numbers.push(0);
                }
            }
            (State::Sequence, 0x40..=0x7e) => {
                self.state = State::Text;
                self.obey(byte);
            }
            (State::Sequence, _) => {}
            (State::Text, b'\r') => self.column = 0,
            (State::Text, b'\n' | 0x0b | 0x0c) => self.down(),
            (State::Text, 8) => self.column = self.cursor().1.saturating_sub(1),
            (State::Text, b'\t') => self.column = (self.column / 8 * 8 + 8).min(COLUMNS - 1),
            // The rest of a character of several bytes.
            (State::Text, 0..0x20 | 0x7f..0xc0) => {}
            (State::Text, _) => {
                // The last place of a row is kept until the next character needs one.
                if self.column >= COLUMNS {
                    self.column = 0;
                    self.down();
                }
                let at = self.row * COLUMNS + self.column;
                if let Some(cell) = self.cells.get_mut(at) {
                    *cell = if byte < 0x80 { byte } else { b'?' };
                }
                self.column += 1;
            }
        }
    }

    fn down(&mut self) {
        if self.row + 1 < ROWS {
            self.row += 1;
        } else {
            self.cells.drain(..COLUMNS);
            self.cells.resize(COLUMNS * ROWS, b' ');
        }
    }

    fn obey(&mut self, command: u8) {
        let number = |at: usize| self.numbers.get(at).copied().unwrap_or(0);
        let (row, column) = self.cursor();
        let (first, count) = (number(0), number(0).max(1));
        let here = row * COLUMNS + column;
        match command {
            b'A' => self.row = row.saturating_sub(count),
            b'B' => self.row = (row + count).min(ROWS - 1),
            b'C' => self.column = (column + count).min(COLUMNS - 1),
            b'D' => self.column = column.saturating_sub(count),
            b'G' => self.column = (count - 1).min(COLUMNS - 1),
            b'H' | b'f' => {
                self.column = (number(1).max(1) - 1).min(COLUMNS - 1);
                self.row = (count - 1).min(ROWS - 1);
            }
            b'J' => self.blank(first, here, 0, COLUMNS * ROWS),
            b'K' => self.blank(first, here, row * COLUMNS, (row + 1) * COLUMNS),
            _ => {}
        }
    }

    /// Erases from here to the end, from the beginning to here, or all.
    fn blank(&mut self, how: usize, here: usize, start: usize, end: usize) {
        let range = match how {
            0 => here..end,
            1 => start..here + 1,
            _ => start..end,
        };
        if let Some(cells) = self.cells.get_mut(range) {
            cells.fill(b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> (Vec<String>, (usize, usize)) {
        let mut screen = Screen::new();
        screen.feed(output.as_bytes());
        let mut rows = screen.rows();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        (rows, screen.cursor())
    }

    #[test]
    fn plain_output() {
        assert_eq!(shown("ab\r\ncd\x08e"), (vec!["ab".into(), "ce".into()], (1, 2)));
        assert_eq!(shown("a\tb"), (vec!["a       b".into()], (0, 9)));
        assert_eq!(shown("né\u{20ac}x"), (vec!["n??x".into()], (0, 4)));
    }

    #[test]
    fn it_wraps_and_scrolls() {
        let (rows, cursor) = shown(&"x".repeat(80));
        assert_eq!((rows.len(), cursor), (1, (0, 79)), "no wrap before it is needed");
        assert_eq!(shown(&"x".repeat(81)).0[1], "x");
        let lines: String = (0..30).map(|it| format!("{it}\r\n")).collect();
        let (rows, cursor) = shown(&lines);
        assert_eq!((rows[0].as_str(), rows[23].as_str(), cursor), ("6", "29", (24, 0)));
    }

    #[test]
    fn escape_sequences() {
        assert_eq!(shown("junk\x1b[2J\x1b[H\x1b[1;31mred\x1b[0m").0, ["red"]);
        assert_eq!(shown("\x1b[3;5Hx\x1b[A\x1b[Dy").0, ["", "    y", "    x"]);
        assert_eq!(shown("hello\x1b[3D\x1b[K").0, ["he"]);
        assert_eq!(shown("\x1b]0;title\x07\x1b(Ba\x1b[?25l\x1b[999;999Hb").0[0], "a");
        assert_eq!(shown("\x1b[;;;;;;;;;;;99999999999999m\x1b[18446744073709551616Ck").1, (0, 79));
    }
}
