//! Reads of many values at once.

use super::Bytes;
use super::memory::{Memory, Missed};
use crate::host;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::Arc;

impl Memory {
    /// As [`Memory::get`] for each key, but that the host is asked once, for all that is not
    /// here.
    pub(super) fn get_many(&mut self, keys: &[Bytes]) -> Vec<Bytes> {
        self.resume();
        let mut values = vec![Bytes::default(); keys.len()];
        let mut asked: Vec<Missed> = Vec::new();
        let mut asked_at: HashMap<&Bytes, usize, FixedState> = HashMap::default();
        // Which values wait for which answer.
        let mut waiting = Vec::new();
        for (key, value) in keys.iter().zip(&mut values) {
            let at = if let Some(at) = asked_at.get(key) {
                self.tiers.count(true);
                *at
            } else {
                match self.lookup(key.clone()) {
                    Ok(known) => {
                        *value = known;
                        continue;
                    }
                    Err(missed) => asked.push(missed),
                }
                asked_at.insert(key, asked.len() - 1);
                asked.len() - 1
            };
            waiting.push((at, value));
        }
        if asked.is_empty() {
            return values;
        }
        let slices: Vec<&[u8]> = asked.iter().map(|missed| &missed.key()[..]).collect();
        let answers = host::read_many(&slices);
        let answers = asked.into_iter().zip(answers.iter());
        let answers = answers.map(|(missed, answer)| {
            let answer = Arc::new(answer.to_vec());
            self.remember(missed, &answer);
            answer
        });
        let answers: Vec<_> = answers.collect();
        for (at, value) in waiting {
            if let Some(answer) = answers.get(at) {
                *value = answer.clone();
            }
        }
        values
    }
}
