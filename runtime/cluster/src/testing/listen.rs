//! The cluster of a test, reached from outside.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;
use trimtab_client::{Client, Kubeconfig};
use trimtab_env::Env;

use super::TestCluster;
use super::seeds::in_real_time;
use crate::identity::Identity;
use crate::names::{self, CONTEXT};
use crate::pki::Authority;
use crate::tls::{self, Clients};

/// A port of this machine at which a test's cluster answers, until the cluster is stopped.
pub struct Listening {
    url: String,
    authority: Authority,
}

impl TestCluster {
    /// From now on the cluster also answers over HTTPS, at a free port of 127.0.0.1: any client may connect, from
    /// this process or another. Whoever is outside lives in real time, so from now on the cluster does, too: what
    /// waits for a minute takes a minute, and the same seed no longer gives the same history.
    ///
    /// # Panics
    /// If there is no port, or no certificate can be made.
    pub async fn listen(&self) -> Listening {
        in_real_time();
        // Whoever connects looks at the real time whether a certificate is valid.
        let authority = self.authority.at(Env::system().now()).expect("it has signed before");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let identity = authority.server("kube-apiserver", &names::api_server()).expect("these are names");
        let tls = tls::server(&identity, authority.ca_pem(), Clients::MayBeStrangers).expect("this is a certificate");
        let (server, token) = (self.server.clone(), self.outside.token().clone());
        self.outside.spawn("listener", async move {
            if let Err(error) = server.serve(listener, tls, token).await {
                tracing::error!(%error, "the cluster is no longer reached from outside");
            }
        });
        Listening { url: format!("https://{address}"), authority }
    }
}

impl Listening {
    /// Where it is: `https://127.0.0.1:34567`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig (YAML) of somebody who may do everything.
    pub fn kubeconfig(&self) -> String {
        let administrator = Identity::administrator();
        self.kubeconfig_of(&administrator.user, administrator.groups)
    }

    /// A kubeconfig (YAML) of a user, who may do what roles allow.
    ///
    /// # Panics
    /// If no certificate can be made.
    pub fn kubeconfig_of(&self, user: &str, groups: &[&str]) -> String {
        self.config(user, groups).to_yaml()
    }

    /// A client that comes from outside, and may do everything.
    ///
    /// # Panics
    /// If no certificate can be made.
    pub fn client(&self) -> Client {
        let administrator = Identity::administrator();
        let config = self.config(&administrator.user, administrator.groups);
        config.client(None).expect("a kubeconfig that was made for it is taken")
    }

    fn config(&self, user: &str, groups: &[&str]) -> Kubeconfig {
        let pair = self.authority.client(user, groups).expect("a certificate can be made");
        Kubeconfig::single(CONTEXT, &self.url, self.authority.ca_pem(), &pair.cert_pem, &pair.key_pem)
    }
}
