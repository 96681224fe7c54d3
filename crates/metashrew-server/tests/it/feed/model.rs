//! A chain that tests make by hand: what every block that ever was left behind.

use std::collections::BTreeMap;

use metashrew_store::{BlockHash, BlockRef, Height, Store, WriteSet};

/// The height of the first block.
pub(crate) const FIRST: Height = 100;

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// A block, in the chain or not.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) height: Height,
    pub(crate) hash: BlockHash,
    pub(crate) parent: BlockHash,
    writes: State,
    /// All keys after it; those of empty values are left out.
    pub(crate) state: State,
}

/// A store, and what is to be in it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) store: Store,
    /// Every block there ever was, by its cursor.
    made: BTreeMap<String, Made>,
    pub(crate) chain: Vec<String>,
    count: u64,
}

pub(crate) fn cursor(height: Height, hash: &BlockHash) -> String {
    format!("{height}:0x{hash}")
}

impl Model {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            made: BTreeMap::new(),
            chain: Vec::new(),
            count: 0,
        }
    }

    /// The cursor of the last block; `first` without one.
    pub(crate) fn tip(&self) -> String {
        self.chain
            .last()
            .cloned()
            .unwrap_or_else(|| "first".to_owned())
    }

    pub(crate) fn tip_hash(&self) -> BlockHash {
        self.get(&self.tip())
            .map_or(BlockHash::from_bytes([0; 32]), |tip| tip.hash)
    }

    pub(crate) fn get(&self, cursor: &str) -> Option<&Made> {
        self.made.get(cursor)
    }

    /// The cursor, or `first` if it is of the block below the first one.
    pub(crate) fn normal<'a>(&self, cursor: &'a str) -> &'a str {
        self.get(cursor).map_or("first", |_| cursor)
    }

    /// The state after the block of a cursor.
    pub(crate) fn state(&self, cursor: &str) -> State {
        self.get(cursor)
            .map(|made| made.state.clone())
            .unwrap_or_default()
    }

    /// The cursor of the block below.
    pub(crate) fn below(&self, cursor: &str) -> String {
        let made = self.get(cursor).unwrap();
        if made.height == FIRST {
            return "first".to_owned();
        }
        self::cursor(made.height - 1, &made.parent)
    }

    /// The cursors from `from`, without it, up to `to`; none if `from` is not below `to`.
    pub(crate) fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let (mut path, mut at) = (Vec::new(), to.to_owned());
        while at != from {
            if at == "first" {
                return None;
            }
            path.push(at.clone());
            at = self.below(&at);
        }
        path.reverse();
        Some(path)
    }

    /// A new block of these writes, that is not in the chain yet.
    pub(crate) fn make(&mut self, writes: &[(&[u8], &[u8])]) -> String {
        self.count += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.count.to_le_bytes());
        let tip = self.get(&self.tip());
        let height = tip.map_or(FIRST, |tip| tip.height + 1);
        let mut state = tip.map(|tip| tip.state.clone()).unwrap_or_default();
        let writes: State = writes
            .iter()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        for (key, value) in &writes {
            if value.is_empty() {
                state.remove(key);
            } else {
                state.insert(key.clone(), value.clone());
            }
        }
        let made = Made {
            height,
            hash: BlockHash::from_bytes(hash),
            parent: self.tip_hash(),
            writes,
            state,
        };
        let cursor = cursor(height, &made.hash);
        self.made.insert(cursor.clone(), made);
        self.chain.push(cursor.clone());
        cursor
    }

    /// Commits a block that was made, on top of the one below it.
    pub(crate) fn commit_made(&self, cursor: &str) {
        let made = self.get(cursor).unwrap();
        let mut writes = WriteSet::default();
        for (key, value) in &made.writes {
            writes.insert(key, value).unwrap();
        }
        let block = BlockRef::new(made.height, made.hash, made.parent);
        self.store.commit(&block, &writes).unwrap();
    }

    /// Makes a block of these writes, and commits it.
    pub(crate) fn commit(&mut self, writes: &[(&[u8], &[u8])]) {
        let cursor = self.make(writes);
        self.commit_made(&cursor);
    }

    /// Takes the last blocks off; they come again if they are committed again.
    pub(crate) fn rollback(&mut self, depth: usize) -> Vec<String> {
        let undone = self.chain.split_off(self.chain.len() - depth);
        let keep = self.get(&self.tip()).map(|tip| tip.height);
        self.store.rollback(keep).unwrap();
        undone
    }
}
