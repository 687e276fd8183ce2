//! The strategy of a kind that a definition defines: its schema.

use std::sync::Arc;

use crate::custom::admit;
use crate::object::Object;
use crate::schema::Lazy;
use crate::strategy::{Admission, Operation, Strategy};

/// A custom kind's behaviour.
pub(super) struct Custom {
    schema: Arc<Lazy>,
}

impl Custom {
    pub(super) fn new(schema: Arc<Lazy>) -> Self {
        Self { schema }
    }
}

impl Strategy for Custom {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        admit(self.schema.get(), operation, object)
    }
}
