//! The kubeconfig files that a cluster writes: the people's, and one for each component.

use std::path::Path;

use trimtab_client::Kubeconfig;

use crate::error::{StartError, other};
use crate::files::write_private;
use crate::identity::Identity;
use crate::names::CONTEXT;
use crate::pki::Pki;

/// Adds the administrator's context, or brings it up to date; everything else in the file stays as
/// it is.
pub(crate) fn write_administrator(pki: &Pki, server: &str, path: &Path) -> Result<(), StartError> {
    let admin = pki.kept_client("admin", &Identity::administrator())?;
    let ours = Kubeconfig::single(CONTEXT, server, pki.ca_pem(), &admin.cert_pem, &admin.key_pem);
    let mut config = if path.exists() { Kubeconfig::read_unresolved(path)? } else { Kubeconfig::default() };
    let current = config.current_context.clone();
    config.remove(CONTEXT);
    config.current_context = current;
    config.merge(ours);
    write(path, &config)
}

/// Writes into `dir` a kubeconfig for each component that runs as a process of its own, with a new
/// certificate, and for each of `nodes`.
pub(crate) fn write_components(pki: &Pki, server: &str, dir: &Path, nodes: &[String]) -> Result<(), StartError> {
    let mut all = vec![
        ("controllers".to_owned(), Identity::controllers()),
        ("scheduler".to_owned(), Identity::scheduler()),
        ("sim".to_owned(), Identity::simulated_nodes()),
        ("proxy".to_owned(), Identity::proxy()),
        ("dns".to_owned(), Identity::dns()),
        ("sync".to_owned(), Identity::sync()),
    ];
    all.extend(nodes.iter().map(|name| (format!("node-{name}"), Identity::node(name))));
    for (name, identity) in all {
        let pair = pki.client(&identity)?;
        let config = Kubeconfig::single(CONTEXT, server, pki.ca_pem(), &pair.cert_pem, &pair.key_pem);
        write(&dir.join(format!("{name}.yaml")), &config)?;
    }
    Ok(())
}

fn write(path: &Path, config: &Kubeconfig) -> Result<(), StartError> {
    let text = config.to_yaml();
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(other("make the kubeconfig's folder"))?;
    }
    write_private(path, text.as_bytes()).map_err(other("write the kubeconfig"))
}
