//! What expressions mean, one case a line.

use std::collections::BTreeMap;

use podium_expressions::{LookupError, Scope, Template, descend, substitute};
use podium_model::coordinate::Coordinate;
use podium_model::value::{Handle, Reference, Source, Value};
use serde_json::json;

struct Roots(BTreeMap<String, Value>);

impl Scope for Roots {
    fn lookup(&self, root: &str, keys: &[String]) -> Result<Value, LookupError> {
        let value = self
            .0
            .get(root)
            .ok_or_else(|| LookupError::Refused(format!("there is no `{root}` here")))?;
        descend(value, keys)
    }
}

fn reference() -> Value {
    let node = Coordinate::new("redis", "default", "cache");
    Value::Reference(Reference {
        node,
        source: Source::Declared,
        path: vec![],
    })
}

fn scope() -> Roots {
    let mut params = match Value::from_json(&json!({
        "size": 3, "ratio": 0.5, "name": "orders", "zones": ["a", "b"], "on": true, "which": "web",
        "ports": {"web": 80}, "nothing": null
    })) {
        Value::Map(map) => map,
        _ => unreachable!(),
    };
    params.insert("password".into(), Value::Sensitive(Handle::new("aa")));
    Roots(BTreeMap::from([
        ("params".into(), Value::Map(params)),
        ("later".into(), reference()),
    ]))
}

fn eval(text: &str) -> Result<Value, String> {
    Template::parse(text)
        .map_err(|error| error.to_string())?
        .evaluate(&scope())
        .map_err(|error| error.to_string())
}

fn plain(text: &str) -> serde_json::Value {
    eval(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .to_json()
        .unwrap()
}

#[test]
fn known_values_compute() {
    for (text, expected, why) in [
        ("plain", json!("plain"), "no expression"),
        ("${{ params.size }}", json!(3), "one expression keeps its type"),
        (
            "n=${{ params.size }}",
            json!("n=3"),
            "inside a text it becomes text",
        ),
        ("$${{ params.size }}", json!("${{ params.size }}"), "escape"),
        ("${{ params.size * 2 + 1 }}", json!(7), "integers add as integers"),
        ("${{ params['name'] + '-db' }}", json!("orders-db"), "texts join"),
        (
            "${{ params.ports[params.which] }}",
            json!(80),
            "an index may be computed",
        ),
        ("${{ params.on ? 'yes' : 'no' }}", json!("yes"), "a choice"),
        (
            "${{ has(params.missing) ? params.missing : 'none' }}",
            json!("none"),
            "has() of a missing field",
        ),
        (
            "${{ has(params.nothing) }}",
            json!(false),
            "null counts as missing",
        ),
        (
            "${{ params.zones.map(z, z + '1') }}",
            json!(["a1", "b1"]),
            "a list function",
        ),
        ("${{ params.zones.size() == 2 }}", json!(true), "a method"),
        (
            "${{ {'a': {'b': params.size}} }}",
            json!({"a": {"b": 3}}),
            "braces inside an expression",
        ),
        ("${{ '}}' }}", json!("}}"), "closing braces inside quotes"),
        (
            "${{ params.name.upperAscii() }}",
            json!("ORDERS"),
            "the Kubernetes libraries are there",
        ),
    ] {
        assert_eq!(plain(text), expected, "{text}: {why}");
    }
}

#[test]
fn secrets_pass_through_and_nothing_else() {
    let secret = Value::Sensitive(Handle::new("aa"));
    assert_eq!(eval("${{ params.password }}").unwrap(), secret);
    assert_eq!(
        eval("a:${{ params.password }}@").unwrap().to_display(),
        json!("a:(secret)@")
    );
    assert_eq!(
        eval("${{ 'x' + params.password }}").unwrap().to_display(),
        json!("x(secret)")
    );
    assert_eq!(eval("${{ params.on ? params.password : '' }}").unwrap(), secret);
    assert!(eval("${{ {'p': params.password} }}").unwrap().has_sensitive());
    for text in [
        "${{ params.password == 'guess' }}",
        "${{ params.password.startsWith('a') }}",
        "${{ size(params.password) }}",
        "${{ params.ports[params.password] }}",
        "${{ params.zones.map(z, z + params.password) }}",
    ] {
        let error = eval(text).unwrap_err();
        assert!(error.contains("is a secret"), "{text}: {error}");
    }
}

#[test]
fn what_is_not_known_waits_and_is_computed_later() {
    for (text, expected) in [
        ("${{ later.host }}", json!("db1")),
        (
            "redis://${{ later.host }}:${{ later.port }}",
            json!("redis://db1:6379"),
        ),
        ("${{ later.port + 1 }}", json!(6380)),
        ("${{ later.port > 6000 ? 'high' : params.name }}", json!("high")),
        (
            "${{ params.zones.map(z, z + later.host) }}",
            json!(["adb1", "bdb1"]),
        ),
        ("${{ 'h:' + later.host }}", json!("h:db1")),
    ] {
        let value = eval(text).unwrap();
        assert!(!value.is_known(), "{text} is not known");
        let round_trip = Value::from_tagged(&value.to_tagged()).unwrap();
        let answer = Value::from_json(&json!({"host": "db1", "port": 6379}));
        let known = substitute(&round_trip, &|reference| {
            Ok(descend(&answer, &reference.path).ok())
        })
        .unwrap();
        assert_eq!(known.to_json().unwrap(), expected, "{text}");
    }
}

#[test]
fn bad_expressions_say_what_is_wrong() {
    for (text, part) in [
        ("${{ params.size", "no matching"),
        ("${{ params. }}", "not CEL"),
        ("${{ params.sise }}", "there is no `sise`, only"),
        ("${{ other.size }}", "there is no `other` here"),
        ("${{ params.name + 1 }}", "cannot be added"),
        ("${{ params.name * 2 }}", ""),
        ("${{ nofunction(params.size) }}", ""),
        ("${{ [1].map(a, [1].map(b, [1].map(c, c))) }}", "nested deeper"),
    ] {
        let error = eval(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    let deep = format!("${{{{ {}1{} }}}}", "(".repeat(100), ")".repeat(100));
    assert!(eval(&deep).unwrap_err().contains("nested deeper"));
    let long = format!("${{{{ '{}' }}}}", "x".repeat(5000));
    assert!(eval(&long).unwrap_err().contains("bytes"));
}
