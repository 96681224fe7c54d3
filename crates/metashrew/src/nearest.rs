//! The word that somebody may have meant.

/// How alike two words must be, of 1: as the command line's parser has it.
const ALIKE: f64 = 0.7;

/// The word among `known` that is most like `word`, if one is alike.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
    let alike = known.into_iter().map(likeness);
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
}
