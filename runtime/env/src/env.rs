//! The clock and the source of randomness.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, RngExt, SeedableRng};
use tokio::time::Instant;

use crate::collections;

/// The letters of generated name suffixes: no vowels, so no words, and nothing that looks like
/// another letter (`k8s.io/apimachinery/pkg/util/rand`).
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A clock and a source of randomness. Cloning is cheap; clones share both.
#[derive(Clone)]
pub struct Env {
    clock: Clock,
    /// By how many seconds the wall clock has been set.
    set: Arc<AtomicI64>,
    rng: Arc<Mutex<StdRng>>,
}

#[derive(Clone, Copy)]
enum Clock {
    System,
    /// Wall time follows tokio's clock, which a test may pause and advance.
    Virtual {
        epoch: Timestamp,
        origin: Instant,
    },
}

impl Env {
    /// The real clock and the operating system's randomness.
    ///
    /// # Panics
    /// If the operating system has no source of randomness.
    pub fn system() -> Self {
        let rng = StdRng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes");
        Self { clock: Clock::System, set: Arc::default(), rng: Arc::new(Mutex::new(rng)) }
    }

    /// A clock that starts at `epoch` and follows tokio's (pausable) clock, and the random
    /// sequence of `seed`: the same seed gives the same run, of what uses one thread and the maps and
    /// sets of this crate.
    pub fn seeded(seed: u64, epoch: Timestamp) -> Self {
        collections::repeat();
        let clock = Clock::Virtual { epoch, origin: Instant::now() };
        Self { clock, set: Arc::default(), rng: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// The wall-clock time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn now(&self) -> Timestamp {
        match self.clock {
            Clock::System => Timestamp::now(),
            Clock::Virtual { epoch, origin } => {
                let set = SignedDuration::from_secs(self.set.load(Ordering::Relaxed));
                let now = epoch.saturating_add(origin.elapsed()).unwrap_or(Timestamp::MAX);
                now.saturating_add(set).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Sets a virtual wall clock forward, or back, by so many seconds, as somebody does whose clock was wrong.
    /// Nobody sleeps longer or shorter for it. The system's clock is not ours to set: under [`Env::system`] this
    /// does nothing.
    pub fn set_clock(&self, seconds: i64) {
        self.set.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Waits for `duration`, in virtual time where time is virtual.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Fills `bytes` with randomness. Cryptographically strong under [`Env::system`].
    pub fn fill(&self, bytes: &mut [u8]) {
        self.with_rng(|rng| rng.fill_bytes(bytes));
    }

    /// A number below `bound`, each equally likely; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.with_rng(|rng| rng.random_range(0..bound)) }
    }

    /// `duration`, lengthened by a random part of it of at most `factor`.
    pub fn jitter(&self, duration: Duration, factor: f64) -> Duration {
        duration.mul_f64(1.0 + factor * self.with_rng(|rng| rng.random::<f64>()))
    }

    /// `len` letters for a generated name.
    pub fn name_suffix(&self, len: usize) -> String {
        self.with_rng(|rng| (0..len).map(|_| NAME_LETTERS[rng.random_range(0..NAME_LETTERS.len())] as char).collect())
    }

    /// A random UUID (RFC 9562, version 4) in its usual text form.
    pub fn uuid(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(bytes));
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.clock {
            Clock::System => "Env(system)",
            Clock::Virtual { .. } => "Env(virtual)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_follows_tokio_and_a_seed_repeats() {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (a, b) = (Env::seeded(7, epoch), Env::seeded(7, epoch));
        a.sleep(Duration::from_secs(86_400)).await;
        assert_eq!(a.now().to_string(), "2026-01-02T00:00:00Z");
        a.set_clock(-3_600);
        assert_eq!(a.now().to_string(), "2026-01-01T23:00:00Z");
        assert_eq!((a.uuid(), a.name_suffix(5), a.below(9)), (b.uuid(), b.name_suffix(5), b.below(9)));
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        let uuid = Env::system().uuid();
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
    }
}
