//! See [`trimtab_fuzz::protobuf`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trimtab_fuzz::protobuf(bytes));
