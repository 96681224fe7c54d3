//! Makes the chain, a little ahead of need, and hands its blocks out over a socket.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use bitcoin::hashes::Hash;
use metashrew_testing::chain::Mined;
use metashrew_testing::stream::Stream;

/// How the thread that makes the blocks is called.
pub(crate) const GENERATOR: &str = "generate";

/// Blocks made ahead of the last one asked for.
const AHEAD: usize = 24;

/// Blocks that can be had once more: more than an indexer has fetched or processed
/// and not committed when it is killed.
const KEPT: usize = 160;

/// Asks for hashes, or for a block.
pub(crate) const HASHES: u8 = b'h';
pub(crate) const BLOCK: u8 = b'b';

/// The chain as far as it was asked for; the first block has height 1.
struct Made {
    source: Receiver<Mined>,
    hashes: Vec<[u8; 32]>,
    blocks: VecDeque<Arc<Vec<u8>>>,
}

impl Made {
    fn reach(&mut self, height: u32) {
        while self.hashes.len() < height as usize {
            let mined = self.source.recv().expect("the generator goes on");
            self.hashes.push(mined.hash.to_byte_array());
            self.blocks.push_back(mined.bytes);
            if self.blocks.len() > KEPT {
                self.blocks.pop_front();
            }
        }
    }

    fn hashes(&mut self, from: u32, count: u32) -> Vec<u8> {
        self.reach(from);
        let from = from as usize - 1;
        let most = (from + count as usize).min(self.hashes.len());
        self.hashes[from..most].concat()
    }

    fn block(&mut self, height: u32) -> Arc<Vec<u8>> {
        self.reach(height);
        let from_tip = self.hashes.len() - height as usize;
        let place = self.blocks.len().checked_sub(from_tip + 1);
        let block = place.and_then(|place| self.blocks.get(place));
        Arc::clone(block.expect("a block so far below the last one is not asked for"))
    }
}

/// Hands out the chain to all who connect to the socket, for as long as the process
/// lives.
pub(crate) fn start(socket: &Path, mut stream: Stream) {
    let (sender, source) = sync_channel(AHEAD);
    let generator = thread::Builder::new().name(GENERATOR.to_owned());
    let generate = move || while sender.send(stream.next().expect("it has no end")).is_ok() {};
    generator.spawn(generate).expect("a thread");
    let made = Arc::new(Mutex::new(Made {
        source,
        hashes: Vec::new(),
        blocks: VecDeque::new(),
    }));
    let listener = UnixListener::bind(socket).expect("the socket is new");
    let listen = move || {
        for connection in listener.incoming() {
            let (made, connection) = (Arc::clone(&made), connection.expect("a connection"));
            thread::spawn(move || serve(&made, connection));
        }
    };
    let feeder = thread::Builder::new().name("feed".to_owned());
    feeder.spawn(listen).expect("a thread");
}

/// Answers until the other side is gone, which may be killed at any time.
fn serve(made: &Mutex<Made>, mut connection: UnixStream) {
    let mut question = [0; 9];
    let answer = |connection: &mut UnixStream, question: &[u8; 9]| {
        let number = |at: usize| {
            let bytes = question[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        let mut made = made.lock().expect("nobody panicked");
        let bytes = match question[0] {
            HASHES => Arc::new(made.hashes(number(1), number(5))),
            _ => made.block(number(1)),
        };
        drop(made);
        connection.write_all(&(bytes.len() as u32).to_le_bytes())?;
        connection.write_all(&bytes)
    };
    loop {
        let done = connection
            .read_exact(&mut question)
            .and_then(|()| answer(&mut connection, &question));
        match done {
            Ok(()) => {}
            Err(error) => {
                let gone = [
                    ErrorKind::UnexpectedEof,
                    ErrorKind::BrokenPipe,
                    ErrorKind::ConnectionReset,
                ];
                assert!(gone.contains(&error.kind()), "{error}");
                return;
            }
        }
    }
}
