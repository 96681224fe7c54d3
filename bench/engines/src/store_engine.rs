//! The store itself: layout B with block records, roots and lists of keys.

use std::path::Path;

use anyhow::Result;
use metashrew_store::{BlockHash, BlockRef, Store, StoreOptions, Version, WriteSet};

use crate::workload::Write;
use crate::{CACHE_BYTES, Candidate};

pub struct WholeStore {
    store: Store,
    reads_old: bool,
}

impl WholeStore {
    pub fn open(path: &Path, reads_old: bool) -> Result<Self> {
        let options = StoreOptions {
            cache_bytes: CACHE_BYTES,
            // The other candidates have no cache of values either.
            read_cache_bytes: 0,
            ..StoreOptions::default()
        };
        Ok(Self {
            store: Store::open(path, options)?,
            reads_old,
        })
    }
}

fn hash(height: u32) -> BlockHash {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&height.to_be_bytes());
    BlockHash::from_bytes(bytes)
}

impl Candidate for WholeStore {
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()> {
        let mut set = WriteSet::default();
        for write in writes {
            if !self.reads_old {
                let old = write.old.map(|(height, value)| Version { height, value });
                set.remember(&write.key, old.as_ref());
            }
            set.insert(write.key, write.value)?;
        }
        let block = BlockRef::new(height, hash(height), hash(height.wrapping_sub(1)));
        self.store.commit(&block, &set)?;
        Ok(())
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        Ok(self.store.snapshot().latest().get(key)?.is_some())
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>> {
        Ok(Some(self.store.snapshot().at(height).get(key)?.is_some()))
    }
}
