//! The expressions by which devices are chosen (`k8s.io/dynamic-resource-allocation/cel`).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::cel::{Declared, Env, Fields, Identity, PER_CALL_LIMIT, Shape, Type};

/// The most bytes of the parts of a device: its driver's name and that of a domain, an attribute's name and its value.
const MAX_DOMAIN: u64 = 63;
const MAX_ID: u64 = 32;
const MAX_VALUE: u64 = 64;
/// The most attributes and capacities that a device has.
const MAX_ENTRIES: u64 = 32;

/// What an expression may look at: `device`.
static ENV: LazyLock<Env> = LazyLock::new(|| {
    let of = |shape: Shape, most: u64| {
        Arc::new(Declared { shape, original: None, most, least_bytes: 1, identity: Identity::Place })
    };
    let map = |values: Arc<Declared>| of(Shape::Map(values), MAX_ENTRIES);
    let attribute = of(Shape::Scalar(Type::Dyn), MAX_VALUE);
    let capacity = of(Shape::Scalar(Type::Opaque("kubernetes.Quantity", None)), MAX_ID);
    let fields = BTreeMap::from([
        ("driver".to_owned(), of(Shape::Scalar(Type::String), MAX_DOMAIN)),
        ("attributes".to_owned(), map(map(attribute))),
        ("capacity".to_owned(), map(map(capacity))),
        ("allowMultipleAllocations".to_owned(), of(Shape::Scalar(Type::Bool), 1)),
    ]);
    let device = Fields { name: "kubernetes.DRADevice".to_owned(), fields, constructed: false };
    Env::default().declaring("device", &Declared::shaped(Shape::Object(Arc::new(device))))
});

/// What is wrong with an expression.
pub(super) enum Wrong {
    /// It cannot be what it is meant to be: why.
    Invalid(String),
    /// It may cost too much.
    TooComplex,
}

/// Checks an expression that tells whether a device is one of those wanted.
pub(super) fn check(expression: &str) -> Result<(), Wrong> {
    let compiled = ENV.compile(expression).map_err(|why| Wrong::Invalid(format!("compilation failed: {why}")))?;
    if !matches!(compiled.result, Type::Bool | Type::Dyn) {
        let why = format!("must evaluate to bool or the unknown type, not {}", compiled.result);
        return Err(Wrong::Invalid(why));
    }
    if compiled.cost.max > PER_CALL_LIMIT { Err(Wrong::TooComplex) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_look_at_a_device() {
        for fine in [
            "device.driver == 'gpu.demo.io'",
            "device.attributes['gpu.demo.io'].model == 'a100' && device.attributes['gpu.demo.io'].numa in [0, 1]",
            "device.attributes['gpu.demo.io'].name.matches('^[a-z]+$')",
            "device.capacity['gpu.demo.io'].memory.compareTo(quantity('10Gi')) >= 0",
            "cel.bind(gpu, device.attributes['gpu.demo.io'], gpu.fast && gpu.version.isGreaterThan(semver('1.2.3')))",
            "device.attributes['gpu.demo.io'].fast",
        ] {
            assert!(check(fine).is_ok(), "{fine}");
        }
        let wrong = |expression: &str| match check(expression) {
            Err(Wrong::Invalid(why)) => why,
            Err(Wrong::TooComplex) => "too complex".to_owned(),
            Ok(()) => "fine".to_owned(),
        };
        assert!(wrong("device.name").contains("undefined field 'name'"));
        assert!(wrong("object.x").contains("undeclared reference to 'object'"));
        assert_eq!(wrong("device.driver"), "must evaluate to bool or the unknown type, not string");
        let all = "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, a == b && c == d))))";
        assert_eq!(wrong(all), "too complex");
    }
}
