//! See [`trimtab_fuzz::audit_policy`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::audit_policy(bytes));
