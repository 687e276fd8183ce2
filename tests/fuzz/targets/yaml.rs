//! See [`trimtab_fuzz::yaml`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::yaml(bytes));
