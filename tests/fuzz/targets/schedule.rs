//! See [`trimtab_fuzz::schedule`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::schedule(bytes));
