//! Failures in words.

use metashrew_sync::IndexError;

use super::tell::{Teller, Told};

/// An error and its causes, a line each.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    causes.join("\n")
}

/// Says at which block indexing has failed, and why.
pub(super) fn tell_failure(teller: Teller, error: &anyhow::Error) {
    let of_block = error.downcast_ref::<IndexError>().map(IndexError::block);
    let (block, hash) = of_block.unwrap_or_default();
    let hash = hash.map(|hash| hash.to_string());
    // The block is named already.
    let is_named = matches!(
        error.downcast_ref(),
        Some(IndexError::Guest { .. } | IndexError::Host { .. })
    );
    let causes = error.chain().skip(usize::from(is_named));
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    teller.tell(&Told::Failed {
        block,
        hash: hash.as_deref(),
        error: &causes.join("\n"),
    });
}
