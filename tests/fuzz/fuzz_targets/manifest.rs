//! Manifests.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::manifest(bytes));
