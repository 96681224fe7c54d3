//! What an output script pays to, and addresses of it on any chain that writes
//! them as Bitcoin does, under prefixes of its own.

use anyhow::{Context, Result, anyhow, bail};
use bitcoin::base58;
use bitcoin::bech32::{self, Hrp};
use bitcoin::blockdata::constants::MAX_SCRIPT_ELEMENT_SIZE;
use bitcoin::blockdata::script::{Builder, witness_program::WitnessProgram};
use bitcoin::hashes::Hash;
use bitcoin::key::{PublicKey, TapTweak, TweakedPublicKey, UntweakedPublicKey};
use bitcoin::secp256k1::{Secp256k1, Verification};
use bitcoin::taproot::TapNodeHash;
use bitcoin::{PubkeyHash, Script, ScriptBuf, ScriptHash, WitnessVersion};
use std::fmt;
use std::str::FromStr;

/// The kinds of addresses.
///
/// ```
/// use metashrew_support::address::AddressType;
///
/// assert_eq!(AddressType::P2tr.to_string(), "p2tr");
/// assert_eq!("p2wsh".parse::<AddressType>()?, AddressType::P2wsh);
/// # anyhow::Ok(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AddressType {
    /// Pay to the hash of a public key.
    P2pkh,
    /// Pay to the hash of a script.
    P2sh,
    /// Pay to the hash of a public key, witness version 0.
    P2wpkh,
    /// Pay to the hash of a script, witness version 0.
    P2wsh,
    /// Pay to taproot, witness version 1.
    P2tr,
}

/// The kinds by name.
const TYPES: [(AddressType, &str); 5] = [
    (AddressType::P2pkh, "p2pkh"),
    (AddressType::P2sh, "p2sh"),
    (AddressType::P2wpkh, "p2wpkh"),
    (AddressType::P2wsh, "p2wsh"),
    (AddressType::P2tr, "p2tr"),
];

impl fmt::Display for AddressType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = TYPES.iter().find(|(kind, _)| kind == self);
        f.write_str(name.expect("every kind has a name").1)
    }
}

impl FromStr for AddressType {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let kind = TYPES.iter().find(|(_, known)| *known == name);
        Ok(kind
            .with_context(|| format!("`{name}` is no type of address"))?
            .0)
    }
}

/// What an output script pays to.
///
/// ```
/// use metashrew_support::address::Payload;
///
/// let script = bitcoin::ScriptBuf::from_hex(&["5120", &"07".repeat(32)].concat())?;
/// let Payload::WitnessProgram(program) = Payload::from_script(&script)? else { panic!() };
/// assert_eq!(program.version().to_num(), 1);
/// # anyhow::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Payload {
    /// The hash of a public key (P2PKH).
    PubkeyHash(PubkeyHash),
    /// The hash of a script (P2SH).
    ScriptHash(ScriptHash),
    /// A witness program of any version.
    WitnessProgram(WitnessProgram),
}

impl Payload {
    /// What `script` pays to.
    ///
    /// ```
    /// # use bitcoin::Script;
    /// # use metashrew_support::address::Payload;
    /// let data = Script::from_bytes(&[0x6a, 1, 7]); // OP_RETURN: it pays nobody.
    /// assert!(Payload::from_script(data).is_err());
    /// ```
    ///
    /// # Errors
    /// If it has none of the forms that have addresses.
    pub fn from_script(script: &Script) -> Result<Self> {
        let bytes = script.as_bytes();
        if script.is_p2pkh() {
            let hash = bytes.get(3..23).context("a P2PKH script has 25 bytes")?;
            Ok(Self::PubkeyHash(PubkeyHash::from_slice(hash)?))
        } else if script.is_p2sh() {
            let hash = bytes.get(2..22).context("a P2SH script has 23 bytes")?;
            Ok(Self::ScriptHash(ScriptHash::from_slice(hash)?))
        } else if let Some(version) = script.witness_version() {
            let program = bytes
                .get(2..)
                .context("a witness script has 4 bytes or more")?;
            Ok(Self::WitnessProgram(WitnessProgram::new(version, program)?))
        } else {
            Err(anyhow!("the script has no form that an address stands for"))
        }
    }

    /// The output script that pays to this.
    ///
    /// ```
    /// # use bitcoin::Script;
    /// # use metashrew_support::address::Payload;
    /// let payload = Payload::p2wsh(Script::from_bytes(&[0x51]));
    /// assert!(payload.script_pubkey().is_p2wsh());
    /// ```
    pub fn script_pubkey(&self) -> ScriptBuf {
        match self {
            Self::PubkeyHash(hash) => ScriptBuf::new_p2pkh(hash),
            Self::ScriptHash(hash) => ScriptBuf::new_p2sh(hash),
            Self::WitnessProgram(program) => ScriptBuf::new_witness_program(program),
        }
    }

    /// Whether `script` pays to this.
    ///
    /// ```
    /// # use bitcoin::Script;
    /// # use metashrew_support::address::Payload;
    /// let payload = Payload::p2wsh(Script::from_bytes(&[0x51]));
    /// assert!(payload.matches_script_pubkey(&payload.script_pubkey()));
    /// assert!(!payload.matches_script_pubkey(Script::from_bytes(&[0x51])));
    /// ```
    pub fn matches_script_pubkey(&self, script: &Script) -> bool {
        *script == *self.script_pubkey()
    }

    /// Pay to the hash of a public key.
    ///
    /// ```
    /// # use metashrew_support::address::Payload;
    /// # let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    /// # let key: bitcoin::PublicKey = key.parse().unwrap();
    /// assert!(Payload::p2pkh(&key).script_pubkey().is_p2pkh());
    /// ```
    pub fn p2pkh(pk: &PublicKey) -> Self {
        Self::PubkeyHash(pk.pubkey_hash())
    }

    /// Pay to the hash of a script.
    ///
    /// ```
    /// # use bitcoin::Script;
    /// # use metashrew_support::address::Payload;
    /// let script = Script::from_bytes(&[0x51]);
    /// assert!(Payload::p2sh(script)?.script_pubkey().is_p2sh());
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the script has more bytes than can be pushed to spend it.
    pub fn p2sh(script: &Script) -> Result<Self> {
        if script.len() > MAX_SCRIPT_ELEMENT_SIZE {
            bail!("a script of {} bytes cannot be spent", script.len());
        }
        Ok(Self::ScriptHash(script.script_hash()))
    }

    /// Pay to the hash of a public key, witness version 0.
    ///
    /// ```
    /// # use metashrew_support::address::Payload;
    /// # let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    /// # let key: bitcoin::PublicKey = key.parse().unwrap();
    /// assert!(Payload::p2wpkh(&key)?.script_pubkey().is_p2wpkh());
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the key is not compressed.
    pub fn p2wpkh(pk: &PublicKey) -> Result<Self> {
        let hash = pk.wpubkey_hash()?;
        Ok(Self::WitnessProgram(WitnessProgram::new(
            WitnessVersion::V0,
            hash.as_byte_array(),
        )?))
    }

    /// Pay to the hash of a script that is P2WPKH.
    ///
    /// ```
    /// # use metashrew_support::address::Payload;
    /// # let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    /// # let key: bitcoin::PublicKey = key.parse().unwrap();
    /// let inner = Payload::p2wpkh(&key)?.script_pubkey();
    /// assert_eq!(Payload::p2shwpkh(&key)?, Payload::p2sh(&inner)?);
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the key is not compressed.
    pub fn p2shwpkh(pk: &PublicKey) -> Result<Self> {
        let script = Builder::new().push_int(0).push_slice(pk.wpubkey_hash()?);
        Ok(Self::ScriptHash(script.into_script().script_hash()))
    }

    /// Pay to the hash of a script, witness version 0.
    ///
    /// ```
    /// # use bitcoin::Script;
    /// # use metashrew_support::address::Payload;
    /// let script = Script::from_bytes(&[0x51]);
    /// assert!(Payload::p2wsh(script).script_pubkey().is_p2wsh());
    /// ```
    ///
    /// # Panics
    /// Never: a script's hash is a witness program.
    pub fn p2wsh(script: &Script) -> Self {
        let hash = script.wscript_hash();
        let program = WitnessProgram::new(WitnessVersion::V0, hash.as_byte_array());
        Self::WitnessProgram(program.expect("32 bytes are a program of version 0"))
    }

    /// Pay to the hash of a script that is P2WSH.
    ///
    /// ```
    /// # use bitcoin::Script;
    /// # use metashrew_support::address::Payload;
    /// let script = Script::from_bytes(&[0x51]);
    /// let inner = Payload::p2wsh(script).script_pubkey();
    /// assert_eq!(Payload::p2shwsh(script), Payload::p2sh(&inner)?);
    /// # anyhow::Ok(())
    /// ```
    pub fn p2shwsh(script: &Script) -> Self {
        let script = Builder::new().push_int(0).push_slice(script.wscript_hash());
        Self::ScriptHash(script.into_script().script_hash())
    }

    /// Pay to taproot: a key, and a tree of scripts if there is one.
    ///
    /// ```
    /// # use metashrew_support::address::Payload;
    /// # let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    /// # let key: bitcoin::PublicKey = key.parse().unwrap();
    /// let secp = bitcoin::secp256k1::Secp256k1::verification_only();
    /// let payload = Payload::p2tr(&secp, key.inner.into(), None);
    /// assert!(payload.script_pubkey().is_p2tr());
    /// ```
    pub fn p2tr<C: Verification>(
        secp: &Secp256k1<C>,
        internal_key: UntweakedPublicKey,
        merkle_root: Option<TapNodeHash>,
    ) -> Self {
        Self::p2tr_tweaked(internal_key.tap_tweak(secp, merkle_root).0)
    }

    /// Pay to taproot: a key that is tweaked already.
    ///
    /// ```
    /// # use metashrew_support::address::Payload;
    /// # let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    /// # let key: bitcoin::PublicKey = key.parse().unwrap();
    /// use bitcoin::key::TweakedPublicKey;
    ///
    /// let tweaked = TweakedPublicKey::dangerous_assume_tweaked(key.inner.into());
    /// assert!(Payload::p2tr_tweaked(tweaked).script_pubkey().is_p2tr());
    /// ```
    ///
    /// # Panics
    /// Never: a key is a witness program.
    pub fn p2tr_tweaked(output_key: TweakedPublicKey) -> Self {
        let key = output_key.serialize();
        let program = WitnessProgram::new(WitnessVersion::V1, &key);
        Self::WitnessProgram(program.expect("32 bytes are a program of version 1"))
    }
}

/// A payload with the prefixes of a chain; its `Display` is the address, with
/// `{:#}` in capitals if it is a segwit one.
///
/// ```
/// # use bitcoin::Script;
/// # use metashrew_support::address::Payload;
/// use bitcoin::bech32::Hrp;
/// use metashrew_support::address::AddressEncoding;
///
/// let payload = Payload::p2wsh(Script::from_bytes(&[0x51]));
/// let hrp = Hrp::parse("bc")?;
/// let address = AddressEncoding { payload: &payload, p2pkh_prefix: 0, p2sh_prefix: 5, hrp };
/// assert!(address.to_string().starts_with("bc1q"));
/// # anyhow::Ok(())
/// ```
#[derive(Debug)]
pub struct AddressEncoding<'a> {
    /// What the address pays to.
    pub payload: &'a Payload,
    /// The first byte of a P2PKH address: 0 on Bitcoin's main network.
    pub p2pkh_prefix: u8,
    /// The first byte of a P2SH address: 5 on Bitcoin's main network.
    pub p2sh_prefix: u8,
    /// What a segwit address starts with: `bc` on Bitcoin's main network.
    pub hrp: Hrp,
}

impl fmt::Display for AddressEncoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let legacy = |f: &mut fmt::Formatter, prefix: u8, hash: &[u8; 20]| {
            base58::encode_check_to_fmt(f, &[&[prefix], &hash[..]].concat())
        };
        match self.payload {
            Payload::PubkeyHash(hash) => legacy(f, self.p2pkh_prefix, hash.as_byte_array()),
            Payload::ScriptHash(hash) => legacy(f, self.p2sh_prefix, hash.as_byte_array()),
            Payload::WitnessProgram(program) => {
                let version = program.version().to_fe();
                let program = program.program().as_bytes();
                if f.alternate() {
                    bech32::segwit::encode_upper_to_fmt_unchecked(f, self.hrp, version, program)
                } else {
                    bech32::segwit::encode_lower_to_fmt_unchecked(f, self.hrp, version, program)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::{Address, KnownHrp, Network, XOnlyPublicKey};

    const COMPRESSED: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const UNCOMPRESSED: &str = "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";

    fn encode(payload: &Payload) -> AddressEncoding<'_> {
        AddressEncoding {
            payload,
            p2pkh_prefix: 0,
            p2sh_prefix: 5,
            hrp: Hrp::parse("bc").unwrap(),
        }
    }

    /// The payload is that of `address`, both ways.
    fn check(payload: &Payload, address: &Address) {
        let script = address.script_pubkey();
        assert_eq!(encode(payload).to_string(), address.to_string());
        assert_eq!(payload.script_pubkey(), script);
        assert_eq!(Payload::from_script(&script).unwrap(), *payload);
        assert!(payload.matches_script_pubkey(&script));
        assert!(!payload.matches_script_pubkey(Script::from_bytes(&[0x51])));
    }

    #[test]
    fn payloads_are_the_addresses_of_the_bitcoin_crate() {
        let key = PublicKey::from_str(COMPRESSED).unwrap();
        let compressed = key.try_into().unwrap();
        let script = Script::from_bytes(&[0x51, 0x87]);
        let main = Network::Bitcoin;
        check(&Payload::p2pkh(&key), &Address::p2pkh(key, main));
        check(
            &Payload::p2sh(script).unwrap(),
            &Address::p2sh(script, main).unwrap(),
        );
        check(
            &Payload::p2wpkh(&key).unwrap(),
            &Address::p2wpkh(&compressed, main),
        );
        check(
            &Payload::p2shwpkh(&key).unwrap(),
            &Address::p2shwpkh(&compressed, main),
        );
        check(&Payload::p2wsh(script), &Address::p2wsh(script, main));
        check(&Payload::p2shwsh(script), &Address::p2shwsh(script, main));
        let secp = Secp256k1::verification_only();
        let internal = XOnlyPublicKey::from(key.inner);
        let expect = Address::p2tr(&secp, internal, None, KnownHrp::Mainnet);
        check(&Payload::p2tr(&secp, internal, None), &expect);
        let tweaked = TweakedPublicKey::dangerous_assume_tweaked(internal);
        let expect = Address::p2tr_tweaked(tweaked, KnownHrp::Mainnet);
        check(&Payload::p2tr_tweaked(tweaked), &expect);
    }

    #[test]
    fn other_chains_have_other_prefixes() {
        let payload = Payload::PubkeyHash(PubkeyHash::from_byte_array([0; 20]));
        let dogecoin = AddressEncoding {
            payload: &payload,
            p2pkh_prefix: 0x1e,
            p2sh_prefix: 0x16,
            hrp: Hrp::parse("doge").unwrap(),
        };
        assert!(dogecoin.to_string().starts_with('D'));
    }

    #[test]
    fn segwit_addresses_can_be_capitals() {
        let payload = Payload::p2wsh(Script::from_bytes(&[0x51]));
        let address = encode(&payload);
        assert_eq!(format!("{address:#}"), address.to_string().to_uppercase());
    }

    #[test]
    fn what_cannot_be_paid_to_is_an_error() {
        let uncompressed = PublicKey::from_str(UNCOMPRESSED).unwrap();
        assert!(Payload::p2wpkh(&uncompressed).is_err());
        assert!(Payload::p2shwpkh(&uncompressed).is_err());
        assert!(Payload::p2sh(Script::from_bytes(&[0; 521])).is_err());
        for script in [&[][..], &[0x6a, 1, 1], &[0x51; 23], &[0, 3, 1, 1, 1]] {
            let script = Script::from_bytes(script);
            assert!(Payload::from_script(script).is_err(), "{script}");
        }
    }

    #[test]
    fn witness_programs_of_other_versions_do_not_match() {
        let payload = Payload::p2wsh(Script::from_bytes(&[0x51]));
        let mut script = payload.script_pubkey().into_bytes();
        script[0] = 0x51;
        assert!(!payload.matches_script_pubkey(Script::from_bytes(&script)));
    }

    #[test]
    fn types_are_written_and_read_by_name() {
        for (kind, name) in TYPES {
            assert_eq!(kind.to_string(), name);
            assert_eq!(name.parse::<AddressType>().unwrap(), kind);
        }
        let error = "p2pk".parse::<AddressType>().unwrap_err();
        assert_eq!(error.to_string(), "`p2pk` is no type of address");
    }
}
