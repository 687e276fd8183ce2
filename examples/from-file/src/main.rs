//! Caches: a pod and a Service. Their types come wholly from a CustomResourceDefinition in a file.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab::{Context, Named, Next, Result, controller, named};

mod kinds {
    trimtab::resources_from!("crds/*.yaml");
}

use kinds::{Cache, CacheEngine};

#[controller(owns(Pod, Service))]
impl Reconcile for Cache {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let pod = cx.apply(pod(self)).await?;
        cx.apply(service(self)).await?;
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let ready = conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"));
        let endpoint = format!("{}.{}.svc:{}", self.name(), self.namespace(), port(self));
        cx.status(|status| {
            status.ready = Some(ready);
            status.endpoint = Some(endpoint);
        })
        .await?;
        Ok(Next::on_change())
    }
}

fn port(cache: &Cache) -> i32 {
    match cache.spec.engine {
        CacheEngine::Valkey => 6379,
        CacheEngine::Memcached => 11211,
    }
}

fn labels(cache: &Cache) -> BTreeMap<String, String> {
    BTreeMap::from([("cache".to_owned(), cache.name().to_owned())])
}

fn pod(cache: &Cache) -> Pod {
    let image = match cache.spec.engine {
        CacheEngine::Valkey => "valkey:8",
        CacheEngine::Memcached => "memcached:1",
    };
    let limits = cache.spec.memory.clone().map(|memory| BTreeMap::from([("memory".to_owned(), memory)]));
    let container = Container {
        name: "cache".to_owned(),
        image: Some(image.to_owned()),
        resources: Some(ResourceRequirements { limits, ..ResourceRequirements::default() }),
        ..Container::default()
    };
    let mut all = cache.spec.labels.clone().unwrap_or_default();
    all.extend(labels(cache));
    let metadata = ObjectMeta { labels: Some(all), ..named(cache.name()) };
    Pod { metadata, spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }), ..Pod::default() }
}

fn service(cache: &Cache) -> Service {
    let ports = Some(vec![ServicePort { port: port(cache), ..ServicePort::default() }]);
    let spec = Some(ServiceSpec { selector: Some(labels(cache)), ports, ..ServiceSpec::default() });
    Service { metadata: named(cache.name()), spec, ..Service::default() }
}

fn main() -> ExitCode {
    trimtab::operator!(Cache)
}
