//! Writes as those see them who know the kind in another version: with `matchPolicy: Equivalent` a webhook or policy
//! that names one version of a resource is asked about writes of all of them
//! (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-matchpolicy>).

use std::sync::Arc;

use trimtab_api::{ApiError, Kind, Object};

use super::Attributes;
use crate::conversion;
use crate::server::ApiServer;

/// As which of its versions a write is of concern by `rules`: the one it is made in, if `fits` says so of any of them,
/// or else, when equivalents count, the other one that the first of them fits.
pub(super) fn matched<R>(
    server: &ApiServer,
    write: &Attributes<'_>,
    rules: &[R],
    equivalent: bool,
    fits: impl Fn(&R, &Kind) -> bool,
) -> Option<Arc<Kind>> {
    let own = &write.call.kind;
    if rules.iter().any(|rule| fits(rule, own)) {
        return Some(Arc::clone(own));
    }
    if !equivalent || rules.is_empty() {
        return None;
    }
    let kinds = server.inner.kinds();
    let others: Vec<_> = kinds.equivalents(own).filter(|kind| kind.serves(write.call.path.subresource)).collect();
    let pairs = rules.iter().flat_map(|rule| others.iter().map(move |kind| (rule, *kind)));
    pairs.into_iter().find(|(rule, kind)| fits(rule, kind)).map(|(_, kind)| Arc::clone(kind))
}

/// A write and its object, as those are told of them who know the kind in one version.
pub(super) struct Told<'a> {
    write: Attributes<'a>,
    object: Option<&'a Object>,
    converted: Option<(Converted, Option<Object>)>,
}

impl<'a> Told<'a> {
    /// # Errors
    /// When something cannot be converted to the version `kind`.
    pub(super) async fn of(
        server: &ApiServer,
        write: &Attributes<'a>,
        object: Option<&'a Object>,
        kind: &Arc<Kind>,
    ) -> Result<Self, ApiError> {
        let mut told = Self { write: *write, object, converted: None };
        if let Some(converted) = Converted::of(server, write, kind).await? {
            let object = converted.object(server, write, object).await?;
            told.converted = Some((converted, object));
        }
        Ok(told)
    }

    /// Whether it is another version than the write is made in.
    pub(super) fn is_converted(&self) -> bool {
        self.converted.is_some()
    }

    pub(super) fn write(&self) -> Attributes<'_> {
        self.converted.as_ref().map_or(self.write, |(converted, _)| converted.write(&self.write))
    }

    pub(super) fn object(&self) -> Option<&Object> {
        self.converted.as_ref().map_or(self.object, |(_, object)| object.as_ref())
    }
}

/// A write in another version of its kind.
pub(super) struct Converted {
    kind: Arc<Kind>,
    api_version: String,
    /// Whether it is the objects that have another version, and not only the resource whose subresource is written.
    objects: bool,
    old: Option<Object>,
}

impl Converted {
    /// The write in the version `kind`; `None` when that is the one it is made in.
    ///
    /// # Errors
    /// When what is stored cannot be converted.
    pub(super) async fn of(
        server: &ApiServer,
        write: &Attributes<'_>,
        kind: &Arc<Kind>,
    ) -> Result<Option<Self>, ApiError> {
        if Arc::ptr_eq(kind, &write.call.kind) {
            return Ok(None);
        }
        let objects = write.is_whole();
        let (kind, api_version) = (Arc::clone(kind), kind.api_version());
        let mut converted = Self { kind, api_version, objects, old: None };
        converted.old = converted.object(server, write, write.old).await?;
        Ok(Some(converted))
    }

    /// The write as it is in this version.
    pub(super) fn write<'a>(&'a self, write: &Attributes<'a>) -> Attributes<'a> {
        let kind = if self.objects { (&*self.api_version, &*self.kind.kind) } else { write.kind };
        Attributes { kind, version: Some(&self.kind), old: self.old.as_ref(), ..*write }
    }

    /// An object of the write in this version.
    ///
    /// # Errors
    /// When it cannot be converted.
    pub(super) async fn object(
        &self,
        server: &ApiServer,
        write: &Attributes<'_>,
        object: Option<&Object>,
    ) -> Result<Option<Object>, ApiError> {
        match object {
            Some(object) if self.objects => {
                conversion::between(server, &write.call.kind, &self.kind, object).await.map(Some)
            }
            object => Ok(object.cloned()),
        }
    }

    /// `object`, which is in this version, in the one that the write is made in.
    ///
    /// # Errors
    /// When it cannot be converted.
    pub(super) async fn back(
        &self,
        server: &ApiServer,
        write: &Attributes<'_>,
        object: Object,
    ) -> Result<Object, ApiError> {
        if self.objects { conversion::between(server, &self.kind, &write.call.kind, &object).await } else { Ok(object) }
    }
}
