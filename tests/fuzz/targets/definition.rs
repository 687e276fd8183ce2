//! See [`trimtab_fuzz::definition`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::definition(bytes));
