//! The store's figures, by hand: `cargo bench -p trimtab-store -- [FOLDER]`, FOLDER on the disk to
//! measure (the system's temporary folder is often none).

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::Instant;
use trimtab_store::{Embedded, Memory, Page, Precondition, Store, Write};

const VALUE: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder =
        std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let path = folder.path().join("store.redb");
    let store = Embedded::open(&path).unwrap();
    println!("values of {VALUE} bytes, in {}", path.display());
    for writers in [1, 32, 256] {
        commits("embedded", &store, writers, if writers == 1 { 500 } else { 20_000 }).await;
    }
    commits("memory", &Memory::new(), 32, 100_000).await;
    fill(&store, 100_000).await;
    gets(&store).await;
    watchers(&store).await;
    let started = Instant::now();
    store.compact(store.revision()).await.unwrap();
    println!("compact {} revisions: {:?}", store.revision(), started.elapsed());
    let started = Instant::now();
    let before = cpu();
    commits("embedded, tidying", &store, 32, 20_000).await;
    println!("  of it {:?} CPU, {:?}", cpu() - before, started.elapsed());
    let crashed = folder.path().join("crashed.redb");
    fs::copy(&path, &crashed).unwrap();
    drop(store);
    reopen("after a clean end", &path).await;
    reopen("after a crash", &crashed).await;
}

async fn commits(name: &str, store: &dyn Store, writers: usize, count: usize) {
    let (started, before) = (Instant::now(), cpu());
    let run = async |writer: usize| {
        for n in 0..count / writers {
            store.commit(put(&format!("/registry/bench/{writer}-{n}"))).await.unwrap();
        }
    };
    futures::future::join_all((0..writers).map(run)).await;
    let (each, wall) = ((cpu() - before) / count as u32, started.elapsed());
    println!("{name}, {writers} writers: {:.0} commits/s, {each:?} CPU each", count as f64 / wall.as_secs_f64());
}

async fn fill(store: &dyn Store, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let writes = chunk.iter().map(|n| store.commit(put(&format!("/registry/configmaps/default/cm-{n:06}"))));
        for outcome in futures::future::join_all(writes).await {
            outcome.unwrap();
        }
    }
}

async fn gets(store: &dyn Store) {
    let started = Instant::now();
    for n in 0..100_000 {
        let key = format!("/registry/configmaps/default/cm-{n:06}");
        assert!(store.get(&key).await.unwrap().is_some());
    }
    println!("get: {:?} each", started.elapsed() / 100_000);
    let started = Instant::now();
    let page = store.list("/registry/configmaps/", Page { limit: 500, ..Page::default() }).await.unwrap();
    println!("list 500 of {}: {:?}", page.entries.len() + page.remaining, started.elapsed());
}

async fn watchers(store: &dyn Store) {
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut watch = store.watch(&format!("/registry/kind-{n}/"), store.revision()).await.unwrap();
        assert!(futures::poll!(watch.next()).is_pending());
        idle.push(watch);
    }
    commits("embedded, 500 other watchers", store, 32, 20_000).await;
}

async fn reopen(name: &str, path: &Path) {
    let (started, before) = (Instant::now(), cpu());
    let store = Embedded::open(path).unwrap();
    let (wall, cpu) = (started.elapsed(), cpu() - before);
    let entries = store.list("/", Page::default()).await.unwrap().entries.len();
    let file = fs::metadata(path).unwrap().len() >> 20;
    println!(
        "open {name}: {entries} entries in {wall:?} ({cpu:?} CPU), file of {file} MiB, {} MiB resident",
        resident()
    );
}

fn put(key: &str) -> Write {
    Write { key: key.to_owned(), value: Some(Bytes::from(vec![b'x'; VALUE])), precondition: Precondition::None }
}

/// The CPU time of this process, all threads.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Ticks of 10 ms; fields 14 and 15 of proc(5).
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    (pages * 4096) >> 20
}
