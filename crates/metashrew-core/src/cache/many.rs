//! Reads of many values at once.

use super::Bytes;
use super::memory::Memory;
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
        let mut asked: Vec<&Bytes> = Vec::new();
        let mut asked_at: HashMap<&Bytes, usize, FixedState> = HashMap::default();
        // Which values wait for which answer.
        let mut waiting = Vec::new();
        for (key, value) in keys.iter().zip(&mut values) {
            let at = if let Some(at) = asked_at.get(key) {
                self.tiers.count(true);
                *at
            } else {
                if let Some(known) = self.lookup(key) {
                    *value = known;
                    continue;
                }
                asked_at.insert(key, asked.len());
                asked.push(key);
                asked.len() - 1
            };
            waiting.push((at, value));
        }
        if asked.is_empty() {
            return values;
        }
        let slices: Vec<&[u8]> = asked.iter().map(|key| key.as_slice()).collect();
        let answers = host::read_many(&slices);
        let answers = asked.iter().zip(answers.iter()).map(|(key, answer)| {
            let answer = Arc::new(answer.to_vec());
            self.remember((*key).clone(), &answer);
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
