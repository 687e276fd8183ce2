use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn evaluate(source: &str) -> Result<String, String> {
    let object = json!({"name": "a", "count": 3, "ratio": 1.5, "list": [3, 1, 2], "map": {"k": "v"}, "nothing": null});
    let env = Env::default().with("object", Type::Dyn);
    let compiled = env.compile(source)?;
    let variables = BTreeMap::from([("object", Value::of(&object, None).unwrap())]);
    let (value, _) = compiled.program.evaluate(&variables, PER_CALL_LIMIT);
    let value = value.map_err(|error| error.to_string())?;
    Ok(value.to_json().map_or_else(|_| format!("{value:?}"), |json| json.to_string()))
}

#[test]
fn expressions_have_values() {
    let cases = [
        ("1 + 2 * 3", "7"),
        ("-2 - -3", "1"),
        ("'a' + \"b\" + r'\\n'", r#""ab\\n""#),
        ("7 / 2 == 3 && 7 % 2 == 1 && 7.0 / 2.0 == 3.5", "true"),
        ("dyn(1) == 1.0 && 1u < 2 && 1 in [1, 2]", "true"),
        ("object.name == 'a' ? 'yes' : 'no'", r#""yes""#),
        ("has(object.name) && !has(object.other)", "true"),
        ("false && object.missing || true", "true"),
        ("object.missing || true", "true"),
        ("[1, 2, 3].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x > 1)", "true"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("[1, 2, 3].map(x, x > 1, x * x)", "[4,9]"),
        ("[1, 2, 3].filter(x, x != 2)", "[1,3]"),
        ("{'a': 1, 'b': 2}.map(k, k)", r#"["a","b"]"#),
        ("[5, 6].transformList(i, v, i * v)", "[0,6]"),
        ("{'a': 1}.transformMap(k, v, v + 1)", r#"{"a":2}"#),
        ("{'a': 1, 'b': 2}.all(k, v, v < 3)", "true"),
        ("cel.bind(x, 3, x * x)", "9"),
        ("object.?other.orValue('none')", r#""none""#),
        ("object[?'name'].hasValue()", "true"),
        ("[?object.?other, 1]", "[1]"),
        ("optional.of(2).optMap(v, v + 1).value()", "3"),
        ("object.list.isSorted()", "false"),
        ("object.list.sum() + object.list.min() + object.list.max()", "10"),
        ("[1, 2, 1].indexOf(1) + [1, 2, 1].lastIndexOf(1)", "2"),
        ("[1, 2, 3, 4].slice(1, 3) + [[1], [2, 3]].flatten() + [3, 1].reverse()", "[2,3,1,2,3,1,3]"),
        ("[dyn([[1]]), dyn([[2, 3]])].flatten(2)", "[1,2,3]"),
        (
            "['b', 'a', 'b'].distinct() + ['b', 'a'].sort() + ['bb', 'c'].sortBy(s, size(s))",
            r#"["b","a","a","b","c","bb"]"#,
        ),
        ("[[2, 1], [0]].sortBy(l, l.sortBy(x, -x)[0]).map(l, l.size())", "[1,2]"),
        ("lists.range(3).map(x, x * x)", "[0,1,4]"),
        ("'abc'.charAt(1) + 'hello'.substring(1, 3) + ' x '.trim()", r#""belx""#),
        ("'a,b,c'.split(',', 2)", r#"["a","b,c"]"#),
        ("['a', 'b'].join('-').upperAscii()", r#""A-B""#),
        ("'tacocat'.indexOf('ac') + 'tacocat'.lastIndexOf('ac', 3)", "2"),
        ("'%s is %d, %.2f'.format([object.name, 3, 1.0])", r#""a is 3, 1.00""#),
        ("'%s has %d of %s'.format(['a', 1, [true, 'b']])", r#""a has 1 of [true, b]""#),
        ("'abc123'.find('[0-9]+') + 'x'", r#""123x""#),
        ("'a1b2'.findAll('[0-9]')", r#"["1","2"]"#),
        ("'abc'.matches('^a.c$')", "true"),
        ("url('https://a.io:80/b?c=d').getPort()", r#""80""#),
        ("isURL('x')", "false"),
        ("url('https://a.io/b?c=d&c=e').getQuery()['c']", r#"["d","e"]"#),
        ("quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('50k') == quantity('50000')", "true"),
        ("quantity('1').add(quantity('2')).sub(1).asInteger()", "2"),
        ("ip('127.0.0.1').isLoopback() && cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"),
        ("ip.isCanonical('::1') && !isIP('1.2.3') && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')", "true"),
        ("format.dns1123Label().validate('A').hasValue()", "true"),
        ("!format.named('dns1123Label').value().validate('a').hasValue()", "true"),
        ("semver('1.2.3').isLessThan(semver('1.10.0')) && semver('v1', true).major() == 1", "true"),
        ("sets.contains([1, 2], [2]) && sets.equivalent([1, 2, 1], [2, 1]) && !sets.intersects([1], [2])", "true"),
        ("timestamp('2024-02-03T04:05:06Z').getMonth() + int(duration('90s').getMinutes())", "2"),
        ("timestamp('2024-02-03T04:05:06Z') + duration('1h') > timestamp('2024-02-03T04:05:06Z')", "true"),
        ("type(1) == int && type('a') == string && type([1]) == list && type(null) == null_type", "true"),
        ("string(1.5) + string(true) + string(duration('90m'))", r#""1.5true5400s""#),
        ("int('12') + int(3.9) + int(2u)", "17"),
        ("size('héllo') + size([1]) + 'ab'.size()", "8"),
        ("b'abc' == bytes('abc')", "true"),
        ("object.map['k']", r#""v""#),
        ("dyn(1) == 'a'", "false"),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_has_no_value_says_why() {
    let cases = [
        ("object.missing", "no such key: missing"),
        ("[1][5]", "index out of bounds: 5"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "return error for overflow"),
        ("object.name + 1 == 2", "no such overload"),
        ("[1, 2].all(x, 1 / (x - 1) == 1)", "division by zero"),
        ("optional.none().value()", "optional.none() dereference"),
        ("[0].map(x, 1 / x)", "division by zero"),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source).unwrap_err(), expected, "{source}");
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let schema = json!({"type": "object", "properties": {
        "replicas": {"type": "integer"}, "name": {"type": "string"}, "namespace": {"type": "string"},
        "port": {"x-kubernetes-int-or-string": true}, "any": {"x-kubernetes-preserve-unknown-fields": true}}});
    let env = Env::default().declaring("self", &declared(&schema, false).unwrap());
    let cases = [
        ("self.xyz == 1", "ERROR: <input>:1:5: undefined field 'xyz'\n | self.xyz == 1\n | ....^"),
        ("foo", "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^"),
        (
            "self.replicas == 'a'",
            "ERROR: <input>:1:15: found no matching overload for '_==_' applied to '(int, string)'\n | self.replicas == 'a'\n | ..............^",
        ),
        (
            "self.name.nope()",
            "ERROR: <input>:1:15: undeclared reference to 'nope' (in container '')\n | self.name.nope()\n | ..............^",
        ),
        ("self.namespace == ''", "ERROR: <input>:1:5: undefined field 'namespace'\n | self.namespace == ''\n | ....^"),
        ("self.any == 1", "ERROR: <input>:1:5: undefined field 'any'\n | self.any == 1\n | ....^"),
        (
            "self.name.matches('[')",
            "ERROR: <input>:1:19: invalid matches argument\n | self.name.matches('[')\n | ..................^",
        ),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        (
            "self.name.all(x, true)",
            "ERROR: <input>:1:5: expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)\n | self.name.all(x, true)\n | ....^",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(env.compile(source).map(|_| ()).unwrap_err(), expected, "{source}");
    }
    for source in ["self.replicas >", "self.", "(1", "1 2", "'a", "a..b", "{1:}", "has(1)", "if", "x ? y", "[1,,2]"] {
        let error = env.compile(source).map(|_| ()).unwrap_err();
        assert!(error.starts_with("ERROR: <input>:1:"), "{source}: {error}");
    }
    for source in ["self.__namespace__ == 'a'", "self.port == 1 || self.port == 'http'", "self.replicas in [1, 2]"] {
        assert_eq!(env.compile(source).unwrap().result, Type::Bool, "{source}");
    }
}

#[test]
fn a_schema_says_what_its_values_are() {
    let schema = json!({"type": "object", "properties": {
        "at": {"type": "string", "format": "date-time"}, "span": {"type": "string", "format": "duration"},
        "ratio": {"type": "number"}, "a-b": {"type": "string"}, "gone": {"type": "string", "nullable": true},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}}}});
    let object = json!({"at": "2024-01-01T00:00:00Z", "span": "1h", "ratio": 2, "a-b": "x", "gone": null, "set": ["a", "b"],
        "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]});
    let declared = declared(&schema, false).unwrap();
    let env = Env::default().declaring("self", &declared);
    let variables = BTreeMap::from([("self", Value::of(&object, Some(&declared)).unwrap())]);
    for source in [
        "self.at < timestamp('2025-01-01T00:00:00Z') && self.span == duration('60m')",
        "self.ratio == 2.0 && self.ratio / 4.0 == 0.5",
        "self.a__dash__b == 'x'",
        "!has(self.gone)",
        "self.set == ['b', 'a'] && (self.set + ['a', 'c']).size() == 3",
        "self.ports.exists(p, p.name == 'b' && p.port == 2)",
        "(self.ports + self.ports).size() == 2",
        "self.ports.map(p, p.port).sum() == 3",
    ] {
        let (value, cost) = env.compile(source).unwrap().program.evaluate(&variables, PER_CALL_LIMIT);
        assert!(matches!(value, Ok(Value::Bool(true))), "{source}: {value:?}");
        assert!(cost > 0);
    }
}

#[test]
fn costs_are_bounded_before_and_while_evaluating() {
    let schema = json!({"type": "object", "properties": {
        "few": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}},
        "many": {"type": "array", "items": {"type": "string"}}}});
    let env = Env::default().declaring("self", &declared(&schema, false).unwrap());
    let most = |source: &str| env.compile(source).unwrap().cost.max;
    // Ident and select; then for each item the condition and the comparison.
    assert_eq!(most("self.few.size() < 3"), 4);
    assert!(most("self.few.all(x, x.startsWith('abc'))") < 200);
    assert!(most("self.many.all(x, self.many.all(y, x == y))") > 1 << 40);
    let items: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let object = json!({"many": items, "few": []});
    let variables = BTreeMap::from([("self", Value::of(&object, None).unwrap())]);
    let program = env.compile("self.many.all(x, self.many.exists(y, x == y))").unwrap().program;
    let (value, _) = program.evaluate(&variables, 1_000);
    assert_eq!(value.unwrap_err().to_string(), "operation cancelled: actual cost limit exceeded");
}

#[test]
fn depth_is_bounded() {
    let env = Env::default();
    for source in ["(".repeat(5_000), "[".repeat(300), vec!["1"; 5_000].join(" + ")] {
        assert!(env.compile(&source).is_err());
    }
    assert!(env.compile(&vec!["true"; 5_000].join(" || ")).is_ok());
    assert!(env.compile(&vec!["1"; 100].join(" + ")).is_ok());
}
