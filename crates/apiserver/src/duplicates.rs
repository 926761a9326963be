//! JSON with fields that are set twice: the last one counts, and each is told.

use podium_schema::{Segment, render_path};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most duplicates that are told.
const MOST: usize = 100;

/// Reads a JSON text and names the fields that are set twice. Depth is bounded by the parser (128 levels).
pub(crate) fn parse(text: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut context = Context {
        path: Vec::new(),
        found: Vec::new(),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed(&mut context).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, context.found))
}

struct Context {
    path: Vec<Segment>,
    found: Vec<String>,
}

struct Seed<'c>(&'c mut Context);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let context = self.0;
        let mut items = Vec::new();
        loop {
            context.path.push(Segment::Index(items.len()));
            let item = access.next_element_seed(Seed(context));
            context.path.pop();
            match item? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let context = self.0;
        let mut fields = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            context.path.push(Segment::Field(name.clone()));
            if fields.contains_key(&name) && context.found.len() < MOST {
                context.found.push(render_path(&context.path));
            }
            let value = access.next_value_seed(Seed(context)).map_err(A::Error::custom);
            context.path.pop();
            fields.insert(name, value?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;

    #[test]
    fn tells_each_and_keeps_the_last() {
        let text = br#"{"a":1,"spec":{"size":1,"size":2,"list":[{"x":1},{"x":1,"x":2}]},"a":3}"#;
        let (value, found) = parse(text).expect("json");
        assert_eq!(
            value,
            json!({"a": 3, "spec": {"size": 2, "list": [{"x": 1}, {"x": 2}]}})
        );
        assert_eq!(found, ["spec.size", "spec.list[1].x", "a"]);
        assert!(parse(b"{} x").is_err(), "something follows");
        let deep = [vec![b'['; 1000], vec![b']'; 1000]].concat();
        assert!(parse(&deep).is_err(), "too deep");
    }
}
