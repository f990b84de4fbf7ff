//! JSON, and as arguments of every tool.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::json(bytes));
