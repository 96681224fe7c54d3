//! The word that somebody may have meant.

/// How alike two words must be, of 1: as the command line's parser has it.
const ALIKE: f64 = 0.7;

/// Bytes of a word that is compared at most: the time grows with the square of it.
const LONGEST: usize = 100;

/// Words that are compared at most.
const MOST: usize = 1_000;

/// The word among `known` that is most like `word`, if one is alike: what somebody may have
/// meant who wrote `word`. Words of more than 100 bytes, and all behind the first thousand,
/// are not compared.
///
/// ```
/// # use metashrew_runtime::nearest;
/// assert_eq!(nearest("balanc", ["balance", "history"]), Some("balance"));
/// assert_eq!(nearest("tip", ["balance", "history"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let likeness = |known: &'a str| {
        // Of short words with two letters swapped, that measure thinks little.
        let is_a_slip = word.len() > 1 && strsim::osa_distance(word, known) <= 1;
        let likeness = if is_a_slip {
            1.0
        } else {
            strsim::jaro(word, known)
        };
        (likeness, known)
    };
    let known = known.into_iter().take(MOST);
    let alike = known.filter(|known| known.len() <= LONGEST).map(likeness);
    let alike = alike.filter(|(likeness, _)| *likeness > ALIKE);
    let most = alike.max_by(|one, other| one.0.total_cmp(&other.0));
    most.map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_like_word_is_found() {
        let words = ["blocks", "blocks-dir", "listen"];
        assert_eq!(nearest("blocksdir", words), Some("blocks-dir"));
        assert_eq!(nearest("lisen", words), Some("listen"));
        assert_eq!(nearest("ulr", ["url", "db"]), Some("url"));
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("confirmations", words), None);
    }

    #[test]
    fn what_is_compared_is_bounded() {
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("x", [long.as_str(), "x"]), Some("x"));
        let many = std::iter::repeat_n("y", MOST).chain(["x"]);
        assert_eq!(nearest("x", many), None);
    }
}
