use super::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use std::fmt::Debug;

/// A value comes back from both its forms, and from no shorter ones.
#[allow(clippy::needless_pass_by_value, reason = "values are made for it")]
fn check<V: Value + PartialEq + Debug>(value: V) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    assert!(!bytes.is_empty());
    for cut in 0..bytes.len() {
        assert!(V::decode(&mut &bytes[..cut]).is_err(), "{value:?} {cut}");
    }
    bytes.push(9);
    let mut rest = &bytes[..];
    assert_eq!(V::decode(&mut rest).as_ref(), Ok(&value));
    assert_eq!(rest, [9]);

    let mut last = Vec::new();
    value.encode_last(&mut last);
    assert_eq!(V::decode_last(&last).as_ref(), Ok(&value));
    assert!(V::MAY_BE_EMPTY || !last.is_empty());
}

fn bytes_of(value: &impl Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

crate::record! {
    #[derive(Debug, PartialEq)]
    struct Token {
        owner: [u8; 4],
        names: Vec<String>,
        supply: Option<Compact<u128>>,
    }
}

proptest! {
    #[test]
    fn unsigned_integers(a: u8, b: u16, c: u32, d: u64, e: u128) {
        check((a, b, c, d, e));
        check((Compact(a), Compact(b), Compact(c), Compact(d), Compact(e)));
        check(Compact(e >> (a & 127)));
        check(c);
    }

    #[test]
    fn signed_integers(a: i8, b: i16, c: i32, d: i64, e: i128, by in 0..128) {
        check((a, b, c, d, e));
        check((Compact(a), Compact(b), Compact(c), Compact(d), Compact(e)));
        check(Compact(e >> by));
        check(e);
    }

    #[test]
    fn text_and_lists(
        text in ".{0,8}", bytes in vec(any::<u8>(), 0..20), list in vec((any::<u32>(), ".{0,4}"), 0..4),
        array: [u8; 3], flag: bool, texts in [".{0,4}", ".{0,8}"],
        lists in vec(vec(any::<u16>(), 0..4), 0..4),
    ) {
        check(text.clone());
        check(bytes.clone());
        check(list);
        check(lists);
        check(texts);
        check((array, text.clone(), bytes.clone()));
        check((flag, (), text, array, flag, bytes));
    }

    #[test]
    fn options_and_records(text in of(".{0,8}"), number: Option<Option<u32>>, supply: Option<u128>) {
        check(text.clone());
        check(number);
        check((text.clone(), number, text.clone()));
        let names = text.into_iter().collect();
        check(Token { owner: [1; 4], names, supply: supply.map(Compact) });
    }

    #[test]
    fn any_bytes_are_a_value_or_refused(bytes: Vec<u8>) {
        type Everything = (Compact<i64>, Vec<String>, Option<bool>, [u16; 1], Vec<(u8, Vec<u8>)>);
        if let Ok(value) = Everything::decode_last(&bytes) {
            let mut again = Vec::new();
            value.encode_last(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn the_extremes_of_compact_numbers() {
    assert_eq!(bytes_of(&Compact(0u64)), [0]);
    assert_eq!(bytes_of(&Compact(127u8)), [127]);
    assert_eq!(bytes_of(&Compact(-1i128)), [1]);
    assert_eq!(bytes_of(&Compact(u128::MAX)).len(), 19);
    for extreme in [i128::MIN, i128::MAX, 0] {
        check(Compact(extreme));
    }
    check(Compact(u128::MAX));
    let decoded = |bytes: &[u8]| Compact::<u128>::decode_last(bytes);
    assert!(decoded(&[0x80, 0]).is_err());
    assert!(decoded(&[[0xff; 18].as_slice(), &[4]].concat()).is_err());
    assert!(decoded(&[0xff; 40]).is_err());
    assert!(Compact::<u8>::decode_last(&[0x80, 2]).is_err());
}

#[test]
fn counts_that_the_bytes_cannot_hold_cost_nothing() {
    let mut bytes = bytes_of(&Compact(u64::MAX));
    bytes.extend_from_slice(b"abc");
    assert!(String::decode(&mut &bytes[..]).is_err());
    assert!(Vec::<u128>::decode(&mut &bytes[..]).is_err());
    assert!(Vec::<()>::decode(&mut &bytes[..]).is_err());
}

#[test]
fn types_are_named() {
    assert_eq!(<Vec<u8>>::type_name(), "bytes");
    assert_eq!(
        <Option<(Compact<u64>, [u8; 20])>>::type_name(),
        "(compact u64, [u8; 20])?"
    );
    assert_eq!(
        <Vec<Token>>::type_name(),
        "[Token { owner: [u8; 4], names: [string], supply: compact u128? }]"
    );
}
