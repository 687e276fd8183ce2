//! See [`trimtab_fuzz::jsonpath`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::jsonpath(bytes));
