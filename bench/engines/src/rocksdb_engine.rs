//! rocksdb, in both layouts, and alone.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Direction,
    IngestExternalFileOptions, IteratorMode, Options, ReadOptions, SstFileWriter, WriteBatch,
    WriteOptions,
};

use crate::large::{BLOCK, Engine, sorted};
use crate::workload::Write;
use crate::{CACHE_BYTES, Candidate, layout};

fn options(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.increase_parallelism(2);
    options
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn open(path: &Path, spaces: &[&str]) -> Result<DB> {
    let cache = Cache::new_lru_cache(usize::try_from(CACHE_BYTES)?);
    let spaces = spaces
        .iter()
        .map(|name| ColumnFamilyDescriptor::new(*name, options(&cache)));
    Ok(DB::open_cf_descriptors(&options(&cache), path, spaces)?)
}

fn seek(database: &DB, space: &str, key: &[u8], height: u32) -> Result<bool> {
    let space = database.cf_handle(space).context("a column family")?;
    let (start, end) = (layout::versioned(key, height), layout::versioned(key, 0));
    let mut read = ReadOptions::default();
    read.set_iterate_upper_bound([end.as_ref(), &[0]].concat());
    let mode = IteratorMode::From(&start, Direction::Forward);
    let mut found = database.iterator_cf_opt(space, read, mode);
    Ok(found.next().transpose()?.is_some())
}

pub struct LayoutA(DB);

impl LayoutA {
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self(open(path, &["versions"])?))
    }
}

impl Candidate for LayoutA {
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()> {
        let versions = self.0.cf_handle("versions").context("a column family")?;
        let mut batch = WriteBatch::default();
        for write in writes {
            batch.put_cf(versions, layout::versioned(&write.key, height), write.value);
        }
        Ok(self.0.write_opt(batch, &synced())?)
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        seek(&self.0, "versions", key, u32::MAX)
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>> {
        seek(&self.0, "versions", key, height).map(Some)
    }
}

pub struct LayoutB {
    database: DB,
    reads_old: bool,
}

impl LayoutB {
    pub fn open(path: &Path, reads_old: bool) -> Result<Self> {
        Ok(Self {
            database: open(path, &["newest", "older"])?,
            reads_old,
        })
    }
}

impl Candidate for LayoutB {
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()> {
        let newest = self.database.cf_handle("newest").context("a family")?;
        let older = self.database.cf_handle("older").context("a family")?;
        let mut batch = WriteBatch::default();
        for write in writes {
            if self.reads_old {
                if let Some(record) = self.database.get_pinned_cf(newest, &write.key)? {
                    let (old_height, old) = layout::split(&record);
                    batch.put_cf(older, layout::versioned(&write.key, old_height), old);
                }
            } else if let Some((old_height, old)) = write.old {
                batch.put_cf(older, layout::versioned(&write.key, old_height), old);
            }
            batch.put_cf(newest, &write.key, layout::newest(height, &write.value));
        }
        Ok(self.database.write_opt(batch, &synced())?)
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        let newest = self.database.cf_handle("newest").context("a family")?;
        Ok(self.database.get_pinned_cf(newest, key)?.is_some())
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>> {
        let newest = self.database.cf_handle("newest").context("a family")?;
        match self.database.get_pinned_cf(newest, key)? {
            None => Ok(Some(false)),
            Some(record) if layout::split(&record).0 <= height => Ok(Some(true)),
            Some(_) => seek(&self.database, "older", key, height).map(Some),
        }
    }
}

/// Blocks as batches, as they come.
pub struct Batches(DB);

fn large(path: &Path, cache: u64) -> Result<DB> {
    let mut options = options(&Cache::new_lru_cache(usize::try_from(cache)?));
    options.set_compression_type(DBCompressionType::None);
    Ok(DB::open(&options, path)?)
}

fn settle(database: &DB) -> Result<()> {
    database.flush()?;
    let busy = || {
        [
            "num-running-compactions",
            "compaction-pending",
            "num-running-flushes",
        ]
        .iter()
        .any(|name| {
            let value = database.property_int_value(&format!("rocksdb.{name}"));
            value.ok().flatten().is_some_and(|count| count > 0)
        })
    };
    while busy() {
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

impl Batches {
    pub fn open(path: &Path, cache: u64) -> Result<Self> {
        Ok(Self(large(path, cache)?))
    }
}

impl Engine for Batches {
    fn load(&mut self, writes: Vec<(Bytes, Bytes)>) -> Result<()> {
        for block in writes.chunks(BLOCK) {
            let mut batch = WriteBatch::default();
            for (key, value) in block {
                batch.put(key, value);
            }
            self.0.write(batch)?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        settle(&self.0)
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.0.get_pinned(key)?.is_some())
    }
}

/// Sorted tables, ingested.
pub struct Ingested {
    database: DB,
    made: u32,
}

impl Ingested {
    pub fn open(path: &Path, cache: u64) -> Result<Self> {
        let database = large(path, cache)?;
        Ok(Self { database, made: 0 })
    }
}

impl Engine for Ingested {
    fn load(&mut self, writes: Vec<(Bytes, Bytes)>) -> Result<()> {
        let options = large_table();
        let path = self.database.path().join(format!("ingested-{}", self.made));
        self.made += 1;
        let mut table = SstFileWriter::create(&options);
        table.open(&path)?;
        for (key, value) in sorted(writes) {
            table.put(key, value)?;
        }
        table.finish()?;
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        Ok(self
            .database
            .ingest_external_file_opts(&ingest, vec![path])?)
    }

    fn settle(&mut self) -> Result<()> {
        settle(&self.database)
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.database.get_pinned(key)?.is_some())
    }
}

fn large_table() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::None);
    options
}
