//! Machines that dial in to a concentrator.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/consoles.rs"]
mod consoles;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consoles::proxy(bytes));
