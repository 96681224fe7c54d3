//! Frames cut into short pieces: what is passed on of what has come.

/// Bytes of a frame's payload that are passed on in one piece. A multiple of four: so the
/// mask of each piece is that of the frame.
pub(in crate::push) const PIECE: u16 = 16 * 1024;

/// Bytes that the head of a frame has at most.
const HEAD: usize = 14;

const FIN: u8 = 0x80;
/// The bit of the opcode that control frames have.
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
/// In place of a length: the two bytes that follow hold it (RFC 6455, section 5.2).
const LONG: u8 = 0x7e;

/// What comes, and what is to be passed on of it.
#[derive(Default)]
pub(super) struct Pieces {
    /// What has come of a frame's head.
    head: [u8; HEAD],
    head_length: usize,
    /// Bytes of payload until the next head is due.
    piece: u64,
    /// What comes after this piece of the same frame.
    rest: Option<Rest>,
    /// What is to be passed on.
    pub(super) ready: Vec<u8>,
    pub(super) message: Unfinished,
}

/// The rest of a frame whose first piece was passed on.
#[derive(Clone, Copy)]
struct Rest {
    length: u64,
    /// Whether the frame is the last one of its message.
    is_last: bool,
    mask: Option<[u8; 4]>,
}

/// The message that comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::push) struct Unfinished {
    /// How many came before it.
    pub(in crate::push) number: u64,
    /// Bytes that have come of it, heads of frames left out.
    pub(in crate::push) bytes: u64,
    /// Whether any frame of it has begun.
    pub(in crate::push) begun: bool,
}

impl Pieces {
    /// Takes what was read.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.piece > 0 {
                let length = usize::try_from(self.piece).unwrap_or(usize::MAX);
                let (payload, later) = bytes.split_at(length.min(bytes.len()));
                self.ready.extend_from_slice(payload);
                self.payload(payload.len() as u64);
                bytes = later;
            } else if let Some((byte, later)) = bytes.split_first() {
                if let Some(place) = self.head.get_mut(self.head_length) {
                    *place = *byte;
                }
                self.head_length += 1;
                bytes = later;
                if self.head_length == head_length(&self.head, self.head_length) {
                    self.begin();
                }
            }
        }
    }

    /// So many bytes of payload were passed on.
    fn payload(&mut self, bytes: u64) {
        self.piece -= bytes;
        if !self.is_control() {
            self.message.bytes += bytes;
        }
        if self.piece > 0 {
            return;
        }
        match self.rest.take() {
            Some(rest) => self.next_piece(0, rest),
            None => self.end(),
        }
    }

    /// A frame's head is there.
    fn begin(&mut self) {
        let [first, second, ..] = self.head;
        let length = payload_length(&self.head);
        let mask = (second & MASKED != 0).then(|| {
            let mut mask = [0; 4];
            let from = self.head_length - mask.len();
            let given = self.head.get(from..self.head_length);
            mask.copy_from_slice(given.unwrap_or(&[0; 4]));
            mask
        });
        self.message.begun |= !self.is_control();
        let frame = Rest {
            length,
            is_last: first & FIN != 0,
            mask,
        };
        self.next_piece(first & !FIN, frame);
    }

    /// Passes on the head of the next piece of a frame.
    fn next_piece(&mut self, first: u8, frame: Rest) {
        let length = u16::try_from(frame.length).unwrap_or(PIECE).min(PIECE);
        let rest = Rest {
            length: frame.length - u64::from(length),
            ..frame
        };
        let is_end = rest.length == 0;
        let fin = if is_end && frame.is_last { FIN } else { 0 };
        let masked = if frame.mask.is_some() { MASKED } else { 0 };
        self.ready.push(first | fin);
        if let Ok(short @ ..LONG) = u8::try_from(length) {
            self.ready.push(masked | short);
        } else {
            self.ready.push(masked | LONG);
            self.ready.extend_from_slice(&length.to_be_bytes());
        }
        self.ready.extend(frame.mask.into_iter().flatten());
        self.piece = length.into();
        self.rest = (!is_end).then_some(rest);
        if length == 0 {
            self.end();
        }
    }

    /// A frame has ended.
    fn end(&mut self) {
        let [first, ..] = self.head;
        if first & FIN != 0 && !self.is_control() {
            self.message = Unfinished {
                number: self.message.number + 1,
                ..Unfinished::default()
            };
        }
        self.head_length = 0;
    }

    fn is_control(&self) -> bool {
        let [first, ..] = self.head;
        first & CONTROL != 0
    }
}

/// Bytes that a head has, as far as its first `known` bytes tell.
fn head_length(head: &[u8; HEAD], known: usize) -> usize {
    let [_, second, ..] = *head;
    if known < 2 {
        return 2;
    }
    let length = match second & !MASKED {
        LONG => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & MASKED != 0 { 4 } else { 0 };
    2 + length + mask
}

/// Bytes of payload that a whole head tells of.
fn payload_length(head: &[u8; HEAD]) -> u64 {
    let [_, second, ..] = *head;
    let number = |length| {
        let bytes = head.iter().skip(2).take(length);
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    match second & !MASKED {
        LONG => number(2),
        127 => number(8),
        short => short.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{FrameHeader, FrameSocket};

    use super::*;

    /// A frame as a client sends it; of a mask that is none where a client is wrong.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Sent {
        opcode: OpCode,
        is_final: bool,
        mask: Option<[u8; 4]>,
        payload: Vec<u8>,
    }

    impl Sent {
        fn bytes(&self) -> Vec<u8> {
            let header = FrameHeader {
                is_final: self.is_final,
                opcode: self.opcode,
                mask: self.mask,
                ..FrameHeader::default()
            };
            let mut bytes = Vec::new();
            header
                .format(self.payload.len() as u64, &mut bytes)
                .unwrap();
            bytes.extend_from_slice(&masked(&self.payload, self.mask));
            bytes
        }
    }

    fn masked(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let mask = mask.unwrap_or_default();
        let bytes = payload.iter().zip(mask.into_iter().cycle());
        bytes.map(|(byte, mask)| byte ^ mask).collect()
    }

    /// What is passed on of what comes in pieces of so many bytes.
    fn passed(pieces: &mut Pieces, sent: &[Sent], piece: usize) -> Vec<Sent> {
        let bytes: Vec<_> = sent.iter().flat_map(Sent::bytes).collect();
        for piece in bytes.chunks(piece) {
            pieces.take(piece);
        }
        let mut read = FrameSocket::new(Cursor::new(std::mem::take(&mut pieces.ready)));
        let mut passed = Vec::new();
        while let Ok(Some(frame)) = read.read(Some(PIECE.into())) {
            let header = frame.header().clone();
            passed.push(Sent {
                opcode: header.opcode,
                is_final: header.is_final,
                mask: header.mask,
                payload: masked(frame.payload(), header.mask),
            });
        }
        passed
    }

    /// The same in pieces.
    fn cut(sent: &Sent) -> Vec<Sent> {
        let mut payloads: Vec<_> = sent.payload.chunks(PIECE.into()).collect();
        if payloads.is_empty() {
            payloads.push(&[]);
        }
        let last = payloads.len() - 1;
        let piece = |(number, payload): (usize, &[u8])| Sent {
            opcode: if number == 0 {
                sent.opcode
            } else {
                OpCode::Data(Data::Continue)
            },
            is_final: sent.is_final && number == last,
            mask: sent.mask,
            payload: payload.to_vec(),
        };
        payloads.into_iter().enumerate().map(piece).collect()
    }

    fn frame() -> impl Strategy<Value = Sent> {
        let opcode = prop_oneof![
            Just(OpCode::Data(Data::Text)),
            Just(OpCode::Data(Data::Binary)),
            Just(OpCode::Data(Data::Continue)),
            Just(OpCode::Control(Control::Ping)),
            Just(OpCode::Control(Control::Close)),
        ];
        let piece = usize::from(PIECE);
        let length = prop_oneof![
            0..200_usize,
            65_530..65_540_usize,
            piece - 2..piece + 3,
            2 * piece - 2..2 * piece + 3,
        ];
        (
            opcode,
            any::<bool>(),
            any::<Option<[u8; 4]>>(),
            length,
            any::<u8>(),
        )
            .prop_map(|(opcode, is_final, mask, length, seed)| Sent {
                opcode,
                is_final,
                mask,
                payload: (0..length)
                    .map(|byte| byte.to_le_bytes()[0].wrapping_mul(seed))
                    .collect(),
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frames_are_passed_on_in_short_pieces(
            sent in prop::collection::vec(frame(), 0..6),
            piece in prop_oneof![1..40_usize, Just(4096)],
        ) {
            let mut pieces = Pieces::default();
            let expect: Vec<_> = sent.iter().flat_map(cut).collect();
            prop_assert!(passed(&mut pieces, &sent, piece) == expect);
            let is_data = |sent: &&Sent| matches!(sent.opcode, OpCode::Data(_));
            let data: Vec<_> = sent.iter().filter(is_data).collect();
            let messages = data.iter().filter(|sent| sent.is_final).count();
            let begun: Vec<_> = data.iter().rev().take_while(|sent| !sent.is_final).collect();
            let unfinished = (!begun.is_empty()).then(|| Unfinished {
                number: messages as u64,
                bytes: begun.iter().map(|sent| sent.payload.len() as u64).sum(),
                begun: true,
            });
            let message = Some(pieces.message).filter(|message| message.begun);
            prop_assert_eq!(message, unfinished);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..40_usize) {
            let mut pieces = Pieces::default();
            for piece in bytes.chunks(piece) {
                pieces.take(piece);
            }
            prop_assert!(pieces.ready.len() <= bytes.len() + HEAD);
        }
    }

    #[test]
    fn a_length_that_is_announced_takes_nothing() {
        let mut pieces = Pieces::default();
        let mut head = vec![FIN | 1, MASKED | 127];
        head.extend_from_slice(&u64::MAX.to_be_bytes());
        head.extend_from_slice(&[0; 4]);
        pieces.take(&head);
        let mut read = Cursor::new(&pieces.ready);
        let (header, length) = FrameHeader::parse(&mut read).unwrap().unwrap();
        assert_eq!((header.is_final, length), (false, PIECE.into()));
    }
}
