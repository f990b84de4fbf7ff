//! What consoles write: text, transcripts, what is waited for.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/consoles.rs"]
mod consoles;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consoles::console(bytes));
