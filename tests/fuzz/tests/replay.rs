//! Every target on its seeds, on seeds that are bent, and on bytes at random.

use std::path::Path;

use trimtab_fuzz::{TARGETS, Target};

/// How many inputs each target gets besides its seeds; more with `FUZZ_CASES`.
const CASES: u64 = 150;
/// The longest input that is made, in bytes.
const MOST: usize = 512;

/// SplitMix64: the same numbers everywhere, from one seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).expect("it is below a usize")
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(MOST)).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// One of `seeds` with a few places changed, or bytes at random.
    fn bent(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if seeds.is_empty() || self.below(4) == 0 {
            return self.bytes();
        }
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = self.next().to_be_bytes()[0],
                1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at),
                3 => {
                    let other = &seeds[self.below(seeds.len())];
                    bytes.splice(at..at, other[self.below(other.len())..].iter().copied());
                }
                _ => {
                    let end = at + self.below(bytes.len() - at);
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
            bytes.truncate(16 * MOST);
        }
        bytes
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn run(name: &str, target: Target, bytes: &[u8]) {
    let outcome = std::panic::catch_unwind(|| target(bytes));
    assert!(outcome.is_ok(), "{name} fails on \"{}\"", bytes.escape_ascii());
}

fn replay(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has seeds");
    for seed in &seeds {
        run(name, target, seed);
    }
    run(name, target, b"");
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut numbers = Numbers(0);
    for _ in 0..cases {
        run(name, target, &numbers.bent(&seeds));
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(TARGETS.map(|(name, _)| name).as_slice(), [$(stringify!($name)),*]);
        }
    };
}

replays! {
    apply audit_policy cel custom_object definition dns json jsonpath kubeconfig object patch patch_made policy
    protobuf quantity request schedule selector signing_request spdy watch_events yaml
}
