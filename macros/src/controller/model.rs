//! A controller: which kind, which methods, what it watches.

use syn::spanned::Spanned;
use syn::{FnArg, Generics, ImplItem, ImplItemFn, ItemImpl, LitInt, LitStr, Path, Result, Type, parse_quote};

use super::parse::{Arguments, Watch};
use crate::errors::Errors;

pub(crate) struct Model {
    pub attributes: Vec<syn::Attribute>,
    pub generics: Generics,
    /// What implements `Controller`.
    pub target: Type,
    /// Its kind.
    pub kind: Type,
    pub name: LitStr,
    pub finalizer: Option<LitStr>,
    pub owns: Vec<Type>,
    pub watches: Vec<Watch>,
    pub concurrency: Option<LitInt>,
    pub root: Path,
    /// Whether the methods take the object as `&self`: `impl Reconcile for Website`.
    pub of_object: bool,
    /// What the user adds to the setup.
    pub setup: Option<ImplItemFn>,
    pub reconcile: ImplItemFn,
    pub cleanup: Option<ImplItemFn>,
    pub absent: Option<ImplItemFn>,
}

const RECONCILE: &str = "async fn reconcile(&self, website: &Website, cx: &Context<Website>) -> Result<Next>";

impl Model {
    pub(crate) fn new(block: &ItemImpl, arguments: Arguments) -> Result<Self> {
        let mut errors = Errors::default();
        let of_object = match &block.trait_ {
            None => false,
            Some((None, path, _)) if path.segments.last().is_some_and(|last| last.ident == "Reconcile") => true,
            Some((_, path, _)) => {
                errors.at(path, "expected `impl Replication { … }`, or `impl Reconcile for Website { … }`");
                false
            }
        };
        let mut methods = Methods::default();
        for item in &block.items {
            methods.take(item, &mut errors);
        }
        if methods.reconcile.is_none() {
            errors.at(&block.self_ty, format!("`reconcile` is missing: write `{RECONCILE}`"));
        }
        if let Some(setup) =
            methods.setup.as_ref().filter(|setup| parameter(setup).is_none() || setup.sig.asyncness.is_some())
        {
            errors.at(&setup.sig, "expected `fn setup(&self, setup: &mut Setup<'_, Self>)`");
        }
        for method in [&methods.reconcile, &methods.cleanup, &methods.absent].into_iter().flatten() {
            signature(method, of_object, &mut errors);
        }
        match (&methods.cleanup, &arguments.finalizer) {
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
        let kind = match (&arguments.kind, of_object) {
            (Some(kind), false) => kind.clone(),
            (None, true) => Type::clone(&block.self_ty),
            (Some(kind), true) => {
                errors.at(kind, "`impl Reconcile for Website` says the kind already; remove `for`");
                kind.clone()
            }
            (None, false) => {
                errors.at(&block.self_ty, "the kind is missing: write `#[controller(for = Website)]`");
                parse_quote!(())
            }
        };
        let name = arguments.name.unwrap_or_else(|| LitStr::new(&default_name(&block.self_ty), block.self_ty.span()));
        let missing = || ImplItemFn {
            attrs: Vec::new(),
            vis: syn::Visibility::Inherited,
            defaultness: None,
            sig: parse_quote!(fn reconcile()),
            block: parse_quote!({}),
        };
        errors.finish(Self {
            attributes: block.attrs.clone(),
            generics: block.generics.clone(),
            target: Type::clone(&block.self_ty),
            kind,
            name,
            finalizer: arguments.finalizer,
            owns: arguments.owns,
            watches: arguments.watches,
            concurrency: arguments.concurrency,
            root: arguments.root.unwrap_or_else(|| parse_quote!(::trimtab::reconcile)),
            of_object,
            setup: methods.setup,
            reconcile: methods.reconcile.unwrap_or_else(missing),
            cleanup: methods.cleanup,
            absent: methods.absent,
        })
    }
}

#[derive(Default)]
struct Methods {
    setup: Option<ImplItemFn>,
    reconcile: Option<ImplItemFn>,
    cleanup: Option<ImplItemFn>,
    absent: Option<ImplItemFn>,
}

impl Methods {
    fn take(&mut self, item: &ImplItem, errors: &mut Errors) {
        let ImplItem::Fn(method) = item else {
            errors.at(
                item,
                "expected setup, reconcile, cleanup or absent; put everything else into an impl block of its own",
            );
            return;
        };
        match method.sig.ident.to_string().as_str() {
            "setup" => self.setup = Some(method.clone()),
            "reconcile" => self.reconcile = Some(method.clone()),
            "cleanup" => self.cleanup = Some(method.clone()),
            "absent" => self.absent = Some(method.clone()),
            _ => errors.at(
                &method.sig.ident,
                "expected setup, reconcile, cleanup or absent; put other methods into an impl block of their own",
            ),
        }
    }
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

fn signature(method: &ImplItemFn, of_object: bool, errors: &mut Errors) {
    let name = &method.sig.ident;
    if method.sig.asyncness.is_none() {
        errors.at(method.sig.fn_token, format!("`{name}` is asynchronous: write `async fn {name}`"));
    }
    let receives = matches!(method.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() && receiver.mutability.is_none());
    // The object that is gone has no `&self`; its controller has.
    let count = if of_object && name != "absent" { 2 } else { 3 };
    if !receives || method.sig.inputs.len() != count {
        let first = if name == "absent" { "key: &ObjectRef" } else { "object: &Website" };
        let arguments = if count == 2 {
            "&self, cx: &Context<Self>".to_owned()
        } else {
            format!("&self, {first}, cx: &Context<Website>")
        };
        errors.at(&method.sig.inputs, format!("expected `{name}({arguments})`"));
    }
    if of_object && name == "absent" {
        errors
            .at(name, "an object that is gone cannot be `&self`: write `impl WebsiteController` with `for = Website`");
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
