//! Ends pods whose `emptyDir` volumes have grown past their `sizeLimit`, as the kubelet's eviction manager does.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Volume};
use tokio::sync::oneshot;
use trimtab_api::quantity::Quantity;

use crate::node::Node;
use crate::pod::spec;

/// How often such volumes are measured.
const MEASURE: Duration = Duration::from_secs(10);

/// Measures the volumes that have a limit. Runs until it is dropped.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        node.shared.env.sleep(MEASURE).await;
        let pods: Vec<_> = node.pods().into_iter().filter(|pod| limits(pod).next().is_some()).collect();
        if pods.is_empty() {
            continue;
        }
        // A large volume takes long to measure.
        let ((done, measured), measurer) = (oneshot::channel(), Arc::clone(&node));
        node.workers.spawn_blocking(move || {
            pods.iter().for_each(|pod| measure(&measurer, pod));
            // The receiver is gone only when the agent ends.
            let _ = done.send(());
        });
        if measured.await.is_err() {
            return;
        }
    }
}

/// The pod's volumes with a limit, and the limit in bytes.
fn limits(pod: &Pod) -> impl Iterator<Item = (&Volume, &str, u64)> {
    spec(pod).volumes.iter().flatten().filter_map(|volume| {
        let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        let bytes = u64::try_from(Quantity::try_from(limit).ok()?.units()).ok().filter(|bytes| *bytes > 0)?;
        Some((volume, limit.0.as_str(), bytes))
    })
}

fn measure(node: &Node, pod: &Pod) {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let over = limits(pod).find(|(volume, _, bytes)| node.shared.files.size(uid, volume) > *bytes);
    if let Some((volume, limit, _)) = over {
        let message = format!("Usage of EmptyDir volume \"{}\" exceeds the limit \"{limit}\". ", volume.name);
        node.tell(uid, |news| news.evicted = Some(message));
    }
}
