//! The server, its password and its address.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, Pod, PodSpec, Secret, SecretKeySelector, Service, ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab::{Context, Named, Result, named};

use crate::Database;

const PASSWORD: &str = "password";
const PORT: i32 = 5432;

impl Database {
    /// The password is made once.
    pub(crate) fn secret(&self, cx: &Context<Self>) -> Result<Secret> {
        let known = cx.get::<Secret>(self.name())?.and_then(|secret| secret.data.as_ref()?.get(PASSWORD).cloned());
        let password = known.unwrap_or_else(|| {
            let mut bytes = [0; 16];
            cx.env().fill(&mut bytes);
            ByteString(format!("{:032x}", u128::from_be_bytes(bytes)).into_bytes())
        });
        let data = Some(BTreeMap::from([(PASSWORD.to_owned(), password)]));
        Ok(Secret { metadata: named(self.name()), data, ..Secret::default() })
    }

    pub(crate) fn service(&self) -> Service {
        let ports = Some(vec![ServicePort { port: PORT, ..ServicePort::default() }]);
        let spec = Some(ServiceSpec { selector: Some(self.labels("server")), ports, ..ServiceSpec::default() });
        Service { metadata: named(self.name()), spec, ..Service::default() }
    }

    pub(crate) fn server(&self) -> Pod {
        self.pod(self.name(), "server", "Always")
    }

    /// A pod of the database's image, which knows the password.
    pub(crate) fn pod(&self, name: &str, role: &str, restart: &str) -> Pod {
        let selector = SecretKeySelector { name: self.name().to_owned(), key: PASSWORD.to_owned(), optional: None };
        let source = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
        let password = EnvVar { name: "PASSWORD".to_owned(), value_from: Some(source), value: None };
        let host = EnvVar { name: "HOST".to_owned(), value: Some(self.name().to_owned()), value_from: None };
        let container = Container {
            name: role.to_owned(),
            image: Some(self.spec.image.clone()),
            args: Some(vec![role.to_owned()]),
            env: Some(vec![password, host]),
            ..Container::default()
        };
        let restart_policy = Some(restart.to_owned());
        let spec = PodSpec { containers: vec![container], restart_policy, ..PodSpec::default() };
        let metadata = ObjectMeta { labels: Some(self.labels(role)), ..named(name) };
        Pod { metadata, spec: Some(spec), ..Pod::default() }
    }

    fn labels(&self, role: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("database".to_owned(), self.name().to_owned()), ("role".to_owned(), role.to_owned())])
    }
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}
