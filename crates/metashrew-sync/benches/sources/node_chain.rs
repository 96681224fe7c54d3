//! Full blocks that a real node accepts: every output pays to a script of its own that
//! anyone can spend, so that no signature is needed. Their number of transactions,
//! inputs, outputs and weight is about that of `metashrew_testing`'s full blocks.

use std::collections::VecDeque;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize;
use bitcoin::opcodes::OP_TRUE;
use bitcoin::opcodes::all::OP_DROP;
use bitcoin::script::Builder;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
};
use metashrew_testing::bitcoind::Bitcoind;

/// Transactions of a block, besides the coinbase.
const TRANSACTIONS: usize = 3_000;

const INPUTS_EACH: usize = 2;

const OUTPUTS_EACH: usize = 4;

/// Of so many inputs, one spends an output of its own block.
const SAME_BLOCK: u64 = 3;

/// Of so many outputs, one pays to the script of the output before.
const SAME_SCRIPT: u64 = 3;

/// Bytes of a witness besides its script: as long as a signature and a key, nearly.
const PADDING: usize = 96;

/// Outputs to begin with; more than a block spends.
const FUNDING: u64 = 10_000;

/// An output that can be spent.
struct Coin {
    outpoint: OutPoint,
    satoshi: u64,
    /// Which script it pays to.
    script: u64,
}

/// The outputs of a node's chain that are still unspent, oldest first.
pub(crate) struct NodeChain {
    coins: VecDeque<Coin>,
    /// Outputs made so far.
    made: u64,
    /// Those of them that were spent.
    spent: u64,
}

impl NodeChain {
    /// Mines the first coins on an empty chain.
    pub(crate) fn fund(bitcoind: &Bitcoind) -> Self {
        let funded = bitcoind.mine(101)[0];
        let (outpoint, output) = bitcoind.coinbase(&funded);
        let mut chain = Self {
            coins: VecDeque::new(),
            made: 0,
            spent: 0,
        };
        let input = TxIn {
            previous_output: outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let each = output.value.to_sat() / FUNDING;
        let transaction = chain.transaction(vec![input], FUNDING, each);
        bitcoind.mine_block_of(&[transaction]);
        chain
    }

    /// Mines a full block.
    pub(crate) fn mine(&mut self, bitcoind: &Bitcoind) -> BlockHash {
        let transactions: Vec<_> = (0..TRANSACTIONS).map(|_| self.spend()).collect();
        bitcoind.mine_block_of(&transactions)
    }

    fn spend(&mut self) -> Transaction {
        let mut satoshi = 0;
        let inputs = (0..INPUTS_EACH)
            .map(|_| {
                self.spent += 1;
                let coin = if self.spent.is_multiple_of(SAME_BLOCK) {
                    self.coins.pop_back()
                } else {
                    self.coins.pop_front()
                };
                let coin = coin.expect("more coins are made than spent");
                satoshi += coin.satoshi;
                input(&coin)
            })
            .collect();
        self.transaction(inputs, OUTPUTS_EACH as u64, satoshi / OUTPUTS_EACH as u64)
    }

    /// A transaction with new outputs, which join the coins.
    fn transaction(&mut self, input: Vec<TxIn>, outputs: u64, satoshi: u64) -> Transaction {
        let scripts: Vec<_> = (0..outputs)
            .map(|_| {
                self.made += 1;
                self.made - u64::from(self.made.is_multiple_of(SAME_SCRIPT))
            })
            .collect();
        let output = |script: &u64| TxOut {
            value: Amount::from_sat(satoshi),
            script_pubkey: witness_script(*script).to_p2wsh(),
        };
        let transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input,
            output: scripts.iter().map(output).collect(),
        };
        let txid = transaction.compute_txid();
        for (vout, script) in (0..).zip(scripts) {
            self.coins.push_back(Coin {
                outpoint: OutPoint { txid, vout },
                satoshi,
                script,
            });
        }
        transaction
    }
}

/// A block as the node hands it out.
pub(crate) fn bytes(bitcoind: &Bitcoind, hash: &BlockHash) -> Vec<u8> {
    serialize(&bitcoind.block(hash))
}

fn input(coin: &Coin) -> TxIn {
    let mut witness = Witness::new();
    witness.push([0xab; PADDING]);
    witness.push(witness_script(coin.script));
    TxIn {
        previous_output: coin.outpoint,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness,
    }
}

/// Another one for every number; whatever it is given satisfies it.
fn witness_script(number: u64) -> ScriptBuf {
    Builder::new()
        .push_slice(number.to_be_bytes())
        .push_opcode(OP_DROP)
        .push_opcode(OP_DROP)
        .push_opcode(OP_TRUE)
        .into_script()
}
