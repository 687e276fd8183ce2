//! See [`trimtab_fuzz::object`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::object(bytes));
