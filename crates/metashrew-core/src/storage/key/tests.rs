use super::*;
use proptest::prelude::*;
use std::fmt::Debug;

/// Order and round trip of two keys, and that neither begins the other.
fn check<K: Key + Ord + Debug>(left: K, right: K) {
    let (a, b) = (encoded::<K>(&left), encoded::<K>(&right));
    assert_eq!(a.cmp(&b), left.cmp(&right), "{left:?} {right:?}");
    if left != right {
        assert!(
            !a.starts_with(&b) && !b.starts_with(&a),
            "{left:?} {right:?}"
        );
    }
    for (key, bytes) in [(left, a), (right, b)] {
        let longer = [&bytes[..], b"rest"].concat();
        let mut rest = &longer[..];
        assert_eq!(K::decode(&mut rest), Some(key));
        assert_eq!(rest, b"rest");
        for cut in 0..bytes.len() {
            assert_eq!(K::decode(&mut &bytes[..cut]), None);
        }
    }
}

/// Bytes of few values, so that zeros and common beginnings are frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        prop_oneof![Just(0u8), Just(1), Just(0xff), Just(b'a')],
        0..5,
    )
}

fn text() -> impl Strategy<Value = String> {
    "[\\x00\\x01aé]{0,5}"
}

proptest! {
    #[test]
    fn integers(a: (u8, u16, u32, u64), b: (u8, u16, u32, u64), c: (u128, i128), d: (u128, i128)) {
        check(a, b);
        check(a.3, b.3);
        check(c, d);
        check(c.1, d.1);
    }

    #[test]
    fn signed_integers(a: (i8, i16, i32, i64), b: (i8, i16, i32, i64)) {
        check(a, b);
        check(a.0, b.0);
        check(a.1, b.1);
        check(a.2, b.2);
        check(a.3, b.3);
    }

    #[test]
    fn bytes_and_text(a in bytes(), b in bytes(), c in text(), d in text()) {
        check(a, b);
        check(c, d);
    }

    #[test]
    fn tuples_compare_part_by_part(
        a in (bytes(), any::<i32>(), text()), b in (bytes(), any::<i32>(), text()),
        c in (text(), any::<bool>(), bytes(), any::<[u8; 2]>()),
        d in (text(), any::<bool>(), bytes(), any::<[u8; 2]>()),
    ) {
        check(a.clone(), b.clone());
        check((a.0.clone(), a.1), (b.0, b.1));
        check((a.0.clone(), a.2), (a.0, b.2));
        check(c, d);
    }

    #[test]
    fn a_beginning_begins_what_it_should(text in bytes(), start in bytes()) {
        let mut bytes = Vec::new();
        Vec::encode_start(&start, &mut bytes);
        prop_assert_eq!(encoded::<Vec<u8>>(&text).starts_with(&bytes), text.starts_with(&start));
    }

    #[test]
    fn any_bytes_are_a_key_or_refused(bytes: Vec<u8>) {
        let mut input = &bytes[..];
        if let Some(key) = <(String, i64, bool, Vec<u8>)>::decode(&mut input) {
            let read = bytes.len() - input.len();
            prop_assert_eq!(encoded::<(String, i64, bool, Vec<u8>)>(&key), &bytes[..read]);
        }
    }
}

#[test]
fn the_bytes_are_as_documented() {
    assert_eq!(encoded::<u32>(&258), [0, 0, 1, 2]);
    assert_eq!(encoded::<i16>(&-1), [0x7f, 0xff]);
    assert_eq!(encoded::<i16>(&0), [0x80, 0]);
    assert_eq!(encoded::<String>("a\0"), [b'a', 0, 1, 0, 0]);
    assert_eq!(encoded::<(bool, [u8; 2])>(&(true, [7, 8])), [1, 7, 8]);
    let mut types = Vec::new();
    <(u8, i128, (bool, String), [u8; 20])>::types(&mut types);
    <Vec<u8>>::types(&mut types);
    assert_eq!(
        types,
        ["u8", "i128", "bool", "string", "bytes[20]", "bytes"]
    );
}
