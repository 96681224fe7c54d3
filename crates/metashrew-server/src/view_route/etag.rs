//! The `ETag` of an answer, and what `If-None-Match` says about it.
//!
//! A tag covers all that an answer follows from: the block and what was written up to it,
//! the pending block on top, the guest, the view, its input, and the form. So it is known
//! before the view runs.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use metashrew_runtime::CallContext;
use sha2::{Digest, Sha256};

use super::asked::Asked;

/// The tag of the answer to what is asked. It is weak: the bytes sent may be compressed.
pub(super) fn of(asked: &Asked, stands_on: &CallContext) -> HeaderValue {
    let block = stands_on.block();
    let pending = stands_on.pending();
    let mut digest = Sha256::new();
    // Whatever has no fixed length is preceded by it.
    digest.update(stands_on.guest_sha256());
    digest.update(block.height.to_le_bytes());
    digest.update(block.hash.as_bytes());
    digest.update(block.history_root.as_bytes());
    digest.update([u8::from(pending.is_some())]);
    if let Some(pending) = pending {
        digest.update(pending.number.to_le_bytes());
        digest.update(pending.hash.as_bytes());
    }
    for part in [
        asked.form.as_str().as_bytes(),
        asked.name.as_bytes(),
        &asked.input,
    ] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let tag = format!("W/\"{}\"", hex::encode(digest.finalize()));
    HeaderValue::try_from(tag).expect("hex digits stand in headers")
}

/// What a request says of the answers that its client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Not this one.
    None,
    /// This one.
    Same,
    /// Any: it wants to know no more than whether there is one.
    Any,
}

impl Condition {
    pub(super) fn of(headers: &HeaderMap, tag: &HeaderValue) -> Self {
        let Some(tag) = tag.to_str().ok().map(opaque) else {
            return Self::None;
        };
        let values = headers.get_all(IF_NONE_MATCH).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let mut any = false;
        for value in values {
            any |= value.trim() == "*";
            if value.split(',').any(|one| opaque(one) == tag) {
                return Self::Same;
            }
        }
        if any { Self::Any } else { Self::None }
    }
}

/// A tag without what says that it is weak.
fn opaque(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&'static str], expect: Condition) {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(IF_NONE_MATCH, HeaderValue::from_static(value));
        }
        let tag = HeaderValue::from_static("W/\"0a1b\"");
        assert_eq!(Condition::of(&headers, &tag), expect, "{given:?}");
    }

    #[test]
    fn what_clients_have() {
        use Condition::{Any, None, Same};
        check(&[], None);
        check(&["W/\"0a1b\""], Same);
        check(&["\"0a1b\""], Same);
        check(&["\"x\", W/\"0a1b\" ,\"y\""], Same);
        check(&["\"x\"", "W/\"0a1b\""], Same);
        check(&["*", "W/\"0a1b\""], Same);
        check(&[" * "], Any);
        check(&["\"*\""], None);
        check(
            &["0a1b", "W/0a1b", "\"0A1B\"", "\"0a1b", "w/\"0a1b\"", ""],
            None,
        );
        check(&["\"0a1b,\"", "\"x 0a1b\""], None);
    }
}
