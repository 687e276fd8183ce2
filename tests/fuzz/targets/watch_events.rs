//! See [`trimtab_fuzz::watch_events`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::watch_events(bytes));
