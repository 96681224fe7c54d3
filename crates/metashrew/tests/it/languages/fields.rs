//! What the SDK for Rust reads of a block, as the guests `fields_as` and `fields_c` tell it.

use metashrew_support::raw::script::{Instruction, instructions};
use metashrew_support::raw::{Block, Input, Output, ScriptKind, Transaction};

/// A length and as many bytes.
pub(super) fn part(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    out.extend(bytes);
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap().to_le_bytes());
}

fn put_instructions(out: &mut Vec<u8>, script: &[u8]) {
    for instruction in instructions(script) {
        match instruction {
            Ok(Instruction::Push(bytes)) => {
                out.push(0);
                part(out, bytes);
            }
            Ok(Instruction::Op(op)) => out.extend([1, op]),
            Err(_) => {
                out.push(3);
                return;
            }
        }
    }
    out.push(2);
}

fn put_input(out: &mut Vec<u8>, input: &Input<'_>) {
    out.extend(input.txid);
    out.extend(input.vout.to_le_bytes());
    part(out, input.script);
    put_instructions(out, input.script);
    out.extend(input.sequence.to_le_bytes());
    for item in &input.witness {
        out.push(1);
        part(out, item);
    }
    out.push(0);
}

fn put_output(out: &mut Vec<u8>, output: &Output<'_>) {
    out.extend(output.value.to_le_bytes());
    part(out, output.script);
    put_instructions(out, output.script);
    out.push(match output.kind() {
        ScriptKind::Other | ScriptKind::Multisig { .. } => 0,
        ScriptKind::P2pk { .. } => 1,
        ScriptKind::P2pkh { .. } => 2,
        ScriptKind::P2sh { .. } => 3,
        ScriptKind::P2wpkh { .. } => 4,
        ScriptKind::P2wsh { .. } => 5,
        ScriptKind::P2tr { .. } => 6,
        ScriptKind::Witness { .. } => 7,
        ScriptKind::OpReturn { .. } => 8,
    });
    out.push(output.is_unspendable().into());
}

fn put_transaction(out: &mut Vec<u8>, tx: &Transaction<'_>) {
    out.extend(tx.version().to_le_bytes());
    out.extend(tx.lock_time().to_le_bytes());
    count(out, tx.size());
    count(out, tx.weight());
    out.push(u8::from(tx.has_witness()) | u8::from(tx.is_coinbase()) << 1);
    out.extend(tx.txid());
    out.extend(tx.wtxid());
    count(out, tx.inputs.len());
    tx.inputs.iter().for_each(|input| put_input(out, input));
    count(out, tx.outputs.len());
    tx.outputs.iter().for_each(|output| put_output(out, output));
}

/// What the SDK for Rust reads of a block, or why it is none.
pub(super) fn fields(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let block = Block::parse(bytes).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    out.extend(block.version().to_le_bytes());
    out.extend(block.previous());
    out.extend(block.merkle_root());
    for number in [block.time(), block.bits(), block.nonce()] {
        out.extend(number.to_le_bytes());
    }
    out.extend(block.hash());
    count(&mut out, block.transactions().len());
    block
        .transactions()
        .for_each(|tx| put_transaction(&mut out, &tx));
    Ok(out)
}
