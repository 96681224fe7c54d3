//! Reading one key's versions: the newest by a point read, older ones by one seek.

use std::ops::Bound;

use bytes::Bytes;

use crate::backend::{Entry, Scan, Space, View, get_all, get_some, wait};
use crate::block::Height;
use crate::error::ReadError;
use crate::keys::{decode_version, height_of_history_key, history_key, history_prefix};
use crate::write_set::Version;

/// The newest version of `key`.
pub(crate) async fn newest(view: &dyn View, key: &[u8]) -> Result<Option<Version>, ReadError> {
    version_of(view.get(Space::KeyToNewest, key).await?.as_ref())
}

/// The newest version of each of `keys`, which are in order.
pub(crate) fn newest_of_each(
    view: &dyn View,
    keys: &[&[u8]],
) -> Result<Vec<Option<Version>>, ReadError> {
    versions_of(&get_all(view, Space::KeyToNewest, keys)?)
}

/// The newest versions of the first of `keys`, as [`View::get_many`] gives them.
pub(crate) async fn newest_of_some(
    view: &dyn View,
    keys: &[&[u8]],
    max_bytes: usize,
) -> Result<Vec<Option<Version>>, ReadError> {
    versions_of(&get_some(view, Space::KeyToNewest, keys, max_bytes).await?)
}

fn versions_of(records: &[Option<Bytes>]) -> Result<Vec<Option<Version>>, ReadError> {
    let versions = records.iter().map(|record| version_of(record.as_ref()));
    versions.collect()
}

fn version_of(record: Option<&Bytes>) -> Result<Option<Version>, ReadError> {
    record.map(decode_version).transpose()
}

/// The newest version of `key` that was written at or below `height`.
pub(crate) async fn at_or_below(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> Result<Option<Version>, ReadError> {
    match newest(view, key).await? {
        Some(version) if version.height > height => older(view, key, height).await,
        found => Ok(found),
    }
}

/// The newest superseded version of `key` that was written at or below `height`.
pub(crate) async fn older(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> Result<Option<Version>, ReadError> {
    let entry = scan_older(view, key, height).next_entry().await?;
    entry.map(superseded).transpose()
}

/// The superseded versions of `key` that were written at or below `height`, the
/// newest first.
fn versions(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> impl Iterator<Item = Result<Version, ReadError>> {
    scan_older(view, key, height).map(|entry| superseded(entry?))
}

fn scan_older(view: &dyn View, key: &[u8], height: Height) -> Scan {
    let prefix = history_prefix(key);
    let (start, end) = (history_key(&prefix, height), history_key(&prefix, 0));
    view.scan(
        Space::KeyHeightToOlder,
        Bound::Included(&start),
        Bound::Included(&end),
    )
}

/// The version that an entry of superseded ones holds.
pub(crate) fn superseded((history_key, value): Entry) -> Result<Version, ReadError> {
    Ok(Version {
        height: height_of_history_key(&history_key)?,
        value,
    })
}

/// The version of `key` that `height` itself wrote, and the height of the one before.
pub(crate) fn exactly_at(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> Result<Option<(Version, Option<Height>)>, ReadError> {
    match wait(newest(view, key))? {
        Some(version) if version.height == height => {
            let previous = match height.checked_sub(1) {
                Some(below) => wait(older(view, key, below))?.map(|version| version.height),
                None => None,
            };
            Ok(Some((version, previous)))
        }
        _ => {
            let mut versions = versions(view, key, height);
            let version = versions.next().transpose()?;
            let Some(version) = version.filter(|version| version.height == height) else {
                return Ok(None);
            };
            let previous = versions.next().transpose()?.map(|version| version.height);
            Ok(Some((version, previous)))
        }
    }
}
