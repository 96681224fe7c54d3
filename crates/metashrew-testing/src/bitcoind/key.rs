//! Keys whose coins a test can spend, without a wallet.

use bitcoin::absolute::LockTime;
use bitcoin::key::CompressedPublicKey;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, ecdsa};

/// A secret key, and the script that pays to it (P2WPKH).
#[derive(Debug, Clone)]
pub struct Key {
    secret: SecretKey,
    public: CompressedPublicKey,
}

impl Key {
    /// One key for every number.
    pub fn new(number: u64) -> Self {
        let mut bytes = [1; 32];
        let (_, end) = bytes.split_at_mut(24);
        end.copy_from_slice(&number.to_be_bytes());
        let secret = SecretKey::from_slice(&bytes).expect("32 bytes below the order");
        let public = CompressedPublicKey(secret.public_key(&Secp256k1::new()));
        Self { secret, public }
    }

    /// The script that pays to this key.
    pub fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&self.public.wpubkey_hash())
    }

    /// A signed transaction that spends outputs of this key. What the new outputs
    /// leave over is the fee.
    pub fn spend(&self, spent: &[(OutPoint, TxOut)], outputs: Vec<TxOut>) -> Transaction {
        let input = |(previous_output, _): &(OutPoint, TxOut)| TxIn {
            previous_output: *previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        };
        let mut transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: spent.iter().map(input).collect(),
            output: outputs,
        };
        let context = Secp256k1::new();
        let mut hashes = SighashCache::new(&mut transaction);
        for (index, (_, output)) in spent.iter().enumerate() {
            let hash = hashes
                .p2wpkh_signature_hash(
                    index,
                    &output.script_pubkey,
                    output.value,
                    EcdsaSighashType::All,
                )
                .expect("the key's own script");
            let signature = context.sign_ecdsa(&Message::from(hash), &self.secret);
            let witness =
                Witness::p2wpkh(&ecdsa::Signature::sighash_all(signature), &self.public.0);
            *hashes.witness_mut(index).expect("an input for each") = witness;
        }
        transaction
    }
}
