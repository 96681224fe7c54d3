//! Real requests with bytes and parts of them changed at random: no panic, always a
//! legal answer, and no memory that grows with them.

use std::collections::BTreeMap;

use metashrew_server::ServerOptions;
use metashrew_testing::rng::Rng;
use serde::de::IgnoredAny;

use crate::asked::Asked;
use crate::legal::{self, Answered};
use crate::{counting, legal::Told};

/// How many requests are sent, if the environment says nothing else.
const REQUESTS: u64 = 50_000;

/// The environment's word for it: 1000000 for a thorough run.
const VARIABLE: &str = "METASHREW_FUZZ_REQUESTS";

const CORPUS: &str = include_str!("corpus.txt");

/// What is put into requests: words that mean something, and some that break things.
const WORDS: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "0x",
    "0X0x",
    "latest",
    "pending",
    "170",
    "id",
    "\"id\":1,",
    "jsonrpc",
    "\"params\":[],",
    "method",
    "echo",
    "trap",
    "height",
    "options",
    "anchor",
    "session",
    "timeout_ms",
    " \t\r\n",
    "é",
    "\u{1f980}",
    "\u{feff}",
];

/// One request of the corpus, changed a few times.
fn request(rng: &mut Rng, corpus: &[&[u8]]) -> Vec<u8> {
    let mut body = corpus[rng.index(corpus.len())].to_vec();
    for _ in 0..rng.index(5) {
        mutate(rng, &mut body, corpus);
    }
    body
}

fn mutate(rng: &mut Rng, body: &mut Vec<u8>, corpus: &[&[u8]]) {
    let place = rng.index(body.len() + 1);
    let end = (place + rng.index(24)).min(body.len());
    match rng.index(9) {
        0 => drop(body.drain(place..end)),
        1 => {
            let part = body[place..end].to_vec();
            body.splice(place..place, part);
        }
        2 | 3 => {
            let word = WORDS[rng.index(WORDS.len())];
            body.splice(place..place, word.bytes());
        }
        4 => {
            let word = WORDS[rng.index(WORDS.len())];
            body.splice(place..end, word.bytes());
        }
        5 => {
            if let Some(byte) = body.get_mut(place) {
                *byte ^= 1 << rng.index(8);
            }
        }
        6 => body.truncate(place),
        7 => {
            let other = corpus[rng.index(corpus.len())];
            let from = rng.index(other.len() + 1);
            body.truncate(place);
            body.extend_from_slice(&other[from..]);
        }
        _ => {
            let entry = body.clone();
            body.insert(0, b'[');
            body.push(b',');
            body.extend_from_slice(&entry);
            body.push(b']');
        }
    }
    body.truncate(4096);
}

/// Checks the answer to a body as far as the body alone tells it. Says of which kind it is.
fn check(body: &[u8], answer: Option<&[u8]>) -> Result<Kind, String> {
    let text = std::str::from_utf8(body).ok();
    let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let answer = answer.map(legal::read).transpose()?;
    let unreadable = |told: &Told| told.error == Some(-32700);
    match &answer {
        None if is_json => Ok(()),
        Some(Answered::One(told)) if unreadable(told) != is_json => Ok(()),
        Some(Answered::Batch(told)) if is_json && !told.iter().any(unreadable) => Ok(()),
        _ => Err(format!("{answer:?}")),
    }?;
    let told = match answer {
        None => return Ok(Kind::Silence),
        Some(Answered::One(told)) => vec![told],
        Some(Answered::Batch(told)) => told,
    };
    if told.iter().any(|told| told.error == Some(-32603)) {
        return Err("a defect".to_owned());
    }
    Ok(if told.iter().any(|told| told.error.is_none()) {
        Kind::Result
    } else if is_json {
        Kind::Error
    } else {
        Kind::NoJson
    })
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Silence,
    Result,
    Error,
    NoJson,
}

#[test]
fn whatever_is_sent_is_answered_legally_and_leaves_nothing() {
    let _alone = counting::alone();
    let requests = std::env::var(VARIABLE).map_or(REQUESTS, |text| text.parse().unwrap());
    let asked = Asked::new(&ServerOptions {
        max_batch: 16,
        ..ServerOptions::default()
    });
    let corpus: Vec<_> = CORPUS.lines().map(str::as_bytes).collect();
    let mut rng = Rng::new(7);
    let mut halfway = 0;
    let mut kinds = BTreeMap::new();
    for number in 0..requests {
        if number == requests / 2 {
            halfway = counting::in_use();
        }
        let body = request(&mut rng, &corpus);
        let answer = asked.ask(body.clone());
        match check(&body, answer.as_deref()) {
            Ok(kind) => *kinds.entry(kind).or_insert(0_u64) += 1,
            Err(error) => panic!("request {number}, `{}`: {error}", body.escape_ascii()),
        }
    }
    let grown = counting::in_use().saturating_sub(halfway);
    // What is sent is neither all nonsense nor all sense.
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(
        kinds.values().all(|count| *count > requests / 100),
        "{kinds:?}"
    );
    // Buffers and tables have their sizes by then; a leak of a few bytes a request shows.
    let most = (1 << 20) + requests / 2 * 8;
    assert!(
        grown as u64 <= most,
        "{grown} bytes more after {requests} requests"
    );
}
