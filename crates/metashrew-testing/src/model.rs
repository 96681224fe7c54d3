//! An independent recount, straight from raw blocks, of what the example guests
//! `addresses` and `blocks` answer. Inputs whose output was never seen (a chain
//! that starts in the middle) count for nothing.
//!
//! Slow and simple on purpose: every question walks over all that ever happened
//! to the script.

use std::collections::{BTreeMap, HashMap};

use bitcoin::consensus::encode::deserialize;
use bitcoin::{Block, BlockHash, OutPoint, Script, ScriptBuf, Txid};

/// What happened to one script in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Height of the block.
    pub height: u32,
    /// Place of the transaction in the block.
    pub index: usize,
    /// The transaction.
    pub txid: Txid,
    /// Satoshi that its outputs paid to the script.
    pub received: u64,
    /// Satoshi that its inputs took from the script.
    pub spent: u64,
}

/// An unspent output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unspent {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it is worth.
    pub satoshi: u64,
    /// Height of the block that created it.
    pub height: u32,
}

/// What `addresses` answers about the balance of a script, in satoshi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// The height the rest holds at.
    pub height: u32,
    /// Received less spent.
    pub balance: u64,
    /// Sum of all outputs that paid to the script.
    pub received: u64,
    /// Sum of all inputs that spent from it.
    pub spent: u64,
    /// Unspent outputs.
    pub utxos: u64,
    /// Transactions that paid to the script or spent from it.
    pub txs: u64,
}

impl Account {
    /// The answer of the view `balance`, in its order and without spaces.
    pub fn json(&self) -> String {
        let Self {
            height,
            balance,
            received,
            spent,
            utxos,
            txs,
        } = self;
        format!(
            r#"{{"height":{height},"balance":{balance},"received":{received},"spent":{spent},"utxos":{utxos},"txs":{txs}}}"#
        )
    }
}

/// What `blocks` answers about a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockFacts {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
    /// Transactions, the coinbase included.
    pub txs: u64,
    /// Bytes, encoded.
    pub size: u64,
    /// Inputs less outputs, the coinbase left out, in satoshi; none where an
    /// input spends what was never seen.
    pub fees: Option<u64>,
}

/// An output that was seen.
#[derive(Debug, Clone)]
struct Output {
    script: ScriptBuf,
    satoshi: u64,
    height: u32,
    /// Height of the block that spent it.
    spent: Option<u32>,
}

/// The recount of a chain.
#[derive(Debug, Clone)]
pub struct Recount {
    next: u32,
    outputs: HashMap<OutPoint, Output>,
    created: BTreeMap<ScriptBuf, Vec<OutPoint>>,
    touches: BTreeMap<ScriptBuf, Vec<Touch>>,
    blocks: BTreeMap<u32, BlockFacts>,
}

impl Recount {
    /// A recount that begins at a height.
    pub fn new(start: u32) -> Self {
        Self {
            next: start,
            outputs: HashMap::new(),
            created: BTreeMap::new(),
            touches: BTreeMap::new(),
            blocks: BTreeMap::new(),
        }
    }

    /// The recount of raw blocks from a height on.
    pub fn of<B: AsRef<[u8]>>(start: u32, blocks: impl IntoIterator<Item = B>) -> Self {
        let mut recount = Self::new(start);
        for block in blocks {
            recount.add(block.as_ref());
        }
        recount
    }

    /// Adds the next block.
    ///
    /// # Panics
    /// If it is not a block.
    pub fn add(&mut self, raw: &[u8]) {
        let block: Block = deserialize(raw).expect("a consensus-encoded block");
        let height = self.next;
        let mut fees = Some(0);
        for (index, transaction) in block.txdata.iter().enumerate() {
            let fee = self.transaction(height, index, transaction);
            if index > 0 {
                fees = fees.zip(fee).map(|(sum, fee)| sum + fee);
            }
        }
        let facts = BlockFacts {
            height,
            hash: block.block_hash(),
            time: block.header.time,
            txs: block.txdata.len() as u64,
            size: raw.len() as u64,
            fees,
        };
        self.blocks.insert(height, facts);
        self.next += 1;
    }

    /// Counts a transaction, and answers its fee if all its inputs are known.
    fn transaction(
        &mut self,
        height: u32,
        index: usize,
        transaction: &bitcoin::Transaction,
    ) -> Option<u64> {
        let txid = transaction.compute_txid();
        let mut touched: BTreeMap<ScriptBuf, (u64, u64)> = BTreeMap::new();
        let (mut in_sum, mut out_sum) = (Some(0), 0);
        for input in &transaction.input {
            match self.outputs.get_mut(&input.previous_output) {
                Some(output) => {
                    output.spent = Some(height);
                    touched.entry(output.script.clone()).or_default().1 += output.satoshi;
                    in_sum = in_sum.map(|sum: u64| sum + output.satoshi);
                }
                None => in_sum = None,
            }
        }
        for (vout, output) in (0..).zip(&transaction.output) {
            let script = output.script_pubkey.clone();
            let satoshi = output.value.to_sat();
            let outpoint = OutPoint { txid, vout };
            out_sum += satoshi;
            touched.entry(script.clone()).or_default().0 += satoshi;
            self.created
                .entry(script.clone())
                .or_default()
                .push(outpoint);
            self.outputs.insert(
                outpoint,
                Output {
                    script,
                    satoshi,
                    height,
                    spent: None,
                },
            );
        }
        for (script, (received, spent)) in touched {
            self.touches.entry(script).or_default().push(Touch {
                height,
                index,
                txid,
                received,
                spent,
            });
        }
        in_sum.map(|sum| sum - out_sum)
    }

    /// All scripts ever paid to, in order of their bytes.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.touches.keys().map(ScriptBuf::as_script)
    }

    /// What a script had after the block at a height.
    pub fn account(&self, script: &Script, height: u32) -> Account {
        let mut account = Account {
            height,
            ..Account::default()
        };
        for touch in self.history(script, height) {
            account.received += touch.received;
            account.spent += touch.spent;
            account.txs += 1;
        }
        account.balance = account.received - account.spent;
        account.utxos = self.unspent(script, height).len() as u64;
        account
    }

    /// The transactions of a script up to a height, oldest first.
    pub fn history(&self, script: &Script, height: u32) -> Vec<&Touch> {
        let touches = self.touches.get(script).into_iter().flatten();
        touches.filter(|touch| touch.height <= height).collect()
    }

    /// The outputs of a script unspent after the block at a height, oldest first.
    pub fn unspent(&self, script: &Script, height: u32) -> Vec<Unspent> {
        let outpoints = self.created.get(script).into_iter().flatten();
        let unspent = outpoints.filter_map(|outpoint| {
            let output = self.outputs.get(outpoint)?;
            let unspent =
                output.height <= height && output.spent.is_none_or(|spent| spent > height);
            unspent.then_some(Unspent {
                outpoint: *outpoint,
                satoshi: output.satoshi,
                height: output.height,
            })
        });
        unspent.collect()
    }

    /// The facts about the block at a height.
    pub fn block(&self, height: u32) -> Option<&BlockFacts> {
        self.blocks.get(&height)
    }
}
