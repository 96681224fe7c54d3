//! Reading one key's versions: the newest by a point read, older ones by one seek.

use std::ops::Bound;

use crate::backend::{Space, View};
use crate::block::Height;
use crate::error::ReadError;
use crate::keys::{decode_version, height_of_history_key, history_key, history_prefix};
use crate::write_set::Version;

/// The newest version of `key`.
pub(crate) fn newest(view: &dyn View, key: &[u8]) -> Result<Option<Version>, ReadError> {
    view.get(Space::KeyToNewest, key)?
        .map(|record| decode_version(&record))
        .transpose()
}

/// The newest version of `key` that was written at or below `height`.
pub(crate) fn at_or_below(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> Result<Option<Version>, ReadError> {
    match newest(view, key)? {
        Some(version) if version.height > height => older(view, key, height),
        found => Ok(found),
    }
}

/// The newest superseded version of `key` that was written at or below `height`.
pub(crate) fn older(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> Result<Option<Version>, ReadError> {
    versions(view, key, height).next().transpose()
}

/// The superseded versions of `key` that were written at or below `height`, the
/// newest first.
fn versions(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> impl Iterator<Item = Result<Version, ReadError>> {
    let prefix = history_prefix(key);
    let (start, end) = (history_key(&prefix, height), history_key(&prefix, 0));
    let entries = view.scan(
        Space::KeyHeightToOlder,
        Bound::Included(&start),
        Bound::Included(&end),
    );
    entries.map(|entry| {
        let (history_key, value) = entry?;
        Ok(Version {
            height: height_of_history_key(&history_key)?,
            value,
        })
    })
}

/// The version of `key` that `height` itself wrote, and the height of the one before.
pub(crate) fn exactly_at(
    view: &dyn View,
    key: &[u8],
    height: Height,
) -> Result<Option<(Version, Option<Height>)>, ReadError> {
    match newest(view, key)? {
        Some(version) if version.height == height => {
            let previous = match height.checked_sub(1) {
                Some(below) => older(view, key, below)?.map(|version| version.height),
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
