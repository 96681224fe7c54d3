//! The lines of one block within a bound: the first ones, and the last ones.

use std::collections::VecDeque;

use crate::host::{MAX_TEXT, text};

/// Bytes in front of each line: how long it is.
const PREFIX: usize = size_of::<u32>();

/// Set in a line's length if the guest logged more than is kept of it.
const CUT: u32 = 1 << 31;

/// A line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Which line of its block it is; the first one is 0.
    pub number: u64,
    /// Its text, where it is UTF-8. The guest chose it: a terminal must not be given it as it is.
    pub text: String,
    /// Whether the guest logged more than is kept of it.
    pub cut: bool,
}

/// Lines one after the other, each with its length in front.
#[derive(Debug, Clone, Default)]
struct Part {
    bytes: VecDeque<u8>,
    lines: u64,
}

impl Part {
    fn has_room(&self, line: usize, limit: usize) -> bool {
        self.bytes.len() + PREFIX + line <= limit
    }

    /// Adds a line, for which there is room.
    fn push(&mut self, line: &[u8], cut: bool, limit: usize) {
        let needed = self.bytes.len() + PREFIX + line.len();
        let capacity = self.bytes.capacity();
        if capacity < needed {
            let wanted = (capacity * 2).clamp(needed, limit.max(needed));
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        // No line is as long as that.
        let length = u32::try_from(line.len()).unwrap_or(0) | if cut { CUT } else { 0 };
        self.bytes.extend(&length.to_le_bytes());
        self.bytes.extend(line);
        self.lines += 1;
    }

    fn drop_first(&mut self) {
        if let Some((length, _)) = self.header(0) {
            self.bytes.drain(..PREFIX + length);
            self.lines -= 1;
        }
    }

    /// The length of the line that begins at `at`, and whether it was cut.
    fn header(&self, at: usize) -> Option<(usize, bool)> {
        let mut prefix = [0; PREFIX];
        for (byte, from) in prefix.iter_mut().zip(self.bytes.range(at..).take(PREFIX)) {
            *byte = *from;
        }
        let length = u32::from_le_bytes(prefix);
        (at < self.bytes.len()).then_some(((length & !CUT) as usize, length & CUT != 0))
    }
}

/// What a block logged, within `room` bytes: the first lines in half of it, the last ones in the
/// other half.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    half: usize,
    first: Part,
    last: Part,
    logged: u64,
}

impl Lines {
    pub(super) fn new(room: usize) -> Self {
        Self {
            half: room / 2,
            first: Part::default(),
            last: Part::default(),
            logged: 0,
        }
    }

    /// Lines that were logged, kept or not.
    pub(super) fn logged(&self) -> u64 {
        self.logged
    }

    pub(super) fn kept(&self) -> u64 {
        self.first.lines + self.last.lines
    }

    /// Memory that they take, in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.first.bytes.capacity() + self.last.bytes.capacity()
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        let is_first = self.logged == self.first.lines;
        self.logged += 1;
        let Some(longest) = self.half.checked_sub(PREFIX) else {
            return;
        };
        let text = text.trim_ascii_end();
        let line = text.get(..longest.min(MAX_TEXT)).unwrap_or(text);
        let cut = line.len() < text.len();
        if is_first && self.first.has_room(line.len(), self.half) {
            self.first.push(line, cut, self.half);
            return;
        }
        while !self.last.has_room(line.len(), self.half) {
            self.last.drop_first();
        }
        self.last.push(line, cut, self.half);
    }

    /// The lines from `from` on, or so many from the end, no more than `lines` of at most `bytes`
    /// bytes, but one in any case; and the number of the next one.
    pub(super) fn read(&self, range: &super::LogRange) -> (Vec<LogLine>, Option<u64>) {
        let from = u64::try_from(range.from)
            .unwrap_or_else(|_| self.logged.saturating_sub(range.from.unsigned_abs()));
        let (mut lines, mut bytes) = (Vec::new(), 0);
        let numbered = [
            (0, &self.first),
            (self.logged - self.last.lines, &self.last),
        ];
        for (mut number, part) in numbered {
            let mut at = 0;
            while let Some((length, cut)) = part.header(at) {
                at += PREFIX + length;
                if number >= from {
                    bytes += length;
                    if lines.len() >= range.lines || !lines.is_empty() && bytes > range.bytes {
                        return (lines, Some(number));
                    }
                    let line: Vec<u8> = part.bytes.range(at - length..at).copied().collect();
                    let text = text(&line).into_owned();
                    lines.push(LogLine { number, text, cut });
                }
                number += 1;
            }
        }
        (lines, None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::LogRange;
    use super::*;

    fn all(lines: &Lines) -> Vec<LogLine> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let range = LogRange {
                from,
                lines: 3,
                bytes: 10,
            };
            let (read, next) = lines.read(&range);
            all.extend(read);
            match next {
                Some(next) => from = i64::try_from(next).unwrap(),
                None => return all,
            }
        }
    }

    proptest! {
        /// Whatever is logged, what is kept are its first lines and its last ones, each whole or
        /// said to be cut, and they take no more than they may.
        #[test]
        fn the_first_lines_and_the_last_ones_are_kept(
            texts in proptest::collection::vec("[a-z]{0,20}", 0..60),
            room in 0..400_usize,
        ) {
            let mut lines = Lines::new(room);
            for text in &texts {
                lines.add(text.as_bytes());
                // An allocation is never smaller than a few bytes.
                prop_assert!(lines.capacity() <= room.max(16));
            }
            let kept = all(&lines);
            prop_assert_eq!(kept.len() as u64, lines.kept());
            prop_assert_eq!(lines.logged(), texts.len() as u64);
            let longest = (room / 2).saturating_sub(PREFIX);
            for line in &kept {
                let logged = &texts[usize::try_from(line.number).unwrap()];
                prop_assert_eq!(line.cut, logged.len() > longest);
                prop_assert_eq!(&line.text, &logged[..logged.len().min(longest)]);
            }
            let numbers: Vec<_> = kept.iter().map(|line| line.number).collect();
            prop_assert!(numbers.is_sorted_by(|one, next| one < next));
            let gaps = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
            prop_assert!(gaps <= 1);
            if room / 2 >= PREFIX {
                prop_assert_eq!(numbers.last().copied(), (texts.len() as u64).checked_sub(1));
            }
            let last = LogRange { from: -2, lines: 9, bytes: usize::MAX };
            let (last, next) = lines.read(&last);
            prop_assert_eq!(next, None);
            let from = (texts.len() as u64).saturating_sub(2);
            let expected: Vec<_> = kept.into_iter().filter(|line| line.number >= from).collect();
            prop_assert_eq!(last, expected);
        }
    }

    #[test]
    fn what_is_no_text_is_made_one_and_a_huge_line_is_cut() {
        let mut lines = Lines::new(1 << 20);
        lines.add(b"a\xff\x1b[2J \n");
        lines.add(&vec![b'x'; MAX_TEXT + 1]);
        let read = all(&lines);
        assert_eq!(read[0].text, "a\u{fffd}\u{1b}[2J");
        assert_eq!((read[1].text.len(), read[1].cut), (MAX_TEXT, true));
    }
}
