//! Signed tokens of strangers, and claims.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/signin.rs"]
mod signin;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| signin::token(bytes));
