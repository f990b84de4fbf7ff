//! Keys of an issuer, and where it has them; files of our own keys, and groups.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/signin.rs"]
mod signin;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| signin::keys(bytes));
