//! fjall, in both layouts.

use std::path::Path;

use anyhow::Result;
use fjall::config::{CompressionPolicy, HashRatioPolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::workload::Write;
use crate::{CACHE_BYTES, Candidate, layout};

pub struct Raw {
    database: Database,
    entries: Keyspace,
}

impl Raw {
    pub fn open(path: &Path) -> Result<Self> {
        let database = Database::builder(path).cache_size(CACHE_BYTES).open()?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Self { database, entries })
    }
}

impl Candidate for Raw {
    fn commit(&mut self, _height: u32, writes: Vec<Write>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for write in writes {
            batch.insert(&self.entries, write.key, write.value);
        }
        Ok(batch.commit()?)
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        Ok(self.entries.get(key)?.is_some())
    }

    fn at(&self, _key: &[u8], _height: u32) -> Result<Option<bool>> {
        Ok(None)
    }
}

pub struct LayoutA {
    database: Database,
    versions: Keyspace,
}

impl LayoutA {
    pub fn open(path: &Path) -> Result<Self> {
        let database = Database::builder(path).cache_size(CACHE_BYTES).open()?;
        let versions = database.keyspace("versions", KeyspaceCreateOptions::default)?;
        Ok(Self { database, versions })
    }
}

impl Candidate for LayoutA {
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for write in writes {
            let key = layout::versioned(&write.key, height);
            batch.insert(&self.versions, key, write.value);
        }
        Ok(batch.commit()?)
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        Ok(self.at(key, u32::MAX)? == Some(true))
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>> {
        let range = layout::versioned(key, height)..=layout::versioned(key, 0);
        let found = self.versions.range(range).next();
        Ok(Some(
            found.map(|guard| guard.value()).transpose()?.is_some(),
        ))
    }
}

pub struct LayoutB {
    database: Database,
    newest: Keyspace,
    older: Keyspace,
    reads_old: bool,
}

impl LayoutB {
    pub fn open(path: &Path, reads_old: bool, compressed: bool) -> Result<Self> {
        let database = Database::builder(path).cache_size(CACHE_BYTES).open()?;
        let options = || {
            let options = KeyspaceCreateOptions::default();
            if compressed {
                options
            } else {
                options.data_block_compression_policy(CompressionPolicy::disabled())
            }
        };
        let newest = database.keyspace("newest", || {
            options()
                .filter_block_pinning_policy(PinningPolicy::new([true, true, true, false]))
                .index_block_pinning_policy(PinningPolicy::new([true, true, true, false]))
                .data_block_hash_ratio_policy(HashRatioPolicy::all(1.33))
        })?;
        let older = database.keyspace("older", options)?;
        Ok(Self {
            database,
            newest,
            older,
            reads_old,
        })
    }
}

impl Candidate for LayoutB {
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for write in writes {
            if self.reads_old {
                if let Some(record) = self.newest.get(&write.key)? {
                    let (old_height, old) = layout::split(&record);
                    batch.insert(&self.older, layout::versioned(&write.key, old_height), old);
                }
            } else if let Some((old_height, old)) = write.old {
                batch.insert(&self.older, layout::versioned(&write.key, old_height), old);
            }
            let record = layout::newest(height, &write.value);
            batch.insert(&self.newest, write.key, record);
        }
        Ok(batch.commit()?)
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        Ok(self.newest.get(key)?.is_some())
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>> {
        match self.newest.get(key)? {
            None => Ok(Some(false)),
            Some(record) if layout::split(&record).0 <= height => Ok(Some(true)),
            Some(_) => {
                let range = layout::versioned(key, height)..=layout::versioned(key, 0);
                let found = self.older.range(range).next();
                Ok(Some(
                    found.map(|guard| guard.value()).transpose()?.is_some(),
                ))
            }
        }
    }
}
