//! For Trimtab's runtime.

use k8s_openapi::api::core::v1::ConfigMap;
use trimtab::{Context, Next, ObjectRef, Result, controller};

use super::{HEADING, Notice, look, put_up, whole};

pub(super) struct Notices;

pub(super) fn heading(notice: &Notice) -> Vec<ObjectRef> {
    vec![ObjectRef::new(notice.metadata.namespace.as_deref().unwrap_or_default(), HEADING)]
}

#[controller(for = Notice, owns(ConfigMap), references(ConfigMap => heading))]
impl Notices {
    async fn reconcile(&self, notice: &Notice, cx: &Context<Notice>) -> Result<Next> {
        look();
        let text = whole(cx.get::<ConfigMap>(HEADING)?.as_deref(), &notice.spec.text);
        cx.apply(put_up(notice, &text)).await?;
        cx.status(|status| status.length = text.len()).await?;
        Ok(Next::on_change())
    }
}
