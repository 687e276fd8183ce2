//! See [`trimtab_fuzz::custom_object`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::custom_object(bytes));
