//! What scripts are read as equals what the `bitcoin` crate reads.

use super::*;
use bitcoin::Script;
use proptest::prelude::*;

/// Checks how a script is read.
pub(in crate::raw) fn check(script: &[u8]) {
    let expect = Script::from_bytes(script);
    check_instructions(script, expect);
    let kind = ScriptKind::of(script);
    let is = |expected: bool, found: bool| assert_eq!(found, expected, "{kind:?} {expect}");
    is(expect.is_p2pkh(), matches!(kind, ScriptKind::P2pkh { .. }));
    is(expect.is_p2sh(), matches!(kind, ScriptKind::P2sh { .. }));
    is(
        expect.is_p2wpkh(),
        matches!(kind, ScriptKind::P2wpkh { .. }),
    );
    is(expect.is_p2wsh(), matches!(kind, ScriptKind::P2wsh { .. }));
    is(expect.is_p2tr(), matches!(kind, ScriptKind::P2tr { .. }));
    is(
        expect.is_op_return(),
        matches!(kind, ScriptKind::OpReturn { .. }),
    );
    let program = matches!(
        kind,
        ScriptKind::P2wpkh { .. }
            | ScriptKind::P2wsh { .. }
            | ScriptKind::P2tr { .. }
            | ScriptKind::Witness { .. }
    );
    is(expect.is_witness_program(), program);
    match kind {
        // They ask neither for a key's first byte nor, in a multisig, for its length.
        ScriptKind::P2pk { key } => assert!(expect.is_p2pk() && is_key(key)),
        ScriptKind::Multisig { required, keys } => {
            let keys: Vec<_> = keys.iter().collect();
            assert!(usize::from(required) <= keys.len() && keys.iter().all(|key| is_key(key)));
            assert!(expect.is_multisig() || keys.len() > 16);
        }
        ScriptKind::P2pkh { hash } | ScriptKind::P2sh { hash } | ScriptKind::P2wpkh { hash } => {
            assert!(script.windows(20).any(|part| part == hash));
        }
        ScriptKind::P2wsh { hash: part } | ScriptKind::P2tr { key: part } => {
            assert_eq!(script[2..], part[..]);
        }
        ScriptKind::Witness { version, program } => {
            let theirs = expect.witness_version().unwrap().to_num();
            assert_eq!((version, program), (theirs, &script[2..]));
        }
        ScriptKind::OpReturn { data } => assert_eq!(data, &script[1..]),
        ScriptKind::Other => {}
    }
}

fn is_key(bytes: &[u8]) -> bool {
    matches!((bytes.len(), bytes[0]), (33, 2 | 3) | (65, 4 | 6 | 7))
}

fn check_instructions(script: &[u8], expect: &Script) {
    let mut theirs = expect.instructions();
    for ours in instructions(script) {
        match (ours, theirs.next().unwrap()) {
            (Ok(Instruction::Push(ours)), Ok(bitcoin::script::Instruction::PushBytes(theirs))) => {
                assert_eq!(ours, theirs.as_bytes());
            }
            (Ok(Instruction::Op(ours)), Ok(bitcoin::script::Instruction::Op(theirs))) => {
                assert_eq!(ours, theirs.to_u8());
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("{ours:?} {theirs:?}"),
        }
    }
    assert!(theirs.next().is_none());
}

#[test]
fn a_cut_push_is_the_last_item() {
    for script in [
        &[2, 1][..],
        &[0x4c],
        &[0x4c, 2, 1],
        &[0x4d, 1],
        &[0x4e, 1, 0, 0],
    ] {
        let left = script.len() - 1;
        let read: Vec<_> = instructions(script).collect();
        assert_eq!(read, [Err(ScriptError { left })], "{script:?}");
    }
    assert_eq!(instructions(&[]).next(), None);
}

#[test]
fn pushes_end_at_the_first_that_is_none() {
    let read = |script: &[u8]| {
        pushes(script)
            .map(|push| push.map(<[u8]>::to_vec))
            .collect()
    };
    let check = |script: &[u8], expect: &[Option<&[u8]>]| {
        let read: Vec<Option<Vec<u8>>> = read(script);
        let expect: Vec<_> = expect.iter().map(|push| push.map(<[u8]>::to_vec)).collect();
        assert_eq!(read, expect, "{script:?}");
    };
    check(&[], &[]);
    check(&[0, 1, 7], &[Some(&[]), Some(&[7])]);
    check(&[1, 7, op::DUP, 1, 8], &[Some(&[7]), None]);
    check(&[1, 7, 9, 1], &[Some(&[7]), None]);
}

fn multisig(required: &[u8], keys: &[&[u8]], count: &[u8]) -> Vec<u8> {
    let keys = keys
        .iter()
        .flat_map(|key| [&[u8::try_from(key.len()).unwrap()][..], key].concat());
    let script = required.iter().copied().chain(keys);
    script
        .chain(count.iter().copied())
        .chain([op::CHECKMULTISIG])
        .collect()
}

#[test]
fn multisigs_are_read_as_bitcoin_core_reads_them() {
    let key = [&[2][..], &[9; 32]].concat();
    let long = [&[4][..], &[9; 64]].concat();
    let wrong = [&[5][..], &[9; 32]].concat();
    let read = |script: &[u8]| {
        check(script);
        match ScriptKind::of(script) {
            ScriptKind::Multisig { required, keys } => Some((required, keys.iter().count())),
            kind => {
                assert_eq!(kind, ScriptKind::Other);
                None
            }
        }
    };
    assert_eq!(read(&multisig(&[0x51], &[&key], &[0x51])), Some((1, 1)));
    assert_eq!(
        read(&multisig(&[0x52], &[&key, &long, &key], &[0x53])),
        Some((2, 3))
    );
    let twenty = vec![&key[..]; 20];
    assert_eq!(read(&multisig(&[0x60], &twenty, &[1, 20])), Some((16, 20)));
    assert_eq!(read(&multisig(&[1, 17], &twenty, &[1, 20])), Some((17, 20)));
    assert_eq!(read(&multisig(&[0x51], &twenty, &[0x4c, 1, 20])), None);
    assert_eq!(
        read(&multisig(&[0x51], &vec![&key[..]; 21], &[1, 21])),
        None
    );
    assert_eq!(read(&multisig(&[0x53], &[&key, &key], &[0x52])), None);
    assert_eq!(read(&multisig(&[0x51], &[&key, &key], &[0x51])), None);
    assert_eq!(read(&multisig(&[0x51], &[&key, &wrong], &[0x52])), None);
    assert_eq!(read(&multisig(&[0x00], &[&key], &[0x51])), None);
    assert_eq!(read(&multisig(&[0x51], &[], &[0x51])), None);
    assert_eq!(
        read(&[multisig(&[0x51], &[&key], &[0x51]), vec![0x61]].concat()),
        None
    );
}

#[test]
fn keys_are_told_by_their_first_byte_and_length() {
    let pay = |first: u8, length: u8| {
        let mut script = vec![9; usize::from(length) + 2];
        script[0] = length;
        script[1] = first;
        *script.last_mut().unwrap() = op::CHECKSIG;
        check(&script);
        matches!(ScriptKind::of(&script), ScriptKind::P2pk { .. })
    };
    for (first, length, expect) in [
        (2, 33, true),
        (3, 33, true),
        (4, 33, false),
        (4, 65, true),
        (7, 65, true),
        (2, 65, false),
        (2, 34, false),
    ] {
        assert_eq!(pay(first, length), expect, "{first} {length}");
    }
}

/// Scripts near the standard ones.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(vec![0xa9, 20]),
        Just(vec![0x76, 0xa9, 20]),
        Just(vec![0x88, 0xac]),
        Just(vec![0x87]),
        Just(vec![0, 20]),
        Just(vec![0, 32]),
        Just(vec![0x51, 32]),
        Just(vec![0x6a]),
        Just(vec![33, 2]),
        Just(vec![0xac]),
        Just(vec![0x52]),
        Just(vec![0xae]),
        (0..70usize).prop_map(|length| vec![7; length]),
        Just(vec![7; 20]),
        Just(vec![7; 32]),
        any::<u8>().prop_map(|byte| vec![byte]),
        Just(vec![0x4c, 3, 1, 2, 3]),
        Just(vec![0x4e, 1, 0, 0, 0, 9]),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_script_is_read_as_the_bitcoin_crate_reads_it(script in near()) {
        check(&script);
    }
}
