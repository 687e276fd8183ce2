//! How long to wait before the next try: 10 s, doubling to 5 min, forgotten after 10 min of peace.

use std::time::Duration;

use jiff::Timestamp;
use trimtab_env::HashMap;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
const FORGET: Duration = Duration::from_secs(600);

/// The tries of a pod, by container or image.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    delay: Duration,
    /// When it was last tried.
    tried: Timestamp,
}

impl BackOff {
    /// How much longer to wait, for something that failed at `failed`; nothing when it may be tried.
    pub(crate) fn remaining(&self, key: &str, failed: Timestamp, now: Timestamp) -> Option<Duration> {
        let entry = self.entries.get(key)?;
        let since = failed.max(entry.tried);
        let until = since.saturating_add(entry.delay).unwrap_or(Timestamp::MAX);
        Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
    }

    /// The current delay of `key`.
    pub(crate) fn delay(&self, key: &str) -> Duration {
        self.entries.get(key).map_or(FIRST, |entry| entry.delay)
    }

    /// It is being tried again at `now`, having last failed at `failed`.
    pub(crate) fn next(&mut self, key: &str, failed: Timestamp, now: Timestamp) {
        let grown = match self.entries.get(key) {
            // It had run for so long that this is a new failure.
            Some(entry) if failed.duration_since(entry.tried).unsigned_abs() > FORGET => FIRST,
            Some(entry) => (entry.delay * 2).min(LONGEST),
            None => FIRST,
        };
        self.entries.insert(key.to_owned(), Entry { delay: grown, tried: now });
    }

    /// It succeeded.
    pub(crate) fn reset(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn delays_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let mut backoff = BackOff::default();
        assert_eq!(backoff.remaining("app", at(0), at(0)), None);
        let mut delays = Vec::new();
        for _ in 0..7 {
            backoff.next("app", at(0), at(0));
            delays.push(backoff.remaining("app", at(0), at(0)).unwrap().as_secs());
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
        backoff.next("app", at(601), at(602));
        assert_eq!(backoff.remaining("app", at(602), at(602)).unwrap().as_secs(), 10);
    }

    #[test]
    fn the_wait_counts_from_the_failure() {
        let mut backoff = BackOff::default();
        backoff.next("app", at(0), at(0));
        assert_eq!(backoff.remaining("app", at(4), at(9)).unwrap().as_secs(), 5);
        assert_eq!(backoff.remaining("app", at(4), at(14)), None);
    }
}
