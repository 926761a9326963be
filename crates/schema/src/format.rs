//! The formats that are checked. Unknown ones say nothing, as in Kubernetes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `text` has the format, `None` when the format is not one that is checked.
pub(crate) fn text_has_format(format: &str, text: &str) -> Option<bool> {
    Some(match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => is_date(text),
        "duration" => is_duration(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "hostname" => is_hostname(text),
        "email" => is_email(text),
        "uri" => is_uri(text),
        "uuid" => is_uuid(text),
        "byte" => is_base64(text),
        _ => return None,
    })
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// A duration as Go writes it: `1h30m`, `250ms`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (digits, tail) = rest.split_at(number);
        if digits.parse::<f64>().is_err() {
            return false;
        }
        let Some(unit) = ["ns", "us", "µs", "ms", "s", "m", "h", "d", "w"]
            .iter()
            .find(|unit| {
                tail.strip_prefix(**unit)
                    .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
            })
        else {
            return false;
        };
        rest = &tail[unit.len()..];
    }
    true
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let Ok(bits) = bits.parse::<u8>() else {
        return false;
    };
    (address.parse::<Ipv4Addr>().is_ok() && bits <= 32)
        || (address.parse::<Ipv6Addr>().is_ok() && bits <= 128)
}

fn is_hostname(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && !local.contains(char::is_whitespace) && is_hostname(host)
    })
}

fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            && !rest.is_empty()
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

#[cfg(test)]
mod tests {
    use super::text_has_format;

    #[test]
    fn knows_its_formats() {
        for (format, good, bad) in [
            ("date-time", "2026-11-23T17:57:53Z", "2026-11-23"),
            ("date", "2026-11-23", "23.11.2026"),
            ("duration", "1h30m", "1 hour"),
            ("duration", "250ms", ""),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("hostname", "a-b.example.com", "-a.example"),
            ("email", "ann@example.com", "ann"),
            ("uri", "https://example.com/a?b", "example"),
            (
                "uuid",
                "cdc105cb-75ee-40a4-8aa2-8eb7e2d11fd8",
                "cdc105cb75ee40a48aa28eb7e2d11fd8",
            ),
            ("byte", "aGVsbG8=", "aGVsbG8"),
        ] {
            assert_eq!(text_has_format(format, good), Some(true), "{good} is a {format}");
            assert_eq!(text_has_format(format, bad), Some(false), "{bad} is no {format}");
        }
        assert_eq!(
            text_has_format("colour", "green"),
            None,
            "an unknown format says nothing"
        );
    }
}
