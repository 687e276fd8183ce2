//! Who each component is at the API: the common name and the organisations of its certificate, or
//! the same in process. The names are upstream's where upstream has the component
//! (<https://kubernetes.io/docs/setup/best-practices/certificates/#configure-certificates-for-user-accounts>).

/// The name under which the API server speaks for its callers.
pub(crate) const FRONT_PROXY_CLIENT: &str = "front-proxy-client";

/// A user and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) groups: &'static [&'static str],
    /// The program's name, under which its writes are recorded.
    pub(crate) agent: &'static str,
}

impl Identity {
    fn new(user: &str, groups: &'static [&'static str], agent: &'static str) -> Self {
        Self { user: user.to_owned(), groups, agent }
    }

    /// The API server, to itself.
    pub(crate) fn api_server() -> Self {
        Self::new("system:apiserver", &["system:masters"], "kube-apiserver")
    }

    /// The API server, to the nodes' agents.
    pub(crate) fn kubelet_client() -> Self {
        Self::new("kube-apiserver-kubelet-client", &["system:masters"], "kube-apiserver")
    }

    /// The API server, to the servers to which it passes requests on.
    pub(crate) fn front_proxy_client() -> Self {
        Self::new(FRONT_PROXY_CLIENT, &[], "kube-apiserver")
    }

    /// The people who may do everything.
    pub(crate) fn administrator() -> Self {
        Self::new("kubernetes-admin", &["system:masters"], "trimtab")
    }

    pub(crate) fn controllers() -> Self {
        Self::new("system:kube-controller-manager", &[], "kube-controller-manager")
    }

    pub(crate) fn scheduler() -> Self {
        Self::new("system:kube-scheduler", &[], "kube-scheduler")
    }

    pub(crate) fn node(name: &str) -> Self {
        Self::new(&format!("system:node:{name}"), &["system:nodes"], "kubelet")
    }

    /// The one agent of all simulated nodes, which is no node itself.
    pub(crate) fn simulated_nodes() -> Self {
        Self::new("system:trimtab:sim", &[], "kubelet")
    }

    pub(crate) fn proxy() -> Self {
        Self::new("system:kube-proxy", &[], "kube-proxy")
    }

    pub(crate) fn dns() -> Self {
        Self::new("system:trimtab:dns", &[], "trimtab-dns")
    }

    /// It applies whatever the files say, so it may do everything.
    pub(crate) fn sync() -> Self {
        Self::new("system:trimtab:sync", &["system:masters"], "trimtab-sync")
    }
}
