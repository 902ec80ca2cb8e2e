//! The known word that is nearest to a misspelt one.

/// How much of a word is compared, in characters: no key is as long.
const COMPARED: usize = 64;

/// Returns the candidate that differs least from `word`, or none if none is near: at most one edit for each three
/// characters, and at least one, is allowed. An edit is a character inserted, left out or replaced, or two neighbours
/// swapped. Case does not count. Of several that are equally near, the first is returned.
///
/// ```
/// use wharf::base::nearest;
///
/// assert_eq!(nearest("auht", ["http", "auth"]), Some("auth"));
/// assert_eq!(nearest("prefetch", ["http", "auth"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(COMPARED).collect();
    let allowed = (word.len() / 3).max(1);
    let near = candidates.into_iter().filter_map(|candidate| {
        let letters: Vec<char> = candidate.to_lowercase().chars().take(COMPARED).collect();
        let edits = edits(&word, &letters);
        // A word of which every letter is another one is not near, however short it is.
        (edits <= allowed && edits < letters.len().max(word.len())).then_some((edits, candidate))
    });
    near.min_by_key(|(edits, _)| *edits).map(|(_, candidate)| candidate)
}

/// The distance of optimal string alignment.
fn edits(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, theirs) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != theirs);
            let mut least = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *theirs {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_of_the_hand_is_near_and_another_word_is_not() {
        let known = ["auth", "http", "storage", "readonly", "addr", "upload_idle", "tls", "h2c"];
        for (word, expected) in [
            ("auht", Some("auth")),
            ("htpp", Some("http")),
            ("readony", Some("readonly")),
            ("adr", Some("addr")),
            ("Storage", Some("storage")),
            ("upload_idel", Some("upload_idle")),
            ("tsl", Some("tls")),
            ("database", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn a_word_without_end_is_compared_in_bounded_time() {
        assert_eq!(nearest(&"a".repeat(10_000_000), ["auth"]), None);
    }
}
