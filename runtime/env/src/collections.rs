//! Maps and sets whose order repeats itself in a run under a seed.
//!
//! The standard library's are in another order in each process, so that nobody can choose keys that
//! collide. What goes over one of them in its order would then do another thing each time that a
//! test runs, with the same seed.

use std::cell::Cell;
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::hash::BuildHasher;

/// A map for whatever runs under an [`Env`](crate::Env).
pub type HashMap<K, V> = std::collections::HashMap<K, V, Hashing>;

/// A set for whatever runs under an [`Env`](crate::Env).
pub type HashSet<T> = std::collections::HashSet<T, Hashing>;

thread_local! {
    static SEEDED: Cell<bool> = const { Cell::new(false) };
}

/// From now on, what is made on this thread is in an order that repeats itself.
pub(crate) fn repeat() {
    SEEDED.set(true);
}

/// How keys are hashed: with random keys, but on a thread where an [`Env`](crate::Env) was seeded.
#[derive(Clone, Debug)]
pub struct Hashing(Option<RandomState>);

impl Default for Hashing {
    fn default() -> Self {
        Self((!SEEDED.get()).then(RandomState::new))
    }
}

impl BuildHasher for Hashing {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.as_ref().map_or_else(DefaultHasher::new, BuildHasher::build_hasher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Vec<u32> {
        (0..1000).collect::<HashSet<u32>>().into_iter().collect()
    }

    #[test]
    fn the_order_repeats_itself_once_there_is_a_seed() {
        assert_ne!(order(), order());
        repeat();
        assert_eq!(order(), order());
    }
}
