//! What is on disk after a crash, and what becomes of files that are not ours to read.

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{delete, put, value_of};
use trimtab_store::{Embedded, OpenError, Page, Store};

/// Set for the child process that is killed: the data file to write.
const CHILD: &str = "TRIMTAB_STORE_TEST_FILE";
const WRITERS: u64 = 8;
const ROUNDS: usize = 12;

/// A child writes and says what has been acknowledged, is killed in the middle of it, and starts
/// again on the same file. Nothing that it said may be missing.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let said = run_and_kill(&path, 40 + round * 29);
        assert!(!said.is_empty());
        acknowledged.extend(said);
        let found = counters(&path);
        for (writer, count) in &acknowledged {
            assert!(found.get(writer) >= Some(count), "writer {writer}: {count} of {found:?}, round {round}");
        }
    }
}

/// Runs the child until it has acknowledged `acks` writes, kills it, and answers the last count that
/// it said of each writer.
fn run_and_kill(path: &Path, acks: usize) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_was_acknowledged_survives_kill_9", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let parse = |line: String| {
        let (writer, count) = line.split_once(' ').unwrap_or_else(|| panic!("the child said {line:?}"));
        (writer.parse().unwrap(), count.parse().unwrap())
    };
    let mut said: BTreeMap<u64, u64> = lines.by_ref().take(acks).map(|line| parse(line.unwrap())).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(lines.map_while(Result::ok).map(parse));
    said
}

#[tokio::main(flavor = "current_thread")]
async fn write_until_killed(path: &Path) {
    let store = Embedded::open(path).unwrap();
    let writers = (0..WRITERS).map(|writer| count_up(&store, writer));
    futures::future::join_all(writers).await;
}

/// Counts up in one key, makes and deletes others, and compacts now and then.
async fn count_up(store: &Embedded, writer: u64) {
    let key = format!("/counters/{writer}");
    // What the last child was about to delete when it was killed.
    for left in store.list(&format!("/passing/{writer}/"), Page::default()).await.unwrap().entries {
        store.commit(delete(&left.key)).await.unwrap();
    }
    let mut count = store.get(&key).await.unwrap().map_or(0, |entry| value_of(&entry).parse().unwrap());
    loop {
        count += 1;
        store.commit(put(&key, &count.to_string())).await.unwrap();
        std::io::stderr().write_all(format!("{writer} {count}\n").as_bytes()).unwrap();
        store.commit(put(&format!("/passing/{writer}/{count}"), "x")).await.unwrap();
        store.commit(delete(&format!("/passing/{writer}/{}", count - 1))).await.unwrap();
        if count % 10 == 0 {
            // Another writer may have compacted further already.
            store.compact(store.revision().saturating_sub(20)).await.unwrap();
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn counters(path: &Path) -> BTreeMap<u64, u64> {
    let store = Embedded::open(path).unwrap();
    let passing = store.list("/passing/", Page::default()).await.unwrap().entries.len();
    assert!(passing <= 2 * WRITERS as usize, "{passing} keys that were deleted are back");
    let page = store.list("/counters/", Page::default()).await.unwrap();
    let writer = |key: &str| key.rsplit('/').next().unwrap().parse().unwrap();
    page.entries.iter().map(|entry| (writer(&entry.key), value_of(entry).parse().unwrap())).collect()
}

/// A power cut in the middle of a commit leaves any part of its pages written. Whatever part it is,
/// the file opens, and tells the state before or after that commit.
#[tokio::test]
async fn a_torn_last_write_never_happened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Embedded::open(&path).unwrap();
    for n in 0..200 {
        store.commit(put(&format!("/a/{n}"), &"x".repeat(700))).await.unwrap();
    }
    let before = fs::read(&path).unwrap();
    store.commit(put("/a/0", &"y".repeat(9_000))).await.unwrap();
    let after = fs::read(&path).unwrap();
    drop(store);
    let torn = folder.path().join("torn.redb");
    let mut outcomes = [0; 2];
    for seed in 0..48_u64 {
        fs::write(&torn, tear(&before, &after, seed)).unwrap();
        let store = Embedded::open(&torn).unwrap_or_else(|error| panic!("seed {seed}: {error} {:?}", error.source()));
        let entries = store.list("/a/", Page::default()).await.unwrap().entries;
        let value = value_of(&store.get("/a/0").await.unwrap().unwrap());
        assert_eq!(entries.len(), 200);
        match store.revision() {
            200 => assert_eq!(value.len(), 700),
            201 => assert_eq!(value.len(), 9_000),
            other => panic!("seed {seed}: revision {other}"),
        }
        outcomes[usize::from(store.revision() == 201)] += 1;
        store.commit(put("/a/1", "z")).await.unwrap();
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "the tearing tears: {outcomes:?}");
}

/// `after`, with some of the 512-byte sectors that the last commit wrote still as they were. Of the
/// first seeds, one loses all of them and one none.
fn tear(before: &[u8], after: &[u8], seed: u64) -> Vec<u8> {
    const SECTOR: usize = 512;
    let mut torn = after.to_vec();
    let mut random = seed;
    for at in (0..after.len()).step_by(SECTOR) {
        // Knuth's linear congruential generator.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lost = match seed {
            0 => true,
            1 => false,
            _ => random >> 63 == 1,
        };
        if lost {
            let end = (at + SECTOR).min(after.len());
            let old = before.get(at..end).map_or_else(|| vec![0; end - at], <[u8]>::to_vec);
            torn[at..end].copy_from_slice(&old);
        }
    }
    torn
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Embedded::open(&path).unwrap();
    for n in 0..500 {
        store.commit(put(&format!("/a/{n}"), &"x".repeat(2_000))).await.unwrap();
    }
    let live = fs::read(&path).unwrap();
    drop(store);
    let damaged = folder.path().join("damaged.redb");
    for contents in [&live[..live.len() / 4], &live[..100], &b"a text file, not a data file"[..], b""] {
        fs::write(&damaged, contents).unwrap();
        let error = Embedded::open(&damaged).err().unwrap_or_else(|| panic!("{} bytes are enough", contents.len()));
        assert!(matches!(&error, OpenError::Unreadable { path, .. } if *path == damaged), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_in_use_is_refused_and_free_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/store.redb");
    let store = Embedded::open(&path).unwrap();
    store.commit(put("/a", "1")).await.unwrap();
    let error = Embedded::open(&path).err().unwrap();
    assert_eq!(error.to_string(), format!("{} is in use by another process", path.display()));
    store.close().await;
    let again = Embedded::open(&path).unwrap();
    assert_eq!(again.revision(), 1);
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(Embedded::open(&path).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Embedded::open(&path).err().unwrap();
    assert_eq!(error.to_string(), format!("{} has format 2; this release reads formats up to 1", path.display()));
}

/// The start of a data file was interrupted: the next start makes it anew.
#[test]
fn an_unfinished_new_file_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("store.redb.new"), "half").unwrap();
    let store = Embedded::open(&folder.path().join("store.redb")).unwrap();
    assert_eq!(store.revision(), 0);
    assert!(!folder.path().join("store.redb.new").exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let _store = Embedded::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A key that changes for ever does not make the file grow for ever, given compaction.
#[tokio::test]
async fn compaction_bounds_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Embedded::open(&path).unwrap();
    let mut sizes = Vec::new();
    for _ in 0..6 {
        for _ in 0..8 {
            let writes = (0..64).map(|n| store.commit(put(&format!("/a/{n}"), &"x".repeat(4_000))));
            futures::future::join_all(writes).await;
        }
        store.compact(store.revision()).await.unwrap();
        sizes.push(fs::metadata(&path).unwrap().len());
    }
    assert!(sizes[5] <= sizes[2], "{sizes:?}");
}
