//! What a client sends over its WebSocket, on its way to the protocol: frames in short pieces,
//! and no more of a message than there is room for.
//!
//! The protocol makes room for a whole frame when it sees its length, and keeps that room
//! afterwards. So a long frame is passed on as the fragments that it might as well have come
//! in: it then costs what has come of it. Everything else is passed on as it is, so that the
//! protocol judges it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a frame's payload that are passed on in one piece. A multiple of four: so the
/// mask of each piece is that of the frame.
pub(super) const PIECE: u16 = 16 * 1024;

/// Bytes that are read at once.
pub(super) const READ: usize = 4 * 1024;

/// Bytes that the head of a frame has at most.
const HEAD: usize = 14;

/// Bytes of each message that are read without asking.
pub(super) const FREE: usize = 8 * 1024;

const FIN: u8 = 0x80;
/// The bit of the opcode that control frames have.
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
/// In place of a length: the two bytes that follow hold it (RFC 6455, section 5.2).
const LONG: u8 = 0x7e;

/// A socket whose frames are read in pieces.
pub(super) struct Frames<S> {
    stream: S,
    /// What has come of a frame's head.
    head: [u8; HEAD],
    head_length: usize,
    /// Bytes of payload until the next head is due.
    piece: u64,
    /// What comes after this piece of the same frame.
    rest: Option<Rest>,
    /// What is to be passed on.
    ready: Vec<u8>,
    passed: usize,
    message: Unfinished,
    /// Bytes of a message that may be read.
    allowed: u64,
    /// More of the message could be read than may be.
    waits: bool,
    /// Bytes read since the start.
    received: u64,
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
pub(super) struct Unfinished {
    /// How many came before it.
    pub(super) number: u64,
    /// Bytes that have come of it, heads of frames left out.
    pub(super) bytes: u64,
    /// Whether any frame of it has begun.
    pub(super) begun: bool,
}

impl<S> Frames<S> {
    /// `first` was read of it already.
    pub(super) fn new(stream: S, first: &[u8]) -> Self {
        let mut frames = Self {
            stream,
            head: [0; HEAD],
            head_length: 0,
            piece: 0,
            rest: None,
            ready: Vec::new(),
            passed: 0,
            message: Unfinished::default(),
            allowed: FREE as u64,
            waits: false,
            received: 0,
        };
        frames.take(first);
        frames
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The message that comes, if a part of it has.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        self.message.begun.then_some(self.message)
    }

    /// Bytes that came, of whatever.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether it waits until more of the message may be read.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// So many bytes of the message that comes may be read.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.allowed = bytes;
        self.waits = false;
    }

    /// Takes what was read.
    fn take(&mut self, mut bytes: &[u8]) {
        self.received += bytes.len() as u64;
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
            self.allowed = FREE as u64;
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

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let frames = &mut *self;
        while frames.ready.is_empty() {
            if frames.message.bytes >= frames.allowed && frames.message.begun {
                // Whoever reads looks whether it waits, and reads on once there is room.
                frames.waits = true;
                return Poll::Pending;
            }
            let mut bytes = [0; READ];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut frames.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            frames.take(read.filled());
        }
        let left = frames.ready.get(frames.passed..).unwrap_or_default();
        let now = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..now).unwrap_or_default());
        frames.passed += now;
        if frames.passed == frames.ready.len() {
            frames.ready = Vec::new();
            frames.passed = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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
    fn passed(frames: &mut Frames<()>, sent: &[Sent], piece: usize) -> Vec<Sent> {
        let bytes: Vec<_> = sent.iter().flat_map(Sent::bytes).collect();
        for piece in bytes.chunks(piece) {
            frames.take(piece);
        }
        let mut read = FrameSocket::new(Cursor::new(std::mem::take(&mut frames.ready)));
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
    fn pieces(sent: &Sent) -> Vec<Sent> {
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
            piece in prop_oneof![1..40_usize, Just(READ)],
        ) {
            let mut frames = Frames::new((), &[]);
            let expect: Vec<_> = sent.iter().flat_map(pieces).collect();
            prop_assert!(passed(&mut frames, &sent, piece) == expect);
            let is_data = |sent: &&Sent| matches!(sent.opcode, OpCode::Data(_));
            let data: Vec<_> = sent.iter().filter(is_data).collect();
            let messages = data.iter().filter(|sent| sent.is_final).count();
            let begun: Vec<_> = data.iter().rev().take_while(|sent| !sent.is_final).collect();
            let unfinished = (!begun.is_empty()).then(|| Unfinished {
                number: messages as u64,
                bytes: begun.iter().map(|sent| sent.payload.len() as u64).sum(),
                begun: true,
            });
            prop_assert_eq!(frames.unfinished(), unfinished);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..40_usize) {
            let mut frames = Frames::new((), &[]);
            for piece in bytes.chunks(piece) {
                frames.take(piece);
            }
            prop_assert!(frames.ready.len() <= bytes.len() + HEAD);
        }
    }

    #[test]
    fn a_length_that_is_announced_takes_nothing() {
        let mut frames = Frames::new((), &[]);
        let mut head = vec![FIN | 1, MASKED | 127];
        head.extend_from_slice(&u64::MAX.to_be_bytes());
        head.extend_from_slice(&[0; 4]);
        frames.take(&head);
        let mut read = Cursor::new(&frames.ready);
        let (header, length) = FrameHeader::parse(&mut read).unwrap().unwrap();
        assert_eq!((header.is_final, length), (false, PIECE.into()));
    }

    #[tokio::test]
    async fn no_more_of_a_message_is_read_than_there_is_room_for() {
        let long = Sent {
            opcode: OpCode::Data(Data::Text),
            is_final: true,
            mask: Some([1, 2, 3, 4]),
            payload: vec![b'x'; 100_000],
        };
        let bytes = long.bytes();
        let mut frames = Frames::new(bytes.as_slice(), &[]);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut buffer = vec![0; 200_000];
        let mut read = ReadBuf::new(&mut buffer);
        let mut poll = |frames: &mut Frames<&[u8]>| {
            while Pin::new(&mut *frames)
                .poll_read(&mut context, &mut read)
                .is_ready()
            {
                if frames.unfinished().is_none() {
                    return;
                }
            }
        };
        for allowed in [FREE, 50_000] {
            frames.allow(allowed as u64);
            poll(&mut frames);
            assert!(frames.waits());
            let came = usize::try_from(frames.unfinished().unwrap().bytes).unwrap();
            assert!((allowed..allowed + READ).contains(&came), "{came}");
        }
        frames.allow(100_000);
        poll(&mut frames);
        assert_eq!(frames.unfinished(), None);
    }
}
