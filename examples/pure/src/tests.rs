//! Most of it needs no cluster.

use trimtab::testing::{TestCluster, sweep};
use trimtab::{Of, Rehearsal};

use super::*;

const MANIFEST: &str = include_str!("../manifests/page.yaml");

fn page() -> Page {
    let mut page = Page::new("home", PageSpec { text: "Hello".to_owned(), frame: "frame".to_owned() });
    page.metadata.namespace = Some("default".to_owned());
    page
}

fn frame(html: &str) -> ConfigMap {
    let mut frame = ConfigMap { metadata: named("frame"), ..ConfigMap::default() };
    frame.metadata.namespace = Some("default".to_owned());
    frame.data = Some(BTreeMap::from([("html".to_owned(), html.to_owned())]));
    frame
}

#[test]
fn the_text_is_put_into_the_frame() {
    let composed = Rehearsal::of(page()).with(frame("<p>BODY</p>")).compose().unwrap();
    let made = composed.find::<ConfigMap>("page-home").unwrap();
    assert_eq!(made.data.as_ref().unwrap()["html"], "<p>Hello</p>");
}

#[test]
fn without_a_frame_there_is_no_page() {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let composed = Rehearsal::of(page()).at(at).compose().unwrap();
    assert!(composed.is_empty());
    let told = &composed.status_after(None).conditions[0];
    assert_eq!((&*told.reason, told.last_transition_time.0), ("FrameMissing", at));
}

#[trimtab::test(seeds = 2, kinds(Page))]
async fn a_page_follows_its_frame(cluster: &TestCluster) {
    cluster.run(Of::<Page>::new);
    cluster.apply(MANIFEST).await;
    let html = async |cluster: &TestCluster| {
        let made = cluster.api::<ConfigMap>("default").get_opt("page-home").await.unwrap();
        made.and_then(|made| made.data?.remove("html"))
    };
    cluster.until("it is framed", async |cluster| html(cluster).await.as_deref() == Some("<h1>Hello</h1>")).await;
    cluster.apply(&MANIFEST.replace("h1>", "h2>")).await;
    cluster.until("it is framed anew", async |cluster| html(cluster).await.as_deref() == Some("<h2>Hello</h2>")).await;
    cluster.api::<ConfigMap>("default").delete("frame", &Default::default()).await.unwrap();
    cluster.until("it goes with the frame", async |cluster| html(cluster).await.is_none()).await;
    let status = cluster.api::<Page>("default").get("home").await.unwrap().status.unwrap();
    assert_eq!(status.conditions[0].reason, "FrameMissing");
}

#[test]
fn it_may_die_at_each_of_its_writes() {
    sweep(
        "page",
        || TestCluster::builder(1).kinds([Page::kind()]),
        async |cluster| {
            cluster.run(Of::<Page>::new);
            cluster.apply(MANIFEST).await;
            let made = async |cluster: &TestCluster| cluster.api::<ConfigMap>("default").get("page-home").await.is_ok();
            cluster.until("it is framed", made).await;
        },
    );
}
