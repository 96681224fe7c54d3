//! redb, in layout B.

use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::workload::Write;
use crate::{CACHE_BYTES, Candidate, layout};

const NEWEST: TableDefinition<&[u8], &[u8]> = TableDefinition::new("newest");
const OLDER: TableDefinition<&[u8], &[u8]> = TableDefinition::new("older");

pub struct LayoutB {
    database: Database,
    reads_old: bool,
}

impl LayoutB {
    pub fn open(path: &Path, reads_old: bool) -> Result<Self> {
        let database = Database::builder()
            .set_cache_size(usize::try_from(CACHE_BYTES)?)
            .create(path.join("redb"))?;
        Ok(Self {
            database,
            reads_old,
        })
    }
}

impl Candidate for LayoutB {
    fn commit(&mut self, height: u32, writes: Vec<Write>) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut newest = transaction.open_table(NEWEST)?;
            let mut older = transaction.open_table(OLDER)?;
            for write in writes {
                let record = layout::newest(height, &write.value);
                let replaced = newest.insert(write.key.as_ref(), record.as_ref())?;
                if self.reads_old {
                    // An insert hands out what it replaced: no read of its own.
                    if let Some(record) = replaced {
                        let (old_height, old) = layout::split(record.value());
                        let key = layout::versioned(&write.key, old_height);
                        older.insert(key.as_ref(), old)?;
                    }
                } else if let Some((old_height, old)) = write.old {
                    let key = layout::versioned(&write.key, old_height);
                    older.insert(key.as_ref(), old.as_ref())?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn tip(&self, key: &[u8]) -> Result<bool> {
        let transaction = self.database.begin_read()?;
        Ok(transaction.open_table(NEWEST)?.get(key)?.is_some())
    }

    fn at(&self, key: &[u8], height: u32) -> Result<Option<bool>> {
        let transaction = self.database.begin_read()?;
        let Some(record) = transaction.open_table(NEWEST)?.get(key)? else {
            return Ok(Some(false));
        };
        if layout::split(record.value()).0 <= height {
            return Ok(Some(true));
        }
        let (start, end) = (layout::versioned(key, height), layout::versioned(key, 0));
        let older = transaction.open_table(OLDER)?;
        let found = older.range(start.as_ref()..=end.as_ref())?.next();
        Ok(Some(found.transpose()?.is_some()))
    }
}
