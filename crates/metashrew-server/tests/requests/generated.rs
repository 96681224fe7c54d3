//! Requests made so that it is known what becomes of them: legal calls, notifications
//! and what is neither, alone and in batches.

use metashrew_server::ServerOptions;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{Config, TestRunner};

use crate::asked::Asked;
use crate::counting;
use crate::legal::{self, Answered, Told};

/// Entries of a batch.
const MAX_BATCH: usize = 8;

/// One entry, and what is answered.
#[derive(Debug, Clone)]
struct Entry {
    text: String,
    /// The id of the answer; none for a notification.
    id: Option<String>,
    /// The code of its error where that is known.
    code: Option<i64>,
}

/// Blanks as JSON has them.
fn blanks() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        1 => string_regex("[ \t\r\n]{1,200}").unwrap(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    string_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?").unwrap()
}

/// A text as JSON, some of its characters escaped though they need not be.
fn text() -> impl Strategy<Value = String> {
    let escaped = string_regex(r#""([a-z\u{80}-\u{2ff}]|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]){0,20}""#);
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        escaped.unwrap(),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![number(), text(), Just("null".to_owned())]
}

/// Any JSON.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        text(),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(r#""latest""#.to_owned()),
        Just(r#""0x00ff""#.to_owned()),
        Just("102".to_owned()),
    ];
    leaf.prop_recursive(4, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|values| format!("[{}]", values.join(","))),
            vec((text(), inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn params() -> impl Strategy<Value = String> {
    let json = vec(json(), 0..5).prop_map(|values| format!("[{}]", values.join(",")));
    let listed = |params: &'static [&'static str]| {
        let params: Vec<_> = params.iter().map(|params| (*params).to_owned()).collect();
        proptest::sample::select(params)
    };
    prop_oneof![
        json,
        listed(&[
            "[]",
            "{}",
            "null",
            r#"["echo","0x0102",102]"#,
            r#"["height",null,"latest",{"anchor":true}]"#,
            r#"{"function":"get","input":"00"}"#,
            r#"[[["echo","01"],{"function":"trap"},["echo","02",{"fresh":true}]],null,{"anchor":true}]"#,
            r#"[["echo","01","height",""]]"#,
            r#"[["00"],"echo"]"#,
            r#"[[],"echo","07"]"#,
        ]),
    ]
}

fn method() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "metashrew_view",
        "metashrew_multicall",
        "metashrew_preview",
        "metashrew_height",
        "metashrew_getblockhash",
        "metashrew_stateroot",
        "metashrew_snapshot",
        "metashrew_stats",
        "no_such",
        "metashrew_",
    ])
}

/// A call's object, its members in any order, with blanks between them.
fn object(members: Vec<(&'static str, String)>) -> impl Strategy<Value = String> {
    (Just(members).prop_shuffle(), blanks(), blanks()).prop_map(|(members, before, after)| {
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, value)| format!("{before}\"{name}\"{after}:{before}{value}{after}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

fn version() -> (&'static str, String) {
    ("jsonrpc", r#""2.0""#.to_owned())
}

fn legal_call() -> impl Strategy<Value = Entry> {
    (id(), method(), params()).prop_flat_map(|(id, method, params)| {
        let members = vec![
            version(),
            ("id", id.clone()),
            ("method", format!("\"{method}\"")),
            ("params", params),
        ];
        let unknown = matches!(method, "no_such" | "metashrew_");
        object(members).prop_map(move |text| Entry {
            text,
            id: Some(id.clone()),
            code: unknown.then_some(-32601),
        })
    })
}

fn notification() -> impl Strategy<Value = Entry> {
    (method(), params()).prop_flat_map(|(method, params)| {
        let members = vec![
            version(),
            ("method", format!("\"{method}\"")),
            ("params", params),
        ];
        object(members).prop_map(|text| Entry {
            text,
            id: None,
            code: None,
        })
    })
}

/// A call with one thing wrong in it.
fn wrong() -> impl Strategy<Value = Entry> {
    (id(), 0..8, json()).prop_flat_map(|(id, what, json)| {
        let mut members = vec![
            version(),
            ("id", id.clone()),
            ("method", r#""metashrew_height""#.to_owned()),
            ("params", "[]".to_owned()),
        ];
        let mut told = id;
        match what {
            0 => drop(members.remove(0)),
            1 => "2.0".clone_into(&mut members[0].1),
            2 => drop(members.remove(2)),
            3 => "7".clone_into(&mut members[2].1),
            4 => "\"x\"".clone_into(&mut members[3].1),
            5 => members.push(("params", json)),
            6 => {
                members[1].1 = format!("[{json}]");
                "null".clone_into(&mut told);
            }
            _ => {
                members.push(("id", json));
                "null".clone_into(&mut told);
            }
        }
        object(members).prop_map(move |text| Entry {
            text,
            id: Some(told.clone()),
            code: Some(-32600),
        })
    })
}

fn no_object() -> impl Strategy<Value = Entry> {
    let values = prop_oneof![
        number(),
        text(),
        Just("null".to_owned()),
        Just("true".to_owned())
    ];
    values.prop_map(|text| Entry {
        text,
        id: Some("null".to_owned()),
        code: Some(-32600),
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        4 => legal_call(),
        1 => notification(),
        2 => wrong(),
        1 => no_object(),
    ]
}

fn check(answer: &Told, entry: &Entry) -> Result<(), TestCaseError> {
    prop_assert_eq!(Some(&answer.id), entry.id.as_ref());
    match entry.code {
        Some(code) => prop_assert_eq!(answer.error, Some(code)),
        None => prop_assert!(!matches!(
            answer.error,
            Some(-32700 | -32600 | -32601 | -32603)
        )),
    }
    Ok(())
}

fn run<S: Strategy>(
    cases: u32,
    requests: &S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(error) = TestRunner::new(config).run(requests, check) {
        panic!("{error}");
    }
}

#[test]
fn a_call_gets_the_answer_that_is_due() {
    let _alone = counting::alone();
    let asked = Asked::new(&ServerOptions::default());
    run(
        3000,
        &(blanks(), entry(), blanks()),
        |(before, entry, after)| {
            let body = format!("{before}{}{after}", entry.text);
            let Some(answer) = asked.ask(body.into_bytes()) else {
                prop_assert_eq!(entry.id, None);
                return Ok(());
            };
            match legal::read(&answer).map_err(TestCaseError::fail)? {
                Answered::One(answer) => check(&answer, &entry),
                Answered::Batch(_) => Err(TestCaseError::fail("a batch")),
            }
        },
    );
}

#[test]
fn a_batch_gets_the_answers_that_are_due() {
    let _alone = counting::alone();
    let asked = Asked::new(&ServerOptions {
        max_batch: MAX_BATCH,
        ..ServerOptions::default()
    });
    let batches = (vec(entry(), 0..MAX_BATCH + 3), blanks());
    run(1000, &batches, |(entries, between)| {
        let texts: Vec<_> = entries.iter().map(|entry| entry.text.as_str()).collect();
        let body = format!("[{between}{}]", texts.join(&format!("{between},")));
        let answer = asked.ask(body.into_bytes());
        let whole = match entries.len() {
            0 => Some(-32600),
            length if length > MAX_BATCH => Some(-32010),
            _ => None,
        };
        let due: Vec<_> = entries.iter().filter(|entry| entry.id.is_some()).collect();
        let Some(answer) = answer else {
            prop_assert!(whole.is_none() && due.is_empty());
            return Ok(());
        };
        match (legal::read(&answer).map_err(TestCaseError::fail)?, whole) {
            (Answered::One(answer), Some(_)) => {
                let id = "null".to_owned();
                prop_assert_eq!(answer, Told { id, error: whole });
            }
            (Answered::Batch(answers), None) => {
                prop_assert_eq!(answers.len(), due.len());
                for (answer, entry) in answers.iter().zip(due) {
                    check(answer, entry)?;
                }
            }
            (answer, _) => prop_assert!(false, "{:?}", answer),
        }
        Ok(())
    });
}
