//! The current entries in the order of their keys, counted without being looked at.

use std::sync::Arc;

use crate::store::Entry;

/// How many entries a block holds at most: to put one in moves no more of them, and a count looks at one number for
/// each.
const BLOCK: usize = 512;

/// Entries by their keys.
#[derive(Clone, Default)]
pub(crate) struct Ordered {
    /// In order, and none of them empty.
    blocks: Vec<Vec<Arc<Entry>>>,
}

/// Between two entries, or before or behind all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    block: usize,
    /// How many of the block come before it.
    at: usize,
}

impl Ordered {
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        let Place { block, at } = self.place(|other| other < key);
        self.blocks.get(block)?.get(at).filter(|entry| *entry.key == *key)
    }

    /// Puts `entry` in; answers the one that it replaces.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let Place { mut block, mut at } = self.place(|other| other < &*entry.key);
        if block == self.blocks.len() {
            // Behind all others is still in the last block.
            match self.blocks.last() {
                Some(last) => (block, at) = (block - 1, last.len()),
                None => self.blocks.push(Vec::new()),
            }
        }
        if let Some(there) = self.blocks[block].get_mut(at).filter(|there| there.key == entry.key) {
            return Some(std::mem::replace(there, entry));
        }
        if self.blocks[block].len() == BLOCK {
            // What comes in order leaves full blocks behind.
            let kept = if at == BLOCK { BLOCK } else { BLOCK / 2 };
            let rest = self.blocks[block].split_off(kept);
            self.blocks.insert(block + 1, rest);
            if at >= kept {
                (block, at) = (block + 1, at - kept);
            }
        }
        self.blocks[block].insert(at, entry);
        None
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Arc<Entry>> {
        let Place { block, at } = self.place(|other| other < key);
        let entries = self.blocks.get_mut(block)?;
        if entries.get(at).is_none_or(|entry| *entry.key != *key) {
            return None;
        }
        let gone = entries.remove(at);
        if entries.is_empty() {
            self.blocks.remove(block);
        } else {
            self.join(block);
            block.checked_sub(1).into_iter().for_each(|before| self.join(before));
        }
        Some(gone)
    }

    /// Makes one of a block and the next, if there is little in both.
    fn join(&mut self, block: usize) {
        if self.blocks.get(block + 1).is_some_and(|next| self.blocks[block].len() + next.len() <= BLOCK / 2) {
            let next = self.blocks.remove(block + 1);
            self.blocks[block].extend(next);
        }
    }

    /// The place behind all entries whose keys come before: those of which `is_before` holds are the first ones.
    pub(crate) fn place(&self, is_before: impl Fn(&str) -> bool) -> Place {
        let whole = |block: &Vec<Arc<Entry>>| block.last().is_some_and(|last| is_before(&last.key));
        let block = self.blocks.partition_point(whole);
        let at = self.blocks.get(block).map_or(0, |block| block.partition_point(|entry| is_before(&entry.key)));
        Place { block, at }
    }

    /// How many entries there are from the one place to the other, which is not before it.
    pub(crate) fn count(&self, from: Place, to: Place) -> usize {
        self.blocks[from.block..to.block].iter().map(Vec::len).sum::<usize>() + to.at - from.at
    }

    /// These entries.
    pub(crate) fn range(&self, from: Place, to: Place) -> impl Iterator<Item = &Arc<Entry>> {
        let (first, rest) = self.blocks[from.block..]
            .split_first()
            .map_or((&[][..], &[][..]), |(first, rest)| (&first[from.at..], rest));
        first.iter().chain(rest.iter().flatten()).take(self.count(from, to))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use bytes::Bytes;

    use super::*;

    fn entry(key: &str, mod_revision: u64) -> Arc<Entry> {
        let (key, value, memo) = (Arc::from(key), Bytes::new(), OnceLock::new());
        Arc::new(Entry { key, value, create_revision: 1, mod_revision, memo })
    }

    fn keys<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Vec<(String, u64)> {
        entries.map(|entry| (entry.key.to_string(), entry.mod_revision)).collect()
    }

    /// Whatever is done to it, it is as a map is, in blocks that are neither empty nor too many.
    #[test]
    fn it_is_an_ordered_map() {
        let (mut ordered, mut model) = (Ordered::default(), BTreeMap::new());
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        // More is put in than taken out, then the other way round, until little is left.
        for step in 0..60_000_u64 {
            let key = format!("/{}/{:05}", draw(3), draw(4_000));
            let puts = draw(10) < if step < 30_000 { 7 } else { 2 };
            if puts {
                let replaced = ordered.insert(entry(&key, step)).map(|entry| entry.mod_revision);
                assert_eq!(replaced, model.insert(key, step));
            } else {
                let gone = ordered.remove(&key).map(|entry| entry.mod_revision);
                assert_eq!(gone, model.remove(&key));
            }
            if step % 5_000 != 0 {
                continue;
            }
            assert!(ordered.blocks.iter().all(|block| (1..=BLOCK).contains(&block.len())));
            assert!(ordered.blocks.len() <= 2 + model.len() * 4 / BLOCK, "{} entries", model.len());
            let all = (ordered.place(|_| false), ordered.place(|_| true));
            let expected: Vec<(String, u64)> = model.iter().map(|(key, at)| (key.clone(), *at)).collect();
            assert_eq!(keys(ordered.range(all.0, all.1)), expected);
            for (from, to) in [("/1/", "/1/~"), ("/0/02000", "/2/00100"), ("/2/03999", "/3"), ("", "")] {
                let (start, end) = (ordered.place(|key| key < from), ordered.place(|key| key < to));
                let expected: Vec<(String, u64)> =
                    model.range(from.to_owned()..to.to_owned()).map(|(key, at)| (key.clone(), *at)).collect();
                assert_eq!(ordered.count(start, end), expected.len());
                assert_eq!(keys(ordered.range(start, end)), expected);
            }
            for key in ["/0/00001", "/1/02000", "/2/03999", "/9"] {
                assert_eq!(ordered.get(key).map(|entry| entry.mod_revision), model.get(key).copied(), "{key}");
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_blocks() {
        let mut ordered = Ordered::default();
        (0..10_000).for_each(|number| drop(ordered.insert(entry(&format!("/{number:05}"), number))));
        assert_eq!(ordered.blocks.len(), 10_000_usize.div_ceil(BLOCK));
        assert_eq!(ordered.count(ordered.place(|_| false), ordered.place(|_| true)), 10_000);
    }
}
