//! See [`trimtab_fuzz::apply`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::apply(bytes));
