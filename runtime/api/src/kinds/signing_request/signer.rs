//! What the signers that every cluster has sign
//! (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).

use super::request::Request;

/// Certificates of clients of the API.
pub const API_CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// Certificates of the nodes' agents as clients of the API.
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Certificates of the nodes' agents as servers.
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

const SIGNATURE: &str = "digital signature";
const ENCIPHERMENT: &str = "key encipherment";
const CLIENT: &str = "client auth";
const SERVER: &str = "server auth";

/// Whether one of the signers called `signer` signs a request like this.
///
/// # Errors
/// Why not, in upstream's words.
pub fn check(signer: &str, request: &Request, usages: &[String]) -> Result<(), String> {
    match signer {
        API_CLIENT => check_client_usages(usages),
        KUBELET_CLIENT => {
            check_node(request)?;
            let kinds = [
                (request.dns_names.len(), "DNS subjectAltNames are not allowed"),
                (request.email_addresses.len(), "Email subjectAltNames are not allowed"),
                (request.ip_addresses.len(), "IP subjectAltNames are not allowed"),
                (request.uris.len(), "URI subjectAltNames are not allowed"),
            ];
            none_of(&kinds)?;
            exactly(usages, CLIENT)
        }
        KUBELET_SERVING => {
            check_node(request)?;
            if request.dns_names.is_empty() && request.ip_addresses.is_empty() {
                return Err("DNS or IP subjectAltName is required".to_owned());
            }
            let kinds = [
                (request.email_addresses.len(), "Email subjectAltNames are not allowed"),
                (request.uris.len(), "URI subjectAltNames are not allowed"),
            ];
            none_of(&kinds)?;
            exactly(usages, SERVER)
        }
        other => Err(format!("{other} is none of the cluster's own signers")),
    }
}

fn check_client_usages(usages: &[String]) -> Result<(), String> {
    let allowed = [SIGNATURE, ENCIPHERMENT, CLIENT];
    if !usages.iter().any(|usage| usage == CLIENT) {
        return Err("missing required usage for client certificate: client auth".to_owned());
    }
    match usages.iter().find(|usage| !allowed.contains(&usage.as_str())) {
        Some(other) => Err(format!("invalid usage for client certificate: {other}")),
        None => Ok(()),
    }
}

fn check_node(request: &Request) -> Result<(), String> {
    if request.organizations != ["system:nodes"] {
        return Err("subject organization is not system:nodes".to_owned());
    }
    if !request.common_name.starts_with("system:node:") {
        return Err("subject common name does not begin with system:node: ".to_owned());
    }
    Ok(())
}

fn none_of(kinds: &[(usize, &str)]) -> Result<(), String> {
    kinds.iter().find(|(count, _)| *count > 0).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
}

/// A key that only signs (which is no RSA key) needs no encipherment.
fn exactly(usages: &[String], purpose: &str) -> Result<(), String> {
    let mut usages: Vec<&str> = usages.iter().map(String::as_str).collect();
    usages.sort_unstable();
    usages.dedup();
    let (mut all, mut few) = (vec![SIGNATURE, ENCIPHERMENT, purpose], vec![SIGNATURE, purpose]);
    all.sort_unstable();
    few.sort_unstable();
    if usages == all || usages == few { Ok(()) } else { Err(format!("usages did not match [{}]", all.join(" "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Request {
        let organizations = vec!["system:nodes".to_owned()];
        Request { common_name: "system:node:a".to_owned(), organizations, ..Request::default() }
    }

    fn usages(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_agents_request_names_its_node_and_nothing_more() {
        let (client, server) = (usages(&[SIGNATURE, ENCIPHERMENT, CLIENT]), usages(&[SERVER, SIGNATURE]));
        assert_eq!(check(KUBELET_CLIENT, &node(), &client), Ok(()));
        let with_ip = Request { ip_addresses: vec![[10, 0, 0, 1].into()], ..node() };
        assert_eq!(check(KUBELET_SERVING, &with_ip, &server), Ok(()));
        let refused = |signer, request: &Request, usages: &[String], why: &str| {
            assert_eq!(check(signer, request, usages).unwrap_err(), why);
        };
        refused(KUBELET_CLIENT, &with_ip, &client, "IP subjectAltNames are not allowed");
        refused(
            KUBELET_CLIENT,
            &node(),
            &server,
            "usages did not match [client auth digital signature key encipherment]",
        );
        refused(KUBELET_SERVING, &node(), &server, "DNS or IP subjectAltName is required");
        let other = Request { common_name: "jane".to_owned(), ..node() };
        refused(KUBELET_CLIENT, &other, &client, "subject common name does not begin with system:node: ");
        let other = Request { organizations: vec![], ..node() };
        refused(KUBELET_CLIENT, &other, &client, "subject organization is not system:nodes");
        refused("demo.io/x", &node(), &client, "demo.io/x is none of the cluster's own signers");
    }

    #[test]
    fn a_clients_certificate_is_for_clients() {
        assert_eq!(check(API_CLIENT, &Request::default(), &usages(&[CLIENT])), Ok(()));
        assert!(check(API_CLIENT, &Request::default(), &usages(&[SIGNATURE])).is_err());
        assert!(check(API_CLIENT, &Request::default(), &usages(&[CLIENT, SERVER])).is_err());
    }
}
