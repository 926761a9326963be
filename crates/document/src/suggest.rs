//! "Did you mean": the nearest of the words that would have been right.

/// Longer words are not compared: nobody mistypes them from memory, and the cost grows with the square.
const LONGEST: usize = 64;

/// The candidate that `word` was probably meant to be.
///
/// A difference in case alone always counts. Otherwise up to a third of the letters may be wrong (missing, extra,
/// different, or two neighbours swapped), at least one. Of equally near ones the first is taken.
pub fn suggest<'c, C>(word: &str, candidates: impl IntoIterator<Item = &'c C>) -> Option<&'c str>
where
    C: AsRef<str> + ?Sized + 'c,
{
    let letters: Vec<char> = word
        .chars()
        .flat_map(char::to_lowercase)
        .take(LONGEST + 1)
        .collect();
    if letters.is_empty() || letters.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let candidate = candidate.as_ref();
        if candidate == word || candidate.len() > LONGEST * 4 {
            continue;
        }
        let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        let allowed = (letters.len().max(other.len()) / 3).max(1);
        if letters.len().abs_diff(other.len()) > allowed {
            continue;
        }
        let distance = distance(&letters, &other);
        // All letters different is no likeness, however short the word.
        let alike = distance <= allowed && distance < letters.len().max(other.len());
        if alike && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edits from one word to the other, where swapping two neighbours is one edit (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, one) in left.iter().enumerate() {
        let mut now = Vec::with_capacity(right.len() + 1);
        now.push(row + 1);
        for (column, other) in right.iter().enumerate() {
            let mut cost = (last[column] + usize::from(one != other))
                .min(last[column + 1] + 1)
                .min(now[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == *other && right[column - 1] == *one;
            if swapped {
                cost = cost.min(before[column - 1] + 1);
            }
            now.push(cost);
        }
        before = std::mem::replace(&mut last, now);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn finds_what_was_meant() {
        let cases: [(&str, &[&str], Option<&str>, &str); 9] = [
            (
                "hostname",
                &["host", "port"],
                None,
                "half of the letters differ: a guess would mislead",
            ),
            (
                "contianers",
                &["metadata", "containers"],
                Some("containers"),
                "two neighbours swapped",
            ),
            (
                "READONLY",
                &["source", "readOnly"],
                Some("readOnly"),
                "case alone",
            ),
            ("imag", &["image", "args"], Some("image"), "one letter missing"),
            ("db", &["de", "db2"], Some("de"), "the first of equally near ones"),
            ("ab", &["xy"], None, "nothing alike"),
            ("host", &["host"], None, "the word itself is no suggestion"),
            ("", &["a"], None, "an empty word means nothing"),
            ("port", &["ports", "part"], Some("ports"), "one letter more"),
        ];
        for (word, candidates, expected, reason) in cases {
            assert_eq!(suggest(word, candidates.iter()), expected, "{word}: {reason}");
        }
        assert_eq!(
            suggest(&"a".repeat(500), &["a".repeat(501)]),
            None,
            "long words are not compared"
        );
    }
}
