//! Every controller at once, against the API server in this process, in virtual time. What nodes
//! would do, the tests do.

mod certificates;
mod endpoints;
mod garbage;
mod harness;
mod namespaces;
mod nodes;
mod policies;
mod protection;
mod quotas;
mod replication;
mod roles;
mod root_ca;
mod service_account_tokens;
mod tokens;
