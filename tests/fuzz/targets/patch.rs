//! See [`trimtab_fuzz::patch`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::patch(bytes));
