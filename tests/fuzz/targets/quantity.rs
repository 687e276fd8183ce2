//! See [`trimtab_fuzz::quantity`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::quantity(bytes));
