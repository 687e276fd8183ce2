//! Of which flow and priority level a request is: those of the first FlowSchema that it fits
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>). Who asks is told, as
//! upstream, by headers; whether he has to wait, or is sent away, his level says.
//!
//! ```text
//! request ── fits::fits ──▶ Schema ──▶ Flow ── Flows::seat ──▶ Seat, while it is answered
//! ```

mod dump;
mod fits;
mod seats;
mod stats;

use std::sync::{Arc, RwLock};

use http::{HeaderMap, HeaderValue, Method, Uri};
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, LimitResponse, PriorityLevelConfiguration, PriorityLevelConfigurationSpec,
};
use tokio::sync::Notify;
use trimtab_api::rbac::{Attributes, User};
use trimtab_api::{ApiError, Kinds};
use trimtab_env::{Env, exclusive, shared};
use trimtab_store::{Entry, Page, Revision, Store};

use crate::allocate::Hook;
use crate::{auth, encode};
pub(crate) use dump::answer;
use fits::fits;
pub(crate) use seats::Seat;
use seats::{LevelId, Queuing, Request, Seats, Shares, Ticket};

pub(crate) const GROUP: &str = "flowcontrol.apiserver.k8s.io";
pub(crate) const PLURALS: [&str; 2] = ["flowschemas", "prioritylevelconfigurations"];
pub(crate) const VERSION: &str = "v1";
/// The share of a level that does not say (`nominalConcurrencyShares`).
const SHARES: i32 = 30;
/// Subresources whose answers go on for as long as somebody listens: upstream does not hold them back.
const STREAMS: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// Whether what is asked takes a seat. A watch does, until it has begun. The agent of simulated nodes speaks for
/// thousands, each of which would be a flow of its own.
pub(crate) fn is_counted(user: User<'_>, asked: &Attributes<'_>) -> bool {
    !auth::is_simulated_nodes(user)
        && !matches!(asked, Attributes::Resource { subresource, .. } if STREAMS.contains(subresource))
}

/// What the answer to a request says of its flow.
#[derive(Clone)]
pub(crate) struct Flow {
    schema_uid: HeaderValue,
    level_uid: HeaderValue,
    level: LevelId,
    schema: usize,
    by: Distinguisher,
}

impl Flow {
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert("x-kubernetes-pf-flowschema-uid", self.schema_uid);
        headers.insert("x-kubernetes-pf-prioritylevel-uid", self.level_uid);
    }
}

/// What tells the flows of a schema apart.
#[derive(Clone, Copy, Default)]
enum Distinguisher {
    #[default]
    Nothing,
    User,
    Namespace,
}

impl Distinguisher {
    /// What it is of what `user` asks.
    fn of<'a>(self, user: &'a str, asked: &Attributes<'a>) -> &'a str {
        match (self, asked) {
            (Self::User, _) => user,
            (Self::Namespace, Attributes::Resource { namespace, .. }) => namespace,
            _ => "",
        }
    }
}

struct Schema {
    uid: String,
    spec: FlowSchemaSpec,
    flow: Flow,
}

/// The schemas and levels, read again when one has changed.
#[derive(Default)]
pub(crate) struct Flows {
    known: RwLock<Known>,
    seats: Arc<Seats>,
    /// Told when a schema or a level has been written or deleted.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Known {
    /// In the order in which they are tried; `None` when they have to be read.
    schemas: Option<Arc<Vec<Schema>>>,
    /// How often something has changed.
    changes: u64,
}

impl Flows {
    /// The flow of what `user` asks; `None` when it fits no schema, or none can be read.
    pub(crate) async fn of(
        &self,
        store: &dyn Store,
        kinds: &Kinds,
        user: User<'_>,
        asked: &Attributes<'_>,
    ) -> Option<Flow> {
        let (known, changes) = {
            let state = shared(&self.known);
            (state.schemas.clone(), state.changes)
        };
        let schemas = match known {
            Some(schemas) => schemas,
            None => {
                let stored = Stored::read(store, kinds).await?;
                let mut state = exclusive(&self.known);
                let schemas = Arc::new(stored.schemas(&self.seats));
                // What has changed meanwhile may be missing.
                if state.changes == changes {
                    state.schemas = Some(Arc::clone(&schemas));
                }
                schemas
            }
        };
        schemas.iter().find(|schema| fits(&schema.spec, user, asked)).map(|schema| schema.flow.clone())
    }

    /// Waits until the flow's level has a seat for what `user` asks with a `method` of a `uri`. It is kept while it is
    /// answered.
    ///
    /// # Errors
    /// 429 when too much is asked already.
    pub(crate) async fn seat(
        &self,
        env: &Env,
        flow: &Flow,
        user: User<'_>,
        asked: &Attributes<'_>,
        (method, uri): (&Method, &Uri),
    ) -> Result<Seat, ApiError> {
        let distinguisher = flow.by.of(user.name, asked);
        let request = Request { user: user.name.to_owned(), method: method.clone(), uri: uri.clone(), by: flow.by };
        let ticket = Ticket { level: flow.level, schema: flow.schema, distinguisher, request };
        let refused = |_| ApiError::too_many_requests("Too many requests, please try again later.", 1);
        self.seats.take(env, ticket).await.map_err(refused)
    }

    /// The metrics, in Prometheus' text format.
    pub(crate) fn metrics(&self) -> String {
        self.seats.text()
    }

    /// Whether what was written is a schema as it is known: of its status nobody asks here.
    fn knows(&self, entry: &Entry) -> bool {
        let known = shared(&self.known).schemas.clone();
        known.is_some_and(|schemas| {
            serde_json::from_slice::<FlowSchema>(&entry.value).is_ok_and(|written| {
                schemas.iter().any(|schema| {
                    written.metadata.uid.as_ref() == Some(&schema.uid) && written.spec.as_ref() == Some(&schema.spec)
                })
            })
        })
    }

    fn forget(&self) {
        let mut state = exclusive(&self.known);
        state.schemas = None;
        state.changes += 1;
    }
}

impl Hook for Flows {
    fn written(&self, entry: &Entry) {
        if !self.knows(entry) {
            self.forget();
        }
        self.changed.notify_one();
    }

    fn removed(&self, _entry: &Entry, _revision: Revision) {
        self.forget();
        self.changed.notify_one();
    }
}

/// What is stored of levels and schemas.
struct Stored {
    levels: Vec<PriorityLevelConfiguration>,
    schemas: Vec<FlowSchema>,
}

impl Stored {
    async fn read(store: &dyn Store, kinds: &Kinds) -> Option<Self> {
        let [schemas, levels] = PLURALS.map(|plural| kinds.by_resource(GROUP, VERSION, plural));
        let (schemas, levels) = (schemas?, levels?);
        let stored = store.list(&encode::prefix(levels, ""), Page::default()).await.ok()?.entries;
        let levels = stored.iter().filter_map(|entry| encode::to_object(levels, entry).to_typed().ok()).collect();
        let stored = store.list(&encode::prefix(schemas, ""), Page::default()).await.ok()?.entries;
        let schemas = stored.iter().filter_map(|entry| encode::to_object(schemas, entry).to_typed().ok()).collect();
        Some(Self { levels, schemas })
    }

    /// The schemas in the order in which they are tried, once `seats` knows the levels.
    fn schemas(self, seats: &Arc<Seats>) -> Vec<Schema> {
        let shares: Vec<Shares> = self.levels.iter().filter_map(shares).collect();
        let ids = seats.configure(&shares);
        let level = |name: &str| {
            let at = shares.iter().position(|level| &*level.name == name)?;
            let found = self.levels.iter().find(|level| level.metadata.name.as_deref() == Some(name))?;
            Some((&shares[at].name, ids[at], HeaderValue::from_str(found.metadata.uid.as_deref()?).ok()?))
        };
        let mut found: Vec<_> = self
            .schemas
            .into_iter()
            .filter_map(|schema| {
                let (spec, name, uid) = (schema.spec?, schema.metadata.name?, schema.metadata.uid?);
                // One that hangs in the air is nobody's.
                let (level_name, level, level_uid) = level(&spec.priority_level_configuration.name)?;
                let by = match spec.distinguisher_method.as_ref().map(|method| method.type_.as_str()) {
                    Some("ByUser") => Distinguisher::User,
                    Some("ByNamespace") => Distinguisher::Namespace,
                    _ => Distinguisher::Nothing,
                };
                let schema_uid = HeaderValue::from_str(&uid).ok()?;
                let flow = Flow { schema_uid, level_uid, level, schema: seats.schema(level_name, &name), by };
                Some((name, Schema { uid, spec, flow }))
            })
            .collect();
        found.sort_by(|(a, one), (b, other)| {
            (one.spec.matching_precedence, a).cmp(&(other.spec.matching_precedence, b))
        });
        found.into_iter().map(|(_, schema)| schema).collect()
    }
}

/// What a level's configuration comes to.
fn shares(level: &PriorityLevelConfiguration) -> Option<Shares> {
    let (name, spec) = (level.metadata.name.as_deref()?.into(), level.spec.as_ref()?);
    let count = |value: Option<i32>| value.and_then(|value| usize::try_from(value).ok());
    let PriorityLevelConfigurationSpec { exempt, limited, type_ } = spec;
    if type_ == "Exempt" {
        let exempt = exempt.as_ref();
        let shares = count(exempt.and_then(|exempt| exempt.nominal_concurrency_shares)).unwrap_or(0);
        let lendable = count(exempt.and_then(|exempt| exempt.lendable_percent)).unwrap_or(0);
        return Some(Shares { name, exempt: true, shares, lendable, borrowing: None, queuing: None });
    }
    let limited = limited.as_ref()?;
    Some(Shares {
        name,
        exempt: false,
        shares: count(limited.nominal_concurrency_shares.or(Some(SHARES))).unwrap_or(0),
        lendable: count(limited.lendable_percent).unwrap_or(0),
        borrowing: count(limited.borrowing_limit_percent),
        queuing: limited.limit_response.as_ref().and_then(queuing),
    })
}

/// How those wait whom there is no seat for; the defaults are those of `queuing` itself.
fn queuing(response: &LimitResponse) -> Option<Queuing> {
    if response.type_ != "Queue" {
        return None;
    }
    let said = response.queuing.as_ref();
    let count = |value: Option<i32>, default| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default);
    Some(Queuing {
        queues: count(said.and_then(|queuing| queuing.queues), 64).max(1),
        hand_size: count(said.and_then(|queuing| queuing.hand_size), 8).max(1),
        length: count(said.and_then(|queuing| queuing.queue_length_limit), 50),
    })
}
