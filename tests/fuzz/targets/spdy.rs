//! See [`trimtab_fuzz::spdy`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::spdy(bytes));
