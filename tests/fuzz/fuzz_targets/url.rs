//! URLs, and links in what lies there.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/urls.rs"]
mod urls;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| urls::url(bytes));
