//! What a consumer makes of a subscription's events, and keeps with the cursor.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a subscription is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Blocks.
    Heads,
    /// What blocks write.
    Writes,
    /// What a view answers.
    View,
}

/// A block: its height, and its hash as it is told.
pub type Position = (u32, String);

/// What an event was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A part of an event that is not whole yet.
    Part,
    /// It stands before the first block.
    Begun,
    /// A whole event, which ends at this block.
    Moved {
        /// The event's type.
        what: String,
        /// The block that its cursor names.
        to: Position,
        /// The blocks that are no more, from the top down.
        undone: Vec<Position>,
    },
    /// The last one, and why.
    Ended(String),
}

/// What a consumer keeps: it resumes from all of this, or from an earlier copy of it.
#[derive(Debug, Clone)]
pub struct Replay {
    kind: Kind,
    /// The cursor of the last whole event.
    pub cursor: Option<String>,
    /// The block that it names.
    pub position: Option<Position>,
    /// The blocks told of, from the lowest up.
    pub chain: Vec<Position>,
    /// The keys written, as they are now.
    pub state: BTreeMap<String, String>,
    /// The view's last answer: the event's `result`, or its `error`.
    pub answer: Option<Value>,
    /// The parts of an event that is not whole yet.
    parts: Option<Value>,
}

impl Replay {
    /// Of a subscription that has told nothing yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            cursor: None,
            position: None,
            chain: Vec::new(),
            state: BTreeMap::new(),
            answer: None,
            parts: None,
        }
    }

    /// Takes in the next event.
    ///
    /// # Errors
    /// If it does not follow from those before, in words.
    pub fn apply(&mut self, event: Value) -> Result<Applied, String> {
        let shown = event.to_string();
        self.follow(event)
            .map_err(|what| format!("{what}: {} after {:?}", cut(&shown), self.position))
    }

    /// Forgets the parts of an event that will not become whole: the connection is gone.
    pub fn interrupted(&mut self) {
        self.parts = None;
    }

    fn follow(&mut self, event: Value) -> Result<Applied, String> {
        let Some(event) = self.whole(event)? else {
            return Ok(Applied::Part);
        };
        let what = event["type"].as_str().ok_or("no type")?.to_owned();
        if what == "end" {
            let reason = event["reason"].as_str().ok_or("no reason")?;
            return Ok(Applied::Ended(reason.to_owned()));
        }
        let cursor = event["cursor"].as_str().ok_or("no cursor")?.to_owned();
        if cursor == "first" && self.position.is_none() && ["position", "behind"].contains(&&*what)
        {
            self.cursor = Some(cursor);
            return Ok(Applied::Begun);
        }
        let to = position_of_cursor(&cursor)?;
        if what != "behind" && position_of(&event)? != to {
            return Err("the cursor names another block".to_owned());
        }
        let undone = self.undo(&event, &to)?;
        match (what.as_str(), self.kind) {
            ("position" | "behind", _) => {}
            ("undo", Kind::Heads | Kind::Writes) if !undone.is_empty() => self.write(&event)?,
            ("block", Kind::Heads | Kind::Writes) => {
                self.check_order(&event, &to)?;
                self.write(&event)?;
                self.chain.push(to.clone());
            }
            ("answer", Kind::View) => self.take_answer(&event, &undone)?,
            _ => return Err("not of this subscription".to_owned()),
        }
        (self.position, self.cursor) = (Some(to.clone()), Some(cursor));
        Ok(Applied::Moved { what, to, undone })
    }

    /// The whole event, once it is.
    fn whole(&mut self, event: Value) -> Result<Option<Value>, String> {
        let Some(number) = event["part"].as_u64() else {
            return match self.parts {
                Some(_) => Err("a part lacks".to_owned()),
                None => Ok(Some(event)),
            };
        };
        let is_last = event["last"] == true;
        let whole = match self.parts.take() {
            None if number == 0 => event,
            Some(before) if before["part"].as_u64() == number.checked_sub(1) => {
                joined(before, event)
            }
            _ => return Err("another part is due".to_owned()),
        };
        if is_last {
            return Ok(Some(whole));
        }
        if whole.get("cursor").is_some() {
            return Err("a part that is not the last one has a cursor".to_owned());
        }
        self.parts = Some(whole);
        Ok(None)
    }

    /// Drops the blocks that are undone; answers all that the event names.
    fn undo(&mut self, event: &Value, to: &Position) -> Result<Vec<Position>, String> {
        let Some(undone) = event.get("undone").and_then(Value::as_array) else {
            return Ok(Vec::new());
        };
        let undone = undone
            .iter()
            .map(position_of)
            .collect::<Result<Vec<_>, _>>()?;
        if undone.is_sorted_by(|above, below| above.0 == below.0 + 1) {
            // An answer may be told of a block above the common ancestor.
            let ancestor = undone.last().map_or(to.0, |(height, _)| height - 1);
            if event["type"] == "undo" && ancestor != to.0 {
                return Err("it ends at another block than the common ancestor".to_owned());
            }
            while let Some(block) = self.chain.pop_if(|(height, _)| *height > ancestor) {
                if !undone.contains(&block) {
                    return Err(format!("{block:?} is not among those undone"));
                }
            }
            if let Some(position) = &self.position
                && position.0 > ancestor
                && !undone.contains(position)
            {
                return Err("it stood at a block that is not among those undone".to_owned());
            }
            if self.kind == Kind::Heads && undone.first() != self.position.as_ref() {
                return Err("it did not stand at the first block undone".to_owned());
            }
            Ok(undone)
        } else {
            Err("what is undone is not in order".to_owned())
        }
    }

    /// A block stands above what was told before; of heads, upon it.
    fn check_order(&self, event: &Value, to: &Position) -> Result<(), String> {
        let Some((height, hash)) = &self.position else {
            return Ok(());
        };
        let is_next = to.0 == height + 1 && event["parent"] == hash.as_str();
        let is_in_order = match self.kind {
            Kind::Heads => is_next,
            _ => to.0 > *height && (to.0 > height + 1 || is_next),
        };
        if is_in_order {
            Ok(())
        } else {
            Err("not the next block".to_owned())
        }
    }

    fn write(&mut self, event: &Value) -> Result<(), String> {
        let writes = match (self.kind, event.get("writes")) {
            (Kind::Writes, Some(Value::Array(writes))) => writes,
            (Kind::Writes, _) => return Err("no writes".to_owned()),
            _ => return Ok(()),
        };
        let mut before = None;
        for write in writes {
            let [key, value] = ["key", "value"].map(|name| write[name].as_str());
            let (Some(key), Some(value)) = (key, value) else {
                return Err(format!("no write: {write}"));
            };
            if before.is_some_and(|before| before >= key) {
                return Err("the keys are not in order".to_owned());
            }
            before = Some(key);
            if value == "0x" {
                self.state.remove(key);
            } else {
                self.state.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, event: &Value, undone: &[Position]) -> Result<(), String> {
        let answer = event.get("result").or_else(|| event.get("error"));
        let answer = answer.ok_or("neither a result nor an error")?;
        let height = event["height"].as_u64();
        if let Some((before, _)) = &self.position
            && undone.is_empty()
            && height < Some(u64::from(*before))
        {
            return Err("an answer of a lower block".to_owned());
        }
        self.answer = Some(answer.clone());
        Ok(())
    }
}

/// A part and the next one: what the next one says goes before, but lists go on.
fn joined(mut before: Value, next: Value) -> Value {
    let Value::Object(members) = next else {
        return before;
    };
    for (name, mut value) in members {
        match (before[&name].as_array_mut(), value.as_array_mut()) {
            (Some(list), Some(more)) => list.append(more),
            _ => before[&name] = value,
        }
    }
    before
}

fn position_of_cursor(cursor: &str) -> Result<Position, String> {
    let block = cursor.split_once(':');
    let block = block.and_then(|(height, hash)| Some((height.parse().ok()?, hash.to_owned())));
    block.ok_or_else(|| format!("no cursor: `{cursor}`"))
}

fn position_of(block: &Value) -> Result<Position, String> {
    let height = block["height"].as_u64();
    let height = height.and_then(|height| u32::try_from(height).ok());
    match (height, block["hash"].as_str()) {
        (Some(height), Some(hash)) => Ok((height, hash.to_owned())),
        _ => Err("no height, or no hash".to_owned()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(branch: char, height: u32) -> String {
        format!("0x{branch}{height}")
    }

    fn block(kind: &str, branch: char, height: u32) -> Value {
        let hash = hash(branch, height);
        json!({ "type": kind, "cursor": format!("{height}:{hash}"), "height": height, "hash": hash })
    }

    fn head(branch: char, height: u32, parent: char) -> Value {
        let mut head = block("block", branch, height);
        head["parent"] = self::hash(parent, height - 1).into();
        head
    }

    fn undo(to: u32, undone: &[u32]) -> Value {
        let mut undo = block("undo", 'a', to);
        let undone = undone.iter().map(|height| block("", 'a', *height));
        undo["undone"] = undone.collect();
        undo
    }

    #[test]
    fn heads_that_lack_or_come_twice_are_noticed() {
        let mut replay = Replay::new(Kind::Heads);
        replay.apply(block("position", 'a', 5)).unwrap();
        for height in 6..9 {
            replay.apply(head('a', height, 'a')).unwrap();
        }
        let refuse = |event: Value, expect: &str| {
            let error = replay.clone().apply(event).unwrap_err();
            assert!(error.starts_with(expect), "{error}");
        };
        refuse(head('a', 8, 'a'), "not the next block");
        refuse(head('a', 10, 'a'), "not the next block");
        refuse(head('b', 9, 'b'), "not the next block");
        refuse(undo(7, &[9, 8]), "it did not stand");
        refuse(undo(6, &[8]), "it ends at another block");
        refuse(undo(6, &[7, 8]), "what is undone is not in order");
        refuse(block("answer", 'a', 9), "not of this subscription");
        replay.apply(undo(6, &[8, 7])).unwrap();
        replay.apply(head('b', 7, 'a')).unwrap();
        let expect = [(6, hash('a', 6)), (7, hash('b', 7))];
        assert_eq!(replay.chain, expect);
        assert_eq!(replay.cursor, Some("7:0xb7".to_owned()));
    }

    #[test]
    fn writes_make_the_state_and_parts_one_event() {
        let mut replay = Replay::new(Kind::Writes);
        let written = |mut event: Value, writes: &[(&str, &str)]| {
            let writes = writes
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": value }));
            event["writes"] = writes.collect();
            event
        };
        let whole = written(head('a', 6, 'a'), &[("0x01", "0x0a"), ("0x02", "0x0b")]);
        replay.apply(whole).unwrap();
        let mut first = written(undo(5, &[6]), &[("0x01", "0x")]);
        first["part"] = 0.into();
        first.as_object_mut().unwrap().remove("cursor");
        assert_eq!(replay.apply(first), Ok(Applied::Part));
        assert_eq!(replay.state.len(), 2, "nothing is applied yet");
        let last = json!({
            "type": "undo", "part": 1, "last": true, "cursor": "5:0xa5",
            "writes": [{ "key": "0x02", "value": "0x0c" }],
        });
        let whole = replay.clone().apply(block("position", 'a', 6));
        assert!(whole.unwrap_err().starts_with("a part lacks"));
        replay.apply(last).unwrap();
        let expect = [("0x02".to_owned(), "0x0c".to_owned())];
        assert_eq!(replay.state, expect.into());
        assert_eq!(replay.chain, []);
    }
}
