//! Procedural macros. Each parses its input, builds a model, and expands the model; this file
//! holds the entry points alone.

use proc_macro::TokenStream;

mod arguments;
#[expect(dead_code, reason = "the crate that the files are of uses more of them")]
mod cel;
mod controller;
mod crds;
mod errors;
mod kinds;
mod resource;
mod schema;
mod test;
#[cfg(test)]
mod testing;
mod view;

/// Turns a folder of kind descriptions into `pub fn builtin() -> Kinds`.
///
/// `kinds!("manifests/kinds")`, relative to the crate's manifest. A file is in the shape of a
/// CustomResourceDefinition, with an `x-trimtab` section that binds it:
///
/// - `type`: the type under `k8s_openapi::api`, such as `core::v1::Pod`;
/// - `strategy`: the type under `crate::kinds` with the kind's behaviour, if it has any;
/// - `verbs`: the verbs served, all when absent;
/// - `subresources`: those besides `status` and `scale`, each with `name`, `kind` and `verbs`.
///
/// All mistakes are reported at once, each with its file and, where there is one, its line.
#[proc_macro]
pub fn kinds(input: TokenStream) -> TokenStream {
    kinds::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a kind of a spec's struct: the resource `Website { metadata, spec, status }` beside
/// `WebsiteSpec`, with its traits (`k8s_openapi`'s `Resource` and `Metadata`, serde's), and
/// `Website::new`, `Website::kind`, `Website::crd`, `Website::crd_yaml` and `Website::check`, which tells
/// all that the API server would refuse the definition for.
///
/// The struct derives [`macro@Schema`] (or `schemars::JsonSchema`), `Serialize`, `Deserialize`, `Clone`
/// and `Debug` too. What its comments say are the schema's descriptions.
///
/// # On the struct, in `#[resource(…)]`
///
/// - `group`, `version`, `kind`: needed;
/// - `plural`, `singular`: from the kind when absent;
/// - `short`, `categories`: a name or a list of names;
/// - `namespaced` (when absent, too) or `cluster`;
/// - `status = WebsiteStatus`: the type of the status, which becomes a subresource;
/// - `scale(replicas = ".spec.replicas", status = ".status.replicas", selector = ".status.selector")`;
/// - `column("Ready", ".status.ready")`, any number: a printer column, of the field's own type
///   unless `type = "…"` says otherwise; `priority = 1` for `-o wide` alone; `description = "…"`.
///   Name and Age are there without being named;
/// - `selectable = ".spec.image"`: a field or a list of fields that field selectors may name;
/// - `rule("self.min <= self.max", …)`, any number: a rule in CEL about the spec, as below;
///   `object_rule("self.metadata.name == 'only'", …)` about the whole object, of whose metadata it sees
///   the name;
/// - `atomic`, `preserve_unknown_fields`: of the spec, as below;
/// - `derive(PartialEq)`: what else the resource derives;
/// - `deprecated`, or `deprecated = "use v2"`: whoever uses the version is warned; `unserved`: it is not
///   served any more;
/// - `crate = "trimtab_api"`: where the runtime is, `::trimtab` when absent.
///
/// # On its fields, and those of types that derive `Schema`
///
/// - `default = …`: what the API server puts where the field is absent;
/// - `rule = "self <= 100"`, any number: a rule in CEL that the value follows. Written
///   `rule("self <= 100", …)`, it takes `message = "…"`, `message_expression = "…"`,
///   `reason = "FieldValueInvalid"`, `field_path = ".min"` and `optional_old_self`, which has the rule
///   see an `oldSelf` that may not be there;
/// - `list_type = "set"`, `"map"` or `"atomic"`, and `map_keys = "name"`, or several: how the items of a
///   list are told apart, which makes the list one of type `map`;
/// - `map_type = "atomic"` or `"granular"`: whether a map or struct is one value to those who apply it;
/// - `int_or_string`: a number or a string; `embedded_resource`: an object of some kind, with its
///   `metadata`; `preserve_unknown_fields`: what the schema does not know is kept.
///
/// # Several versions
///
/// One spec declares the kind and lists those of the other versions; these say which one they convert
/// to. `From` both ways, between specs and between statuses, is the program's own.
///
/// ```text
/// #[resource(group = "demo.io", version = "v1", kind = "Website", versions(WebsiteV1Beta1Spec))]
/// struct WebsiteSpec { … }
///
/// #[resource(version = "v1beta1", converts = WebsiteSpec, deprecated)]
/// struct WebsiteV1Beta1Spec { … }             // its objects are `WebsiteV1Beta1`
/// ```
///
/// The definition then has all versions. Objects are stored in that of the kind, unless another one says
/// `storage`. `Website::from(old)` and back convert objects, `Website::convert` answers a
/// `ConversionReview`, and `Website::crd_converted_by` has the definition name the webhook that does so.
#[proc_macro_derive(Resource, attributes(resource))]
pub fn derive_resource(input: TokenStream) -> TokenStream {
    resource::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes the schema of a type within a kind: `schemars::JsonSchema`, with what `#[resource(…)]` says.
///
/// It takes the place of `derive(JsonSchema)`, reads the same attributes (`#[serde(…)]`,
/// `#[schemars(range(max = 3))]`), and a program that uses it needs not depend on schemars. On fields
/// stands what [`macro@Resource`] tells of fields, on the type `rule`, `atomic`, `int_or_string`,
/// `embedded_resource`, `preserve_unknown_fields` and `crate`.
///
/// An enum has a schema if a structural schema can say what its values are: all of one JSON type, or
/// numbers and strings. So `enum Size { Small, Large }` is a string, `enum Source { Git(Git), Image(Image) }`
/// an object with one of two fields, and `#[serde(tag = "type")]` puts the fields of all variants into
/// one object, with what each tag requires. Of others the error says what to write instead: at compile time where the
/// types derive `Schema`, and of those that do not, such as Kubernetes' own, by `Website::check` and when the program
/// starts.
#[proc_macro_derive(Schema, attributes(resource, schemars, serde))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    schema::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Lets a struct that reads some of a kind's fields stand for the kind in a cache, which then holds no more than
/// those: `#[view(of = Pod)] struct PodPhase { metadata: ObjectMeta, status: Option<Phase> }`.
///
/// The struct derives `Deserialize`, `Clone` and `Debug`; it does not derive `Serialize`, for who would write it
/// would lose the rest. `crate = "trimtab_reconcile"` says where the runtime is, `::trimtab::reconcile` when absent.
#[proc_macro_derive(View, attributes(view))]
pub fn derive_view(input: TokenStream) -> TokenStream {
    view::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes types of the kinds that CustomResourceDefinitions in files declare.
///
/// `resources_from!("crds/*.yaml")`, relative to the crate's manifest; a star stands for any part of a
/// file's name. For each kind there is a module, in it one for each version, and the version that
/// objects are stored in is there by itself, too: `website::v1::Website` is also `Website`.
///
/// - Each object and each choice of texts within the schema is a type, called by the kind and the field
///   (`WebsiteBackend`), or by the fields around it as well where two would be called the same. Those
///   that are the same are one. What the file describes is documented.
/// - Fields that need not be there are `Option`, and those that may be `null`. An object with exactly one
///   of its fields (`oneOf: [{required: [a]}, {required: [b]}]`) is an enum. A number or text is
///   `IntOrString`, or `Quantity` if it has the pattern of one; times are `Time`, `format: byte` is
///   `ByteString`, and what is not known further is a `serde_json::Value`. An object that keeps what its
///   schema does not know has it in the field `other`.
/// - What stands in an object beside its spec and status (`operation`) is a field of the object. A kind without a
///   spec has none: `ProviderConfigUsage::new` takes the fields that have to be there.
/// - What has the fields of a condition is one: `Conditions::put` and `holds` take it as they do Kubernetes' own.
/// - `Website::crd` is the definition of the file.
///
/// All mistakes of all files are reported at once, each with its file, line and column. An edit of a file
/// builds the crate anew. So that a new file does, too, name the folder in the crate's build script:
/// `println!("cargo::rerun-if-changed=crds")`.
///
/// `resources_from!("crds/*.yaml", crate = "trimtab_api")` says where the runtime is, `::trimtab` when
/// absent.
#[proc_macro]
pub fn resources_from(input: TokenStream) -> TokenStream {
    crds::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a controller of an impl block with `reconcile` and, if need be, `setup`, `cleanup` and
/// `absent`.
///
/// `impl Replication { … }` implements `Controller` for `Replication`, whose methods take the
/// object; `impl Reconcile for Website { … }` has the object reconcile itself; `impl Compose for Website
/// { … }` is a function from the object to what is to be there for it.
///
/// In `#[controller(…)]`, all that the controller depends on. It may do no more than what follows from it:
///
/// - `for = ReplicationController`: the kind; not with `impl Reconcile for`, which says it;
/// - `owns(Pod, Service)`: kinds of which this controller makes objects: a change of one wakes its
///   owner;
/// - `watches(Node => f)`: a change of a Node wakes the objects that `f(&node)` names;
/// - `references(Secret => f)`: an object refers to those that `f(&object)` names: a change of one wakes it;
/// - `reads(ConfigMap)`: is read from the cache, and wakes nobody;
/// - `uses(Pod/eviction: create, Lease: get | update)`: what else is done by way of the client;
/// - `owns(Pod[labels = "tier=front"])`, `watches(Node[fields = "metadata.name!=n0"] => f)` and so on: which objects of a
///   kind; no others are asked for, or kept. A child that is not among them cannot be applied;
/// - `when = generation`: what of an object has to change for it to be looked at again. `owns(Pod if labels)`
///   and `watches(Node if labels => f)` say it of others. It is one of `generation`, `labels`, `annotations`
///   and `finalizers`, or a function of the object whose value is compared, or several in parentheses;
/// - `labels = "tier=front"`, `fields = "metadata.name!=x"`: which objects it looks after;
/// - `finalizer = "demo.io/dns"`: `cleanup` runs before an object goes;
/// - `name = "replication"`: in events, logs and field managers; the type's name when absent;
/// - `concurrency = 4`: how many objects at once, 32 when absent;
/// - `crate = "trimtab_reconcile"`: where the runtime is, `::trimtab::reconcile` when absent.
#[proc_macro_attribute]
pub fn controller(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let tokens = proc_macro2::TokenStream::from(item.clone());
    controller::expand(arguments.into(), tokens).map_or_else(
        |error| {
            // The block is kept, so that what it declares is not missed as well; but not one that
            // implements `Reconcile`, whose methods are the macro's to complete.
            let block = syn::parse::<syn::ItemImpl>(item).ok().filter(|block| block.trait_.is_none());
            let error = error.into_compile_error();
            quote::quote!(#block #error).into()
        },
        Into::into,
    )
}

/// Makes a test of an async function that takes a cluster of its own: API server, controllers,
/// scheduler and simulated nodes, in this thread, in virtual time.
///
/// The function takes a `TestCluster` or a `&TestCluster` and answers nothing, or a `Result` whose
/// error fails the test. It runs under the standard harness, beside other tests; `#[should_panic]`,
/// `#[cfg]` and the like mean what they mean there.
///
/// In `#[trimtab::test(…)]`:
///
/// - `seeds = 64`: it runs with the seeds 0 to 63, one after the other, each time on a new cluster; with
///   one when absent. A failure prints its seed, and `TRIMTAB_SEED=7` runs that one alone;
/// - `nodes = 3`: so many nodes, one when absent;
/// - `kinds(Website)`: kinds that the server knows from the start;
/// - `faults`, or `faults = Faults::…`: what goes wrong meanwhile, at random by the seed;
/// - `crate = "trimtab_cluster::testing"`: where the runtime is, `::trimtab::testing` when absent.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let tokens = proc_macro2::TokenStream::from(item.clone());
    test::expand(arguments.into(), tokens).map_or_else(
        |error| {
            // The function is kept, so that what it uses is not unused as well.
            let function = syn::parse::<syn::ItemFn>(item).ok().map(|mut function| {
                function.attrs.clear();
                quote::quote!(#[allow(dead_code, reason = "no test calls it")] #function)
            });
            let error = error.into_compile_error();
            quote::quote!(#function #error).into()
        },
        Into::into,
    )
}
