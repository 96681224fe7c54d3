//! A stream of server-sent events.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::{Failed, connect, ended};

/// A response that goes on.
pub struct EventStream {
    lines: BufReader<Chunks>,
}

impl EventStream {
    /// Asks for a subscription by its path and query, resumed from a cursor, if there is one.
    ///
    /// # Errors
    /// If it is refused, or there is no server.
    pub fn open(address: SocketAddr, path: &str, cursor: Option<&str>) -> Result<Self, Failed> {
        let mut stream = connect(address)?;
        let cursor = cursor.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{cursor}\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(Failed::gone)?;
        let mut reader = BufReader::new(stream);
        let head = head(&mut reader).map_err(Failed::gone)?;
        if !head.starts_with("http/1.1 200") {
            return Err(refusal(&head, &mut reader));
        }
        if !head.contains("content-type: text/event-stream") {
            return Err(Failed::gone(format!("no events: {head}")));
        }
        let chunks = Chunks { reader, left: 0 };
        Ok(Self {
            lines: BufReader::new(chunks),
        })
    }

    /// The connection below.
    pub fn stream(&self) -> &TcpStream {
        self.lines.get_ref().reader.get_ref()
    }

    /// The next event. What stands beside it must agree with it.
    ///
    /// # Errors
    /// If the stream ends.
    pub fn event(&mut self) -> Result<Value, Failed> {
        let (mut id, mut kind, mut data) = (None, None, String::new());
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return Err(Failed::gone("the stream has ended")),
                Ok(_) => {}
                Err(error) => return Err(ended(&error)),
            }
            let line = line.trim_end_matches(['\r', '\n']);
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => id = Some(value.to_owned()),
                "event" => kind = Some(value.to_owned()),
                "data" => {
                    data.push_str(value);
                    data.push('\n');
                }
                "" if line.is_empty() && !data.is_empty() => {
                    let event: Value = serde_json::from_str(&data).map_err(Failed::gone)?;
                    let is_right = event["cursor"].as_str() == id.as_deref()
                        && event["type"].as_str() == kind.as_deref();
                    return if is_right {
                        Ok(event)
                    } else {
                        Err(Failed::gone(format!("id {id:?}, event {kind:?}: {event}")))
                    };
                }
                _ => {}
            }
        }
    }
}

/// The head of an answer, in lower case.
fn head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head.to_ascii_lowercase())
}

fn refusal(head: &str, reader: &mut impl Read) -> Failed {
    let length = head.lines().find_map(|line| {
        let length = line.strip_prefix("content-length:")?;
        length.trim().parse::<usize>().ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    if let Err(error) = reader.read_exact(&mut body) {
        return Failed::gone(error);
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut answer) if answer.get("error").is_some() => Failed::Refused(answer["error"].take()),
        _ => Failed::gone(format!("{head}{}", String::from_utf8_lossy(&body))),
    }
}

/// A body that comes in chunks, without what is between them.
struct Chunks {
    reader: BufReader<TcpStream>,
    /// Bytes of this chunk that are still to come.
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            // The end of the chunk before comes first.
            while line.trim().is_empty() {
                line.clear();
                if self.reader.read_line(&mut line)? == 0 {
                    return Ok(0);
                }
            }
            let length = usize::from_str_radix(line.trim(), 16);
            self.left = length.map_err(|_| io::Error::other(format!("no chunk: {line:?}")))?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = buffer.len().min(self.left);
        let read = self
            .reader
            .read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}
