//! A script of operations on tables. Any bytes are one.

use std::ops::Bound;

/// The most operations of a script: a whole block is one, too.
const MAX_OPS: usize = 256;

pub(crate) type Bounds<K> = (Bound<K>, Bound<K>);
pub(crate) type BalanceKey = (String, u8);
pub(crate) type HolderKey = (u8, Vec<u8>, i8);
pub(crate) type Token = (u8, String);

#[derive(Debug, Clone)]
pub(crate) enum Op {
    NumberGet,
    NumberSet(i64),
    NumberRaise(i64),
    NumberRemove,
    TextGet,
    TextSet(String),
    TextRemove,
    BalanceGet(BalanceKey),
    BalanceHas(BalanceKey),
    BalanceSet(BalanceKey, Option<u64>),
    BalanceRemove(BalanceKey),
    BalanceTake(BalanceKey),
    BalanceUpdate(BalanceKey, u64),
    BalanceRows(Bounds<BalanceKey>, bool),
    BalanceOf(String, Bounds<u8>, bool),
    BalanceOwners(Bounds<String>, bool),
    BalancePages(usize, bool),
    HolderInsert(HolderKey),
    HolderRemove(HolderKey),
    HolderContains(HolderKey),
    HolderStarting(u8, Vec<u8>),
    HolderOf(u8, Vec<u8>, Bounds<i8>),
    HolderPages(usize, bool),
    LogPush(u32),
    LogPop,
    LogGet(u64),
    LogLast,
    LogSet(u64, u32),
    LogSwapRemove(u64),
    LogTruncate(u64),
    LogRows(Bounds<u64>, bool),
    QueuePushBack(Vec<u8>),
    QueuePushFront(Vec<u8>),
    QueuePopBack,
    QueuePopFront,
    QueueGet(u64),
    QueueSet(u64, Vec<u8>),
    QueueEnds,
    QueueRows(bool),
    SupplyAdd(u8),
    SupplySubtract(u8),
    SupplySet(u8),
    HistoryPush(u8, u8),
    HistoryPop(u8),
    HistoryRows(u8),
    CountAdd(String, i8),
    TokenGet(u16),
    TokenSet(u16, Token),
    TokenUpdate(u16, Option<Token>),
    TokenRemove(u16),
    TokenRows(Bounds<u16>, bool),
    TokenOwned(u8),
    TokenOwners(Bounds<u8>, bool),
    TokenFind(String),
    TokenSymbols(Bounds<String>),
}

/// The operations that the bytes say.
pub(crate) fn script(bytes: &[u8]) -> Vec<Op> {
    let mut bytes = Bytes(bytes);
    let mut ops = Vec::new();
    while !bytes.0.is_empty() && ops.len() < MAX_OPS {
        ops.push(bytes.op());
    }
    ops
}

/// Bytes, and zeros behind them.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn pick<T: Copy + Default>(&mut self, of: &[T]) -> T {
        let index = usize::from(self.byte()) % of.len();
        of.get(index).copied().unwrap_or_default()
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn index(&mut self) -> u64 {
        self.below(12).into()
    }

    fn size(&mut self) -> usize {
        usize::from(self.below(4)) + 1
    }

    /// Small, large, or with a zero for its first byte.
    fn number(&mut self) -> u64 {
        let number = u64::from(self.byte());
        match self.below(4) {
            0 => number << 8,
            1 => u64::MAX - number,
            _ => number,
        }
    }

    fn text(&mut self) -> String {
        let texts = ["", "a", "a\0", "a\0\u{1}", "ab", "b", "\0", "é"];
        self.pick(&texts).to_owned()
    }

    fn data(&mut self) -> Vec<u8> {
        let data: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"\x01", b"a", b"a\xff"];
        self.pick(&data).to_vec()
    }

    fn balance(&mut self) -> BalanceKey {
        (self.text(), self.below(3))
    }

    fn holder(&mut self) -> HolderKey {
        let sign = self.pick(&[-128, -1, 0, 127]);
        (self.below(2), self.data(), sign)
    }

    fn token(&mut self) -> Token {
        (self.below(3), self.text())
    }

    fn bounds<K>(&mut self, key: impl Fn(&mut Self) -> K) -> Bounds<K> {
        let mut bound = || match self.below(3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(key(self)),
            _ => Bound::Excluded(key(self)),
        };
        (bound(), bound())
    }

    fn op(&mut self) -> Op {
        match self.below(6) {
            0 => self.single(),
            1 => self.balances(),
            2 => self.holders(),
            3 => self.lists(),
            4 => self.queue(),
            _ => self.tokens(),
        }
    }

    fn single(&mut self) -> Op {
        match self.below(12) {
            0 => Op::NumberGet,
            1 => Op::NumberSet(i64::from(self.byte()) - 128),
            2 => Op::NumberRaise(i64::from(self.byte()) - 128),
            3 => Op::NumberRemove,
            4 => Op::TextGet,
            5 | 6 => Op::TextSet(self.text()),
            7 => Op::TextRemove,
            8 => Op::SupplyAdd(self.byte()),
            9 => Op::SupplySubtract(self.byte()),
            10 => Op::SupplySet(self.byte()),
            _ => Op::CountAdd(self.text(), i8::from_le_bytes([self.byte()])),
        }
    }

    fn balances(&mut self) -> Op {
        match self.below(14) {
            0 => Op::BalanceGet(self.balance()),
            1 => Op::BalanceHas(self.balance()),
            2..=5 => {
                let amount = self.flag().then(|| self.number());
                Op::BalanceSet(self.balance(), amount)
            }
            6 => Op::BalanceRemove(self.balance()),
            7 => Op::BalanceTake(self.balance()),
            8 => Op::BalanceUpdate(self.balance(), self.number()),
            9 => Op::BalanceRows(self.bounds(Self::balance), self.flag()),
            10 => Op::BalanceOf(self.text(), self.bounds(|it| it.below(3)), self.flag()),
            11 => Op::BalanceOwners(self.bounds(Self::text), self.flag()),
            _ => Op::BalancePages(self.size(), self.flag()),
        }
    }

    fn holders(&mut self) -> Op {
        match self.below(9) {
            0..=3 => Op::HolderInsert(self.holder()),
            4 => Op::HolderRemove(self.holder()),
            5 => Op::HolderContains(self.holder()),
            6 => Op::HolderStarting(self.below(2), self.data()),
            7 => {
                let holder = self.holder();
                Op::HolderOf(holder.0, holder.1, self.bounds(|it| it.holder().2))
            }
            _ => Op::HolderPages(self.size(), self.flag()),
        }
    }

    fn lists(&mut self) -> Op {
        match self.below(14) {
            0..=3 => Op::LogPush(self.byte().into()),
            4 => Op::LogPop,
            5 => Op::LogGet(self.index()),
            6 => Op::LogLast,
            7 => Op::LogSet(self.index(), self.byte().into()),
            8 => Op::LogSwapRemove(self.index()),
            9 => Op::LogTruncate(self.index()),
            10 => Op::LogRows(self.bounds(Self::index), self.flag()),
            11 => Op::HistoryPush(self.below(3), self.byte()),
            12 => Op::HistoryPop(self.below(3)),
            _ => Op::HistoryRows(self.below(3)),
        }
    }

    fn queue(&mut self) -> Op {
        match self.below(10) {
            0 | 1 => Op::QueuePushBack(self.data()),
            2 | 3 => Op::QueuePushFront(self.data()),
            4 => Op::QueuePopBack,
            5 => Op::QueuePopFront,
            6 => Op::QueueGet(self.index()),
            7 => Op::QueueSet(self.index(), self.data()),
            8 => Op::QueueEnds,
            _ => Op::QueueRows(self.flag()),
        }
    }

    fn tokens(&mut self) -> Op {
        let id = u16::from(self.below(6)) << 6;
        match self.below(12) {
            0 => Op::TokenGet(id),
            1..=4 => Op::TokenSet(id, self.token()),
            5 => {
                let token = self.flag().then(|| self.token());
                Op::TokenUpdate(id, token)
            }
            6 => Op::TokenRemove(id),
            7 => Op::TokenRows(self.bounds(|it| u16::from(it.below(6)) << 6), self.flag()),
            8 => Op::TokenOwned(self.below(3)),
            9 => Op::TokenOwners(self.bounds(|it| it.below(3)), self.flag()),
            10 => Op::TokenFind(self.text()),
            _ => Op::TokenSymbols(self.bounds(Self::text)),
        }
    }
}
