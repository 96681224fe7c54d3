//! What a block changes.

use crate::tables::{BALANCES, OUTPUTS, OutPoint, Unspent};
use metashrew_core::storage::StorageError;
use metashrew_support::raw::{Block, Output};

// Reads see what the block wrote before. All of it is kept, or, after an error, nothing: an error stops the indexer,
// so it is for what cannot be, and not for what somebody may write to the chain.
/// Follows who has what: the outputs that are made and spent.
#[metashrew_core::main]
pub fn index(height: u32, block: &Block<'_>) -> Result<(), StorageError> {
    for transaction in block.transactions() {
        for input in transaction.inputs {
            spend((*input.txid, input.vout))?;
        }
        let txid = transaction.txid();
        for (vout, output) in (0..).zip(transaction.outputs) {
            // Nobody can spend these. Scripts may be long, and this bounds those that become keys.
            if !output.is_unspendable() {
                create((txid, vout), output, height)?;
            }
        }
    }
    Ok(())
}

/// Takes an output away, if it is known: a coinbase spends none.
fn spend(outpoint: OutPoint) -> Result<(), StorageError> {
    let Some(output) = OUTPUTS.remove(outpoint)? else {
        return Ok(());
    };
    let left = balance(&output.script)?.saturating_sub(output.value);
    if left == 0 {
        BALANCES.remove(&output.script);
        return Ok(());
    }
    BALANCES.set(&output.script, &left)
}

/// Adds an output.
fn create(outpoint: OutPoint, output: &Output<'_>, height: u32) -> Result<(), StorageError> {
    // Two old coinbases (in blocks 91,842 and 91,880) are those of earlier blocks again, whose outputs are lost.
    spend(outpoint)?;
    let (script, value) = (output.script.to_vec(), output.value);
    if value > 0 {
        BALANCES.set(&script, &balance(&script)?.saturating_add(value))?;
    }
    let unspent = Unspent {
        script,
        value,
        height,
    };
    OUTPUTS.set(outpoint, &unspent)
}

/// What a script has, in satoshi.
pub fn balance(script: &[u8]) -> Result<u64, StorageError> {
    Ok(BALANCES.get(script)?.unwrap_or(0))
}
