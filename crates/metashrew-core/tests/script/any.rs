//! Scripts, for property tests.

use super::ops::{Op, Spec};
use proptest::prelude::*;

/// Keys `k` and then up to three of four bytes: so that they meet, and lie in each other's
/// prefixes.
pub(crate) fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(255)];
    prop::collection::vec(byte, 0..4).prop_map(|rest| [b"k", &*rest].concat())
}

/// A value; often none.
pub(crate) fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(any::<u8>(), 1..6),
        1 => (1..200_usize, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let bounds = (any::<bool>(), key(), key());
    let order = (any::<bool>(), any::<bool>());
    let limit =
        prop_oneof![3 => (0..8_u32).prop_map(Some), 2 => Just(None), 1 => Just(Some(70_000))];
    let max_bytes = prop_oneof![2 => (0..64_u32).prop_map(Some), 2 => (64..400_u32).prop_map(Some), 4 => Just(None)];
    let after = prop_oneof![2 => key().prop_map(Some), 5 => Just(None)];
    (bounds, order, limit, max_bytes, after).prop_map(
        |((prefix, start, end), (reverse, keys_only), limit, max_bytes, after)| Spec {
            prefix,
            start,
            end,
            reverse,
            keys_only,
            limit,
            max_bytes,
            after,
        },
    )
}

fn keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(key(), 0..8)
}

fn op() -> impl Strategy<Value = Op> {
    let pairs = || prop::collection::vec((key(), value()), 0..6);
    prop_oneof![
        3 => key().prop_map(Op::Get),
        9 => (key(), value()).prop_map(|(key, value)| Op::Set(key, value)),
        2 => Just(Op::Flush),
        1 => Just(Op::Reset),
        1 => Just(Op::Publish),
        1 => (0..4000_u32).prop_map(Op::Limit),
        2 => keys().prop_map(Op::Many),
        1 => keys().prop_map(Op::HostMany),
        2 => spec().prop_map(Op::HostRange),
        4 => spec().prop_map(Op::Page),
        4 => spec().prop_map(Op::Walk),
        3 => (spec(), pairs()).prop_map(|(spec, writes)| Op::Iterate(spec, writes)),
        2 => (key(), value()).prop_map(|(key, value)| Op::AtomicSet(key, value)),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Commit),
        1 => Just(Op::Rollback),
        1 => Just(Op::Finish),
        2 => spec().prop_map(Op::AtomicPage),
        3 => of_the_call(),
        2 => (0..3_u8, value()).prop_map(|(list, value)| Op::Append(list, value)),
        1 => (0..3_u8).prop_map(Op::Pop),
        1 => (0..3_u8).prop_map(Op::List),
        1 => pairs().prop_map(Op::HostFlush),
    ]
}

fn of_the_call() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Clear),
        2 => Just(Op::Look),
        2 => Just(Op::Answer),
        1 => any::<bool>().prop_map(Op::Mode),
        2 => (0..4_u8, value()).prop_map(|(name, value)| Op::Keep(name, value)),
        2 => (0..4_u8).prop_map(Op::Kept),
        1 => (0..4_u8).prop_map(Op::Drop),
        2 => Just(Op::Flag),
    ]
}

/// A script.
pub(crate) fn script() -> impl Strategy<Value = Vec<Op>> {
    let writes = prop::collection::vec((key(), value()), 0..40);
    let writes = writes.prop_map(|pairs| pairs.into_iter().map(|(key, value)| Op::Set(key, value)));
    (writes, prop::collection::vec(op(), 0..30), any::<bool>())
        .prop_map(|(writes, ops, many)| writes.filter(|_| many).chain(ops).collect())
}
