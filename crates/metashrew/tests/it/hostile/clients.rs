//! Clients in raw HTTP: such as send and stall, and such as a test reads from.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The head of a request with a JSON body of a length.
pub(crate) fn head(address: SocketAddr, length: u64) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A connection on which a body was posted; nobody has read from it.
pub(crate) fn post(address: SocketAddr, body: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    // The server may have closed it.
    let _ = stream.write_all(head(address, body.len() as u64).as_bytes());
    let _ = stream.write_all(body.as_bytes());
    Ok(stream)
}

/// Status and body of the answer to a JSON body.
pub(crate) fn try_post(address: SocketAddr, body: &str) -> io::Result<(u16, Vec<u8>)> {
    read_answer(&mut post(address, body)?)
}

/// Status and body of the answer on a connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> io::Result<(u16, Vec<u8>)> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or(ErrorKind::UnexpectedEof)?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.ok_or(ErrorKind::InvalidData)?, body))
}

/// Many clients that each send the first bytes of a body, as fast as the server takes
/// them, and then stall. One that is refused or closed begins anew.
pub(crate) struct Uploads {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// One of them; none if it cannot connect.
struct Upload {
    stream: Option<TcpStream>,
    left: u64,
}

impl Upload {
    fn open(address: SocketAddr, bytes: u64) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        // The last MiB will not come.
        stream.write_all(head(address, bytes + (1 << 20)).as_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: Some(stream),
            left: bytes,
        })
    }

    /// Sends what the server takes, up to a bound; answers how much.
    fn push(&mut self) -> u64 {
        static BLANKS: [u8; 256 << 10] = [b' '; 256 << 10];
        let Some(stream) = &mut self.stream else {
            return 0;
        };
        let piece = usize::try_from(self.left.min(BLANKS.len() as u64)).unwrap();
        match stream.write(&BLANKS[..piece]) {
            Ok(sent) => {
                self.left -= sent as u64;
                sent as u64
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.stream = None;
                0
            }
        }
    }

    /// Whether the server has ended it.
    fn is_over(&mut self) -> bool {
        let Some(stream) = &mut self.stream else {
            return true;
        };
        let read = stream.peek(&mut [0]);
        read.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |_| true)
    }
}

impl Uploads {
    pub(crate) fn start(address: SocketAddr, clients: usize, bytes: u64) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (total, stopped) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut uploads: Vec<_> = (0..clients)
                .map_while(|_| Upload::open(address, bytes).ok())
                .collect();
            while !stopped.load(Ordering::Relaxed) {
                let mut pushed = 0;
                for upload in &mut uploads {
                    pushed += upload.push();
                    if upload.is_over()
                        && let Ok(anew) = Upload::open(address, bytes)
                    {
                        *upload = anew;
                    }
                }
                total.fetch_add(pushed, Ordering::Relaxed);
                if pushed == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self { sent, stop, thread }
    }

    /// Bytes sent so far, all together.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
