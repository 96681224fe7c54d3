//! Bundles survive, and what is none is an error, whatever it is.

use proptest::prelude::*;

use super::*;

type Pairs = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
struct Made {
    height: u32,
    block: Vec<u8>,
    module: Option<Vec<u8>>,
    values: Pairs,
    ranges: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What it wrote, or what the fault was.
    outcome: Result<Pairs, String>,
}

impl Made {
    fn bundle(&self) -> Bundle {
        let mut reads = ReadSet::default();
        for (key, value) in &self.values {
            reads.note(key, value).unwrap();
        }
        for (start, end) in &self.ranges {
            reads.cover(start, end.as_deref()).unwrap();
        }
        let outcome = match &self.outcome {
            Err(fault) => Outcome::Failed(fault.clone()),
            Ok(pairs) => {
                let mut writes = WriteSet::default();
                for (key, value) in pairs {
                    writes.insert(key, value).unwrap();
                }
                Outcome::Wrote(writes)
            }
        };
        Bundle {
            block: Bundle::block_ref(self.height, [1; 32], [2; 32]),
            below: HistoryRoot::from_bytes([3; 32]),
            bytes: Bytes::from(self.block.clone()),
            guest: GuestId {
                sha256: [4; 32],
                name: self.module.is_some().then(|| "a guest".to_owned()),
                version: None,
            },
            module: self.module.clone().map(Bytes::from),
            reads: Arc::new(reads),
            outcome,
        }
    }
}

fn any_pairs() -> impl Strategy<Value = Pairs> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..5);
    proptest::collection::btree_map(bytes(), bytes(), 0..6)
}

fn any_made() -> impl Strategy<Value = Made> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
    let range = (bytes(4), proptest::option::of(bytes(4)));
    let outcome = prop_oneof![any_pairs().prop_map(Ok), "[a-z\n]{0,20}".prop_map(Err),];
    (
        any::<u32>(),
        bytes(100),
        proptest::option::of(bytes(50)),
        any_pairs(),
        proptest::collection::vec(range, 0..4),
        outcome,
    )
        .prop_map(|(height, block, module, values, ranges, outcome)| Made {
            height,
            block,
            module,
            values,
            ranges,
            outcome,
        })
}

fn example() -> Bundle {
    let pairs = |number: u8| (0..number).map(|it| (vec![it, 7], vec![it; 9])).collect();
    Made {
        height: 840_243,
        block: (0..200).collect(),
        module: Some(vec![5; 40]),
        values: pairs(20),
        ranges: vec![(vec![1], Some(vec![2])), (vec![9], None)],
        outcome: Ok(pairs(15)),
    }
    .bundle()
}

/// A bundle with this content, however long it says that it is.
fn packed(content: &[u8], length: u64) -> Vec<u8> {
    let mut body = Vec::new();
    varint::put(&mut body, length);
    body.extend(lz4_flex::block::compress(content));
    [MAGIC, VERSION, &checksum(&body), &body].concat()
}

fn assert_same(left: &Bundle, right: &Bundle) {
    assert_eq!(left.content(), right.content());
    assert_eq!((left.block, left.below), (right.block, right.below));
    assert_eq!(left.guest, right.guest);
    assert!(left.reads.values().eq(right.reads.values()));
    assert!(left.reads.ranges().eq(right.reads.ranges()));
}

#[test]
fn a_bundle_begins_with_a_line_that_tells_what_it_is() {
    let bytes = example().encode().unwrap();
    assert!(bytes.starts_with(b"metashrew replay bundle 1\n"));
    for (other, expect) in [
        (&b""[..], BundleError::NotABundle),
        (b"metashrew replay bundle", BundleError::NotABundle),
        (b"metashrew replay bundle x\n", BundleError::NotABundle),
        (b"\0asm", BundleError::NotABundle),
        (
            b"metashrew replay bundle 12\nand more",
            BundleError::Version {
                found: "12".to_owned(),
            },
        ),
    ] {
        assert_eq!(Bundle::decode(other).unwrap_err(), expect);
    }
}

#[test]
fn every_cut_and_every_changed_byte_is_noticed() {
    let bytes = example().encode().unwrap();
    assert_same(&Bundle::decode(&bytes).unwrap(), &example());
    for place in 0..bytes.len() {
        assert!(Bundle::decode(&bytes[..place]).is_err(), "cut at {place}");
        for bit in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[place] ^= bit;
            assert!(Bundle::decode(&changed).is_err(), "byte {place}");
        }
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(Bundle::decode(&longer).is_err());
}

#[test]
fn a_length_that_cannot_be_is_refused_before_there_is_memory_for_it() {
    let content = example().content();
    let right = content.len() as u64;
    assert!(Bundle::decode(&packed(&content, right)).is_ok());
    for wrong in [0, 1, right - 1, right + 1] {
        let error = Bundle::decode(&packed(&content, wrong)).unwrap_err();
        assert!(matches!(error, BundleError::Damaged(_)), "{wrong}: {error}");
    }
    let far = Bundle::decode(&packed(&content, 500 << 20)).unwrap_err();
    assert_eq!(far, BundleError::Damaged("it cannot be as long as it says"));
    let too_long = Bundle::decode(&packed(&content, u64::MAX)).unwrap_err();
    assert_eq!(too_long, BundleError::TooLong);
}

proptest! {
    #[test]
    fn bundles_survive(made in any_made()) {
        let bundle = made.bundle();
        let bytes = bundle.encode().unwrap();
        assert_same(&Bundle::decode(&bytes).unwrap(), &bundle);
    }

    /// A content changed by somebody who sets the checksum right is read as another one, or
    /// refused.
    #[test]
    fn a_changed_content_is_another_or_an_error(
        made in any_made(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let mut content = made.bundle().content();
        for (place, byte, kind) in changes {
            if content.is_empty() {
                break;
            }
            let place = place.index(content.len());
            match kind {
                0 => content[place] = byte,
                1 => content.truncate(place),
                2 => content.insert(place, byte),
                _ => drop(content.remove(place)),
            }
        }
        if let Ok(read) = Bundle::decode(&packed(&content, content.len() as u64)) {
            prop_assert_eq!(read.content(), content);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Bundle::decode(&bytes);
        let _ = Bundle::decode(&packed(&bytes, bytes.len() as u64));
        let body = [MAGIC, VERSION, &checksum(&bytes), &bytes].concat();
        let _ = Bundle::decode(&body);
    }
}
