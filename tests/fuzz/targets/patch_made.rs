//! See [`trimtab_fuzz::patch_made`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::patch_made(bytes));
