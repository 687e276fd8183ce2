//! Why no node can take a pod, in upstream's words.

use std::collections::BTreeMap;

use std::fmt::Display;

/// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).` from how many
/// nodes there are and how many of them have each reason.
pub(crate) fn message(nodes: usize, reasons: &BTreeMap<impl Display, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Reason;

    #[test]
    fn reasons_are_counted_and_sorted() {
        let reasons = [(Reason::Taints, 2), (Reason::Insufficient("cpu".to_owned()), 1)].into();
        let expected = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).";
        assert_eq!(message(3, &reasons), expected);
        assert_eq!(message(0, &BTreeMap::<Reason, usize>::new()), "no nodes available to schedule pods");
    }
}
