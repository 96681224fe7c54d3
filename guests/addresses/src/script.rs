//! Scripts of addresses.

use bech32::Hrp;

/// The prefixes of legacy addresses: main network, then test networks.
const PUBKEY_HASH_PREFIXES: [u8; 2] = [0x00, 0x6f];
const SCRIPT_HASH_PREFIXES: [u8; 2] = [0x05, 0xc4];

/// The locking script that an address stands for, on any of Bitcoin's networks:
/// base58 (P2PKH, P2SH), bech32 (witness version 0) or bech32m (later ones).
pub(crate) fn of_address(address: &str) -> Result<Vec<u8>, String> {
    let address = address.trim();
    match bech32::segwit::decode(address) {
        Ok((hrp, version, program)) => of_witness(hrp, version.to_u8(), &program),
        Err(segwit) => of_base58(address).map_err(|base58| {
            // The part before the last 1 tells which of the two it was to be.
            let prefix = address.rsplit_once('1').map_or("", |(prefix, _)| prefix);
            let looks_segwit = ["bc", "tb", "bcrt"].contains(&&*prefix.to_lowercase());
            let why = if looks_segwit { cause(&segwit) } else { base58 };
            format!("`{address}` is not an address: {why}")
        }),
    }
}

/// The innermost cause of an error, which is the one that tells most here.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

fn of_witness(hrp: Hrp, version: u8, program: &[u8]) -> Result<Vec<u8>, String> {
    use bech32::hrp::{BC, BCRT, TB};
    const OP_RESERVED: u8 = 0x50;
    if ![BC, TB, BCRT].contains(&hrp) {
        return Err(format!("`{hrp}` is not the prefix of a Bitcoin network"));
    }
    let version = if version == 0 {
        0
    } else {
        OP_RESERVED + version
    };
    let length = u8::try_from(program.len()).map_err(|_| "the witness program is too long")?;
    Ok([&[version, length], program].concat())
}

fn of_base58(address: &str) -> Result<Vec<u8>, String> {
    let bytes = base58ck::decode_check(address).map_err(|error| cause(&error))?;
    match bytes.split_first() {
        Some((prefix, hash)) if hash.len() == 20 => {
            if PUBKEY_HASH_PREFIXES.contains(prefix) {
                Ok([&[0x76, 0xa9, 20], hash, &[0x88, 0xac]].concat())
            } else if SCRIPT_HASH_PREFIXES.contains(prefix) {
                Ok([&[0xa9, 20], hash, &[0x87]].concat())
            } else {
                Err(format!("version {prefix} is not one of a Bitcoin network"))
            }
        }
        _ => Err("it does not hold 20 bytes of hash".to_owned()),
    }
}
