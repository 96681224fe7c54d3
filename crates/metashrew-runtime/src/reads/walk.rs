//! A walk over a range of keys that is under way, and the part of it that was walked.

use metashrew_store::MAX_KEY_LEN;

/// Keys from the first to the second, which is not among them; none is the end of all keys.
pub(crate) type Part = (Vec<u8>, Option<Vec<u8>>);

/// A walk over a range that is under way.
#[derive(Debug)]
pub(crate) struct Walk {
    start: Vec<u8>,
    /// None is the end of all keys.
    end: Option<Vec<u8>>,
    descending: bool,
}

impl Walk {
    pub(crate) fn begin(start: &[u8], end: &[u8], descending: bool) -> Self {
        Self {
            start: bound(start),
            end: (!end.is_empty()).then(|| bound(end)),
            descending,
        }
    }

    /// Goes on behind `key`: the part of the range up to it, with it.
    pub(crate) fn pass(&mut self, key: &[u8]) -> Part {
        if self.descending {
            (key.to_vec(), self.end.replace(key.to_vec()))
        } else {
            let next = behind(key);
            let start = std::mem::replace(&mut self.start, next.clone());
            (start, Some(next))
        }
    }

    /// What is left of the range.
    pub(crate) fn rest(self) -> Part {
        (self.start, self.end)
    }
}

/// A bound of a range, no longer than one of keys need be: of the keys there may be, those
/// above a longer bound are those above its beginning.
pub(crate) fn bound(bound: &[u8]) -> Vec<u8> {
    match bound.get(..MAX_KEY_LEN) {
        Some(beginning) if beginning.len() < bound.len() => behind(beginning),
        _ => bound.to_vec(),
    }
}

/// The lowest bound behind `key`.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
