//! The SDKs for AssemblyScript and C read and write what the one for Rust does: the guests
//! `fields_as` and `fields_c` (`guests/assemblyscript/assembly/fields.ts`, `guests/c/fields.c`)
//! tell all that they read of a block, and keep sums by every way of reading the state.

mod fields;
mod state;

use std::collections::BTreeMap;

use metashrew_runtime::{GuestFault, MetashrewRuntime, ViewError};
use metashrew_store::{BlockHash, BlockId, BlockRef, Store};
use metashrew_support::raw::Block;
use metashrew_testing::rng::Rng;
use serde_json::{Value, json};

use crate::harness::{guest, metashrew, project, succeed};
use crate::mainnet::unpack;
use fields::fields;

const GUESTS: [&str; 2] = ["fields_as", "fields_c"];

/// A guest over a state, with one block in it.
struct Indexed {
    name: &'static str,
    store: Store,
    runtime: MetashrewRuntime,
}

impl Indexed {
    fn new(name: &'static str) -> Self {
        let store = Store::in_memory();
        let runtime = MetashrewRuntime::load(guest(name), store.clone()).unwrap();
        Self {
            name,
            store,
            runtime,
        }
    }

    /// With a block, so that there is something to call views about.
    fn ready(name: &'static str) -> Self {
        let indexed = Self::new(name);
        indexed.index(1, &first_blocks()[0], &mut BTreeMap::new());
        indexed
    }

    /// Indexes a block, and adds what it writes to a state of our own.
    fn index(&self, height: u32, block: &[u8], state: &mut State) {
        let writes = self.runtime.process_block(height, block).unwrap();
        for (key, value) in writes.sorted() {
            state.insert(key.to_vec(), value.to_vec());
        }
        state.retain(|_, value| !value.is_empty());
        let hash = |height: u32| BlockHash::from_bytes([u8::try_from(height % 251).unwrap(); 32]);
        let block = BlockRef::new(height, hash(height), hash(height - 1));
        self.store.commit(&block, &writes).unwrap();
    }

    /// What a view answers, or the text of the error that it returns.
    fn view(&self, name: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        match self.runtime.view_sync(name, input, &BlockId::Latest) {
            Ok(answer) => Ok(answer.bytes.to_vec()),
            Err(ViewError::Returned { message }) => Err(message),
            Err(error) => panic!("{}: {error:?}", self.name),
        }
    }
}

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn first_blocks() -> Vec<Vec<u8>> {
    unpack(&project("examples/mainnet-blocks-1-255.dat.bz2"))
}

fn full_block(height: u32) -> Vec<u8> {
    std::fs::read(project(&format!("examples/block-{height}.bin"))).unwrap()
}

/// A block of some transactions of another one.
fn some_of(block: &[u8], from: usize, count: u8) -> Vec<u8> {
    let parsed = Block::parse(block).unwrap();
    let transactions = parsed.transactions().skip(from).take(count.into());
    let bytes: Vec<_> = transactions.map(|tx| tx.bytes()).collect();
    assert_eq!(bytes.len(), usize::from(count));
    [&block[..80], &[count], &bytes.concat()].concat()
}

#[test]
fn real_blocks_are_read_alike() {
    let mut blocks = first_blocks();
    blocks.extend([full_block(772_904), full_block(840_243)]);
    for name in GUESTS {
        let guest = Indexed::ready(name);
        for block in &blocks {
            let read = guest.view("fields", block).unwrap();
            assert!(read == fields(block).unwrap(), "{name}");
        }
    }
}

/// Makes a block hostile: a few of its bytes change, or it is cut, or goes on.
fn mutated(block: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = block.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.index(bytes.len());
        match rng.below(6) {
            0 => bytes[at] = rng.bytes::<1>()[0],
            1 => bytes[at] ^= 1 << rng.below(8),
            // What begins long counts, and what counts are.
            2 => bytes[at] = [0, 1, 0xfc, 0xfd, 0xfe, 0xff][rng.index(6)],
            3 => bytes.truncate(at.max(1)),
            4 => bytes.insert(at, rng.bytes::<1>()[0]),
            _ => {
                bytes.splice(at..at, [0xff; 9]);
            }
        }
    }
    bytes
}

#[test]
fn mutated_blocks_are_read_or_refused_alike() {
    const MUTANTS: usize = 3_000;
    let full = full_block(772_904);
    let seeds: Vec<_> = (0..20).map(|from| some_of(&full, 40 * from, 3)).collect();
    assert!(seeds.iter().all(|seed| fields(seed).is_ok()));
    let mut rng = Rng::new(13);
    let mutants: Vec<_> = (0..MUTANTS)
        .map(|number| mutated(&seeds[number % seeds.len()], &mut rng))
        .collect();
    let expect: Vec<_> = mutants.iter().map(|mutant| fields(mutant)).collect();
    // The mutants are of every sort.
    for sort in [
        "ends after",
        "followed by",
        "witness flag",
        "more bytes than it needs",
    ] {
        let is_sort = |fields: &Result<_, String>| fields.as_ref().is_err_and(|e| e.contains(sort));
        assert!(expect.iter().any(is_sort), "{sort}");
    }
    assert!(expect.iter().filter(|fields| fields.is_ok()).count() > MUTANTS / 10);
    for name in GUESTS {
        let guest = Indexed::ready(name);
        for (number, (mutant, expect)) in mutants.iter().zip(&expect).enumerate() {
            let read = guest.view("fields", mutant);
            assert!(read == *expect, "{name}: mutant {number}: {expect:?}");
        }
    }
}

#[test]
fn a_transaction_without_the_witnesses_that_it_announces() {
    let block = &first_blocks()[0];
    let parsed = Block::parse(block).unwrap();
    let bytes = parsed.transactions().next().unwrap().bytes();
    let (version, rest) = bytes.split_at(4);
    let (body, lock_time) = rest.split_at(rest.len() - 4);
    let bare = [&block[..80], &[1], version, &[0, 1], body, &[0], lock_time].concat();
    let error = fields(&bare).unwrap_err();
    assert!(error.contains("has none"), "{error}");
    for name in GUESTS {
        assert_eq!(
            Indexed::ready(name).view("fields", &bare),
            Err(error.clone())
        );
    }
}

#[test]
fn no_block_ends_the_call_with_a_message() {
    for name in GUESTS {
        let guest = Indexed::ready(name);
        let block = some_of(&full_block(840_243), 5, 2);
        assert_eq!(guest.view("count", &block).unwrap(), 2_u64.to_le_bytes());
        let cut = &block[..block.len() - 1];
        let error = guest.runtime.view_sync("count", cut, &BlockId::Latest);
        match error.unwrap_err() {
            ViewError::Guest(GuestFault::Abort { message, .. }) => {
                assert_eq!(Err(message), fields(cut), "{name}");
            }
            error => panic!("{name}: {error:?}"),
        }
        // So it ends a block, of which nothing is kept.
        let error = guest.runtime.process_block(2, cut).unwrap_err();
        assert!(
            error.to_string().contains(&fields(cut).unwrap_err()),
            "{error}"
        );
    }
}

#[test]
fn questions_are_read() {
    let answer = |number: u64, text: &str, flag: bool| {
        Ok(json!({ "number": number, "text": text, "flag": flag }))
    };
    let whole = "`number` is no whole number from 0 to 18446744073709551615";
    let cases = [
        ("", answer(7, "none", false)),
        (" {\n}\t", answer(7, "none", false)),
        (r#"{"number":0,"flag":true}"#, answer(0, "none", true)),
        (
            r#"{"number":18446744073709551615}"#,
            answer(u64::MAX, "none", false),
        ),
        (
            r#"{"text" : "é😀\n\"\\\u00e9\ud83d\ude00\/"}"#,
            answer(7, "é😀\n\"\\é😀/", false),
        ),
        (
            r#"{"\u006eumber":3,"fl\u0061g":true}"#,
            answer(3, "none", true),
        ),
        (r#"{"number":18446744073709551616}"#, Err(whole)),
        (r#"{"number":-1}"#, Err(whole)),
        (r#"{"number":1.0}"#, Err(whole)),
        (r#"{"number":"1"}"#, Err(whole)),
        (
            r#"{"text":[1,{"a":[null,-1.5e+3]}]}"#,
            Err("`text` is no text"),
        ),
        (r#"{"flag":null}"#, Err("`flag` is neither true nor false")),
        (r#"{"number":1,"numbre":2}"#, Err("unknown field `numbre`")),
        (
            r#"{"flag":true,"flag":true}"#,
            Err("field `flag` is given twice"),
        ),
        (
            r#"{"flag":true,"\u0066lag":true}"#,
            Err("field `flag` is given twice"),
        ),
        (r#"{"\u00e9\"":1}"#, Err("unknown field `é\"`")),
    ];
    for name in GUESTS {
        let guest = Indexed::ready(name);
        for (question, expect) in &cases {
            let expect = expect
                .clone()
                .map_err(|error| format!("bad input: {error}"));
            let read = guest.view("question", question.as_bytes());
            let read = read.map(|answer| serde_json::from_slice::<Value>(&answer).unwrap());
            assert_eq!(read, expect, "{name}: {question}");
        }
    }
}

#[test]
fn what_is_no_question_is_refused() {
    for name in GUESTS {
        let guest = Indexed::ready(name);
        let deep = format!(
            r#"{{"text":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let many: Vec<_> = (0..65).map(|n| format!(r#""{n}":0"#)).collect();
        let many = format!("{{{}}}", many.join(","));
        let mut broken = vec![deep, many];
        broken.extend(
            [
                "{",
                "[]",
                "7",
                "{} x",
                "{,}",
                r#"{"a"}"#,
                r#"{"a":}"#,
                r#"{"a":1,}"#,
                r#"{"a":01}"#,
                r#"{"a":1.}"#,
                r#"{"a":tru}"#,
                r#"{"a":"b}"#,
                r#"{"a":"\x"}"#,
                r#"{"a":"\u12"}"#,
                "{\"a\":\"\n\"}",
            ]
            .map(str::to_owned),
        );
        for question in broken {
            let error = guest.view("question", question.as_bytes()).unwrap_err();
            assert!(error.starts_with("bad input: "), "{name}: {error}");
        }
    }
}

/// What a question with this text, as it is written, is answered with.
fn text_of(guest: &Indexed, written: &[u8]) -> Result<String, String> {
    let question = [br#"{"text":""#, written, br#""}"#].concat();
    let answer = guest.view("question", &question)?;
    let answer: Value = serde_json::from_slice(&answer)
        .unwrap_or_else(|error| panic!("{}: {written:?}: {error}", guest.name));
    Ok(answer["text"].as_str().unwrap().to_owned())
}

#[test]
fn answers_are_json_whatever_texts_hold() {
    let bytes = (0x20..=0xff).filter(|byte| !br#""\"#.contains(byte));
    let mut texts: Vec<_> = bytes.map(|byte| vec![b'a', byte, b'b']).collect();
    // Parts of characters, longer forms of shorter ones, halves of pairs, what is above the last one.
    let broken: [&[u8]; 9] = [
        b"\xe2\x82",
        b"\xe2\x82x\x82",
        b"\xf0\x9f\x98\x80\xf0\x9f\x98",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff\xfe\xc3\xa9",
    ];
    texts.extend(broken.map(<[u8]>::to_vec));
    let halves = [
        (r"\ud800".to_owned(), "\u{fffd}".to_owned()),
        (
            r"\udfffx\ud800y".to_owned(),
            "\u{fffd}x\u{fffd}y".to_owned(),
        ),
    ];
    let escapes = (0..0x20_u8).map(|c| (format!("\\u{c:04x}"), char::from(c).to_string()));
    let escapes: Vec<_> = escapes.chain(halves).collect();
    for name in GUESTS {
        let guest = Indexed::ready(name);
        for (written, text) in &escapes {
            assert_eq!(
                text_of(&guest, written.as_bytes()).as_ref(),
                Ok(text),
                "{name}"
            );
        }
        for text in &texts {
            match text_of(&guest, text) {
                Ok(answer) if name == "fields_c" => {
                    assert_eq!(answer, String::from_utf8_lossy(text), "{text:?}");
                }
                Ok(_) => {}
                // AssemblyScript's strings have no place for what is none.
                Err(error) => assert!(
                    name == "fields_as" && std::str::from_utf8(text).is_err(),
                    "{name}: {text:?}: {error}"
                ),
            }
        }
    }
}

#[test]
fn a_description_in_c_is_told_as_it_is() {
    let inspected = succeed(
        metashrew()
            .args(["inspect", "--json"])
            .arg(guest("fields_c")),
    );
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let views = inspected["meta"]["view_functions"].as_array().unwrap();
    let question = views
        .iter()
        .find(|view| view["name"] == "question")
        .unwrap();
    assert_eq!(question["input_type"], r#"{"number","text","flag"}"#);
    assert_eq!(
        question["doc"],
        "What the SDK reads of a \"question\",\n\tand \\ é😀."
    );
}

#[test]
fn a_long_text_of_escapes_is_read() {
    let question = format!(r#"{{"text":"{}"}}"#, r"\n".repeat(300_000));
    for name in GUESTS {
        let guest = Indexed::ready(name);
        let read = guest.view("question", question.as_bytes()).unwrap();
        let read: Value = serde_json::from_slice(&read).unwrap();
        assert_eq!(read["text"].as_str().unwrap().len(), 300_000, "{name}");
    }
}
