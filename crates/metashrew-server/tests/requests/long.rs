//! Long requests take no more memory than their length and what is answered.

use metashrew_server::ServerOptions;
use serde_json::Value;

use crate::asked::Asked;
use crate::{counting, legal};

/// Bytes of a request: as many as it may have by default. Compiled for debugging, a fifth of
/// them take as long.
const LENGTH: usize = if cfg!(debug_assertions) {
    8 << 20
} else {
    40 << 20
};

/// `start`, then `each` over and over, then `end`.
fn filled(start: &str, each: &str, end: &str) -> Vec<u8> {
    let room = LENGTH - start.len() - end.len() - each.len();
    let all = format!("{each},").repeat(room / (each.len() + 1));
    [start, &all, each, end].concat().into_bytes()
}

fn call(method: &str, params: &str) -> (String, String) {
    let start =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"metashrew_{method}","params":{params}"#);
    let close: String = params
        .chars()
        .rev()
        .filter_map(|open| match open {
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        })
        .collect();
    (start, format!("{close}}}"))
}

/// The answer to a long request that took at most so many bytes besides its body.
fn answer(asked: &Asked, body: Vec<u8>, most: usize) -> Value {
    let start = String::from_utf8_lossy(&body[..80]).into_owned();
    let (answer, took) = counting::most(|| asked.ask(body).unwrap());
    assert!(took <= most, "{start}…: {took} bytes");
    legal::read(&answer).unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn what_is_too_much_is_counted_and_not_kept() {
    let _alone = counting::alone();
    let asked = Asked::new(&ServerOptions::default());
    let small = 2 << 20;
    let check = |body: Vec<u8>, code: i64| {
        let answer = answer(&asked, body, small);
        assert_eq!(answer["error"]["code"], code, "{answer}");
        answer
    };
    for each in ["0", "{}", "[]", "\"\""] {
        let told = check(filled("[", each, "]"), -32010);
        let data = &told["error"]["data"];
        let entries = (LENGTH - 2 - each.len()) / (each.len() + 1);
        assert!(data["length"].as_u64().unwrap().abs_diff(entries as u64) <= 2);
    }
    for (method, params, each, code) in [
        ("multicall", "[[", "0", -32010),
        ("multicall", "[[", "[]", -32010),
        ("multicall", "[[", "[\"echo\"]", -32010),
        ("multicall", "[[", "\"echo\",\"\"", -32010),
        ("multicall", "{\"calls\":[", "0", -32010),
        ("preview", "[[", "0", -32602),
        ("preview", "[[", "\"\"", -32602),
        ("height", "[", "0", -32602),
        ("view", "[\"echo\",", "0", -32602),
        ("view", "{", "\"function\":\"echo\"", -32602),
        ("view", "{", "\"a\":0", -32602),
        ("view", "[\"echo\",\"\",null,{", "\"fresh\":true", -32602),
    ] {
        let (start, end) = call(method, params);
        check(filled(&start, each, &end), code);
    }
    let (start, _) = call("height", "[");
    let members = filled(&format!("{start}],"), "\"a\":0", "}");
    check(members, -32600);
    check(filled("", "[", ""), -32700);
    check(vec![b'['; LENGTH], -32700);
}

#[test]
fn a_batch_of_multicalls_is_read_in_turn() {
    let _alone = counting::alone();
    let asked = Asked::new(&ServerOptions {
        max_response: 256 << 20,
        ..ServerOptions::default()
    });
    let calls = format!("[[\"no\"]{}]", ",[\"no\"]".repeat(999));
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"metashrew_multicall","params":[{calls},99]}}"#
    );
    let batch = format!("[{call}{}]", format!(",{call}").repeat(999));
    // What is answered is a few hundred bytes a call of the batch.
    let answer = answer(&asked, batch.into_bytes(), 4 << 20);
    let answers = answer.as_array().unwrap();
    assert_eq!(answers.len(), 1000);
    assert!(
        answers
            .iter()
            .all(|answer| answer["error"]["code"] == -32001)
    );
}

#[test]
fn a_long_input_is_held_as_bytes() {
    let _alone = counting::alone();
    let asked = Asked::new(&ServerOptions::default());
    let input = "ab".repeat(8 << 20);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"metashrew_view","params":["echo","{input}"]}}"#
    );
    // Input and answer as bytes, and the answer in hex, twice: as it is sent, and as the test
    // has it.
    let answer = answer(&asked, body.into_bytes(), 6 * (8 << 20) + (4 << 20));
    assert_eq!(answer["result"].as_str().unwrap().len(), input.len() + 2);
}

#[test]
fn what_an_error_quotes_is_short() {
    let _alone = counting::alone();
    let asked = Asked::new(&ServerOptions::default());
    let long = "a".repeat(30 << 20);
    for params in [
        format!(r#"{{"{long}":1}}"#),
        format!(r#"["echo","","{long}"]"#),
    ] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"metashrew_view","params":{params}}}"#);
        let body = body.into_bytes();
        let answer = asked.ask(body).unwrap();
        assert!(answer.len() < 1000, "{}", answer.len());
    }
}
