//! A controller: which kind, which methods, what it watches.

use syn::spanned::Spanned;
use syn::{FnArg, Generics, ImplItem, ImplItemFn, ItemImpl, LitStr, Path, Result, Type, parse_quote};

use super::parse::Arguments;
use crate::errors::Errors;

/// What is implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `impl Replication`: the methods take the object.
    Controller,
    /// `impl Reconcile for Website`: the object is `&self`.
    Reconcile,
    /// `impl Compose for Website`: the same, and nothing is asynchronous.
    Compose,
}

pub(crate) struct Model {
    pub attributes: Vec<syn::Attribute>,
    pub generics: Generics,
    /// What implements `Controller`.
    pub target: Type,
    /// Its kind.
    pub kind: Type,
    pub name: LitStr,
    /// What the attribute says.
    pub arguments: Arguments,
    pub root: Path,
    pub form: Form,
    /// What the user adds to the setup.
    pub setup: Option<ImplItemFn>,
    /// All other methods.
    pub methods: Vec<ImplItemFn>,
}

impl Form {
    fn of(block: &ItemImpl, errors: &mut Errors) -> Self {
        let Some((not, path, _)) = &block.trait_ else { return Self::Controller };
        let name = path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        match (not, name.as_str()) {
            (None, "Reconcile") => Self::Reconcile,
            (None, "Compose") => Self::Compose,
            _ => {
                errors.at(
                    path,
                    "expected `impl Replication { … }`, `impl Reconcile for Website { … }`, or `impl Compose for Website { … }`",
                );
                Self::Controller
            }
        }
    }

    /// The methods that there may be, of which the first must be there.
    fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Controller => &["reconcile", "setup", "cleanup", "absent"],
            Self::Reconcile => &["reconcile", "setup", "cleanup"],
            Self::Compose => &["compose", "setup"],
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Controller => "async fn reconcile(&self, website: &Website, cx: &Context<Website>) -> Result<Next>",
            Self::Reconcile => "async fn reconcile(&self, cx: &Context<Self>) -> Result<Next>",
            Self::Compose => "fn compose(&self, world: &World<Self>) -> Result<Composition<Self>>",
        }
    }
}

impl Model {
    pub(crate) fn new(block: &ItemImpl, arguments: Arguments) -> Result<Self> {
        let mut errors = Errors::default();
        let form = Form::of(block, &mut errors);
        arguments.wrong_selections().for_each(|error| errors.push(error.clone()));
        let mut methods = methods(block, form, &mut errors);
        if !methods.iter().any(|method| method.sig.ident == form.methods()[0]) {
            errors.at(&block.self_ty, format!("`{}` is missing: write `{}`", form.methods()[0], form.example()));
        }
        let setup = methods.iter().position(|method| method.sig.ident == "setup").map(|at| methods.remove(at));
        if let Some(setup) = setup.as_ref().filter(|setup| parameter(setup).is_none() || setup.sig.asyncness.is_some())
        {
            errors.at(&setup.sig, "expected `fn setup(&self, setup: &mut Setup<'_, Self>)`");
        }
        for method in &methods {
            signature(method, form, &mut errors);
        }
        let cleanup = methods.iter().find(|method| method.sig.ident == "cleanup");
        match (cleanup, &arguments.finalizer) {
            (Some(cleanup), None) => {
                errors.at(
                    &cleanup.sig.ident,
                    "`cleanup` is never called without a finalizer: add `finalizer = \"demo.io/website\"`",
                );
            }
            (None, Some(finalizer)) => {
                errors.at(
                    finalizer,
                    "a finalizer without `cleanup` only holds objects up: write `async fn cleanup(…)`, or remove it",
                );
            }
            _ => {}
        }
        let kind = match (&arguments.kind, form) {
            (Some(kind), Form::Controller) => kind.clone(),
            (None, Form::Controller) => {
                errors.at(&block.self_ty, "the kind is missing: write `#[controller(for = Website)]`");
                parse_quote!(())
            }
            (None, _) => Type::clone(&block.self_ty),
            (Some(kind), _) => {
                errors.at(kind, format!("`impl {form:?} for Website` says the kind already; remove `for`"));
                kind.clone()
            }
        };
        let name =
            arguments.name.clone().unwrap_or_else(|| LitStr::new(&default_name(&block.self_ty), block.self_ty.span()));
        errors.finish(Self {
            attributes: block.attrs.clone(),
            generics: block.generics.clone(),
            target: Type::clone(&block.self_ty),
            kind,
            name,
            root: arguments.root.clone().unwrap_or_else(|| parse_quote!(::trimtab::reconcile)),
            arguments,
            form,
            setup,
            methods,
        })
    }
}

fn methods(block: &ItemImpl, form: Form, errors: &mut Errors) -> Vec<ImplItemFn> {
    let known = |name: &syn::Ident| form.methods().iter().any(|known| name == known);
    let (last, others) = form.methods().split_last().unwrap_or((&"", &[]));
    let listed = format!("{} or {last}", others.join(", "));
    let mut methods = Vec::new();
    for item in &block.items {
        match item {
            ImplItem::Fn(method) if known(&method.sig.ident) => methods.push(method.clone()),
            ImplItem::Fn(method) if method.sig.ident == "absent" => errors.at(
                &method.sig.ident,
                "an object that is gone cannot be `&self`: write `impl WebsiteController` with `for = Website`",
            ),
            ImplItem::Fn(method) => errors
                .at(&method.sig.ident, format!("expected {listed}; put other methods into an impl block of their own")),
            _ => errors.at(item, format!("expected {listed}; put everything else into an impl block of its own")),
        }
    }
    methods
}

/// What the last parameter of a method is called.
pub(crate) fn parameter(method: &ImplItemFn) -> Option<&syn::Ident> {
    match method.sig.inputs.last() {
        Some(FnArg::Typed(typed)) => match &*typed.pat {
            syn::Pat::Ident(pattern) => Some(&pattern.ident),
            _ => None,
        },
        _ => None,
    }
}

fn signature(method: &ImplItemFn, form: Form, errors: &mut Errors) {
    let name = &method.sig.ident;
    match (form, method.sig.asyncness) {
        (Form::Compose, Some(asyncness)) => {
            errors.at(asyncness, format!("`{name}` waits for nothing: write `fn {name}`, or `impl Reconcile`"));
        }
        (Form::Controller | Form::Reconcile, None) => {
            errors.at(method.sig.fn_token, format!("`{name}` is asynchronous: write `async fn {name}`"));
        }
        _ => {}
    }
    let receives = matches!(method.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() && receiver.mutability.is_none());
    let count = if form == Form::Controller { 3 } else { 2 };
    if !receives || method.sig.inputs.len() != count {
        let arguments = match (form, name == "absent") {
            (Form::Controller, true) => "&self, key: &ObjectRef, cx: &Context<Website>",
            (Form::Controller, false) => "&self, object: &Website, cx: &Context<Website>",
            (Form::Reconcile, _) => "&self, cx: &Context<Self>",
            (Form::Compose, _) => "&self, world: &World<Self>",
        };
        errors.at(&method.sig.inputs, format!("expected `{name}({arguments})`"));
    }
}

// `ReplicationManager` is called `replication-manager`.
fn default_name(target: &Type) -> String {
    let Type::Path(path) = target else { return "controller".to_owned() };
    let ident = path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
    let mut name = String::new();
    for (at, c) in ident.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}
