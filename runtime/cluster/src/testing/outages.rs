//! What happens to the cluster itself, in a task of its own.

use trimtab_env::Instant;

use super::TestCluster;
use super::plan::{Outage, Trouble};

impl TestCluster {
    /// From now on things go wrong.
    pub(super) fn begin_weather(&self) {
        self.weather.set_fair(false);
        let names: Vec<String> = self.nodes.keys().cloned().collect();
        let outages = self.weather.outages(&names);
        if outages.is_empty() {
            return;
        }
        let (cluster, start) = (self.clone(), Instant::now());
        let over = self.weather.begin_outages();
        self.tasks.spawn_cancellable("outages", async move {
            let mut back = Vec::new();
            for (after, outage) in outages {
                tokio::time::sleep_until(start + after).await;
                cluster.history.note(outage.to_string());
                if let Some(until) = cluster.strike(&outage) {
                    let (cluster, outage) = (cluster.clone(), outage.clone());
                    back.push(async move {
                        tokio::time::sleep_until(until).await;
                        if let Outage::Node(name, _) = &outage {
                            cluster.node(name).set_down(false);
                            cluster.history.note(format!("{name} is back"));
                        }
                    });
                }
                cluster.weather.meet(Trouble::Outage { after, outage });
            }
            futures::future::join_all(back).await;
            over.send_replace(true);
        });
    }

    /// Returns once all outages have happened, and are over.
    pub(super) async fn weathered(&self) {
        self.weather.outages_over().await;
    }

    /// Answers when it is over, if it takes time.
    fn strike(&self, outage: &Outage) -> Option<Instant> {
        match outage {
            Outage::Node(name, time) => {
                let node = self.node(name);
                node.crash();
                node.set_down(true);
                return Some(Instant::now() + *time);
            }
            Outage::Containers(name) => self.node(name).crash(),
            Outage::Clock(seconds) => self.env.set_clock(*seconds),
        }
        None
    }
}
