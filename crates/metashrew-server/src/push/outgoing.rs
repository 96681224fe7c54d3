//! The message that is written over a WebSocket: a long one in fragments, each made when the
//! one before is written.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::answer::Answer;
use crate::budget::Lease;
use crate::caller::Caller;
use crate::feed::Event;

/// A message of which not all is written.
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// What comes next.
    piece: Bytes,
    /// Bytes of payload that are still to be written.
    left: usize,
    begun: bool,
}

pub(super) enum Message {
    /// An answer, to whom.
    Answer(Answer, Caller),
    Event {
        pieces: VecDeque<Bytes>,
        /// Bytes of the event alone.
        length: usize,
        /// The memory that it holds.
        lease: Option<Lease>,
    },
}

impl Outgoing {
    /// Bytes of payload in one frame. A message that is no longer comes in one.
    pub(super) const FRAME: usize = 16 * 1024;

    fn new(message: Message, left: usize) -> Self {
        Self {
            message,
            piece: Bytes::new(),
            left,
            begun: false,
        }
    }

    pub(super) fn answer(answer: Answer, caller: Caller) -> Self {
        let length = answer.len();
        Self::new(Message::Answer(answer, caller), length)
    }

    /// An event of the subscription `id`.
    pub(super) fn event(id: u64, event: Event) -> Self {
        let head = format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"metashrew_subscription\",\"params\":{{\"subscription\":\"{id}\",\"event\":"
        );
        let end = Bytes::from_static(b"}}");
        let length = event.data.len();
        let all = head.len() + length + end.len();
        let pieces: VecDeque<_> = if all <= Self::FRAME {
            let mut whole = Vec::with_capacity(all);
            whole.extend_from_slice(head.as_bytes());
            whole.extend_from_slice(&event.data);
            whole.extend_from_slice(&end);
            [whole.into()].into()
        } else {
            [head.into(), event.data, end].into()
        };
        let lease = event.lease;
        let message = Message::Event {
            pieces,
            length,
            lease,
        };
        Self::new(message, all)
    }

    /// The next frame; none after the last one.
    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        while self.piece.is_empty() {
            self.piece = match &mut self.message {
                Message::Answer(answer, _) => answer.next_piece(),
                Message::Event { pieces, .. } => pieces.pop_front(),
            }?;
        }
        let payload = self.piece.split_to(Self::FRAME.min(self.piece.len()));
        self.left -= payload.len();
        let kind = if self.begun {
            Data::Continue
        } else {
            Data::Text
        };
        self.begun = true;
        Some(Frame::message(payload, OpCode::Data(kind), self.left == 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> Event {
        Event {
            cursor: None,
            kind: "block",
            data: Bytes::copy_from_slice(data.as_bytes()),
            end: false,
            lease: None,
        }
    }

    /// How many frames a message has, and what stands in them.
    fn frames(mut message: Outgoing) -> (usize, String) {
        let mut text = Vec::new();
        let mut count = 0;
        let mut ended = false;
        while let Some(frame) = message.next_frame() {
            assert!(!ended && frame.payload().len() <= Outgoing::FRAME);
            let kind = if count == 0 {
                Data::Text
            } else {
                Data::Continue
            };
            assert_eq!(frame.header().opcode, OpCode::Data(kind));
            ended = frame.header().is_final;
            text.extend_from_slice(frame.payload());
            count += 1;
        }
        assert!(ended);
        (count, String::from_utf8(text).unwrap())
    }

    #[test]
    fn an_event_is_a_notification() {
        let (count, text) = frames(Outgoing::event(7, event(r#"{"type":"none"}"#)));
        let expect = r#"{"jsonrpc":"2.0","method":"metashrew_subscription","params":{"subscription":"7","event":{"type":"none"}}}"#;
        assert_eq!((count, text.as_str()), (1, expect));
    }

    #[test]
    fn long_messages_are_written_in_fragments() {
        let data = format!("{{\"type\":\"{}\"}}", "é".repeat(3 * Outgoing::FRAME));
        let (count, text) = frames(Outgoing::event(7, event(&data)));
        assert!(count > 6, "{count}");
        assert!(text.ends_with(&format!("{data}}}}}")));
    }
}
