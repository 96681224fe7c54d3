//! What consumers make of the events that they are told, compared with the model at each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::{Model, State};

/// One that keeps what it is told, and can resume.
pub(crate) struct Consumer {
    topic: Topic,
    /// Up to where it was told.
    pub(crate) cursor: Option<String>,
}

enum Topic {
    /// The cursors of the blocks that it was told, from some block on.
    Heads(Vec<String>),
    /// The prefix, and the keys that begin with it.
    Writes(&'static [u8], State),
    /// The key, and the answer.
    View(&'static [u8], Option<Vec<u8>>),
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn cursor_of(block: &Value) -> String {
    format!("{}:{}", block["height"], block["hash"].as_str().unwrap())
}

fn filtered(state: &State, prefix: &[u8]) -> State {
    let has_prefix = |(key, _): &(&Vec<u8>, &Vec<u8>)| key.starts_with(prefix);
    let kept = state.iter().filter(has_prefix);
    kept.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

impl Consumer {
    pub(crate) fn heads() -> Self {
        Self::new(Topic::Heads(Vec::new()))
    }

    pub(crate) fn writes(prefix: &'static [u8]) -> Self {
        Self::new(Topic::Writes(prefix, BTreeMap::new()))
    }

    pub(crate) fn view(key: &'static [u8]) -> Self {
        Self::new(Topic::View(key, None))
    }

    fn new(topic: Topic) -> Self {
        Self {
            topic,
            cursor: None,
        }
    }

    /// What it asks for: to go on from where it is, or to begin at the tip or before all.
    pub(crate) fn params(&self, from_first: bool) -> Value {
        let mut params = match &self.topic {
            Topic::Heads(_) => json!({ "kind": "heads" }),
            Topic::Writes(prefix, _) => json!({ "kind": "writes", "prefix": hex::encode(prefix) }),
            Topic::View(key, _) => {
                json!({ "kind": "view", "function": "get", "input": hex::encode(key) })
            }
        };
        if let Some(cursor) = &self.cursor {
            params["cursor"] = json!(cursor);
        } else if from_first {
            params["from"] = json!("first");
        }
        params
    }

    /// Forgets all.
    pub(crate) fn begin_anew(&mut self) {
        self.cursor = None;
        match &mut self.topic {
            Topic::Heads(blocks) => blocks.clear(),
            Topic::Writes(_, state) => state.clear(),
            Topic::View(_, answer) => *answer = None,
        }
    }

    /// Takes an event, and compares what it has then with the database at that block.
    pub(crate) fn take(&mut self, event: &Value, model: &Model) {
        let kind = event["type"].as_str().unwrap();
        assert_eq!(event.get("part"), None);
        let Some(cursor) = event["cursor"].as_str() else {
            panic!("{event} has no cursor");
        };
        if kind == "behind" {
            assert!(self.cursor.is_none() || self.cursor.as_deref() == Some(cursor));
            return;
        }
        let before = self.cursor.replace(cursor.to_owned());
        let before = before.as_deref().map(|before| model.normal(before));
        let cursor = model.normal(cursor);
        match &mut self.topic {
            Topic::Heads(blocks) => heads(blocks, event, cursor),
            Topic::Writes(prefix, state) => {
                writes(state, event, before.is_none());
                if before.is_none() && kind == "position" {
                    *state = filtered(&model.state(cursor), prefix);
                }
                assert_eq!(*state, filtered(&model.state(cursor), prefix), "{event}");
            }
            Topic::View(key, answer) => {
                let value = |cursor: &str| {
                    let value = model.state(cursor).get(*key).cloned();
                    Some(value.unwrap_or_default())
                };
                view(answer, event, (before, cursor), model, value);
                if cursor == "first" {
                    *answer = None;
                } else {
                    assert_eq!(*answer, value(cursor), "{event}");
                }
            }
        }
    }
}

/// The blocks that it is told stand on each other.
fn heads(blocks: &mut Vec<String>, event: &Value, cursor: &str) {
    match event["type"].as_str().unwrap() {
        "block" => {
            if let Some(last) = blocks.last().filter(|last| *last != "first") {
                let parent = event["parent"].as_str().unwrap();
                assert!(last.ends_with(parent), "{event} on {last}");
            }
            blocks.push(cursor.to_owned());
        }
        "undo" => {
            for undone in event["undone"].as_array().unwrap() {
                if let Some(last) = blocks.pop() {
                    assert_eq!(last, cursor_of(undone), "{event}");
                }
            }
            match blocks.last() {
                Some(last) => assert_eq!(last, cursor),
                None => blocks.push(cursor.to_owned()),
            }
        }
        "position" => match blocks.last() {
            Some(last) => assert_eq!(last, cursor),
            None => blocks.push(cursor.to_owned()),
        },
        other => panic!("{other}"),
    }
}

fn writes(state: &mut State, event: &Value, is_first: bool) {
    match event["type"].as_str().unwrap() {
        "block" | "undo" => {
            let writes = event["writes"].as_array().unwrap();
            assert!(!writes.is_empty() || event["type"] == "undo" || is_first);
            let mut last = None;
            for write in writes {
                let (key, value) = (bytes(&write["key"]), bytes(&write["value"]));
                assert!(last.is_none_or(|last| last < key), "{event}");
                if value.is_empty() {
                    state.remove(&key);
                } else {
                    state.insert(key.clone(), value);
                }
                last = Some(key);
            }
        }
        "position" => {}
        other => panic!("{other}"),
    }
}

/// The answer was the same at every block between two events.
fn view(
    answer: &mut Option<Vec<u8>>,
    event: &Value,
    (before, cursor): (Option<&str>, &str),
    model: &Model,
    value: impl Fn(&str) -> Option<Vec<u8>>,
) {
    let path = before.and_then(|before| model.path(before, cursor));
    for between in path.iter().flatten().filter(|between| *between != cursor) {
        if answer.is_some() {
            assert_eq!(*answer, value(between), "at {between}, before {event}");
        }
    }
    if path.is_none() && before.is_some_and(|before| before != "first") {
        // It went back, and not up again on another branch.
        assert!(
            model.path(cursor, before.unwrap()).is_some(),
            "{before:?} {event}"
        );
    }
    match event["type"].as_str().unwrap() {
        "answer" => {
            let told = Some(bytes(&event["result"]));
            if event.get("undone").is_none() && before.is_some() && answer.is_some() {
                assert_ne!(*answer, told, "{event}");
            }
            *answer = told;
        }
        "position" => {}
        other => panic!("{other}"),
    }
}
