//! What an unquoted scalar means, by the core schema of YAML 1.2 (see the crate's documentation for the decisions).

use serde_json::Number;

use crate::node::NodeValue;

/// What an unquoted scalar is, or why it is refused.
pub(crate) enum Reading {
    /// It means this.
    Value(NodeValue),
    /// It is text, though the YAML reader of Kubernetes takes it for a boolean.
    BooleanElsewhere(NodeValue),
    /// It means nothing that JSON can carry, or two things.
    Refused {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
}

/// Reads an unquoted scalar.
pub(crate) fn read_plain(text: &str) -> Reading {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "n" | "N" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off"
        | "Off" | "OFF" => return Reading::BooleanElsewhere(NodeValue::Text(text.to_owned())),
        _ => return read_number(text),
    };
    Reading::Value(value)
}

fn read_number(text: &str) -> Reading {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Reading::Refused {
            message: format!("{text} is a number that JSON cannot carry"),
            help: format!("for the text, write it in quotes: \"{text}\""),
        };
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        // Radix prefixes take no sign in the core schema; with one it is text.
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return u64::from_str_radix(digits, radix).map_or_else(
                |_| too_large(text),
                |number| Reading::Value(NodeValue::Number(number.into())),
            );
        }
    }
    match shape(unsigned) {
        Shape::Text => Reading::Value(NodeValue::Text(text.to_owned())),
        Shape::Whole => read_whole(text, unsigned),
        Shape::Fraction => {
            let number = text.parse::<f64>().ok().and_then(Number::from_f64);
            number.map_or_else(
                || too_large(text),
                |number| Reading::Value(NodeValue::Number(number)),
            )
        }
    }
}

fn read_whole(text: &str, unsigned: &str) -> Reading {
    if unsigned.len() > 1 && unsigned.starts_with('0') {
        return Reading::Refused {
            message: format!("{text} is decimal in YAML 1.2 and octal for Kubernetes"),
            help: format!(
                "write \"{text}\" for the text, 0o{} for octal, or leave out the leading zero",
                unsigned.trim_start_matches('0')
            ),
        };
    }
    if let Ok(number) = text.trim_start_matches('+').parse::<u64>() {
        return Reading::Value(NodeValue::Number(number.into()));
    }
    text.parse::<i64>().map_or_else(
        |_| too_large(text),
        |number| Reading::Value(NodeValue::Number(number.into())),
    )
}

fn too_large(text: &str) -> Reading {
    Reading::Refused {
        message: format!("the number {} does not fit in 64 bits", shortened(text)),
        help: "for the text, write it in quotes".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(40).collect::<String>())
}

enum Shape {
    Text,
    Whole,
    Fraction,
}

/// `[0-9]+` is whole; `\.[0-9]+` or `[0-9]+(\.[0-9]*)?`, then `([eE][-+]?[0-9]+)?`, a fraction.
fn shape(unsigned: &str) -> Shape {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let before = digits(unsigned);
    let mut rest = &unsigned[before..];
    if rest.is_empty() {
        return if before > 0 { Shape::Whole } else { Shape::Text };
    }
    let mut after = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        after = digits(fraction);
        rest = &fraction[after..];
    }
    if before + after == 0 {
        return Shape::Text;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return Shape::Text;
        }
        rest = &exponent[length..];
    }
    if rest.is_empty() {
        Shape::Fraction
    } else {
        Shape::Text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Reading, read_plain};
    use crate::node::NodeValue;

    fn read(text: &str) -> Option<Value> {
        match read_plain(text) {
            Reading::Value(value) | Reading::BooleanElsewhere(value) => Some(match value {
                NodeValue::Null => Value::Null,
                NodeValue::Bool(flag) => json!(flag),
                NodeValue::Number(number) => Value::Number(number),
                NodeValue::Text(text) => json!(text),
                NodeValue::List(_) | NodeValue::Map(_) => unreachable!("a scalar"),
            }),
            Reading::Refused { .. } => None,
        }
    }

    #[test]
    fn core_schema() {
        let cases: [(&str, Value, &str); 27] = [
            ("", Value::Null, "no text is null"),
            ("~", Value::Null, "null's short form"),
            ("nUll", json!("nUll"), "only three spellings are null"),
            ("TRUE", json!(true), "three spellings of true"),
            ("yes", json!("yes"), "a boolean in YAML 1.1 only"),
            ("Off", json!("Off"), "a boolean in YAML 1.1 only"),
            ("0", json!(0), "zero has no leading zero"),
            ("-7", json!(-7), "negative"),
            ("+7", json!(7), "the sign is allowed"),
            ("18446744073709551615", json!(u64::MAX), "the largest of 64 bits"),
            ("-9223372036854775808", json!(i64::MIN), "the smallest of 64 bits"),
            ("0x1F", json!(31), "hexadecimal"),
            ("0o644", json!(420), "octal of YAML 1.2"),
            ("-0x1F", json!("-0x1F"), "no sign before a radix"),
            ("0x", json!("0x"), "no digits"),
            ("0b11", json!("0b11"), "binary is YAML 1.1"),
            ("1_000", json!("1_000"), "underscores are YAML 1.1"),
            ("1:30", json!("1:30"), "base 60 is YAML 1.1"),
            ("1.5", json!(1.5), "a fraction"),
            ("1.", json!(1.0), "digits after the point are optional"),
            (".5", json!(0.5), "digits before the point are optional"),
            (".", json!("."), "a point alone"),
            ("1e3", json!(1000.0), "an exponent makes a fraction"),
            ("1e", json!("1e"), "no exponent"),
            ("1.2.3", json!("1.2.3"), "a version"),
            ("2026-01-02", json!("2026-01-02"), "dates stay text"),
            ("-", json!("-"), "a sign alone"),
        ];
        for (text, expected, reason) in cases {
            assert_eq!(read(text), Some(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn refused() {
        for (text, reason) in [
            ("0644", "octal for Kubernetes, decimal here"),
            ("-01", "the same with a sign"),
            ("18446744073709551616", "beyond 64 bits"),
            ("-9223372036854775809", "beyond 64 bits"),
            ("0x10000000000000000", "beyond 64 bits"),
            ("1e400", "beyond a double"),
            ("-.inf", "not in JSON"),
            (".NaN", "not in JSON"),
        ] {
            assert_eq!(read(text), None, "{text}: {reason}");
        }
    }
}
