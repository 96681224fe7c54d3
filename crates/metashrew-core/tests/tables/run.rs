//! Runs a script on the tables: what each operation answered, as a line.

use super::ops::{Op, Token, script};
use metashrew_core::storage::{
    Counter, Deque, IndexedMap, Item, List, Map, MultiIndex, Nested, Rows, Set, StorageError,
    UniqueIndex,
};
use std::fmt::Debug;

pub(crate) type TokenIndexes = (MultiIndex<u8, u16, Token>, UniqueIndex<String, u16, Token>);

metashrew_core::storage! {
    pub(crate) fn tables;
    /// A number.
    const NUMBER: Item<i64> = Item::new("number");
    /// Text.
    const TEXT: Item<String> = Item::new("text");
    /// What an owner has of a token.
    const BALANCES: Map<(String, u8), Option<u64>> = Map::new("balances") => (owner, token);
    /// Who holds what.
    const HOLDERS: Set<(u8, Vec<u8>, i8)> = Set::new("holders");
    /// Numbers in a row.
    const LOG: List<u32> = List::new("log");
    /// Bytes in a row.
    const QUEUE: Deque<Vec<u8>> = Deque::new("queue");
    /// How many there are.
    const SUPPLY: Counter<u8> = Counter::new("supply");
    /// A list for each.
    const HISTORY: Nested<u8, List<u8>> = Nested::new("history") => (who);
    /// A counter for each.
    const COUNTS: Nested<String, Counter<i8>> = Nested::new("counts") => (name);
    /// Tokens by owner and symbol.
    const TOKENS: IndexedMap<u16, Token, TokenIndexes> = IndexedMap::new(
        "tokens",
        (
            MultiIndex::new("owner", |_, token| token.0),
            UniqueIndex::new("symbol", |_, token| token.1.clone()),
        ),
    ) => (id);
}

/// Runs all operations: a line for each answer.
pub(crate) fn run(bytes: &[u8]) -> String {
    let lines = script(bytes).into_iter().map(|op| answer(op) + "\n");
    lines.collect()
}

/// A result as the model has it.
fn show<T: Debug>(result: Result<T, StorageError>) -> String {
    let result = result.map_err(|error| match error {
        StorageError::NotUnique { .. } => "not unique".to_owned(),
        StorageError::Overflow { .. } => "overflow".to_owned(),
        StorageError::OutOfBounds { .. } => "out of bounds".to_owned(),
        other => other.to_string(),
    });
    format!("{result:?}")
}

fn turned<K, V, E>(rows: Rows<K, V, E>, reverse: bool) -> Rows<K, V, E> {
    if reverse { rows.reverse() } else { rows }
}

fn all<T: Debug>(rows: impl Iterator<Item = Result<T, StorageError>>) -> String {
    show(rows.collect::<Result<Vec<_>, _>>())
}

fn answer(op: Op) -> String {
    match op {
        Op::NumberGet => show(NUMBER.get()),
        Op::NumberSet(number) => show(NUMBER.set(&number)),
        Op::NumberRaise(number) => show(NUMBER.update(|old| {
            let new = old.max(Some(number));
            Ok::<_, StorageError>(new.filter(|new| *new != 0))
        })),
        Op::NumberRemove => show(Ok(NUMBER.remove())),
        Op::TextGet => show(TEXT.get().map(|text| (text, TEXT.exists()))),
        Op::TextSet(text) => show(TEXT.set(&text)),
        Op::TextRemove => show(Ok(TEXT.remove())),
        Op::SupplyAdd(number) => show(SUPPLY.add(number)),
        Op::SupplySubtract(number) => show(SUPPLY.subtract(number)),
        Op::SupplySet(number) => show(SUPPLY.set(number).and_then(|()| SUPPLY.get())),
        Op::CountAdd(name, number) => show(COUNTS.at(&name).add(number)),
        other => balances(other),
    }
}

fn balances(op: Op) -> String {
    match op {
        Op::BalanceGet(key) => show(BALANCES.get(key)),
        Op::BalanceHas((owner, token)) => show(Ok(BALANCES.has((&*owner, token)))),
        Op::BalanceSet(key, amount) => show(BALANCES.set(key, &amount)),
        Op::BalanceRemove(key) => show(Ok(BALANCES.remove(&key))),
        Op::BalanceTake(key) => show(BALANCES.take(key)),
        Op::BalanceUpdate(key, more) => show(BALANCES.update(key, |old| {
            let old = old.flatten().unwrap_or_default();
            let table = "balances";
            let new = old
                .checked_add(more)
                .ok_or(StorageError::Overflow { table })?;
            Ok::<_, StorageError>((new % 2 == 0).then_some(Some(new)))
        })),
        Op::BalanceRows(keys, reverse) => all(turned(BALANCES.range(keys), reverse).iter()),
        Op::BalanceOf(owner, tokens, reverse) => {
            all(turned(BALANCES.prefix(owner).range(tokens), reverse).iter())
        }
        Op::BalanceOwners(owners, reverse) => {
            all(turned(BALANCES.rows().prefix_range(owners), reverse).keys())
        }
        Op::BalancePages(limit, reverse) => {
            let rows = turned(BALANCES.rows(), reverse);
            let (mut pages, mut cursor) = (Vec::new(), None);
            loop {
                match rows.page(limit, cursor.as_ref()) {
                    Err(error) => return show::<()>(Err(error)),
                    Ok(page) => {
                        pages.push(page.rows);
                        cursor = page.next;
                    }
                }
                if cursor.is_none() {
                    return show(Ok(pages));
                }
            }
        }
        other => holders(other),
    }
}

fn holders(op: Op) -> String {
    match op {
        Op::HolderInsert(key) => show(HOLDERS.insert(key)),
        Op::HolderRemove(key) => show(Ok(HOLDERS.remove(key))),
        Op::HolderContains(key) => show(Ok(HOLDERS.contains(key))),
        Op::HolderStarting(who, start) => all(HOLDERS.prefix(who).starting_with(&start).keys()),
        Op::HolderOf(who, what, signs) => all(HOLDERS.prefix(who).prefix(what).range(signs).keys()),
        Op::HolderPages(limit, reverse) => {
            let rows = turned(HOLDERS.rows(), reverse);
            let (mut pages, mut cursor) = (Vec::new(), None);
            loop {
                match rows.key_page(limit, cursor.as_ref()) {
                    Err(error) => return show::<()>(Err(error)),
                    Ok(page) => {
                        pages.push(page.rows);
                        cursor = page.next;
                    }
                }
                if cursor.is_none() {
                    return show(Ok(pages));
                }
            }
        }
        other => lists(other),
    }
}

fn lists(op: Op) -> String {
    match op {
        Op::LogPush(value) => show(LOG.push(&value)),
        Op::LogPop => show(LOG.pop()),
        Op::LogGet(index) => show(LOG.get(index)),
        Op::LogLast => show(LOG.last()),
        Op::LogSet(index, value) => show(LOG.set(index, &value)),
        Op::LogSwapRemove(index) => show(LOG.swap_remove(index)),
        Op::LogTruncate(length) => show(LOG.truncate(length).and_then(|()| LOG.len())),
        Op::LogRows(indexes, reverse) => all(turned(LOG.range(indexes), reverse).iter()),
        Op::HistoryPush(who, value) => show(HISTORY.at(who).push(&value)),
        Op::HistoryPop(who) => show(HISTORY.at(who).pop()),
        Op::HistoryRows(who) => all(HISTORY.at(who).rows().iter()),
        other => queue(other),
    }
}

fn queue(op: Op) -> String {
    match op {
        Op::QueuePushBack(value) => show(QUEUE.push_back(&value)),
        Op::QueuePushFront(value) => show(QUEUE.push_front(&value)),
        Op::QueuePopBack => show(QUEUE.pop_back()),
        Op::QueuePopFront => show(QUEUE.pop_front()),
        Op::QueueGet(index) => show(QUEUE.get(index)),
        Op::QueueSet(index, value) => show(QUEUE.set(index, &value)),
        Op::QueueEnds => {
            let ends = QUEUE.front().and_then(|front| Ok((front, QUEUE.back()?)));
            show(ends.and_then(|ends| Ok((ends, QUEUE.len()?, QUEUE.is_empty()?))))
        }
        Op::QueueRows(reverse) => {
            let rows = turned(QUEUE.rows(), reverse).iter();
            all(rows.map(|row| row.map(|(_, value)| value)))
        }
        other => tokens(other),
    }
}

fn tokens(op: Op) -> String {
    match op {
        Op::TokenGet(id) => show(TOKENS.get(id)),
        Op::TokenSet(id, token) => show(TOKENS.set(id, &token)),
        Op::TokenUpdate(id, token) => show(TOKENS.update(id, |old| {
            Ok::<_, StorageError>(token.filter(|token| old != Some(token)))
        })),
        Op::TokenRemove(id) => show(TOKENS.remove(id)),
        Op::TokenRows(ids, reverse) => all(turned(TOKENS.range(ids), reverse).iter()),
        Op::TokenOwned(owner) => all(TOKENS.multi(|by| &by.0).prefix(owner).keys()),
        Op::TokenOwners(owners, reverse) => {
            let rows = TOKENS.multi(|by| &by.0).prefix_range(owners);
            all(turned(rows, reverse).keys())
        }
        Op::TokenFind(symbol) => show(TOKENS.find(|by| &by.1, &*symbol)),
        Op::TokenSymbols(symbols) => all(TOKENS.unique(|by| &by.1).range(symbols).iter()),
        other => unreachable!("{other:?} is for another table"),
    }
}
