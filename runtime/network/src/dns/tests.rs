//! The server over loopback, with another server as its upstream.

use std::net::Ipv4Addr;

use hickory_proto::op::Query;
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::json;

use super::*;
use crate::model::tests::{service, snapshot};

async fn start(
    tasks: &Tasks,
    domain: &str,
    snapshot: Snapshot,
    upstreams: Vec<SocketAddr>,
) -> (SocketAddr, watch::Sender<Arc<Snapshot>>) {
    let config = Config {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        domain: domain.to_owned(),
        upstreams: Upstreams::Fixed(upstreams),
    };
    let server = Server::bind(&config).await.unwrap();
    let address = server.addresses()[0];
    let (sender, receiver) = watch::channel(Arc::new(snapshot));
    let token = tasks.token().clone();
    tasks.spawn("dns", server.run(receiver, token));
    (address, sender)
}

fn web(ip: &str) -> Snapshot {
    snapshot(&[service("web", json!({"clusterIP": ip, "ports": [{"port": 80}]}))], &[])
}

fn question(name: &str) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

async fn ask(server: SocketAddr, name: &str, channel: Channel) -> (ResponseCode, Vec<String>) {
    let answer = Upstreams::Fixed(vec![server]).ask(&question(name), channel, &[]).await.expect("it answers");
    let answer = Message::from_vec(&answer).unwrap();
    let addresses = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(ip) => Some(ip.to_string()),
        _ => None,
    });
    (answer.metadata.response_code, addresses.collect())
}

#[tokio::test]
async fn names_are_answered_over_udp_and_tcp_and_follow_the_snapshot() {
    let tasks = Tasks::new();
    let (server, snapshots) = start(&tasks, "cluster.local", web("10.96.0.9"), Vec::new()).await;
    let name = "web.default.svc.cluster.local.";
    for channel in [Channel::Udp, Channel::Tcp] {
        assert_eq!(ask(server, name, channel).await, (ResponseCode::NoError, vec!["10.96.0.9".to_owned()]));
    }
    snapshots.send_replace(Arc::new(web("10.96.0.10")));
    while ask(server, name, Channel::Udp).await.1 != ["10.96.0.10"] {
        tokio::task::yield_now().await;
    }
    tasks.shutdown().await;
}

#[tokio::test]
async fn other_names_are_forwarded_and_aliases_followed() {
    let tasks = Tasks::new();
    let (other, _a) = start(&tasks, "other.example", web("192.0.2.1"), Vec::new()).await;
    let alias = json!({"type": "ExternalName", "externalName": "web.default.svc.other.example"});
    let (server, _b) = start(&tasks, "cluster.local", snapshot(&[service("out", alias)], &[]), vec![other]).await;
    let expected = (ResponseCode::NoError, vec!["192.0.2.1".to_owned()]);
    for channel in [Channel::Udp, Channel::Tcp] {
        assert_eq!(ask(server, "web.default.svc.other.example.", channel).await, expected);
        assert_eq!(ask(server, "out.default.svc.cluster.local.", channel).await, expected);
    }
    tasks.shutdown().await;
}

#[tokio::test]
async fn without_resolvers_other_names_fail_at_once() {
    let tasks = Tasks::new();
    let (server, _snapshots) = start(&tasks, "cluster.local", Snapshot::default(), Vec::new()).await;
    assert_eq!(ask(server, "example.com.", Channel::Udp).await.0, ResponseCode::ServFail);
    tasks.shutdown().await;
}
