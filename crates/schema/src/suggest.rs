//! What somebody who misspelt a name may have meant.

/// Longest name that is compared; longer ones are no misspellings.
const MAX_LENGTH: usize = 64;

/// The candidate nearest to `name`, when it is near enough to be a misspelling: the same letters in another case,
/// or at most one edit for each three letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().take(MAX_LENGTH + 1).collect();
    if wanted.is_empty() || wanted.len() > MAX_LENGTH {
        return None;
    }
    let allowed = (wanted.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.eq_ignore_ascii_case(name) {
            return Some(candidate);
        }
        let letters: Vec<char> = candidate.chars().take(MAX_LENGTH + 1).collect();
        if letters.len() > MAX_LENGTH || letters.len().abs_diff(wanted.len()) > allowed {
            continue;
        }
        let distance = edit_distance(&wanted, &letters);
        // A name of two letters has nothing in common with another one that is one edit away.
        if distance <= allowed
            && distance < wanted.len().min(letters.len())
            && best.is_none_or(|(d, _)| distance < d)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn edit_distance(left: &[char], right: &[char]) -> usize {
    let width = right.len() + 1;
    let mut before = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    let mut row = vec![0; width];
    for (i, a) in left.iter().enumerate() {
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let mut cost = above[j] + usize::from(a != b);
            cost = cost.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row[j + 1] = cost;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let fields = ["size", "owner", "replicas", "contaiiners", "env"];
        for (written, meant, why) in [
            ("sise", Some("size"), "one letter replaced"),
            ("Size", Some("size"), "another case"),
            ("szie", Some("size"), "neighbours swapped"),
            ("replcas", Some("replicas"), "one letter left out"),
            ("containers", Some("contaiiners"), "one letter too many"),
            ("colour", None, "nothing like it"),
            ("", None, "nothing written"),
            ("x", None, "too short to tell"),
        ] {
            assert_eq!(nearest(written, fields), meant, "{written}: {why}");
        }
        let long = "a".repeat(10_000);
        assert_eq!(nearest(&long, ["a"]), None);
    }
}
