//! From a kubeconfig to a client.

use std::sync::Arc;

use super::tls::tls;
use super::{Kubeconfig, find};
use crate::bearer::Bearer;
use crate::client::Client;
use crate::error::Error;
use crate::http::HttpTransport;

impl Kubeconfig {
    /// A client for `context`, or for the current one.
    ///
    /// # Errors
    /// When the context or its credentials cannot be used.
    pub fn client(&self, context: Option<&str>) -> Result<Client, Error> {
        let (context, cluster) = self.place(context)?;
        let user = &find(&self.users, "user", &context.user)?.user;
        let token = user.token.as_deref().filter(|token| !token.is_empty());
        let bearer = match (token, &user.token_file) {
            (Some(token), Some(path)) => Some(Bearer::file_or(path, token)),
            (Some(token), None) => Some(Bearer::Token(token.to_owned())),
            (None, Some(path)) => Some(Bearer::file(path)?),
            (None, None) => None,
        };
        let uncompressed = cluster.disable_compression == Some(true);
        let make = if uncompressed { HttpTransport::uncompressed } else { HttpTransport::new };
        let transport = make(&cluster.server, &tls(cluster, user)?, bearer)?;
        let client = Client::new(Arc::new(transport));
        Ok(match &context.namespace {
            Some(namespace) => client.with_namespace(namespace),
            None => client,
        })
    }
}
