//! The height that a block's coinbase names (BIP34).

use metashrew_store::Height;

use crate::auxpow;
use crate::block::{HEADER_LEN, is_coinbase_output};
use crate::wire::Wire;

/// A block's first bytes that hold the height, wherever it is; but in merged-mined
/// blocks.
pub(crate) const PREFIX_LEN: usize = HEADER_LEN + 9 + 4 + 2 + 1 + 36 + 3 + 6;

/// The height a block's coinbase names; the block's first [`PREFIX_LEN`] bytes
/// are enough if it is not merged-mined. None for blocks of version 1, which name
/// none.
pub(crate) fn height(version: i32, block: &[u8]) -> Option<Height> {
    if version < 2 {
        return None;
    }
    let mut wire = Wire::new(block.get(HEADER_LEN..)?);
    named(wire).or_else(|| {
        let merged = auxpow::is_marked(version) && auxpow::skip(&mut wire).is_some();
        merged.then(|| named(wire)).flatten()
    })
}

/// The height that the first of the transactions names.
fn named(mut wire: Wire<'_>) -> Option<Height> {
    wire.compact()?;
    wire.take(4)?;
    if wire.peek(2) == Some(&[0, 1]) {
        wire.take(2)?;
    }
    wire.compact()?;
    if !is_coinbase_output(wire.take(36)?) {
        return None;
    }
    let script_len = wire.compact()?;
    let [first] = wire.array()?;
    match first {
        _ if script_len == 0 => None,
        0x00 => Some(0),
        // OP_1 to OP_16.
        0x51..=0x60 => Some(Height::from(first - 0x50)),
        // A push of a little-endian number whose highest bit is its sign.
        1..=5 => {
            let bytes = wire.take(usize::from(first))?;
            let value = bytes
                .iter()
                .rev()
                .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            Height::try_from(value).ok().filter(|_| !negative)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block whose coinbase script begins so.
    fn block(segwit: bool, script: &[u8]) -> Vec<u8> {
        let mut block = vec![0; HEADER_LEN];
        block.extend([0xfd, 0x10, 0x27]);
        block.extend([1, 0, 0, 0]);
        block.extend_from_slice(if segwit { &[0, 1] } else { &[] });
        block.push(1);
        block.extend([0; 32]);
        block.extend([0xff; 4]);
        block.push(u8::try_from(script.len()).unwrap());
        block.extend_from_slice(script);
        block
    }

    #[test]
    fn heights_are_read_in_all_their_encodings() {
        let check = |version, script: &[u8], expected| {
            for segwit in [false, true] {
                assert_eq!(
                    height(version, &block(segwit, script)),
                    expected,
                    "{script:02x?}"
                );
            }
        };
        check(2, &[0x00], Some(0));
        check(2, &[0x51], Some(1));
        check(2, &[0x60], Some(16));
        check(2, &[1, 17], Some(17));
        check(2, &[2, 0x80, 0x00], Some(128));
        check(0x2000_0000, &[3, 0x33, 0xd2, 0x0c, 9, 9], Some(840_243));
        check(2, &[4, 0xff, 0xff, 0xff, 0x7f], Some(0x7fff_ffff));
        check(2, &[5, 0xff, 0xff, 0xff, 0xff, 0x00], Some(u32::MAX));
        // Negative, too large, not a number, cut short, nothing, too old.
        check(2, &[1, 0x81], None);
        check(2, &[5, 0, 0, 0, 0, 1], None);
        check(2, &[0x6a], None);
        check(2, &[3, 1], None);
        check(2, &[], None);
        check(1, &[0x51], None);
        assert_eq!(height(2, &[0; 90]), None);
        // Not a coinbase.
        let mut spends = block(false, &[0x51]);
        let output = spends.len() - 38;
        spends[output] = 1;
        assert_eq!(height(2, &spends), None);
    }
}
