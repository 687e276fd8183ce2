//! Who has asked for each commit of a store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Request;
use trimtab_env::lock;
use trimtab_store::{Entry, ListPage, Observer, Outcome, Page, ReadError, Revision, Store, Watch, Write};

/// A program's request.
#[derive(Clone, Debug)]
pub(super) struct Author(Arc<str>);

impl Author {
    pub(super) fn new<B>(program: &str, request: &Request<B>) -> Self {
        Self(format!("{program}: {} {}", request.method(), request.uri().path()).into())
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

thread_local! {
    /// Whose request is being answered.
    static AUTHOR: RefCell<Option<Author>> = const { RefCell::new(None) };
}

/// What is committed while `future` is polled is asked for by `author`.
pub(super) fn attributed<F: Future + Unpin>(author: Author, future: F) -> Attributed<F> {
    Attributed { author, future }
}

pub(super) struct Attributed<F> {
    author: Author,
    future: F,
}

impl<F: Future + Unpin> Future for Attributed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let before = AUTHOR.replace(Some(self.author.clone()));
        let polled = Pin::new(&mut self.future).poll(cx);
        AUTHOR.set(before);
        polled
    }
}

/// A store that remembers who asked for what.
pub(super) struct Ledger {
    inner: Arc<dyn Store>,
    authors: Mutex<BTreeMap<Revision, Author>>,
}

impl Ledger {
    pub(super) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, authors: Mutex::default() }
    }

    /// Who asked for a commit, told once; nobody did of what the server does by itself.
    pub(super) fn take_author(&self, revision: Revision) -> Option<Author> {
        lock(&self.authors).remove(&revision)
    }
}

impl Store for Ledger {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>> {
        self.inner.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, page: Page) -> BoxFuture<'a, Result<ListPage, ReadError>> {
        self.inner.list(prefix, page)
    }

    fn observe(&self, observer: Observer) {
        self.inner.observe(observer);
    }

    fn commit_with(&self, beside: Vec<Write>, write: Write) -> BoxFuture<'_, Outcome> {
        let author = AUTHOR.with_borrow(Clone::clone);
        let others = beside.len() as Revision;
        Box::pin(async move {
            let outcome = self.inner.commit_with(beside, write).await;
            if let (Ok((revision, _)), Some(author)) = (&outcome, author) {
                let mut authors = lock(&self.authors);
                for revision in revision - others..=*revision {
                    authors.entry(revision).or_insert_with(|| author.clone());
                }
            }
            outcome
        })
    }

    fn watch<'a>(&'a self, prefix: &'a str, after: Revision) -> BoxFuture<'a, Result<Watch, ReadError>> {
        self.inner.watch(prefix, after)
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.inner.reached(revision)
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.compact(revision)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
