//! Output scripts and the inputs that spend them: right in form and size, with
//! random bytes for keys and signatures.

use bitcoin::hashes::Hash;
use bitcoin::opcodes::all::{
    OP_CHECKMULTISIG, OP_CHECKSIG, OP_ENDIF, OP_IF, OP_PUSHNUM_2, OP_PUSHNUM_3,
};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::{
    OutPoint, PubkeyHash, ScriptBuf, ScriptHash, Sequence, TxIn, WPubkeyHash, WScriptHash, Witness,
    WitnessProgram, WitnessVersion, opcodes,
};

use crate::census::Kind;
use crate::proportions;
use crate::rng::Rng;

/// A random output script of a kind.
pub(crate) fn output(rng: &mut Rng, kind: Kind) -> ScriptBuf {
    match kind {
        Kind::P2pkh => ScriptBuf::new_p2pkh(&PubkeyHash::from_byte_array(rng.bytes())),
        Kind::P2sh => ScriptBuf::new_p2sh(&ScriptHash::from_byte_array(rng.bytes())),
        Kind::P2wpkh => ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(rng.bytes())),
        Kind::P2wsh => ScriptBuf::new_p2wsh(&WScriptHash::from_byte_array(rng.bytes())),
        Kind::P2tr => {
            let program = WitnessProgram::new(WitnessVersion::V1, &rng.bytes::<32>())
                .expect("32 bytes are a version 1 program");
            ScriptBuf::new_witness_program(&program)
        }
        Kind::OpReturn | Kind::Other => {
            let (from, to) = proportions::OP_RETURN_DATA;
            let data = random(rng, from, to);
            ScriptBuf::new_op_return(push_bytes(data))
        }
    }
}

/// An input that spends an output of a kind.
pub(crate) fn input(rng: &mut Rng, previous_output: OutPoint, kind: Kind) -> TxIn {
    let mut script_sig = ScriptBuf::new();
    let mut witness = Witness::new();
    match kind {
        Kind::P2pkh => {
            let signature = push_bytes(signature(rng));
            script_sig = Builder::new()
                .push_slice(signature)
                .push_slice(push_bytes(public_key(rng)))
                .into_script();
        }
        Kind::P2sh => {
            let program = ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(rng.bytes()));
            script_sig = Builder::new()
                .push_slice(push_bytes(program.into_bytes()))
                .into_script();
            witness.push(signature(rng));
            witness.push(public_key(rng));
        }
        Kind::P2wpkh => {
            witness.push(signature(rng));
            witness.push(public_key(rng));
        }
        Kind::P2wsh => {
            let script = Builder::new()
                .push_opcode(OP_PUSHNUM_2)
                .push_slice(push_bytes(public_key(rng)))
                .push_slice(push_bytes(public_key(rng)))
                .push_slice(push_bytes(public_key(rng)))
                .push_opcode(OP_PUSHNUM_3)
                .push_opcode(OP_CHECKMULTISIG)
                .into_script();
            witness.push([]);
            witness.push(signature(rng));
            witness.push(signature(rng));
            witness.push(script);
        }
        Kind::P2tr | Kind::OpReturn | Kind::Other if rng.chance(proportions::TAPSCRIPTS) => {
            let content = rng.chance(proportions::INSCRIPTIONS).then(|| content(rng));
            witness = tapscript(rng, content.as_deref());
        }
        Kind::P2tr | Kind::OpReturn | Kind::Other => witness.push(rng.bytes::<64>()),
    }
    TxIn {
        previous_output,
        script_sig,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness,
    }
}

/// A script spend of a Taproot output, with an inscription of that content.
pub(crate) fn tapscript(rng: &mut Rng, content: Option<&[u8]>) -> Witness {
    let mut script = Builder::new()
        .push_slice(rng.bytes::<32>())
        .push_opcode(OP_CHECKSIG);
    if let Some(content) = content {
        script = script
            .push_opcode(opcodes::OP_FALSE)
            .push_opcode(OP_IF)
            .push_slice(b"ord")
            .push_slice(b"\x01")
            .push_slice(b"application/octet-stream")
            .push_opcode(opcodes::OP_FALSE);
        // A push in a tapscript holds at most 520 bytes.
        for part in content.chunks(520) {
            script = script.push_slice(push_bytes(part.to_vec()));
        }
        script = script.push_opcode(OP_ENDIF);
    }
    let mut control_block = rng.bytes::<33>().to_vec();
    if let Some(leaf_version) = control_block.first_mut() {
        *leaf_version = 0xc0;
    }
    let mut witness = Witness::new();
    witness.push(rng.bytes::<64>());
    witness.push(script.into_script());
    witness.push(control_block);
    witness
}

/// What an inscription inscribes.
fn content(rng: &mut Rng) -> Vec<u8> {
    let (from, to) = proportions::SHORT_INSCRIPTION;
    if rng.chance(proportions::LONG_INSCRIPTIONS) {
        random(rng, to, proportions::LONGEST_INSCRIPTION)
    } else {
        random(rng, from, to)
    }
}

/// A DER signature's bytes, sighash type included: 71 or 72 of them.
fn signature(rng: &mut Rng) -> Vec<u8> {
    let length = 71 + rng.below(2);
    let mut bytes = random(rng, length, length);
    if let Some(first) = bytes.first_mut() {
        *first = 0x30;
    }
    bytes
}

fn public_key(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.bytes::<33>().to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = 2 + (*first & 1);
    }
    bytes
}

/// Random bytes, `from` to `to` of them.
pub(crate) fn random(rng: &mut Rng, from: u64, to: u64) -> Vec<u8> {
    let length = from + rng.below(to.saturating_sub(from) + 1);
    let mut bytes = vec![0; usize::try_from(length).expect("lengths here are small")];
    rng.fill(&mut bytes);
    bytes
}

fn push_bytes(bytes: Vec<u8>) -> PushBytesBuf {
    PushBytesBuf::try_from(bytes).expect("pushes here are far below 4 GiB")
}
