//! Watches the kinds that files have applied, and tells what has become of their objects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use trimtab_api::Object;
use trimtab_client::{Api, ApiResource, Client, Error, ListParams, WatchEvent};
use trimtab_env::{CancellationToken, Env, Tasks};

use crate::cluster::MANAGER;
use crate::plan::{Fingerprint, Key};

/// The pause before a failed watch is begun again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// News of one kind.
pub(crate) enum News {
    /// An object was written, or (`None`) deleted.
    Seen(Key, Option<Fingerprint>),
    /// All objects of the kind that [`MANAGER`] has applied fields of.
    Listed(ApiResource, BTreeMap<Key, Fingerprint>),
}

/// The watches of the kinds in use.
pub(crate) struct Drift {
    client: Client,
    env: Env,
    tasks: Tasks,
    running: HashMap<ApiResource, CancellationToken>,
    sender: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
}

impl Drift {
    pub(crate) fn new(client: &Client, env: &Env, tasks: &Tasks) -> Self {
        let (sender, news) = mpsc::channel(256);
        let (client, env, tasks) = (client.clone(), env.clone(), tasks.clone());
        Self { client, env, tasks, running: HashMap::new(), sender, news }
    }

    /// Watches these kinds and no others.
    pub(crate) fn watch(&mut self, kinds: &HashSet<ApiResource>) {
        self.running.retain(|kind, token| {
            kinds.contains(kind) || {
                token.cancel();
                false
            }
        });
        for kind in kinds {
            if self.running.contains_key(kind) {
                continue;
            }
            let token = self.tasks.token().child_token();
            self.running.insert(kind.clone(), token.clone());
            let watch = KindWatch {
                api: Api::dynamic(&self.client, kind, None),
                env: self.env.clone(),
                sender: self.sender.clone(),
            };
            self.tasks.spawn("sync-drift", async move {
                token.run_until_cancelled(watch.run()).await;
            });
        }
    }

    /// Waits for news.
    pub(crate) async fn news(&mut self) -> News {
        self.news.recv().await.expect("a sender is in self")
    }

    /// News that are there already.
    pub(crate) fn more(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

/// The watch of one kind.
struct KindWatch {
    api: Api<Object>,
    env: Env,
    sender: mpsc::Sender<News>,
}

impl KindWatch {
    /// Lists and watches until dropped.
    async fn run(self) {
        let mut pause = PAUSES.0;
        loop {
            match self.list_and_watch().await {
                Ok(()) => pause = PAUSES.0,
                Err(error) => {
                    let kind = self.api.resource().resource();
                    tracing::debug!(kind, error = &error as &dyn std::error::Error, "a watch failed");
                    self.env.sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Until the server ends the watch.
    async fn list_and_watch(&self) -> Result<(), Error> {
        let mut live = BTreeMap::new();
        let mut params = ListParams::default().limit(500);
        let mut version = loop {
            let page = self.api.list(&params).await?;
            let own = page.items.iter().map(|object| (self.key(object), Fingerprint::of(object, MANAGER)));
            live.extend(own.filter(|(_, fingerprint)| fingerprint.is_managed()));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                break page.metadata.resource_version.unwrap_or_default();
            }
        };
        self.tell(News::Listed(self.api.resource().clone(), live)).await;
        loop {
            let mut events = pin!(self.api.watch(&ListParams::default(), &version).await?);
            while let Some(event) = events.next().await {
                match event? {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        object.resource_version().clone_into(&mut version);
                        self.tell(News::Seen(self.key(&object), Some(Fingerprint::of(&object, MANAGER)))).await;
                    }
                    WatchEvent::Deleted(object) => {
                        object.resource_version().clone_into(&mut version);
                        self.tell(News::Seen(self.key(&object), None)).await;
                    }
                    WatchEvent::Bookmark { resource_version, .. } => version = resource_version,
                    WatchEvent::Unreadable { .. } => {}
                    WatchEvent::Error(error) => return Err(error.into()),
                }
            }
        }
    }

    fn key(&self, object: &Object) -> Key {
        Key::new(self.api.resource(), object.namespace(), object.name())
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more only when everything ends.
        drop(self.sender.send(news).await);
    }
}
