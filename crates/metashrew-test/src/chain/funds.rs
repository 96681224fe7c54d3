//! What locks have in a chain, and transactions that spend it.

use super::Chain;
use crate::{Inscription, Lock, OutPoint, Tx};
use metashrew_support::raw::InscriptionId;

impl Chain {
    /// Pays from the purse: the output that pays.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let paid = chain.pay(&alice, 1_000);
    /// assert_eq!(chain.unspent(&alice), [(paid, 1_000)]);
    /// ```
    ///
    /// # Panics
    /// If the purse has too little: it has what the coinbases of blocks before paid.
    pub fn pay(&mut self, to: impl Into<Lock>, satoshi: u64) -> OutPoint {
        self.send(&Self::purse(), to, satoshi)
    }

    /// Pays from what `from` has, in a transaction of its own, the rest going back: the
    /// output that pays.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// chain.pay(&alice, 1_000);
    /// chain.send(&alice, Lock::p2tr("bob"), 400);
    /// assert_eq!(chain.balance(&alice), 600);
    /// ```
    ///
    /// # Panics
    /// If `from` has too little.
    pub fn send(&mut self, from: &Lock, to: impl Into<Lock>, satoshi: u64) -> OutPoint {
        let tx = self.funded(from, Tx::new().pay(to, satoshi));
        let output = tx.output(0);
        self.add(tx);
        output
    }

    /// Carries data in an output of a transaction of its own: its id.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let txid = chain.op_return(b"data");
    /// let block = chain.mine().raw();
    /// assert_eq!(block.transactions().nth(1).unwrap().txid(), txid);
    /// ```
    ///
    /// # Panics
    /// If the purse is empty.
    pub fn op_return(&mut self, data: impl AsRef<[u8]>) -> [u8; 32] {
        let tx = self.funded(&Self::purse(), Tx::new().op_return(data));
        self.add(tx)
    }

    /// Inscribes by a commit and a reveal, both in the next block: the inscription's id.
    /// The reveal pays 546 satoshi to `to`.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let id = chain.inscribe(&alice, Inscription::text("hello"));
    /// let block = chain.mine().raw();
    /// let reveal = block.transactions().find(|tx| tx.txid() == id.txid).unwrap();
    /// assert_eq!(reveal.envelopes().count(), 1);
    /// ```
    ///
    /// # Panics
    /// If the purse has too little.
    pub fn inscribe(&mut self, to: impl Into<Lock>, inscription: Inscription) -> InscriptionId {
        const DUST: u64 = 546;
        let inscriptions = [inscription];
        let commit = self.pay(Inscription::lock(&inscriptions), DUST);
        let reveal = Tx::new().reveal(commit, &inscriptions).pay(to, DUST);
        let txid = self.add(reveal);
        InscriptionId { txid, index: 0 }
    }

    /// The transaction with inputs that spend from `from` before its own, as many as it
    /// takes, and an output that gives back the rest behind its own.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let tx = chain.funded(&Chain::purse(), Tx::new().pay(&alice, 1_000));
    /// assert_eq!((tx.inputs.len(), tx.outputs.len()), (1, 2)); // The rest goes back.
    /// ```
    ///
    /// # Panics
    /// If `from` has too little.
    pub fn funded(&self, from: &Lock, mut transaction: Tx) -> Tx {
        let paid: u64 = transaction.outputs.iter().map(|output| output.value).sum();
        let spent = transaction.inputs.iter();
        let spent: u64 = spent
            .filter_map(|input| self.coins.value(&input.previous))
            .sum();
        let wanted = paid.saturating_sub(spent).max(1);
        let (coins, found) = self.coins.pick(from, wanted, &transaction);
        assert!(
            found >= wanted,
            "{from} has {found} satoshi to spend, of {wanted} wanted; is a block mined that pays it?"
        );
        let inputs = coins.into_iter().map(|coin| crate::TxIn::new(coin, from));
        transaction.inputs.splice(0..0, inputs);
        match (spent + found).saturating_sub(paid) {
            0 => transaction,
            rest => transaction.pay(from, rest),
        }
    }

    /// What can be spent of what was paid to `lock`, oldest first, each with its
    /// satoshi. What transactions that wait pay and spend counts.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// let paid = chain.pay(&alice, 1_000);
    /// assert_eq!(chain.unspent(&alice), [(paid, 1_000)]);
    /// ```
    pub fn unspent(&self, lock: &Lock) -> Vec<(OutPoint, u64)> {
        self.coins.of(lock)
    }

    /// What [`unspent`](Self::unspent) is worth together, in satoshi.
    ///
    /// ```
    /// # use metashrew_test::*;
    /// # let alice = Lock::p2wpkh("alice");
    /// # let mut chain = Chain::new();
    /// # chain.mine();
    /// chain.pay(&alice, 1_000);
    /// chain.pay(&alice, 500);
    /// assert_eq!(chain.balance(&alice), 1_500);
    /// ```
    pub fn balance(&self, lock: &Lock) -> u64 {
        self.unspent(lock).iter().map(|(_, satoshi)| satoshi).sum()
    }
}
