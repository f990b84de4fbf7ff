//! Telnet sessions, in each role.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/consoles.rs"]
mod consoles;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consoles::telnet(bytes));
