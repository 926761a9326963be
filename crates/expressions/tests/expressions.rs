//! What expressions mean, one case a line.
#![allow(clippy::unwrap_used, clippy::panic)]

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
    let Value::Map(mut params) = Value::from_json(&json!({
        "size": 3, "ratio": 0.5, "name": "orders", "zones": ["a", "b"], "on": true, "which": "web",
        "ports": {"web": 80, "admin": 81}, "nothing": null, "mail": "a@b", "many": ["a", "b", "c", "d"],
        "hashed": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1}
    })) else {
        panic!("an object is a map");
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
fn a_part_and_the_whole_of_a_value_can_stand_in_one_computation() {
    for (text, expected, why) in [
        (
            "${{ params.ports.web == 80 && size(params.ports) == 2 }}",
            json!(true),
            "the part is named first",
        ),
        (
            "${{ size(params.ports) == 2 && params.ports.web == 80 }}",
            json!(true),
            "the whole is named first",
        ),
        ("${{ params.zones[1] == 'b' }}", json!(true), "an item of a list"),
        (
            "${{ params.zones[0] + '/' + params.zones[1] }}",
            json!("a/b"),
            "items outside of a computation",
        ),
        (
            "${{ params.zones.exists(z, z == params.zones[0]) }}",
            json!(true),
            "an item within a list function",
        ),
        (
            "${{ params.many[params.size].upperAscii() }}",
            json!("D"),
            "an item by a computed index",
        ),
    ] {
        assert_eq!(plain(text), expected, "{text}: {why}");
    }
}

#[test]
fn list_functions_run_over_maps_in_the_order_of_keys() {
    let expected = json!(["a", "b", "c", "d", "e", "f", "g", "h"]);
    for _ in 0..50 {
        assert_eq!(plain("${{ params.hashed.map(key, key) }}"), expected);
        assert_eq!(
            plain("${{ params.hashed.filter(key, params.hashed[key] > 0) }}"),
            expected
        );
        assert_eq!(
            plain("${{ [params.hashed].map(map, map.map(key, key)) }}"),
            json!([expected]),
            "also when the map is only known inside"
        );
    }
}

#[test]
fn a_shorthand_stands_for_an_expression_outside_of_expressions_only() {
    let eval = |text: &str| {
        Template::parse_with_shorthand(text, '@', "params.name")
            .unwrap()
            .evaluate(&scope())
            .unwrap()
            .to_json()
            .unwrap()
    };
    assert_eq!(eval("@.data"), json!("orders.data"));
    assert_eq!(eval("@-@"), json!("orders-orders"));
    assert_eq!(eval("${{ params.name + '@home' }}"), json!("orders@home"));
    assert_eq!(
        eval("${{ params.mail }}"),
        json!("a@b"),
        "a value is not looked into"
    );
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
    let hidden = format!(
        "${{{{ {} }}}}",
        "(')))))))))))))))))))))))))))))))' + ".repeat(100)
    );
    assert!(
        eval(&hidden).unwrap_err().contains("nested deeper"),
        "brackets in quotes close nothing"
    );
    let quoted = format!("${{{{ '{}' }}}}", "(".repeat(100));
    assert_eq!(
        plain(&quoted),
        json!("(".repeat(100)),
        "nor do they open anything"
    );
    let choices = format!("${{{{ {} 1 }}}}", "true ? 1 : ".repeat(300));
    assert!(
        eval(&choices).unwrap_err().contains("nested deeper"),
        "choices nest without brackets"
    );
    let long = format!("${{{{ '{}' }}}}", "x".repeat(5000));
    assert!(eval(&long).unwrap_err().contains("bytes"));
}

/// Whatever becomes of such an expression, it must not end the process: threads of the server have 2 MiB of stack.
#[test]
fn nothing_that_is_let_through_exhausts_the_stack() {
    for chain in [
        "!",
        "-",
        "- -",
        "a.",
        "1 + ",
        "1 - ",
        "1 in [1] || ",
        "true || ",
        "1 < ",
        "true ? 1 : ",
    ] {
        for count in [10, 32, 66, 100, 199, 200, 900] {
            let flat = format!("${{{{ {}1 }}}}", chain.repeat(count));
            let brackets = format!(
                "${{{{ {}{}1{} }}}}",
                "(".repeat(16),
                chain.repeat(count),
                ")".repeat(16)
            );
            let calls = format!(
                "${{{{ {}{}1{} }}}}",
                "size(".repeat(16),
                chain.repeat(count),
                ")".repeat(16)
            );
            let unclosed = format!("${{{{ {}{}1 }}}}", "[".repeat(16), chain.repeat(count));
            for text in [flat, brackets, calls, unclosed] {
                let _outcome = eval(&text);
            }
        }
    }
}
