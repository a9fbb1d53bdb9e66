//! Did you mean?

/// The nearest of the words that could have been meant, if any is near.
pub(crate) fn nearest<'a>(
    found: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The comparison is quadratic, and nobody mistypes a novel.
    if found.len() > 64 {
        return None;
    }
    let lower = found.to_lowercase();
    let allowed = (found.chars().count() / 3).clamp(1, 3);
    let distance = |word: &str| {
        let word = word.to_lowercase();
        // `max_connections` and `max-connections` mean `maxConnections`.
        if word == lower.replace(['_', '-'], "") {
            return 0;
        }
        strsim::osa_distance(&lower, &word)
    };
    let near = words.into_iter().map(|word| (distance(word), word));
    near.filter(|(d, _)| *d <= allowed).min_by_key(|(d, _)| *d).map(|(_, word)| word)
}

/// `a`, `b` or `c`.
pub(crate) fn either(words: &[&str]) -> String {
    joined(words, "or")
}

/// `a`, `b` and `c`; the first few of many.
pub(crate) fn every(words: &[&str]) -> String {
    match words {
        [a, b, c, d, _, _, ..] => format!("`{a}`, `{b}`, `{c}`, `{d}` and others"),
        few => joined(few, "and"),
    }
}

fn joined(words: &[&str], with: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} {with} {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_understood_and_another_word_is_not() {
        let words = ["weight", "hold", "of"];
        assert_eq!(nearest("wieght", words), Some("weight"));
        assert_eq!(nearest("Hold", words), Some("hold"));
        assert_eq!(nearest("duration", words), None);
        assert_eq!(nearest("max_connections", ["maxConnections"]), Some("maxConnections"));
    }
}
