//! Reads of many values in one call, as the real host answers them.

use super::{Host, newest_before};
use metashrew_abi::many::{self, ReadManyError, RequestError};
use metashrew_abi::range::{self, Request};
use std::ops::Bound;

impl Host {
    /// Keeps the values of keys: the bytes of that answer, or the code of an error.
    pub(crate) fn read_many(&mut self, request: &[u8]) -> i32 {
        match self.values_of(request) {
            Ok(answer) => self.keep(answer),
            Err(error) => {
                self.answer = None;
                error.code()
            }
        }
    }

    fn values_of(&self, request: &[u8]) -> Result<Vec<u8>, ReadManyError> {
        let keys = many::Keys::decode(request).map_err(|error| match error {
            RequestError::Malformed(error) => panic!("read_many: {error}"),
            RequestError::Refused(error) => error,
        })?;
        let mut answer = many::AnswerBuilder::new(Vec::new());
        for key in keys.iter() {
            answer.push(self.get(key))?;
        }
        Ok(answer.finish())
    }

    /// Keeps pairs in order: the bytes of that answer.
    pub(crate) fn read_range(&mut self, request: &[u8]) -> i32 {
        let request = Request::decode(request);
        let request = request.unwrap_or_else(|error| panic!("read_range: {error}"));
        let mut answer = range::AnswerBuilder::new(&request, Vec::new());
        let start = Bound::Included(request.start);
        let end = match request.end {
            [] => Bound::Unbounded,
            end => Bound::Excluded(end),
        };
        // A map takes no range that ends before it starts.
        if request.end.is_empty() || request.start < request.end {
            let before = self.reads_before();
            let mut keys = self.values.range::<[u8], _>((start, end));
            while !answer.is_full() {
                let next = if request.descending {
                    keys.next_back()
                } else {
                    keys.next()
                };
                let Some((key, versions)) = next else { break };
                if let Some(value) = newest_before(versions, before) {
                    answer.push(key, value);
                }
            }
        }
        self.keep(answer.finish())
    }

    fn keep(&mut self, answer: Vec<u8>) -> i32 {
        let length = i32::try_from(answer.len()).expect("answers are below 2 GiB");
        self.answer = Some(answer);
        length
    }

    /// Hands over the answer that is kept.
    ///
    /// # Panics
    /// If none is, as the real host ends the call then.
    pub(crate) fn take_answer(&mut self) -> Vec<u8> {
        self.answer
            .take()
            .expect("load_answer: there is no answer to load")
    }
}
