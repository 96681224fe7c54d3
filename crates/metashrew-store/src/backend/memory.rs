//! The engine that keeps everything in memory, in persistent maps: a view is a
//! handful of reference counts, and a write never disturbs one. Nothing is durable, so
//! everything counts as if it were.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rpds::RedBlackTreeMapSync;

use super::{Backend, BackendError, Batch, BatchNumber, Direction, Read, Scan, Space, View};

type Map = RedBlackTreeMapSync<Bytes, Bytes>;

/// How many entries a scan copies at a time.
const SCAN_CHUNK: usize = 64;

#[derive(Debug, Clone, Default)]
struct Maps {
    batch: BatchNumber,
    by_space: [Map; Space::ALL.len()],
}

impl Maps {
    fn get(&self, space: Space) -> &Map {
        self.by_space
            .get(space as usize)
            .expect("there is a map for every space")
    }

    fn get_mut(&mut self, space: Space) -> &mut Map {
        self.by_space
            .get_mut(space as usize)
            .expect("there is a map for every space")
    }
}

/// The in-memory engine.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    maps: Mutex<Maps>,
}

impl Backend for MemoryBackend {
    fn view(&self) -> Arc<dyn View> {
        Arc::new(self.maps.lock().clone())
    }

    fn write(&self, batch: Batch) -> Result<BatchNumber, BackendError> {
        let mut maps = self.maps.lock();
        for operation in batch.into_operations() {
            let map = maps.get_mut(operation.space);
            match operation.value {
                Some(value) => map.insert_mut(operation.key, value),
                None => {
                    map.remove_mut(&operation.key);
                }
            }
        }
        maps.batch = BatchNumber(maps.batch.0 + 1);
        Ok(maps.batch)
    }

    fn durable(&self) -> BatchNumber {
        self.maps.lock().batch
    }

    fn sync(&self, _batch: BatchNumber) -> Read<'_, ()> {
        Read::Ready(Ok(()))
    }
}

impl View for Maps {
    fn batch(&self) -> BatchNumber {
        self.batch
    }

    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Read<'a, Option<Bytes>> {
        Read::Ready(Ok(Maps::get(self, space).get(key).cloned()))
    }

    fn scan(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        Scan::new(MapScan::new(self, space, (start, end), Direction::Forward))
    }

    fn scan_back(&self, space: Space, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Scan {
        Scan::new(MapScan::new(self, space, (start, end), Direction::Back))
    }
}

/// A scan that owns its map and walks it in chunks.
struct MapScan {
    map: Map,
    start: Bound<Bytes>,
    end: Bound<Bytes>,
    direction: Direction,
    chunk: std::vec::IntoIter<(Bytes, Bytes)>,
    done: bool,
}

impl MapScan {
    fn new(
        maps: &Maps,
        space: Space,
        (start, end): (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Self {
        Self {
            map: maps.get(space).clone(),
            start: start.map(Bytes::copy_from_slice),
            end: end.map(Bytes::copy_from_slice),
            direction,
            chunk: Vec::new().into_iter(),
            done: false,
        }
    }

    fn refill(&mut self) {
        if self.done || is_empty(&self.start, &self.end) {
            return;
        }
        let bounds = (
            self.start.as_ref().map(Bytes::as_ref),
            self.end.as_ref().map(Bytes::as_ref),
        );
        let entries = self.map.range::<[u8], _>(bounds);
        let copied = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let chunk: Vec<_> = match self.direction {
            Direction::Forward => entries.take(SCAN_CHUNK).map(copied).collect(),
            Direction::Back => entries.rev().take(SCAN_CHUNK).map(copied).collect(),
        };
        match (chunk.last(), self.direction) {
            (Some((key, _)), direction) if chunk.len() == SCAN_CHUNK => {
                let reached = Bound::Excluded(key.clone());
                match direction {
                    Direction::Forward => self.start = reached,
                    Direction::Back => self.end = reached,
                }
            }
            _ => self.done = true,
        }
        self.chunk = chunk.into_iter();
    }
}

/// Whether no key can lie between the bounds; the map refuses such ranges.
pub(super) fn is_empty(start: &Bound<Bytes>, end: &Bound<Bytes>) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

impl Iterator for MapScan {
    type Item = Result<(Bytes, Bytes), BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.chunk.as_slice().is_empty() {
            self.refill();
        }
        self.chunk.next().map(Ok)
    }
}
