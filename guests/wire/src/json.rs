//! Views that take a JSON object and answer with one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;

/// An answer that is an error: `{"error": "what is wrong"}`.
#[derive(Debug, Serialize)]
struct Failure {
    error: String,
}

/// Answers a JSON question with JSON. An empty input is the question `{}`.
///
/// A question that cannot be read or answered gets `{"error": "…"}`, so that
/// nobody's bad question ends the guest that answers everyone else's.
///
/// # Panics
/// Never: a text is valid JSON.
pub fn answer<Question: DeserializeOwned, Answer: Serialize>(
    input: &[u8],
    answer: impl FnOnce(Question) -> Result<Answer, String>,
) -> Result<Vec<u8>, Infallible> {
    let input = if input.trim_ascii().is_empty() {
        b"{}"
    } else {
        input
    };
    let question = serde_json::from_slice(input).map_err(|error| format!("bad input: {error}"));
    let answer = question
        .and_then(answer)
        .and_then(|answer| serde_json::to_vec(&answer).map_err(|error| error.to_string()));
    Ok(answer.unwrap_or_else(|error| {
        serde_json::to_vec(&Failure { error }).expect("a text is valid JSON")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Question {
        #[serde(default)]
        number: u32,
    }

    fn check(input: &str, expect: &str) {
        let answer = answer(input.as_bytes(), |question: Question| {
            let half = (question.number % 2 == 0).then_some(question.number / 2);
            half.map(|half| [half])
                .ok_or_else(|| "odd \"number\"".to_owned())
        });
        assert_eq!(String::from_utf8(answer.unwrap()).unwrap(), expect);
    }

    #[test]
    fn questions_get_answers_and_bad_ones_errors() {
        check(r#"{"number":4}"#, "[2]");
        check("", "[0]");
        check(" \n", "[0]");
        check(r#"{"number":3}"#, r#"{"error":"odd \"number\""}"#);
        check(
            "{",
            r#"{"error":"bad input: EOF while parsing an object at line 1 column 1"}"#,
        );
        check(
            r#"{"nmber":4}"#,
            r#"{"error":"bad input: unknown field `nmber`, expected `number` at line 1 column 8"}"#,
        );
    }
}
