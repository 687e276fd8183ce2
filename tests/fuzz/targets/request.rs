//! See [`trimtab_fuzz::request`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::request(bytes));
