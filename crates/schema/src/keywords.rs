//! Reading the values of single keywords: each is what it must be, or an error at its place.

use serde_json::{Map, Value};

use crate::parse::Parser;

impl Parser {
    pub(crate) fn flag(&mut self, map: &Map<String, Value>, keyword: &str) -> bool {
        match map.get(keyword) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.error_at(keyword, "must be true or false");
                false
            }
        }
    }

    pub(crate) fn text(&mut self, map: &Map<String, Value>, keyword: &str) -> Option<String> {
        let text = map.get(keyword)?.as_str().map(str::to_owned);
        if text.is_none() {
            self.error_at(keyword, "must be text");
        }
        text
    }

    pub(crate) fn texts(&mut self, map: &Map<String, Value>, keyword: &str) -> Vec<String> {
        let Some(value) = map.get(keyword) else {
            return Vec::new();
        };
        let texts: Option<Vec<String>> = value
            .as_array()
            .and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        texts.unwrap_or_else(|| {
            self.error_at(keyword, "must be a list of names");
            Vec::new()
        })
    }

    pub(crate) fn count(&mut self, map: &Map<String, Value>, keyword: &str) -> Option<u64> {
        let value = map.get(keyword)?;
        let count = value.as_u64();
        if count.is_none() {
            self.error_at(keyword, "must be a whole number of at least 0");
        }
        count
    }

    pub(crate) fn number(&mut self, map: &Map<String, Value>, keyword: &str) -> Option<f64> {
        let value = map.get(keyword)?;
        let number = value.as_f64();
        if number.is_none() {
            self.error_at(keyword, "must be a number");
        }
        number
    }

    /// `exclusiveMinimum` is a flag in OpenAPI 3.0 and a number in JSON Schema; both are read.
    pub(crate) fn exclusive(
        &mut self,
        map: &Map<String, Value>,
        keyword: &str,
        bound: Option<f64>,
        tighter: fn(f64, f64) -> f64,
    ) -> (Option<f64>, bool) {
        match map.get(keyword) {
            None => (bound, false),
            Some(Value::Bool(flag)) => (bound, *flag),
            Some(value) => match (value.as_f64(), bound) {
                (Some(exclusive), None) => (Some(exclusive), true),
                (Some(exclusive), Some(bound)) => {
                    let result = tighter(exclusive, bound);
                    (Some(result), result.total_cmp(&exclusive).is_eq())
                }
                (None, _) => {
                    self.error_at(keyword, "must be a number, or true or false");
                    (bound, false)
                }
            },
        }
    }
}
