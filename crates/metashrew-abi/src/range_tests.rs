//! What codecs and the answers of hosts hold to.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn any_pairs() -> impl Strategy<Value = Pairs> {
    vec((vec(any::<u8>(), 0..6), vec(any::<u8>(), 0..9)), 0..12)
}

/// The bytes of an answer to `request`, and how many pairs were given.
fn answered(request: &Request<'_>, pairs: &Pairs) -> (Vec<u8>, usize) {
    let mut builder = AnswerBuilder::new(request, vec![9; 3]);
    let mut given = 0;
    for (key, value) in pairs {
        if builder.is_full() {
            break;
        }
        given += 1;
        let room = builder.room_for(key, value);
        builder.reserve(room);
        let memory = builder.answer.as_ptr();
        assert_eq!(builder.push(key, value), !builder.is_full());
        assert_eq!(builder.answer.as_ptr(), memory, "it had the room");
    }
    (builder.finish(), given)
}

/// What the document says: pairs that fit, and why there are no more.
fn expected(request: &Request<'_>, pairs: &Pairs) -> (End, Pairs) {
    let (mut left, mut taken) = (request.max_bytes as usize, Vec::new());
    let present = pairs.iter().filter(|(_, value)| !value.is_empty());
    if request.max_count == 0 {
        return (End::Count, taken);
    }
    for (key, value) in present {
        let cost = key.len() + 8 + if request.keys_only { 0 } else { value.len() };
        if cost > left {
            if taken.is_empty() {
                return (End::TooLarge, vec![(key.clone(), value.clone())]);
            }
            return (End::Bytes, taken);
        }
        left -= cost;
        taken.push((key.clone(), value.clone()));
        if taken.len() == request.max_count as usize {
            return (End::Count, taken);
        }
    }
    (End::Range, taken)
}

#[test]
fn requests_are_as_documented() {
    let request = Request {
        descending: true,
        keys_only: true,
        max_count: 2,
        max_bytes: 258,
        start: b"a",
        end: b"",
    };
    let bytes = [3, 2, 0, 0, 0, 2, 1, 0, 0, 1, 0, 0, 0, b'a', 0, 0, 0, 0];
    assert_eq!(request.encode(), bytes);
    assert_eq!(Request::decode(&bytes), Ok(request));
}

#[test]
fn what_is_no_request_is_refused_with_the_reason() {
    let whole = Request::between(b"a", b"b").encode();
    let with_flag = [&[4], &whole[1..]].concat();
    let longer = [&whole[..], b"x"].concat();
    for (bytes, reason) in [
        (&b""[..], "it ends before a byte that must be there"),
        (&with_flag, "it has flags that are not known"),
        (&longer, "there is something behind its end"),
        (&whole[..3], "it ends within a number"),
        (&whole[..13], "a length reaches beyond the end"),
    ] {
        assert_eq!(Request::decode(bytes), Err(Malformed(reason)));
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    for bytes in [&b""[..], &[4], &[0, 1], &[3], &[0, 0, 0, 0, 0, 1, 0, 0, 0]] {
        assert!(Answer::decode(bytes, false).is_err(), "{bytes:?}");
    }
    let two_too_large = [&[3][..], &[0; 16]].concat();
    assert!(Answer::decode(&two_too_large, false).is_err());
    assert!(Answer::decode(&[0, 0, 0, 0, 0, 1, 0, 0, 0], true).is_ok());
}

#[test]
fn the_hosts_limits_bound_what_is_asked_for() {
    let all = Request::between(b"", b"");
    let mut by_count = AnswerBuilder::new(&all, Vec::new());
    let mut pairs = 1;
    while by_count.push(b"key", b"value") {
        pairs += 1;
    }
    assert_eq!(pairs, MAX_PAIRS);

    let mut by_bytes = AnswerBuilder::new(&all, Vec::new());
    let value = vec![1; MAX_BYTES - PAIR_OVERHEAD];
    assert!(by_bytes.push(b"", &value));
    assert!(!by_bytes.push(b"", b"x"));
    let answer = by_bytes.finish();
    let answer = Answer::decode(&answer, false).unwrap();
    assert_eq!((answer.end(), answer.pairs().count()), (End::Bytes, 1));
}

proptest! {
    #[test]
    fn requests_survive(
        descending: bool, keys_only: bool, max_count: u32, max_bytes: u32,
        start: Vec<u8>, end: Vec<u8>,
    ) {
        let (start, end) = (&start[..], &end[..]);
        let request = Request { descending, keys_only, max_count, max_bytes, start, end };
        let bytes = request.encode();
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
    }

    #[test]
    fn any_bytes_are_read_as_they_would_be_written_or_refused(
        bytes in vec(prop_oneof![Just(0_u8), 0_u8..6, any::<u8>()], 0..40),
    ) {
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes.clone());
        }
        for keys_only in [false, true] {
            if let Ok(answer) = Answer::decode(&bytes, keys_only) {
                let length = answer.pairs().map(|it| 8 + it.key.len() + it.value.len());
                prop_assert_eq!(1 + length.sum::<usize>(), bytes.len());
            }
        }
    }

    #[test]
    fn answers_hold_the_pairs_that_fit_and_say_why_they_end(
        pairs in any_pairs(), keys_only: bool, max_count in 0_u32..8, max_bytes in 0_u32..90,
    ) {
        let request = Request { keys_only, max_count, max_bytes, ..Request::between(b"", b"") };
        let (bytes, given) = answered(&request, &pairs);
        let answer = Answer::decode(&bytes, keys_only).unwrap();
        let (end, expected) = expected(&request, &pairs);
        prop_assert_eq!(answer.end(), end);
        let has_values = !keys_only && end != End::TooLarge;
        let told: Vec<_> = answer.pairs().collect();
        let expected: Vec<_> = expected.iter().map(|(key, value)| Pair {
            key,
            value_len: u32::try_from(value.len()).unwrap(),
            value: if has_values { value } else { &[] },
        }).collect();
        prop_assert_eq!(told, expected);
        prop_assert!(end != End::Range || given == pairs.len());
    }
}
