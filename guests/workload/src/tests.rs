//! The views over a few blocks.

use super::*;
use metashrew_core::test_utils::{index_block, view};

#[test]
fn reads_agree_and_the_table_is_found() {
    for height in 1..=3 {
        index_block(height, b"block", index);
    }
    let count = 1_000u32.to_le_bytes();
    for height in [3, 1, 2] {
        let expected: u64 = (0..1_000u64)
            .map(|number| (u64::from(height) + number) % 256)
            .sum();
        assert_eq!(view(height, &count, reads), expected.to_le_bytes());
        assert_eq!(view(height, &count, reads_uncached), expected.to_le_bytes());
    }
    let number = 9_999u64.to_le_bytes();
    assert_eq!(view(3, b"entry number 9999", lookup), number);
    assert_eq!(view(3, b"", trivial), b"");
}
