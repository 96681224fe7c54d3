//! Where blocks lie: every copy of each, in the order in which they were found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use metashrew_store::BlockHash;

/// Where a copy of a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the file.
    pub(crate) file: usize,
    /// Of the block itself, in bytes.
    pub(crate) offset: u64,
    /// Bytes of the block, and of what follows it within its frame.
    pub(crate) length: u32,
}

impl Place {
    fn is_at(&self, other: &Self) -> bool {
        (self.file, self.offset) == (other.file, other.offset)
    }
}

/// The copies of blocks by their hashes. Nearly every block has one: those are kept
/// without a list of their own.
#[derive(Debug, Default)]
pub(super) struct Places {
    first: HashMap<BlockHash, Place>,
    more: HashMap<BlockHash, Vec<Place>>,
}

impl Places {
    /// Adds a copy, unless it is known.
    pub(super) fn add(&mut self, hash: BlockHash, place: Place) {
        match self.first.entry(hash) {
            Entry::Vacant(entry) => {
                entry.insert(place);
            }
            Entry::Occupied(mut entry) if entry.get().is_at(&place) => {
                entry.insert(place);
            }
            Entry::Occupied(_) => {
                let more = self.more.entry(hash).or_default();
                match more.iter_mut().find(|known| known.is_at(&place)) {
                    Some(known) => *known = place,
                    None => more.push(place),
                }
            }
        }
    }

    /// The copies of a block.
    pub(super) fn of(&self, hash: &BlockHash) -> Vec<Place> {
        let more = self.more.get(hash).into_iter().flatten();
        self.first
            .get(hash)
            .into_iter()
            .chain(more)
            .copied()
            .collect()
    }

    /// Takes away a copy.
    pub(super) fn remove(&mut self, hash: &BlockHash, place: &Place) {
        let mut places = self.of(hash);
        places.retain(|known| !known.is_at(place));
        self.first.remove(hash);
        self.more.remove(hash);
        for place in places {
            self.add(*hash, place);
        }
    }

    /// Takes away all copies in a file.
    pub(super) fn remove_file(&mut self, file: usize) {
        let lost: Vec<_> = self
            .all()
            .into_iter()
            .filter(|(_, place)| place.file == file)
            .collect();
        for (hash, place) in lost {
            self.remove(&hash, &place);
        }
    }

    /// All copies, file by file, in the order in which they lie there.
    pub(super) fn all(&self) -> Vec<(BlockHash, Place)> {
        let firsts = self.first.iter().map(|(hash, place)| (*hash, *place));
        let more = self.more.iter();
        let more = more.flat_map(|(hash, places)| places.iter().map(|place| (*hash, *place)));
        let mut all: Vec<_> = firsts.chain(more).collect();
        all.sort_unstable_by_key(|(_, place)| (place.file, place.offset));
        all
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_kept_once_and_in_order() {
        let hash = BlockHash::from_bytes([1; 32]);
        let place = |offset, length| Place {
            file: 0,
            offset,
            length,
        };
        let mut places = Places::default();
        assert_eq!(places.of(&hash), []);
        for offset in [9, 5, 9, 7, 5] {
            places.add(hash, place(offset, 100));
        }
        places.add(hash, place(7, 90));
        let all = [place(9, 100), place(5, 100), place(7, 90)];
        assert_eq!((places.of(&hash), places.len()), (all.to_vec(), 1));
        places.remove(&hash, &place(9, 0));
        assert_eq!(places.of(&hash), all[1..]);
        let sorted = [(hash, place(5, 100)), (hash, place(7, 90))];
        assert_eq!(places.all(), sorted);
        places.remove_file(1);
        assert_eq!(places.all(), sorted);
        places.remove_file(0);
        assert_eq!((places.of(&hash), places.len()), (vec![], 0));
    }
}
