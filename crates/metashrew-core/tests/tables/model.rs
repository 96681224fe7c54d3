//! What the tables should answer: the same operations on the standard library's collections.

use super::ops::{BalanceKey, HolderKey, Op, Token, script};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::ops::RangeBounds;

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    number: Option<i64>,
    text: Option<String>,
    supply: u8,
    counts: BTreeMap<String, i8>,
    balances: BTreeMap<BalanceKey, Option<u64>>,
    holders: BTreeSet<HolderKey>,
    log: Vec<u32>,
    history: BTreeMap<u8, Vec<u8>>,
    queue: VecDeque<Vec<u8>>,
    tokens: BTreeMap<u16, Token>,
}

#[allow(clippy::needless_pass_by_value, reason = "results are made for it")]
fn show<T: Debug>(result: Result<T, &str>) -> String {
    format!("{result:?}")
}

fn ok<T: Debug>(value: T) -> String {
    show(Ok(value))
}

fn turned<T>(mut rows: Vec<T>, reverse: bool) -> Vec<T> {
    if reverse {
        rows.reverse();
    }
    rows
}

fn pages<T: Debug>(rows: &[T], limit: usize) -> String {
    if rows.is_empty() {
        return ok([rows]);
    }
    ok(rows.chunks(limit).collect::<Vec<_>>())
}

fn place(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Model {
    pub(crate) fn run(&mut self, bytes: &[u8]) -> String {
        let ops = script(bytes).into_iter();
        ops.map(|op| self.answer(op) + "\n").collect()
    }

    fn answer(&mut self, op: Op) -> String {
        match op {
            Op::NumberGet => ok(self.number),
            Op::NumberSet(number) => {
                self.number = Some(number);
                ok(())
            }
            Op::NumberRaise(number) => {
                let new = self.number.map_or(number, |old| old.max(number));
                self.number = (new != 0).then_some(new);
                ok(())
            }
            Op::NumberRemove => ok(self.number.take().is_some()),
            Op::TextGet => ok((&self.text, self.text.is_some())),
            Op::TextSet(text) => {
                self.text = Some(text);
                ok(())
            }
            Op::TextRemove => ok(self.text.take().is_some()),
            Op::SupplyAdd(number) => self.supply(self.supply.checked_add(number)),
            Op::SupplySubtract(number) => self.supply(self.supply.checked_sub(number)),
            Op::SupplySet(number) => self.supply(Some(number)),
            Op::CountAdd(name, number) => {
                let count = self.counts.entry(name).or_default();
                let sum = count.checked_add(number).ok_or("overflow");
                *count = sum.unwrap_or(*count);
                show(sum)
            }
            other => self.balances(other),
        }
    }

    fn supply(&mut self, number: Option<u8>) -> String {
        self.supply = number.unwrap_or(self.supply);
        show(number.ok_or("overflow"))
    }

    fn balances(&mut self, op: Op) -> String {
        let balances = &mut self.balances;
        let row = |(key, amount): (&BalanceKey, &Option<u64>)| (key.clone(), *amount);
        match op {
            Op::BalanceGet(key) => ok(balances.get(&key)),
            Op::BalanceHas(key) => ok(balances.contains_key(&key)),
            Op::BalanceSet(key, amount) => {
                balances.insert(key, amount);
                ok(())
            }
            Op::BalanceRemove(key) => ok(balances.remove(&key).is_some()),
            Op::BalanceTake(key) => ok(balances.remove(&key)),
            Op::BalanceUpdate(key, more) => {
                let old = balances.get(&key).copied().flatten().unwrap_or_default();
                let Some(new) = old.checked_add(more) else {
                    return show::<()>(Err("overflow"));
                };
                balances.remove(&key);
                if new % 2 == 0 {
                    balances.insert(key, Some(new));
                }
                ok(())
            }
            Op::BalanceRows(keys, reverse) => {
                let rows = balances.iter().filter(|(key, _)| keys.contains(key));
                ok(turned(rows.map(row).collect(), reverse))
            }
            Op::BalanceOf(owner, tokens, reverse) => {
                let rows = balances.iter().filter(|(key, _)| key.0 == owner);
                let rows = rows.map(|(key, amount)| (key.1, *amount));
                let rows = rows.filter(|(token, _)| tokens.contains(token));
                ok(turned(rows.collect(), reverse))
            }
            Op::BalanceOwners(owners, reverse) => {
                let keys = balances.keys().filter(|key| owners.contains(&key.0));
                ok(turned(keys.collect(), reverse))
            }
            Op::BalancePages(limit, reverse) => {
                pages(&turned(balances.iter().map(row).collect(), reverse), limit)
            }
            other => self.holders(other),
        }
    }

    fn holders(&mut self, op: Op) -> String {
        let holders = &mut self.holders;
        match op {
            Op::HolderInsert(key) => ok(holders.insert(key)),
            Op::HolderRemove(key) => ok(holders.remove(&key)),
            Op::HolderContains(key) => ok(holders.contains(&key)),
            Op::HolderStarting(who, start) => {
                let of = holders.iter().filter(|key| key.0 == who);
                let starting = of.filter(|key| key.1.starts_with(&start));
                ok(starting.map(|key| (&key.1, key.2)).collect::<Vec<_>>())
            }
            Op::HolderOf(who, what, signs) => {
                let of = holders.iter().filter(|key| key.0 == who && key.1 == what);
                let signs_of = of.map(|key| key.2).filter(|sign| signs.contains(sign));
                ok(signs_of.collect::<Vec<_>>())
            }
            Op::HolderPages(limit, reverse) => {
                pages(&turned(holders.iter().collect(), reverse), limit)
            }
            other => self.lists(other),
        }
    }

    fn lists(&mut self, op: Op) -> String {
        let log = &mut self.log;
        match op {
            Op::LogPush(value) => {
                log.push(value);
                ok(log.len() - 1)
            }
            Op::LogPop => ok(log.pop()),
            Op::LogGet(index) => ok(log.get(place(index))),
            Op::LogLast => ok(log.last()),
            Op::LogSet(index, value) => match log.get_mut(place(index)) {
                Some(old) => {
                    *old = value;
                    ok(())
                }
                None => show::<()>(Err("out of bounds")),
            },
            Op::LogSwapRemove(index) if place(index) < log.len() => {
                ok(log.swap_remove(place(index)))
            }
            Op::LogSwapRemove(_) => show::<()>(Err("out of bounds")),
            Op::LogTruncate(length) => {
                log.truncate(place(length));
                ok(log.len())
            }
            Op::LogRows(indexes, reverse) => {
                let rows = (0u64..).zip(log.iter());
                let rows = rows.filter(|(index, _)| indexes.contains(index));
                ok(turned(rows.collect(), reverse))
            }
            Op::HistoryPush(who, value) => {
                let list = self.history.entry(who).or_default();
                list.push(value);
                ok(list.len() - 1)
            }
            Op::HistoryPop(who) => ok(self.history.entry(who).or_default().pop()),
            Op::HistoryRows(who) => {
                let list = self.history.entry(who).or_default();
                ok(list.iter().enumerate().collect::<Vec<_>>())
            }
            other => self.queue(other),
        }
    }

    fn queue(&mut self, op: Op) -> String {
        let queue = &mut self.queue;
        match op {
            Op::QueuePushBack(value) => {
                queue.push_back(value);
                ok(())
            }
            Op::QueuePushFront(value) => {
                queue.push_front(value);
                ok(())
            }
            Op::QueuePopBack => ok(queue.pop_back()),
            Op::QueuePopFront => ok(queue.pop_front()),
            Op::QueueGet(index) => ok(queue.get(place(index))),
            Op::QueueSet(index, value) => match queue.get_mut(place(index)) {
                Some(old) => {
                    *old = value;
                    ok(())
                }
                None => show::<()>(Err("out of bounds")),
            },
            Op::QueueEnds => {
                let ends = (queue.front(), queue.back());
                ok((ends, queue.len(), queue.is_empty()))
            }
            Op::QueueRows(reverse) => ok(turned(queue.iter().collect(), reverse)),
            other => self.tokens(other),
        }
    }

    fn set_token(&mut self, id: u16, token: Token) -> String {
        let mut others = self.tokens.iter().filter(|(other, _)| **other != id);
        if others.any(|(_, other)| other.1 == token.1) {
            return show::<()>(Err("not unique"));
        }
        self.tokens.insert(id, token);
        ok(())
    }

    fn tokens(&mut self, op: Op) -> String {
        let row = |(id, token): (&u16, &Token)| (*id, token.clone());
        match op {
            Op::TokenGet(id) => ok(self.tokens.get(&id)),
            Op::TokenSet(id, token) => self.set_token(id, token),
            Op::TokenUpdate(id, token) => {
                let new = token.filter(|token| self.tokens.get(&id) != Some(token));
                if let Some(token) = new {
                    return self.set_token(id, token);
                }
                self.tokens.remove(&id);
                ok(())
            }
            Op::TokenRemove(id) => ok(self.tokens.remove(&id)),
            Op::TokenRows(ids, reverse) => {
                let rows = self.tokens.iter().filter(|(id, _)| ids.contains(id));
                ok(turned(rows.map(row).collect(), reverse))
            }
            Op::TokenOwned(owner) => {
                let tokens = self.tokens.iter().filter(|(_, token)| token.0 == owner);
                ok(tokens.map(|(id, _)| id).collect::<Vec<_>>())
            }
            Op::TokenOwners(owners, reverse) => {
                let entries = self.tokens.iter().map(|(id, token)| (token.0, *id));
                let mut entries: Vec<_> = entries.filter(|(of, _)| owners.contains(of)).collect();
                entries.sort_unstable();
                ok(turned(entries, reverse))
            }
            Op::TokenFind(symbol) => {
                let mut rows = self.tokens.iter().map(row);
                ok(rows.find(|(_, token)| token.1 == symbol))
            }
            Op::TokenSymbols(symbols) => {
                let entries = self.tokens.iter();
                let entries = entries.map(|(id, token)| (token.1.clone(), *id));
                let mut entries: Vec<_> = entries.filter(|(of, _)| symbols.contains(of)).collect();
                entries.sort_unstable();
                ok(entries)
            }
            other => unreachable!("{other:?} is for another table"),
        }
    }
}
