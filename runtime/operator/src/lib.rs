//! A program of controllers: what `trimtab::operator!(Website)` makes.
//!
//! ```text
//! run        the controllers, health, metrics, and what converts between versions
//! crds       the definitions of its kinds            ─┐
//! rbac       what it may do, of what is declared      ├▶ manifests: all that a cluster needs
//! diagram    what it watches, owns, refers to, reads ─┘
//! ```
//!
//! All but `run` ask nobody. Start at [`Operator`].

mod arguments;
mod diagram;
mod health;
mod install;
mod manifests;
mod operator;
mod run;
mod webhook;

pub use operator::Operator;

/// The body of a program's `main`: its controllers, and the commands that go with them.
///
/// ```no_run
/// # mod website {
/// # use serde::{Deserialize, Serialize};
/// # use trimtab::{Context, Next, Resource, Result, Schema, controller};
/// # #[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
/// # #[resource(group = "demo.io", version = "v1", kind = "Website")]
/// # pub struct WebsiteSpec {}
/// # #[controller]
/// # impl Reconcile for Website {
/// #     async fn reconcile(&self, _: &Context<Self>) -> Result<Next> { Ok(Next::on_change()) }
/// # }
/// # pub struct Guard;
/// # #[controller(for = k8s_openapi::api::core::v1::Pod)]
/// # impl Guard {
/// #     async fn reconcile(&self, _: &k8s_openapi::api::core::v1::Pod, _: &Context<k8s_openapi::api::core::v1::Pod>) -> Result<Next> { Ok(Next::on_change()) }
/// # }
/// # }
/// # use website::{Guard, Website};
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     trimtab::operator!(Website; Guard)
/// }
/// ```
///
/// Before the semicolon stand kinds that reconcile themselves (`impl Reconcile` or `impl Compose`), after it what
/// makes controllers with state. The program is called as its package is.
#[macro_export]
macro_rules! operator {
    ($($kind:ty),* $(,)? $(; $($controller:expr),* $(,)?)?) => {{
        let operator = $crate::Operator::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))$(.kind::<$kind>())*;
        $($(
            let operator = {
                #[allow(unused_imports)]
                use $crate::__private::Undeclared as _;
                let make = || $controller;
                let declared = $crate::__private::Probe::of(&make).declared();
                declared.into_iter().fold(operator.controller(make), $crate::Operator::definition)
            };
        )*)?
        operator.main()
    }};
}

/// For what `operator!` expands to.
#[doc(hidden)]
pub mod __private {
    use std::marker::PhantomData;

    use trimtab_api::custom::{Declaration, Declared};
    use trimtab_reconcile::Controller;

    /// Finds what is declared of a kind: what is implemented for some types goes before what all have.
    pub struct Probe<K>(PhantomData<K>);

    impl Probe<()> {
        /// Of the kind of the controller that is made.
        pub fn of<C: Controller>(_: &impl Fn() -> C) -> Probe<C::Kind> {
            Probe(PhantomData)
        }
    }

    /// What all have.
    pub trait Undeclared {
        /// Nothing.
        fn declared(&self) -> Option<&'static Declaration> {
            None
        }
    }

    impl<K> Undeclared for Probe<K> {}

    impl<K: Declared> Probe<K> {
        /// What the program declares.
        pub fn declared(&self) -> Option<&'static Declaration> {
            Some(K::declared())
        }
    }
}
