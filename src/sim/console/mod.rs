//! What answers at a simulated guest's console: programs that take characters and give characters.
//!
//! Pure: no clock (`now` is handed in, in seconds), no sockets, no world. The same program serves a
//! serial line (`sim::line`) and a screen (`screen`, drawn by `png`, typed at by `scancodes`).
//! Surprising: nobody knows which of `\r`, `\r\n` and `\n` a client means by Enter, so all three are.

pub mod appliance;
pub mod commands;
pub mod editor;
pub mod glyphs;
pub mod linux;
pub mod png;
pub mod scancodes;
pub mod screen;
pub mod settings;
pub mod shows;
pub mod windows;

/// A guest as its console shows it. What it answers grows with what it is fed, so whoever feeds it
/// bounds that; 4 KB at a time is a good piece.
pub trait Program: Send {
    /// It is switched on, or starts again; what it prints until it waits for somebody.
    fn boot(&mut self, now: u64) -> Vec<u8>;

    /// Typed characters; what it prints, the echo too.
    fn feed(&mut self, input: &[u8], now: u64) -> Vec<u8>;

    /// What must outlive the process, as text.
    fn save(&self) -> String {
        String::new()
    }

    /// Takes what `save` gave; what cannot be read is passed over.
    fn load(&mut self, _saved: &str) {}
}

/// Text of ours as a terminal needs it: lines end in CR LF.
pub fn say(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
}
