//! Placeholders: `${metadata.name}`, `${resources.db.host}`.
//!
//! The rules are those of Score's own library: from left to right, `$${…}` stands for `${…}`, `$$` for `$`,
//! `${…}` (up to the next `}`) is a reference, and any other `$` is itself. So `$$${x}` is a `$` and a reference.
//! In a reference `.` separates and `\.` is a dot. A reference begins with `metadata` or `resources`.
//!
//! Stricter than that library: parts of a reference are neither empty nor hold blanks, quotes, braces or `$`, none
//! of which could name anything.

/// A range of bytes: first, and the one after the last.
pub type Range = (usize, usize);

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is, escapes resolved.
    Literal(String),
    /// `${metadata.…}`; the path begins after `metadata`.
    Metadata {
        /// The keys.
        path: Vec<String>,
        /// The whole placeholder in the text.
        range: Range,
    },
    /// `${resources.NAME.…}`.
    Resource(Reference),
}

/// A reference to outputs of a resource that the workload declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name in the workload's `resources`.
    pub name: String,
    /// The path in its outputs. Empty means all of them, as JSON; in the source of a volume, the output `source`.
    pub path: Vec<String>,
    /// The whole placeholder in the text.
    pub range: Range,
    /// The name in the text.
    pub name_range: Range,
    /// The path in the text; where it would be, when it is empty.
    pub path_range: Range,
}

/// A placeholder that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Whether the text is taken all the same.
    pub is_warning: bool,
    /// What is marked.
    pub range: Range,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A text taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Its pieces; literals are never empty and never stand side by side. A placeholder that means nothing is left
    /// out.
    pub parts: Vec<Part>,
    /// Placeholders that mean nothing.
    pub mistakes: Vec<Mistake>,
}

/// Takes a text apart.
pub fn scan(text: &str) -> Scan {
    let mut scan = Scan::default();
    let mut literal = String::new();
    let mut from = 0;
    // Everything that is looked for is ASCII, so the bounds found are bounds of characters.
    while let Some(dollar) = text[from..].find('$').map(|at| from + at) {
        literal.push_str(&text[from..dollar]);
        let rest = &text[dollar + 1..];
        let escaped = rest.strip_prefix('$');
        let braced = escaped.unwrap_or(rest);
        let closed = braced
            .strip_prefix('{')
            .and_then(|inside| inside.find('}').map(|end| &inside[..end]));
        match (escaped, closed) {
            (Some(_), Some(inside)) => {
                literal.push_str("${");
                literal.push_str(inside);
                literal.push('}');
                from = dollar + inside.len() + 4;
            }
            (Some(_), None) => {
                literal.push('$');
                from = dollar + 2;
            }
            (None, Some(inside)) => {
                from = dollar + inside.len() + 3;
                match reference(inside, (dollar, from)) {
                    Ok(part) => {
                        if !literal.is_empty() {
                            scan.parts.push(Part::Literal(std::mem::take(&mut literal)));
                        }
                        scan.parts.push(part);
                    }
                    Err(mistake) => scan.mistakes.push(mistake),
                }
            }
            (None, None) => {
                if rest.starts_with("{resources.") || rest.starts_with("{metadata.") {
                    scan.mistakes.push(unclosed(rest, dollar));
                }
                literal.push('$');
                from = dollar + 1;
            }
        }
    }
    literal.push_str(&text[from..]);
    if !literal.is_empty() {
        scan.parts.push(Part::Literal(literal));
    }
    scan
}

/// Writes a text so that [`scan`] gives it back as one literal.
///
/// Doubling each `$` would not do: between `$${` and `}` nothing is an escape.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let after = &rest[dollar + 1..];
        let end = if after.starts_with('{') {
            after.find('}')
        } else {
            None
        };
        let kept = dollar + 1 + end.map_or(0, |end| end + 1);
        escaped.push_str(&rest[..dollar]);
        escaped.push('$');
        escaped.push_str(&rest[dollar..kept]);
        rest = &rest[kept..];
    }
    escaped.push_str(rest);
    escaped
}

fn unclosed(rest: &str, dollar: usize) -> Mistake {
    let length = rest
        .find(|character: char| character.is_whitespace())
        .unwrap_or(rest.len());
    Mistake {
        is_warning: true,
        range: (dollar, dollar + 1 + length),
        message: "the placeholder is not closed, so it is kept as text".to_owned(),
        help: "close it with }, or write $$ for a $ that is meant as one".to_owned(),
    }
}

/// A piece of a reference: its text with escapes resolved, and where it stands.
struct Piece {
    text: String,
    range: Range,
}

fn reference(inside: &str, range: Range) -> Result<Part, Mistake> {
    let pieces = pieces(inside, range.0 + 2);
    let mistake = |range: Range, message: String, help: &str| Mistake {
        is_warning: false,
        range,
        message,
        help: help.to_owned(),
    };
    let root = pieces.first().map_or("", |piece| piece.text.as_str());
    if !matches!(root, "metadata" | "resources") {
        let message = "a placeholder begins with `resources.` or `metadata.`".to_owned();
        let help = match podium_document::suggest(root, &["resources", "metadata"]) {
            Some(meant) => format!("did you mean `{meant}`? For the text itself write $${{…}}"),
            None => "for the text itself write $${…}, or $$ for each $".to_owned(),
        };
        return Err(mistake(range, message, &help));
    }
    if pieces.len() < 2 {
        let (message, help) = if root == "resources" {
            (
                "the placeholder names no resource",
                "write ${resources.NAME.OUTPUT}",
            )
        } else {
            (
                "the placeholder names no key of the metadata",
                "write ${metadata.name}, for example",
            )
        };
        return Err(mistake(range, message.to_owned(), help));
    }
    if let Some(bad) = pieces.iter().find(|piece| !is_name(&piece.text)) {
        let marked = if bad.text.is_empty() { range } else { bad.range };
        let message = "the placeholder has a part that can name nothing".to_owned();
        let help = "parts are separated by one dot each and hold no blanks, quotes or braces; write \\. for a dot \
                    inside a part, and $${…} for the text itself";
        return Err(mistake(marked, message, help));
    }
    let path_range = match (pieces.get(2), pieces.last()) {
        (Some(first), Some(last)) => (first.range.0, last.range.1),
        _ => (range.1 - 1, range.1 - 1),
    };
    let name_range = pieces[1].range;
    let is_metadata = root == "metadata";
    let mut texts = pieces.into_iter().skip(1).map(|piece| piece.text);
    if is_metadata {
        return Ok(Part::Metadata {
            path: texts.collect(),
            range,
        });
    }
    let name = texts.next().unwrap_or_default();
    Ok(Part::Resource(Reference {
        name,
        path: texts.collect(),
        range,
        name_range,
        path_range,
    }))
}

fn is_name(text: &str) -> bool {
    let is_odd = |character: char| {
        character.is_whitespace()
            || character.is_control()
            || matches!(character, '$' | '{' | '"' | '\'' | '`' | '\\')
    };
    !text.is_empty() && !text.chars().any(is_odd)
}

fn pieces(inside: &str, offset: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut start = 0;
    let mut characters = inside.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if characters.next_if(|(_, next)| *next == '.').is_some() => text.push('.'),
            '.' => {
                pieces.push(Piece {
                    text: std::mem::take(&mut text),
                    range: (offset + start, offset + at),
                });
                start = at + 1;
            }
            other => text.push(other),
        }
    }
    pieces.push(Piece {
        text,
        range: (offset + start, offset + inside.len()),
    });
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Part, Scan, escape, scan};

    /// Parts written for people: literals in quotes, references in angle brackets.
    fn summary(scan: &Scan) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => format!("{text:?}"),
            Part::Metadata { path, .. } => format!("<metadata {}>", path.join("|")),
            Part::Resource(reference) => format!("<{} {}>", reference.name, reference.path.join("|")),
        };
        let mut texts: Vec<String> = scan.parts.iter().map(part).collect();
        texts.extend(
            scan.mistakes
                .iter()
                .map(|mistake| format!("!{}-{}", mistake.range.0, mistake.range.1)),
        );
        texts.join(" ")
    }

    #[test]
    fn the_rules_of_score() {
        let cases = [
            ("", "", "nothing"),
            ("plain", r#""plain""#, "text"),
            ("${metadata.name}", "<metadata name>", "metadata"),
            (
                "a ${resources.db.host}:b",
                r#""a " <db host> ":b""#,
                "a reference between texts",
            ),
            ("${resources.db}", "<db >", "no path"),
            ("${resources.db.a.b.0}", "<db a|b|0>", "a longer path"),
            ("$$", r#""$""#, "an escaped dollar"),
            ("$${x}", r#""${x}""#, "an escaped placeholder"),
            (
                "$$${metadata.name}",
                r#""$" <metadata name>"#,
                "a dollar and a placeholder",
            ),
            ("$$$${x}", r#""$${x}""#, "a dollar and an escaped placeholder"),
            ("$abc $ $", r#""$abc $ $""#, "bare dollars"),
            ("$${x", r#""${x""#, "an escaped dollar before what is not closed"),
            ("${x", r#""${x""#, "not closed and no root: text"),
            (
                "${resources.db.host",
                r#""${resources.db.host" !0-19"#,
                "not closed: text with a warning",
            ),
            (
                r"${metadata.annotations.a\.b/c}",
                "<metadata annotations|a.b/c>",
                "an escaped dot",
            ),
            ("${}", "!0-3", "nothing named"),
            ("${resources}", "!0-12", "no resource named"),
            ("${metadata}", "!0-11", "no key named"),
            ("${HOME}", "!0-7", "an unknown root"),
            ("${resources..x}", "!0-15", "an empty part"),
            ("${resources.db.}", "!0-16", "an empty last part"),
            ("${resources.db.this has}", "!15-23", "a blank"),
            (
                "${resources.db:-x}",
                "<db:-x >",
                "a name that no resource has, which the check finds",
            ),
            ("${a ${metadata.name}}", "\"}\" !0-20", "the first brace closes"),
            ("ö${resources.ü.ß}ö", r#""ö" <ü ß> "ö""#, "any letters"),
            (
                "_$${a}_$$_${metadata.name}_",
                r#""_${a}_$_" <metadata name> "_""#,
                "all together",
            ),
        ];
        for (text, expected, reason) in cases {
            assert_eq!(summary(&scan(text)), expected, "{text}: {reason}");
        }
    }

    #[test]
    fn ranges_mark_the_parts() {
        let text = r"ö ${resources.db.a\.b.c}";
        let Some(Part::Resource(reference)) = scan(text).parts.into_iter().nth(1) else {
            panic!("a reference")
        };
        let marked = |(start, end): (usize, usize)| &text[start..end];
        assert_eq!(marked(reference.range), r"${resources.db.a\.b.c}");
        assert_eq!(marked(reference.name_range), "db");
        assert_eq!(marked(reference.path_range), r"a\.b.c");
    }

    proptest! {
        #[test]
        fn an_escaped_text_is_the_text_again(text in r"([$.{}a ö\\n]|\$\{resources\.db\.x\}|\$\$)*") {
            let scan = scan(&escape(&text));
            let expected = if text.is_empty() { vec![] } else { vec![Part::Literal(text)] };
            prop_assert_eq!(scan.parts, expected);
            prop_assert!(scan.mistakes.is_empty());
        }

        #[test]
        fn ranges_lie_in_the_text(text in r"([${}.\\ aö]|resources|metadata|\$\{resources\.)*") {
            let scan = scan(&text);
            for part in &scan.parts {
                if let Part::Metadata { range, .. } | Part::Resource(super::Reference { range, .. }) = part {
                    let whole = &text[range.0..range.1];
                    let is_placeholder = whole.starts_with("${") && whole.ends_with('}');
                    prop_assert!(is_placeholder);
                }
                if let Part::Resource(reference) = part {
                    prop_assert!(text.get(reference.path_range.0..reference.path_range.1).is_some());
                    prop_assert!(text.get(reference.name_range.0..reference.name_range.1).is_some());
                }
            }
            for mistake in &scan.mistakes {
                prop_assert!(text.get(mistake.range.0..mistake.range.1).is_some());
            }
        }
    }
}
