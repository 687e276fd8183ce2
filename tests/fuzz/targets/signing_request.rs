//! See [`trimtab_fuzz::signing_request`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::signing_request(bytes));
