//! State of a session: how often each caller called.

use crate::memory::Memory;
use guest_wire::json;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::convert::Infallible;

/// Sessions remembered.
const SESSIONS: usize = 1024;
/// Bytes of a session's name.
const NAME_BYTES: usize = 256;

thread_local! {
    static MEMORY: RefCell<Memory<String, u64>> = const { RefCell::new(Memory::new(SESSIONS)) };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    session: String,
}

#[derive(Serialize)]
struct Visit {
    height: u32,
    session: String,
    visits: u64,
    sessions: usize,
}

/// Counts a visit: how many this session has made, and how many sessions there
/// are.
pub(crate) fn visit(height: u32, input: &[u8]) -> Result<Vec<u8>, Infallible> {
    json::answer(input, |Question { session }| {
        if session.len() > NAME_BYTES {
            return Err(format!("`session` has more than {NAME_BYTES} bytes"));
        }
        Ok(MEMORY.with_borrow_mut(|memory| {
            let (visits, _) = memory.get_or_insert_with(session.clone(), || 0);
            *visits += 1;
            let visits = *visits;
            Visit {
                height,
                session,
                visits,
                sessions: memory.len(),
            }
        }))
    })
}
