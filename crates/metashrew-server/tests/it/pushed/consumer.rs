//! One who subscribes, keeps what it is told, and compares it with what was so.

use std::collections::BTreeMap;
use std::sync::Arc;

use metashrew_testing::push::{Applied, Kind, Position, Replay};
use metashrew_testing::rng::Rng;
use serde_json::{Value, json};

use super::world::{Asked, Block, Path, World};

/// Copies of what it keeps that it may go back to.
const SAVED: usize = 3;

/// What is subscribed to. Keys and inputs are hex.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Heads,
    Writes {
        prefix: String,
    },
    /// A table of the guest's, and how its keys begin.
    Storage {
        name: &'static str,
        prefix: String,
    },
    View {
        name: &'static str,
        input: String,
    },
    /// Pending blocks, and what they write to a table of the guest's.
    Pending {
        name: &'static str,
        prefix: String,
    },
}

impl Subject {
    pub(crate) fn view(&self) -> Option<Asked> {
        match self {
            Self::View { name, input } => Some((name, input.clone())),
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            // It has nothing to replay.
            Self::Heads | Self::Pending { .. } => Kind::Heads,
            Self::Writes { .. } | Self::Storage { .. } => Kind::Writes,
            Self::View { .. } => Kind::View,
        }
    }

    /// How the keys begin that it is told.
    fn prefix(&self) -> Option<&String> {
        match self {
            Self::Writes { prefix } | Self::Storage { prefix, .. } => Some(prefix),
            _ => None,
        }
    }

    /// Whether it is told of a block.
    fn matches(&self, block: &Block) -> bool {
        let prefix = self.prefix();
        prefix.is_none_or(|prefix| block.written.iter().any(|key| key.starts_with(prefix)))
    }
}

pub(crate) struct Consumer {
    subject: Subject,
    pub(crate) world: Arc<World>,
    rng: Rng,
    pub(crate) replay: Replay,
    saved: Vec<Replay>,
    /// Whether it was told nothing but where it stands since it subscribed.
    is_fresh: bool,
    /// The number of the pending block that it was told last, if that was the last event.
    pending: Option<u64>,
    pub(crate) is_done: bool,
}

impl Consumer {
    pub(crate) fn new(subject: Subject, world: Arc<World>, rng: Rng) -> Self {
        let replay = Replay::new(subject.kind());
        Self {
            subject,
            world,
            rng,
            replay,
            saved: Vec::new(),
            is_fresh: true,
            pending: None,
            is_done: false,
        }
    }

    /// The path and the query of its stream.
    pub(crate) fn path(&self) -> String {
        match &self.subject {
            Subject::Heads => "/subscribe/heads".to_owned(),
            Subject::Writes { prefix } => format!("/subscribe/writes?prefix={prefix}"),
            Subject::Storage { name, .. } => format!("/subscribe/writes?storage={name}"),
            Subject::View { name, input } => format!("/subscribe/view/{name}?input={input}"),
            Subject::Pending { name, .. } => format!("/subscribe/pending?storage={name}"),
        }
    }

    /// The parameters of its call.
    pub(crate) fn params(&self, cursor: Option<&str>) -> Value {
        let mut params = match &self.subject {
            Subject::Heads => json!({ "kind": "heads" }),
            Subject::Writes { prefix } => json!({ "kind": "writes", "prefix": prefix }),
            Subject::Storage { name, .. } => json!({ "kind": "writes", "storage": name }),
            Subject::View { name, input } => {
                json!({ "kind": "view", "function": name, "input": input })
            }
            Subject::Pending { name, .. } => json!({ "kind": "pending", "storage": name }),
        };
        if let Some(cursor) = cursor {
            params["cursor"] = cursor.into();
        }
        params
    }

    /// Where it goes on: where it was, or, as one whose last changes are lost, before that.
    pub(crate) fn resume(&mut self) -> Option<String> {
        if !self.saved.is_empty() && self.rng.chance(300) {
            self.replay = self.saved[self.rng.index(self.saved.len())].clone();
        }
        self.replay.interrupted();
        self.is_fresh = true;
        self.is_done = false;
        self.replay.cursor.clone()
    }

    /// After how many events it goes away.
    pub(crate) fn patience(&mut self, most: u64) -> u64 {
        if self.world.is_over() {
            return u64::MAX;
        }
        1 + self.rng.below(most)
    }

    /// Whether it ends its subscription, and begins it again, now.
    pub(crate) fn leaves(&mut self) -> bool {
        self.rng.chance(20) && !self.world.is_over()
    }

    pub(crate) fn stay_away(&mut self, most: u64) {
        self.world.wait_for_blocks(self.rng.below(most));
    }

    /// Takes an event in, and checks it.
    pub(crate) fn take(&mut self, event: Value) {
        let shown: String = event.to_string().chars().take(600).collect();
        let followed = match self.subject.clone() {
            Subject::Pending { prefix, .. } => self.follow_pending(&event, &prefix),
            _ => self.follow(event),
        };
        if let Err(what) = followed {
            // Before the threads that wait hang.
            self.world.fail();
            panic!("{:?}: {what}: {shown}", self.subject);
        }
    }

    /// A pending block is another one each time, and was offered on the block that it names.
    fn follow_pending(&mut self, event: &Value, prefix: &str) -> Result<(), String> {
        let is_fresh = std::mem::replace(&mut self.is_fresh, false);
        if event["type"] == "none" {
            if !is_fresh && self.pending.is_none() {
                return Err("it is told again that there is none".to_owned());
            }
            self.pending = None;
            return Ok(());
        }
        let parent = event["parent"].as_str().ok_or("no parent")?;
        let number = event["number"].as_u64().ok_or("no number")?;
        if !is_fresh && self.pending.is_some_and(|before| before >= number) {
            return Err("it is told again".to_owned());
        }
        self.pending = Some(number);
        let block = self.world.offered(parent).ok_or("none was offered there")?;
        if event["height"] != block.position.0 + 1 {
            return Err("another height".to_owned());
        }
        if event["writes"] != pending_writes(prefix) {
            return Err("it writes something else".to_owned());
        }
        self.is_done = self.world.is_last(parent);
        Ok(())
    }

    fn follow(&mut self, event: Value) -> Result<(), String> {
        let before = self.replay.clone();
        let (what, to, undone) = match self.replay.apply(event)? {
            Applied::Moved { what, to, undone } => (what, to, undone),
            Applied::Part | Applied::Begun => return Ok(()),
            Applied::Ended(reason) => return Err(format!("ended: {reason}")),
        };
        let block = self.world.block(&to.1).ok_or("there was no such block")?;
        if block.position != to {
            return Err("another height".to_owned());
        }
        match &before.position {
            None => self.seed(&what, &block)?,
            Some(from) => {
                let path = self.world.path(from, &to).ok_or("no way leads there")?;
                self.check_undone(&to, &undone, &path)?;
                self.check_way(&what, &before, &path, !undone.is_empty())?;
            }
        }
        self.check_block(&block)?;
        // Where it stands may come before.
        self.is_fresh &= ["position", "behind"].contains(&&*what);
        self.is_done = self.world.is_last(&to.1);
        if self.rng.chance(100) {
            if self.saved.len() == SAVED {
                self.saved.remove(0);
            }
            self.saved.push(self.replay.clone());
        }
        Ok(())
    }

    /// What it finds in the database where it begins.
    fn seed(&mut self, what: &str, block: &Block) -> Result<(), String> {
        let expect = match self.subject {
            Subject::View { .. } => "answer",
            _ => "position",
        };
        if what != expect {
            return Err(format!("it begins with something else than {expect}"));
        }
        if let Some(prefix) = self.subject.prefix() {
            self.replay.state = filtered(&block.state, prefix);
        }
        Ok(())
    }

    /// What is told to be undone was there, and is all that was.
    fn check_undone(&self, to: &Position, undone: &[Position], path: &Path) -> Result<(), String> {
        let blocks = undone.iter().map(|(_, hash)| self.world.block(hash));
        let blocks: Option<Vec<_>> = blocks.collect();
        let blocks = blocks.ok_or("what is undone never was")?;
        let connects = blocks
            .windows(2)
            .all(|pair| pair[0].parent == pair[1].position.1);
        if !connects
            || undone
                != blocks
                    .iter()
                    .map(|it| it.position.clone())
                    .collect::<Vec<_>>()
        {
            return Err("what is undone was no chain".to_owned());
        }
        if let Some(lowest) = blocks.last() {
            let ancestor = self.world.block(&lowest.parent).ok_or("undone too deep")?;
            let way = self.world.path(&ancestor.position, to);
            if !way.is_some_and(|way| way.left.is_empty()) {
                return Err("it does not stand on the common ancestor".to_owned());
            }
        }
        let mut lost = path.left.iter().filter(|it| self.subject.matches(it));
        if matches!(self.subject, Subject::View { .. }) {
            // It is told only what changed of the answer.
            return Ok(());
        }
        match lost.find(|it| !undone.contains(&it.position)) {
            Some(lost) => Err(format!("{:?} is undone, untold", lost.position)),
            None => Ok(()),
        }
    }

    /// Nothing that it should have been told happened on the way.
    fn check_way(
        &self,
        what: &str,
        before: &Replay,
        path: &Path,
        is_undone: bool,
    ) -> Result<(), String> {
        let skipped = match what {
            "block" | "answer" => path.taken.split_last().map_or(&[][..], |(_, way)| way),
            _ => &path.taken[..],
        };
        let Some(asked) = self.subject.view() else {
            return match skipped.iter().find(|it| self.subject.matches(it)) {
                Some(lost) => Err(format!("{:?} is skipped", lost.position)),
                None => Ok(()),
            };
        };
        for block in skipped {
            let answer = Value::from(self.world.answer(&block.position.1, &asked));
            if before.answer.as_ref() != Some(&answer) {
                return Err(format!(
                    "at {:?} it was {answer}, untold, after {:?}",
                    block.position, before.answer
                ));
            }
        }
        let is_news = self.is_fresh || before.answer != self.replay.answer;
        if what == "answer" && !is_news {
            return Err("it is told again".to_owned());
        }
        if is_undone && path.left.is_empty() && !self.is_fresh && skipped.is_empty() {
            return Err("nothing was undone".to_owned());
        }
        Ok(())
    }

    /// What it keeps is what was so at that block.
    fn check_block(&self, block: &Block) -> Result<(), String> {
        let (now, expect) = match &self.subject {
            Subject::Heads | Subject::Pending { .. } => return Ok(()),
            Subject::Writes { prefix } | Subject::Storage { prefix, .. } => {
                let (now, expect) = (&self.replay.state, filtered(&block.state, prefix));
                if *now == expect {
                    return Ok(());
                }
                (format!("{now:?}"), format!("{expect:?}"))
            }
            Subject::View { name, input } => {
                let expect = self.world.answer(&block.position.1, &(name, input.clone()));
                let now = self.replay.answer.as_ref().and_then(Value::as_str);
                if now == Some(&expect) {
                    return Ok(());
                }
                (format!("{now:?}"), expect)
            }
        };
        Err(format!("{now}, and it was {expect}"))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.world.fail();
        }
    }
}

/// What the guest writes at every block, of keys that begin so.
fn pending_writes(prefix: &str) -> Value {
    let all = [("0x6b0570", "0x78"), ("0x6b0670", "0x79")];
    let of_prefix = all.into_iter().filter(|(key, _)| key.starts_with(prefix));
    of_prefix
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

fn filtered(state: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let from = state.range(prefix.to_owned()..);
    from.take_while(|(key, _)| key.starts_with(prefix))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
