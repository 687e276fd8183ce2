//! ResourceQuotas: how much of what each limits is used (`pkg/controller/resourcequota`).
//!
//! The API server adds to that what a write takes; here it is added up anew whenever something that a quota
//! counts comes or goes. Whatever kinds quotas name are followed, and no others.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use tokio::sync::mpsc;
use trimtab_api::quota::{Resource, Usage};
use trimtab_api::{Object, ObjectRef};
use trimtab_client::{Api, ApiResource, Client, Discovered, ListParams};
use trimtab_env::Env;
use trimtab_reconcile::{Cache, Change as Cached, Context, Controller, Error, Next, Result, Setup, Wake};

use crate::follow::{Change, follow};
use crate::metadata::{Meta, Seen};
use crate::served::Served;

const BACKLOG: usize = 1024;
const PAGE: usize = 500;
/// When to look again for a kind that is not served yet.
const UNSERVED: Duration = Duration::from_secs(5);

/// The quota controller.
#[derive(Debug, Default)]
pub struct ResourceQuotaController {
    served: Arc<Served>,
}

impl Controller for ResourceQuotaController {
    type Kind = ResourceQuota;
    const NAME: &'static str = "resourcequota-controller";
    // What comes in bursts is counted once.
    const REST: Duration = Duration::from_millis(100);

    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let manager = setup.manager();
        let (client, env, quotas) = (manager.client().clone(), manager.env().clone(), manager.cache());
        let served = Arc::clone(&self.served);
        setup.runs(move |wake| Counted { client, env, quotas, served, wake }.follow());
    }

    async fn reconcile(&self, quota: &ResourceQuota, cx: &Context<ResourceQuota>) -> Result<Next> {
        let metadata = &quota.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let api = Api::<ResourceQuota>::namespaced(cx.client(), namespace);
        // What is counted is no older than this version: a write that has taken something since is in the way
        // of what is written here.
        let Some(quota) = api.get_opt(metadata.name.as_deref().unwrap_or_default()).await? else {
            return Ok(Next::on_change());
        };
        let object = Object::from_typed(&quota).map_err(|error| Error::other(error.to_string()))?;
        let mut usage = Usage::of(&object);
        let mut is_complete = true;
        for resource in usage.resources() {
            match served(&self.served, cx.client(), resource).await? {
                Some(found) => add(cx, namespace, &found.resource, resource, &mut usage).await?,
                None => is_complete = false,
            }
        }
        let hard = quota.spec.as_ref().and_then(|spec| spec.hard.clone());
        let used: BTreeMap<_, _> = usage.used().into_iter().map(|(name, amount)| (name, amount.into())).collect();
        let status = ResourceQuotaStatus { hard, used: Some(used).filter(|used| !used.is_empty()) };
        if quota.status.as_ref() != Some(&status) {
            cx.replace_status(&ResourceQuota { status: Some(status), ..quota }).await?;
        }
        Ok(if is_complete { Next::on_change() } else { Next::after(UNSERVED) })
    }
}

/// Adds up what is there of `resource`.
async fn add(
    cx: &Context<ResourceQuota>,
    namespace: &str,
    served: &ApiResource,
    resource: Resource<'_>,
    usage: &mut Usage<'_>,
) -> Result<()> {
    let now = cx.env().now().as_second();
    if usage.counts_all(resource) {
        let api = Api::<Seen>::of(cx.client(), served.clone(), Some(namespace));
        let page = api.list(&ListParams::default().limit(1)).await?;
        let shown = i64::try_from(page.items.len()).unwrap_or(i64::MAX);
        usage.count(resource, shown + page.metadata.remaining_item_count.unwrap_or(0));
        return Ok(());
    }
    let mut objects = Vec::new();
    if resource.is_measured() {
        let api = Api::<Object>::dynamic(cx.client(), served, Some(namespace));
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&params).await?;
            objects.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                break;
            }
        }
    }
    usage.measure(resource, &objects, now);
    Ok(())
}

async fn served(served: &Served, client: &Client, resource: Resource<'_>) -> Result<Option<Arc<Discovered>>> {
    let is = |found: &Discovered| {
        (&*found.resource.group, &*found.resource.plural) == (resource.group, resource.plural)
            && found.resource.namespaced
            && found.can("list")
    };
    Ok(served.find(client, is).await?)
}

/// Follows what quotas count, and wakes those whose count may have changed.
struct Counted {
    client: Client,
    env: Env,
    quotas: Cache<ResourceQuota>,
    served: Arc<Served>,
    wake: Wake,
}

impl Counted {
    async fn follow(self) {
        let mut quotas = self.quotas.subscribe();
        let (sender, mut changes) = mpsc::channel(BACKLOG);
        let mut followed: HashSet<ApiResource> = HashSet::new();
        let mut following: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        let mut retry = false;
        loop {
            // Each branch may be dropped: channels and a set of futures keep what was not taken.
            tokio::select! {
                change = quotas.recv() => match change {
                    Some(Cached::Applied { .. }) => retry = true,
                    Some(_) => {}
                    None => return,
                },
                Some(change) = changes.recv() => self.note(&change),
                Some(()) = following.next() => {}
                () = self.env.sleep(UNSERVED), if retry => {}
            }
            if retry {
                retry = false;
                for quota in self.quotas.list() {
                    for found in self.named(&quota).await {
                        match found {
                            None => retry = true,
                            Some(found) if followed.contains(&found) => {}
                            Some(found) => {
                                followed.insert(found.clone());
                                let (client, env) = (self.client.clone(), self.env.clone());
                                following.push(Box::pin(follow(client, env, Arc::new(found), sender.clone())));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Where what `quota` counts is served; `None` for what is not, or not yet.
    async fn named(&self, quota: &ResourceQuota) -> Vec<Option<ApiResource>> {
        let Ok(object) = Object::from_typed(quota) else { return Vec::new() };
        let mut found = Vec::new();
        for resource in Usage::of(&object).resources() {
            let served = served(&self.served, &self.client, resource).await.ok().flatten();
            found.push(served.map(|served| served.resource.clone()));
        }
        found
    }

    fn note(&self, change: &Change) {
        let wake = |namespace: &str| {
            let there = self.quotas.in_namespace(namespace);
            there.iter().for_each(|quota| self.wake.wake(ObjectRef::of(&**quota)));
        };
        match change {
            Change::Set(_, Meta { namespace, .. }) | Change::Removed(Meta { namespace, .. }) => wake(namespace),
            Change::Listed(..) => {
                self.quotas.list().iter().for_each(|quota| self.wake.wake(ObjectRef::of(&**quota)));
            }
            Change::Refused(_) => {}
        }
    }
}
