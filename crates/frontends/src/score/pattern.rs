//! The patterns of the published schema, as scanners: they cost nothing to set up and read like their rule.

/// `^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`
pub(super) fn is_label(text: &str) -> bool {
    is_bounded(
        text,
        |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        |byte| byte == b'-',
    )
}

/// `^[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`
pub(super) fn is_type_name(text: &str) -> bool {
    is_bounded(text, |byte| byte.is_ascii_alphanumeric(), |byte| byte == b'-')
}

/// 2 to 63 characters of which the first and the last must be of the first class.
fn is_bounded(text: &str, outer: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let [first, middle @ .., last] = bytes else {
        return false;
    };
    bytes.len() <= 63
        && outer(*first)
        && outer(*last)
        && middle.iter().all(|byte| outer(*byte) || inner(*byte))
}

/// `^[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*$`, 2 to 63 characters
pub(super) fn is_resource_id(text: &str) -> bool {
    let is_part = |part: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(inside) && !part.starts_with('-') && !part.ends_with('-')
    };
    (2..=63).contains(&text.len()) && text.split('.').all(is_part)
}

/// `^((LABEL)(\.LABEL)*/)?[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]$`, 2 to 316 characters
pub(super) fn is_annotation_key(text: &str) -> bool {
    let name = match text.split_once('/') {
        Some((prefix, name)) if prefix.split('.').all(is_label) => name,
        Some(_) => return false,
        None => text,
    };
    text.len() <= 316
        && is_bounded(
            name,
            |byte| byte.is_ascii_alphanumeric(),
            |byte| matches!(byte, b'.' | b'_' | b'-'),
        )
}

/// `^[^=]+$`
pub(super) fn is_variable_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('=')
}

/// `^0?[0-7]{3}$`
pub(super) fn is_mode(text: &str) -> bool {
    let digits = if text.len() == 4 {
        text.strip_prefix('0')
    } else {
        Some(text)
    };
    digits.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)))
}

/// `^(0\.\d+|[1-9]\d*(\.\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`
pub(super) fn is_memory(text: &str) -> bool {
    let number = text.strip_suffix('i').map_or_else(
        || text.strip_suffix(UNITS).unwrap_or(text),
        // `i` alone is no unit; what is left then is no number either.
        |before| before.strip_suffix(UNITS).unwrap_or(text),
    );
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    let is_fraction = fraction.is_none_or(is_digits);
    let is_whole = match whole {
        "0" => fraction.is_some(),
        whole => is_digits(whole) && !whole.starts_with('0'),
    };
    is_whole && is_fraction
}

const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

/// `^\d+(?:m|\.\d+)?$`
pub(super) fn is_cpu(text: &str) -> bool {
    if let Some(thousandths) = text.strip_suffix('m') {
        return is_digits(thousandths);
    }
    match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text),
    }
}

/// `^[A-Za-z0-9_-]+$`
pub(super) fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
