//! `kube`'s client against the cluster in the test's own process: no port, and virtual time.

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use trimtab::testing::TestCluster;

use super::*;

/// `kube`'s client, whose requests the cluster's server answers at once.
fn client(cluster: &TestCluster) -> Client {
    let transport = cluster.client().transport();
    let service = tower::service_fn(move |request: Request<Body>| {
        let transport = transport.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let answer: Response<trimtab::client::Body> = transport.send(Request::from_parts(parts, body)).await?;
            Ok::<_, trimtab::client::BoxError>(answer)
        }
    });
    Client::new(service, "default")
}

#[trimtab::test]
async fn bookmarks_are_kept_and_listed(cluster: &TestCluster) -> anyhow::Result<()> {
    let client = client(cluster);
    define(&client).await?;
    keep(&client, "trimtab", "https://trimtab.dev").await?;
    let kept = keep(&client, "search", "https://search.demo.io").await?;
    assert_eq!(kept.metadata.generation, Some(1));
    let mut out = Vec::new();
    list(&client, &mut out).await?;
    assert_eq!(String::from_utf8(out)?, "search\thttps://search.demo.io\ntrimtab\thttps://trimtab.dev\n");
    // What `kube` wrote, our own client reads.
    let ours = cluster.api::<Bookmark>("default").get("search").await?;
    assert_eq!(ours.spec.url, "https://search.demo.io");
    let error = keep(&client, "wrong", "somewhere").await.unwrap_err();
    assert!(format!("{error:#}").contains("a bookmark is a URL"), "{error:#}");
    Ok(())
}
