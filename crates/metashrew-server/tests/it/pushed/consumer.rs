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
    Writes { prefix: String },
    View { name: &'static str, input: String },
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
            Self::Heads => Kind::Heads,
            Self::Writes { .. } => Kind::Writes,
            Self::View { .. } => Kind::View,
        }
    }

    /// Whether it is told of a block.
    fn matches(&self, block: &Block) -> bool {
        match self {
            Self::Writes { prefix } => block.written.iter().any(|key| key.starts_with(prefix)),
            _ => true,
        }
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
            is_done: false,
        }
    }

    /// The path and the query of its stream.
    pub(crate) fn path(&self) -> String {
        match &self.subject {
            Subject::Heads => "/subscribe/heads".to_owned(),
            Subject::Writes { prefix } => format!("/subscribe/writes?prefix={prefix}"),
            Subject::View { name, input } => format!("/subscribe/view/{name}?input={input}"),
        }
    }

    /// The parameters of its call.
    pub(crate) fn params(&self, cursor: Option<&str>) -> Value {
        let mut params = match &self.subject {
            Subject::Heads => json!({ "kind": "heads" }),
            Subject::Writes { prefix } => json!({ "kind": "writes", "prefix": prefix }),
            Subject::View { name, input } => {
                json!({ "kind": "view", "function": name, "input": input })
            }
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
        if let Err(what) = self.follow(event) {
            // Before the threads that wait hang.
            self.world.fail();
            panic!("{:?}: {what}: {shown}", self.subject);
        }
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
        if let Subject::Writes { prefix } = &self.subject {
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
            Subject::Heads => return Ok(()),
            Subject::Writes { prefix } => {
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

fn filtered(state: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let from = state.range(prefix.to_owned()..);
    from.take_while(|(key, _)| key.starts_with(prefix))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
