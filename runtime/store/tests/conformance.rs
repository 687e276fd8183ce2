//! What every backend holds to. Each rule runs on both.

mod common;

use std::sync::Arc;

use common::{Backend, When, delete, key_of, put, value_of};
use futures::{FutureExt, StreamExt};
use trimtab_store::{CommitError, Event, Page, Precondition, ReadError, Watch, WatchError};

/// Makes one test of each rule for each backend.
macro_rules! rules {
    ($($rule:ident),+ $(,)?) => {
        mod memory { $(#[tokio::test] async fn $rule() { super::$rule(super::Backend::memory()).await; })+ }
        mod embedded { $(#[tokio::test] async fn $rule() { super::$rule(super::Backend::embedded()).await; })+ }
    };
}

rules![
    revisions_count_the_commits,
    a_version_knows_when_its_key_was_created,
    preconditions_are_checked_against_the_newest_version,
    of_many_writers_with_one_precondition_one_wins,
    deleting_what_is_not_there_takes_no_revision,
    what_is_written_together_is_written_whole_or_not_at_all,
    a_list_reads_one_revision_in_pages,
    a_list_at_an_old_revision_undoes_what_came_later,
    revisions_out_of_reach_are_refused,
    an_observer_is_told_before_anybody_else,
    an_observer_that_panics_stops_no_write,
    a_watch_starts_where_the_list_ended,
    a_watch_sees_its_prefix_alone,
    a_slow_watcher_misses_nothing_and_holds_up_nobody,
    a_watcher_that_a_compaction_overtakes_is_told,
    an_idle_watcher_survives_compaction,
    a_compaction_keeps_what_is_current,
    reached_waits_for_the_revision,
    a_closed_store_refuses_writes_and_ends_watches,
];

async fn revisions_count_the_commits(store: Backend) {
    assert_eq!(store.revision(), 0);
    for revision in 1..=3 {
        let (at, entry) = store.commit(put("/a", "x")).await.unwrap();
        assert_eq!((at, entry.unwrap().mod_revision, store.revision()), (revision, revision, revision));
    }
}

async fn a_version_knows_when_its_key_was_created(store: Backend) {
    store.commit(put("/b", "0")).await.unwrap();
    store.commit(put("/a", "1")).await.unwrap();
    let (_, second) = store.commit(put("/a", "2")).await.unwrap();
    assert_eq!(second.unwrap().create_revision, 2);
    let (at, gone) = store.commit(delete("/a")).await.unwrap();
    assert_eq!((at, value_of(&gone.unwrap())), (4, "2".to_owned()));
    let (_, again) = store.commit(put("/a", "3")).await.unwrap();
    assert_eq!(again.unwrap().create_revision, 5);
}

async fn preconditions_are_checked_against_the_newest_version(store: Backend) {
    let at = |revision| Precondition::At(revision);
    let absent = put("/a", "1").when(Precondition::Absent);
    store.commit(absent.clone()).await.unwrap();
    let CommitError::Conflict { current, key } = store.commit(absent).await.unwrap_err() else { panic!("a conflict") };
    assert_eq!((value_of(&current.unwrap()), &*key), ("1".to_owned(), "/a"));
    store.commit(put("/a", "2").when(at(1))).await.unwrap();
    assert!(matches!(store.commit(put("/a", "3").when(at(1))).await, Err(CommitError::Conflict { .. })));
    assert!(matches!(store.commit(delete("/a").when(at(1))).await, Err(CommitError::Conflict { .. })));
    assert!(matches!(store.commit(put("/b", "1").when(at(1))).await, Err(CommitError::Conflict { current: None, .. })));
    store.commit(delete("/a").when(at(2))).await.unwrap();
    assert_eq!(store.revision(), 3, "a refused write takes no revision");
}

async fn of_many_writers_with_one_precondition_one_wins(store: Backend) {
    let writes = (0..64).map(|n| store.commit(put("/a", &n.to_string()).when(Precondition::Absent)));
    let outcomes = futures::future::join_all(writes).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let winner = won.into_iter().next().unwrap().unwrap().1.unwrap();
    assert_eq!((lost.len(), store.revision()), (63, 1));
    for error in lost {
        let Err(CommitError::Conflict { current, .. }) = error else { panic!("a conflict") };
        assert!(Arc::ptr_eq(&current.unwrap(), &winner));
    }
}

async fn deleting_what_is_not_there_takes_no_revision(store: Backend) {
    store.commit(put("/b", "1")).await.unwrap();
    let (revision, entry) = store.commit(delete("/a")).await.unwrap();
    assert_eq!((revision, entry.is_none(), store.revision()), (1, true, 1));
}

async fn what_is_written_together_is_written_whole_or_not_at_all(store: Backend) {
    store.commit(put("/a", "1")).await.unwrap();
    let mut watch = store.watch("/", 1).await.unwrap();
    let beside = || vec![put("/b", "2").when(Precondition::Absent), delete("/c"), put("/d", "3")];
    let (revision, entry) = store.commit_with(beside(), delete("/a").when(Precondition::At(1))).await.unwrap();
    assert_eq!((revision, &*entry.unwrap().key, store.revision()), (4, "/a", 4));
    let events = watch.next().await.unwrap().unwrap();
    let order: Vec<_> = events.iter().map(|event| (event.revision, event.key())).collect();
    assert_eq!(order, [(2, "/b"), (3, "/d"), (4, "/a")]);
    // One is not as it should be: the one itself, or one beside it.
    for write in [put("/a", "4").when(Precondition::At(1)), put("/a", "4")] {
        let refused = store.commit_with(beside(), write).await.unwrap_err();
        assert!(matches!(refused, CommitError::Conflict { .. }));
        assert_eq!((store.revision(), store.get("/a").await.unwrap().is_none()), (4, true));
    }
}

async fn a_list_reads_one_revision_in_pages(store: Backend) {
    for key in ["/p/c", "/p/a", "/q/a", "/p/b", "/o/z", "/p"] {
        store.commit(put(key, "1")).await.unwrap();
    }
    let first = store.list("/p/", Page { limit: 2, ..Page::default() }).await.unwrap();
    assert_eq!((key_of(&first.entries), first.remaining, first.revision), (vec!["/p/a", "/p/b"], 1, 6));
    store.commit(put("/p/d", "1")).await.unwrap();
    store.commit(delete("/p/c")).await.unwrap();
    let rest = Page { revision: Some(6), after: Some("/p/b".to_owned()), limit: 2 };
    let second = store.list("/p/", rest).await.unwrap();
    assert_eq!((key_of(&second.entries), second.remaining, second.revision), (vec!["/p/c"], 0, 6));
    let now = store.list("/p/", Page { after: Some("/p/b".to_owned()), ..Page::default() }).await.unwrap();
    assert_eq!((key_of(&now.entries), now.revision), (vec!["/p/d"], 8));
    assert!(store.list("/none/", Page::default()).await.unwrap().entries.is_empty());
}

async fn a_list_at_an_old_revision_undoes_what_came_later(store: Backend) {
    store.commit(put("/a", "1")).await.unwrap();
    store.commit(put("/b", "1")).await.unwrap();
    store.commit(put("/a", "2")).await.unwrap();
    store.commit(delete("/b")).await.unwrap();
    store.commit(put("/c", "1")).await.unwrap();
    store.commit(put("/a", "3")).await.unwrap();
    let expected = [
        vec![],
        vec!["/a=1"],
        vec!["/a=1", "/b=1"],
        vec!["/a=2", "/b=1"],
        vec!["/a=2"],
        vec!["/a=2", "/c=1"],
        vec!["/a=3", "/c=1"],
    ];
    for (revision, expected) in (0..).zip(expected) {
        let page = store.list("/", Page { revision: Some(revision), ..Page::default() }).await.unwrap();
        let found: Vec<_> = page.entries.iter().map(|e| format!("{}={}", e.key, value_of(e))).collect();
        assert_eq!((found, page.revision), (expected.into_iter().map(str::to_owned).collect(), revision));
    }
}

async fn revisions_out_of_reach_are_refused(store: Backend) {
    for n in 1..=5 {
        store.commit(put("/a", &n.to_string())).await.unwrap();
    }
    store.compact(3).await.unwrap();
    let at = |revision| Page { revision: Some(revision), ..Page::default() };
    assert!(matches!(store.list("/", at(2)).await, Err(ReadError::Compacted { asked: 2, oldest: 3 })));
    assert!(matches!(store.list("/", at(6)).await, Err(ReadError::Future { asked: 6, current: 5 })));
    assert!(matches!(store.watch("/", 2).await.err(), Some(ReadError::Compacted { asked: 2, oldest: 3 })));
    assert!(matches!(store.watch("/", 6).await.err(), Some(ReadError::Future { asked: 6, current: 5 })));
    assert!(matches!(store.compact(6).await, Err(ReadError::Future { asked: 6, current: 5 })));
    assert_eq!(store.list("/", at(3)).await.unwrap().entries.len(), 1);
    store.compact(2).await.unwrap();
    assert!(store.list("/", at(3)).await.is_ok(), "an older compaction changes nothing");
}

async fn an_observer_that_panics_stops_no_write(store: Backend) {
    let (told, heard) = std::sync::mpsc::channel();
    store.observe(Box::new(move |event| {
        told.send(event.revision).unwrap();
        panic!("as the test wants it");
    }));
    for key in ["/a", "/b"] {
        store.commit(put(key, "x")).await.unwrap();
    }
    assert_eq!((store.revision(), heard.try_iter().collect::<Vec<_>>()), (2, vec![1, 2]));
}

async fn an_observer_is_told_before_anybody_else(store: Backend) {
    let (told, heard) = std::sync::mpsc::channel();
    store.observe(Box::new(move |event| {
        told.send((event.key().to_owned(), event.entry.is_some(), event.revision)).unwrap();
        event.revision < 3
    }));
    let mut watch = store.watch("/", 0).await.unwrap();
    let writes = async {
        for write in [put("/a", "x"), put("/b", "x"), delete("/a"), put("/c", "x")] {
            store.commit(write).await.unwrap();
        }
    };
    let seen = async {
        let first = watch.next().await.unwrap().unwrap();
        let known: Vec<_> = heard.try_iter().collect();
        assert!(known.len() >= first.len().min(3), "{known:?} {first:?}");
        known
    };
    let ((), mut all) = futures::join!(writes, seen);
    all.extend(heard.try_iter());
    // It wanted no more after the third.
    let event = |key: &str, there, revision| (key.to_owned(), there, revision);
    assert_eq!(all, [event("/a", true, 1), event("/b", true, 2), event("/a", false, 3)]);
}

async fn a_watch_starts_where_the_list_ended(store: Backend) {
    for n in 1..=3 {
        store.commit(put("/a", &n.to_string())).await.unwrap();
    }
    let mut watch = store.watch("/", 1).await.unwrap();
    assert_eq!(seen(&mut watch, 2).await, ["2 1>2", "3 2>3"]);
    store.commit(delete("/a")).await.unwrap();
    store.commit(put("/a", "4")).await.unwrap();
    assert_eq!(seen(&mut watch, 2).await, ["4 3>", "5 >4"]);
    assert!(watch.next().now_or_never().is_none(), "there is nothing more");
}

async fn a_watch_sees_its_prefix_alone(store: Backend) {
    let mut prefixes = Vec::new();
    for prefix in ["/", "/p/", "/p/a", "/p/ab", "", "/p/a/"] {
        prefixes.push((prefix, store.watch(prefix, 0).await.unwrap()));
    }
    let keys = ["/p/a", "/p/ab", "/q/a", "/p/a/x", "/p"];
    for key in keys {
        store.commit(put(key, "1")).await.unwrap();
    }
    for (prefix, mut watch) in prefixes {
        let expected: Vec<_> = keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
        let events = take(&mut watch, expected.len()).await;
        assert_eq!(events.iter().map(Event::key).collect::<Vec<_>>(), expected, "under {prefix:?}");
        assert!(watch.next().now_or_never().is_none());
    }
}

async fn a_slow_watcher_misses_nothing_and_holds_up_nobody(store: Backend) {
    const EVENTS: u64 = 6_000;
    let mut slow = store.watch("/a/", 0).await.unwrap();
    let mut quick = store.watch("/a/", 0).await.unwrap();
    store.commit(put("/a/0", "0")).await.unwrap();
    take(&mut slow, 1).await;
    for _ in 1..EVENTS / 500 {
        let writes = (0..500).map(|n| store.commit(put(&format!("/a/{n}"), "x")));
        futures::future::join_all(writes).await;
    }
    let newest = store.revision();
    assert_eq!(take(&mut quick, usize::try_from(newest).unwrap()).await.last().unwrap().revision, newest);
    let rest = take(&mut slow, usize::try_from(newest - 1).unwrap()).await;
    assert!(rest.iter().map(|event| event.revision).eq(2..=newest));
    store.commit(put("/a/last", "x")).await.unwrap();
    assert_eq!(take(&mut slow, 1).await[0].revision, newest + 1, "it is up to date again");
}

async fn a_watcher_that_a_compaction_overtakes_is_told(store: Backend) {
    let mut slow = store.watch("/", 0).await.unwrap();
    for n in 0..3 {
        store.commit(put("/a", &n.to_string())).await.unwrap();
    }
    store.compact(2).await.unwrap();
    assert!(matches!(slow.next().await, Some(Err(WatchError::Lagged { after: 0 }))));
    assert!(slow.next().await.is_none(), "the stream ends after an error");
}

async fn an_idle_watcher_survives_compaction(store: Backend) {
    let mut idle = store.watch("/idle/", 0).await.unwrap();
    assert!(idle.next().now_or_never().is_none());
    for n in 0..3 {
        store.commit(put("/busy/a", &n.to_string())).await.unwrap();
    }
    store.compact(3).await.unwrap();
    store.commit(put("/idle/a", "1")).await.unwrap();
    assert_eq!(seen(&mut idle, 1).await, ["4 >1"]);
}

async fn a_compaction_keeps_what_is_current(store: Backend) {
    for n in 0..5 {
        store.commit(put("/a", &n.to_string())).await.unwrap();
    }
    store.commit(put("/b", "1")).await.unwrap();
    store.commit(delete("/b")).await.unwrap();
    let newest = store.revision();
    store.compact(newest).await.unwrap();
    let page = store.list("/", Page::default()).await.unwrap();
    assert_eq!((key_of(&page.entries), page.revision), (vec!["/a"], newest));
    assert_eq!(value_of(&store.get("/a").await.unwrap().unwrap()), "4");
    assert!(store.get("/b").await.unwrap().is_none());
    assert_eq!(store.commit(put("/b", "2")).await.unwrap().0, newest + 1);
}

async fn reached_waits_for_the_revision(store: Backend) {
    let second = store.reached(2);
    let writes = async {
        store.commit(put("/a", "1")).await.unwrap();
        store.commit(put("/a", "2")).await.unwrap();
    };
    futures::join!(second, writes);
    store.reached(0).await;
    assert!(store.reached(3).now_or_never().is_none());
}

async fn a_closed_store_refuses_writes_and_ends_watches(store: Backend) {
    let mut watch = store.watch("/", 0).await.unwrap();
    store.commit(put("/a", "1")).await.unwrap();
    store.close().await;
    assert!(matches!(store.commit(put("/a", "2")).await, Err(CommitError::Closed)));
    assert_eq!(seen(&mut watch, 1).await, ["1 >1"], "what was there is still told");
    assert!(watch.next().await.is_none());
    assert!(store.watch("/", 1).await.unwrap().next().await.is_none());
    assert_eq!(value_of(&store.get("/a").await.unwrap().unwrap()), "1");
    store.close().await;
}

/// The next `count` events, each as `REVISION BEFORE>AFTER`.
async fn seen(watch: &mut Watch, count: usize) -> Vec<String> {
    let side = |entry: Option<&_>| entry.map(|entry: &Arc<_>| value_of(entry)).unwrap_or_default();
    let show =
        |event: &Event| format!("{} {}>{}", event.revision, side(event.previous.as_ref()), side(event.entry.as_ref()));
    take(watch, count).await.iter().map(show).collect()
}

async fn take(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let batch = watch.next().await.expect("the watch goes on").unwrap();
        assert!(!batch.is_empty(), "no empty batch");
        events.extend(batch);
    }
    assert_eq!(events.len(), count);
    events
}
