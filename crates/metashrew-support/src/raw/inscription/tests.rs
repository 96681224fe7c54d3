//! Envelopes against `ord`'s rules: its documented cases, and a naive reading over
//! the `bitcoin` crate's scripts.

use super::super::Transaction;
use super::*;
use bitcoin::opcodes::all as opcodes;
use bitcoin::script::{Builder, PushBytesBuf};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a naive reader makes of an envelope.
#[derive(Debug, PartialEq)]
struct Naive {
    input: usize,
    offset: usize,
    pushnum: bool,
    stutter: bool,
    pushes: Vec<Vec<u8>>,
}

/// Checks what a transaction inscribes.
pub(in crate::raw) fn check(tx: &Transaction<'_>, expect: &bitcoin::Transaction) {
    let ours: Vec<Envelope<'_>> = tx.envelopes().collect();
    let mut naive = Vec::new();
    for (input, script) in expect.input.iter().enumerate() {
        #[allow(deprecated, reason = "ord calls it too: it asks nobody what is spent")]
        if let Some(script) = script.witness.tapscript() {
            naive.extend(read(input, script).unwrap_or_default());
        }
    }
    assert_eq!(ours.len(), naive.len());
    for (ours, naive) in ours.iter().zip(naive) {
        check_fields(ours, &naive.pushes);
        let ours = Naive {
            input: ours.input,
            offset: ours.offset,
            pushnum: ours.pushnum,
            stutter: ours.stutter,
            pushes: ours.pushes().map(<[u8]>::to_vec).collect(),
        };
        assert_eq!(ours, naive);
    }
}

fn read(input: usize, script: &bitcoin::Script) -> Result<Vec<Naive>, bitcoin::script::Error> {
    use bitcoin::script::Instruction::{Op, PushBytes};
    let all: Vec<_> = script.instructions().collect::<Result<_, _>>()?;
    let empty = |at: usize| matches!(all.get(at), Some(PushBytes(bytes)) if bytes.is_empty());
    let (mut found, mut at, mut stuttered) = (Vec::new(), 0, false);
    while at < all.len() {
        at += 1;
        if !empty(at - 1) {
            continue;
        }
        if all.get(at) != Some(&Op(opcodes::OP_IF)) {
            stuttered = empty(at);
            continue;
        }
        at += 1;
        if !matches!(all.get(at), Some(PushBytes(bytes)) if bytes.as_bytes() == b"ord") {
            stuttered = empty(at);
            continue;
        }
        at += 1;
        let (mut pushes, mut pushnum) = (Vec::new(), false);
        let complete = loop {
            at += 1;
            match all.get(at - 1) {
                Some(Op(opcodes::OP_ENDIF)) => break true,
                Some(Op(opcodes::OP_PUSHNUM_NEG1)) => {
                    pushes.push(vec![0x81]);
                    pushnum = true;
                }
                Some(Op(op)) if (0x51..=0x60).contains(&op.to_u8()) => {
                    pushes.push(vec![op.to_u8() - 0x50]);
                    pushnum = true;
                }
                Some(PushBytes(bytes)) => pushes.push(bytes.as_bytes().to_vec()),
                _ => break false,
            }
        };
        if complete {
            let offset = found.len();
            let stutter = stuttered;
            found.push(Naive {
                input,
                offset,
                pushnum,
                stutter,
                pushes,
            });
        } else {
            stuttered = false;
        }
    }
    Ok(found)
}

/// Checks an envelope's fields against those taken from a list of its pushes.
fn check_fields(envelope: &Envelope<'_>, pushes: &[Vec<u8>]) {
    let body = (0..pushes.len())
        .step_by(2)
        .find(|at| pushes[*at].is_empty());
    let mut fields: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    let mut incomplete = false;
    for pair in pushes[..body.unwrap_or(pushes.len())].chunks(2) {
        match pair {
            [tag, value] => fields.entry(tag).or_default().push(value),
            _ => incomplete = true,
        }
    }
    let joined = |tag: u8| fields.get(&[tag][..]).map(|pieces| pieces.concat());
    assert_eq!(envelope.metadata(), joined(tag::METADATA));
    assert_eq!(envelope.properties(), joined(tag::PROPERTIES));
    for tag in [
        tag::CONTENT_TYPE,
        tag::METAPROTOCOL,
        tag::CONTENT_ENCODING,
        tag::RUNE,
    ] {
        let first = fields
            .get(&[tag][..])
            .and_then(|values| values.first().copied());
        assert_eq!(envelope.field(tag), first);
    }
    assert_eq!(envelope.has_incomplete_field(), incomplete);
    let duplicate = fields.values().any(|values| values.len() > 1);
    assert_eq!(envelope.has_duplicate_field(), duplicate);
    let ours: Option<Vec<u8>> = envelope
        .body()
        .map(|body| body.flatten().copied().collect());
    assert_eq!(ours, body.map(|at| pushes[at + 1..].concat()));
    let unrecognized = fields
        .iter()
        .any(|(tag, values)| tag[0] % 2 == 0 && !(*tag == [tag::POINTER] && values.len() == 1));
    assert_eq!(envelope.has_unrecognized_even_field(), unrecognized);
}

/// Reads a script as the tapscript of an only input.
fn envelopes_of(script: &[u8]) -> usize {
    let bytes = {
        let mut witness = bitcoin::Witness::new();
        witness.push(script);
        witness.push([0xc0; 33]);
        bitcoin::consensus::serialize(&transaction(&[witness]))
    };
    check_encoded(&bytes)
}

fn transaction(witnesses: &[bitcoin::Witness]) -> bitcoin::Transaction {
    let input = |witness: &bitcoin::Witness| bitcoin::TxIn {
        witness: witness.clone(),
        ..bitcoin::TxIn::default()
    };
    bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: witnesses.iter().map(input).collect(),
        output: Vec::new(),
    }
}

fn check_encoded(bytes: &[u8]) -> usize {
    let block = [&[0; 80][..], &[1], bytes].concat();
    let block = crate::raw::Block::parse(&block).unwrap();
    let tx = block.transactions().next().unwrap();
    check(&tx, &bitcoin::consensus::deserialize(bytes).unwrap());
    tx.envelopes().count()
}

fn push(builder: Builder, bytes: &[u8]) -> Builder {
    builder.push_slice(PushBytesBuf::try_from(bytes.to_vec()).unwrap())
}

fn begin() -> Builder {
    Builder::new()
        .push_opcode(bitcoin::opcodes::OP_FALSE)
        .push_opcode(opcodes::OP_IF)
}

/// The only envelope of those pushes.
fn with<T>(pushes: &[&[u8]], look: impl FnOnce(Envelope<'_>) -> T) -> T {
    let script = pushes
        .iter()
        .fold(push(begin(), b"ord"), |script, bytes| push(script, bytes));
    let script = script.push_opcode(opcodes::OP_ENDIF).into_script();
    assert_eq!(envelopes_of(script.as_bytes()), 1);
    let mut items = vec![2, u8::try_from(script.len()).unwrap()];
    items.extend(script.as_bytes());
    items.push(0);
    let mut reader = super::super::reader::Reader::new(&items);
    let witness = Witness::read(&mut reader).unwrap();
    look(envelopes(0, &witness).next().unwrap())
}

#[test]
fn fields_and_body_are_read() {
    let body = |pushes: &[&[u8]]| {
        with(pushes, |envelope| {
            envelope
                .body()
                .map(|body| body.flatten().copied().collect::<Vec<u8>>())
        })
    };
    assert_eq!(body(&[&[1], b"text/plain"]), None);
    assert_eq!(
        body(&[&[1], b"text/plain", &[], b"foo", b"bar"]),
        Some(b"foobar".to_vec())
    );
    assert_eq!(body(&[&[], b"foo", &[], b"bar"]), Some(b"foobar".to_vec()));
    assert_eq!(body(&[&[1], &[], &[], &[]]), Some(vec![]));
    assert_eq!(body(&[&[99]]), None);
    with(
        &[&[1], b"text/plain", &[7], b"brc", &[1], b"other"],
        |envelope| {
            assert_eq!(envelope.content_type(), Some(&b"text/plain"[..]));
            assert_eq!(envelope.field(tag::METAPROTOCOL), Some(&b"brc"[..]));
            assert_eq!(envelope.field(tag::NOP), None);
            assert!(envelope.has_duplicate_field());
            assert!(!envelope.has_unrecognized_even_field());
        },
    );
    let unrecognized = |pushes: &[&[u8]]| with(pushes, |it| it.has_unrecognized_even_field());
    assert!(!unrecognized(&[&[2], &[1]]));
    assert!(unrecognized(&[&[2], &[1], &[2], &[0]]));
    assert!(unrecognized(&[&[66], &[1]]));
    assert!(unrecognized(&[&[2, 1], &[1]]));
    assert!(!unrecognized(&[&[255], &[0]]));
    assert!(!unrecognized(&[&[], &[22], &[0]]));
}

#[test]
fn pointers_are_little_endian_and_end_in_any_zeros() {
    let pointer = |value: &[u8]| with(&[&[2], value], |envelope| envelope.pointer());
    assert_eq!(pointer(&[]), Some(0));
    assert_eq!(pointer(&[0xff]), Some(255));
    assert_eq!(pointer(&[0, 1]), Some(256));
    assert_eq!(pointer(&[0, 1, 0]), Some(256));
    assert_eq!(pointer(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some(1));
    assert_eq!(pointer(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]), None);
    assert_eq!(pointer(&[255; 8]), Some(u64::MAX));
    assert_eq!(with(&[&[1], &[]], |envelope| envelope.pointer()), None);
}

#[test]
fn parents_and_delegates_are_ids() {
    let value = |number: &[u8]| [&[7; 32], number].concat();
    let read = |number: &[u8]| InscriptionId::from_value(&value(number)).map(|id| id.index);
    assert_eq!(read(&[]), Some(0));
    assert_eq!(read(&[1]), Some(1));
    assert_eq!(read(&[0]), None);
    assert_eq!(read(&[0, 1]), Some(256));
    assert_eq!(read(&[1, 0]), None);
    assert_eq!(read(&[1, 0, 0, 0]), Some(1));
    assert_eq!(read(&[0, 0, 0, 0]), Some(0));
    assert_eq!(read(&[0, 0, 0, 0, 1]), None);
    assert_eq!(InscriptionId::from_value(&[7; 31]), None);
    for index in [0, 1, 255, 256, 1 << 24, u32::MAX] {
        let id = InscriptionId {
            txid: [9; 32],
            index,
        };
        assert_eq!(InscriptionId::from_value(&id.to_value()), Some(id));
    }
    with(
        &[
            &[3],
            &value(&[1]),
            &[3],
            &value(&[0]),
            &[3],
            &value(&[2]),
            &[11],
            &value(&[]),
        ],
        |it| {
            let parents: Vec<u32> = it.parents().map(|id| id.index).collect();
            assert_eq!(parents, [1, 2]);
            assert_eq!(it.delegate().map(|id| id.index), Some(0));
        },
    );
}

#[test]
fn what_is_no_envelope_is_passed_over() {
    let ord = || push(begin(), b"ord");
    let count = |script: Builder| envelopes_of(script.as_bytes());
    assert_eq!(count(ord()), 0);
    assert_eq!(count(ord().push_opcode(opcodes::OP_ENDIF)), 1);
    assert_eq!(
        count(push(begin(), b"foo").push_opcode(opcodes::OP_ENDIF)),
        0
    );
    assert_eq!(
        count(
            ord()
                .push_opcode(opcodes::OP_DUP)
                .push_opcode(opcodes::OP_ENDIF)
        ),
        0
    );
    let whole = ord().push_opcode(opcodes::OP_ENDIF).into_bytes();
    assert_eq!(envelopes_of(&whole[1..]), 0);
    assert_eq!(envelopes_of(&[&whole[..], &whole].concat()), 2);
    assert_eq!(envelopes_of(&[&whole[..], &[0x01]].concat()), 0);
    let with_preceding = [&[0xac], &whole[..], &[0xac]].concat();
    assert_eq!(envelopes_of(&with_preceding), 1);
}

#[test]
fn a_stutter_is_the_last_thing_that_began_like_an_envelope() {
    let stutters = |start: &[u8]| {
        let script = [start, &[0, 0x63, 3], b"ord", &[0x68]].concat();
        assert!(envelopes_of(&script) > 0);
        let length = u8::try_from(script.len()).unwrap();
        let items = [&[2, length][..], &script, &[0]].concat();
        let witness = Witness::read(&mut super::super::reader::Reader::new(&items)).unwrap();
        envelopes(0, &witness).last().unwrap().stutter
    };
    assert!(!stutters(&[]));
    assert!(stutters(&[0]));
    assert!(stutters(&[0, 0x63]));
    assert!(stutters(&[0, 0x63, 0, 0x63]));
    assert!(!stutters(&[0, 0, 0x84]));
    // What began and was no envelope ends it, too.
    assert!(!stutters(&[0, 0, 0x63, 3, b'o', b'r', b'd', 0x76]));
    // As in `ord`, an envelope does not.
    assert!(stutters(&[0, 0, 0x63, 3, b'o', b'r', b'd', 0x68]));
}

#[test]
fn the_script_is_the_last_item_but_one_without_the_annex() {
    let script = push(begin(), b"ord")
        .push_opcode(opcodes::OP_ENDIF)
        .into_bytes();
    let count = |items: &[&[u8]]| {
        let witness = bitcoin::Witness::from_slice(items);
        check_encoded(&bitcoin::consensus::serialize(&transaction(&[
            bitcoin::Witness::from_slice(&[[1]]),
            witness,
        ])))
    };
    assert_eq!(count(&[&script]), 0);
    assert_eq!(count(&[&script, &[]]), 1);
    assert_eq!(count(&[&script, &[0x50]]), 0);
    assert_eq!(count(&[&script, &[0xc0], &[0x50, 1]]), 1);
    assert_eq!(count(&[&[1; 64], &script, &[0xc0]]), 1);
    assert_eq!(count(&[&script, &[1], &[0xc0]]), 0);
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(vec![0, 0x63, 3, b'o', b'r', b'd']),
        2 => Just(vec![0x68]),
        2 => Just(vec![0]),
        1 => Just(vec![0x63]),
        1 => Just(vec![0x4c, 0]),
        1 => Just(vec![0x4c, 3, b'o', b'r', b'd']),
        2 => (0..20u8).prop_map(|tag| vec![1, tag]),
        1 => Just(vec![2, 2, 1]),
        1 => (0x4f..0x61u8).prop_map(|op| vec![op]),
        1 => proptest::collection::vec(any::<u8>(), 0..9)
            .prop_map(|bytes| [&[u8::try_from(bytes.len()).unwrap()][..], &bytes].concat()),
        1 => any::<u8>().prop_map(|op| vec![op]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_script_holds_what_a_naive_reading_finds(script in script()) {
        envelopes_of(&script);
    }

    #[test]
    fn any_witness_is_read(
        items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..4),
        script in script(),
        at in 0..4usize,
    ) {
        let mut items = items;
        items.insert(at.min(items.len()), script);
        let witness = bitcoin::Witness::from_slice(&items);
        check_encoded(&bitcoin::consensus::serialize(&transaction(&[witness])));
    }
}
