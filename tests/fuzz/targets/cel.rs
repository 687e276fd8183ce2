//! See [`trimtab_fuzz::cel`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::cel(bytes));
