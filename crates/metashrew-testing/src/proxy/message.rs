//! The little of HTTP/1.1 that goes over a node's port: whole messages with a
//! length, JSON-RPC or REST.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bitcoin::hex::{DisplayHex, FromHex};
use serde_json::Value;

/// What a client asks.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The first line: method, path, version.
    pub(super) line: String,
    /// The other lines, each with its end, without those about the connection.
    headers: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A request to REST.
    pub(super) fn rest(path: &str) -> Self {
        Self {
            line: format!("GET {path} HTTP/1.1"),
            headers: "Host: localhost\r\n".to_owned(),
            body: Vec::new(),
        }
    }

    /// The next request of a connection; none at its end.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some((line, headers, length)) = read_head(reader)? else {
            return Ok(None);
        };
        let mut body = vec![0; length.unwrap_or_default()];
        reader.read_exact(&mut body)?;
        Ok(Some(Self {
            line,
            headers,
            body,
        }))
    }

    /// The hash of the block whose bytes are asked for, as text.
    pub(super) fn block(&self) -> Option<String> {
        if let Some((_, path)) = self.line.split_once("/rest/block/") {
            return path.split_once(".bin").map(|(hash, _)| hash.to_owned());
        }
        let body = str::from_utf8(&self.body).ok()?;
        let asks = body.contains("\"getblock\"");
        let hash = body.split('"').find(|text| is_hash(text))?;
        asks.then(|| hash.to_owned())
    }

    /// The same request for the block's parent; none if it asks for no block, or the
    /// block has no parent.
    pub(super) fn of_parent(&self, upstream: SocketAddr) -> io::Result<Option<Self>> {
        let Some(hash) = self.block() else {
            return Ok(None);
        };
        let header = self.ask(upstream)?.block_start();
        let parent = header
            .get(4..36)
            .and_then(|hash| BlockHash::from_slice(hash).ok());
        let Some(parent) = parent.filter(|parent| *parent != BlockHash::all_zeros()) else {
            return Ok(None);
        };
        let parent = parent.to_string();
        let body = String::from_utf8_lossy(&self.body).replace(&hash, &parent);
        Ok(Some(Self {
            line: self.line.replace(&hash, &parent),
            headers: self.headers.clone(),
            body: body.into_bytes(),
        }))
    }

    /// Asks the node, on a connection of its own.
    pub(super) fn ask(&self, upstream: SocketAddr) -> io::Result<Answer> {
        let mut connection = TcpStream::connect(upstream)?;
        let Self {
            line,
            headers,
            body,
        } = self;
        let head = format!(
            "{line}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(body)?;
        let mut reader = io::BufReader::new(connection);
        let (line, headers, length) =
            read_head(&mut reader)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                reader.read_exact(&mut body)?;
            }
            None => {
                reader.read_to_end(&mut body)?;
            }
        }
        Ok(Answer {
            line,
            headers,
            body,
        })
    }
}

impl Request {
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn with_body(&self, body: String) -> Self {
        Self {
            body: body.into_bytes(),
            ..self.clone()
        }
    }
}

impl Answer {
    pub(super) fn of(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    pub(super) fn changed(mut self, change: impl Fn(String) -> String) -> Self {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        self.body = change(body).into_bytes();
        self
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a node answers.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    line: String,
    headers: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn html(status: u16) -> Self {
        let page = "<html><body><h1>Bad Gateway</h1></body></html>";
        Self::new(status, "text/html", page)
    }

    /// What was asked for.
    pub(super) fn binary(body: Vec<u8>) -> Self {
        Self::new(200, "application/octet-stream", body)
    }

    /// What was asked for, as JSON.
    pub(super) fn json(body: &Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    /// As REST says it.
    pub(super) fn not_found() -> Self {
        Self::new(404, "text/plain", "Block height out of range\r\n")
    }

    /// As Core says it: no JSON.
    pub(super) fn overloaded() -> Self {
        Self::new(503, "text/plain", "Work queue depth exceeded")
    }

    /// To REST, Core says it in plain words.
    pub(super) fn loading(request: &Request) -> Self {
        if request.body.is_empty() {
            return Self::new(
                503,
                "text/plain",
                "Service temporarily unavailable: Loading block index…\r\n",
            );
        }
        let error =
            r#"{"result":null,"error":{"code":-28,"message":"Loading block index…"},"id":0}"#;
        Self::new(500, "application/json", error)
    }

    fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            line: format!("HTTP/1.1 {status} Status"),
            headers: format!("Content-Type: {kind}\r\n"),
            body: body.into(),
        }
    }

    /// The answer with something else made of the block in it, if there is one.
    pub(super) fn with_block(mut self, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Self {
        if !self.is_json() {
            if let Some(changed) = change(&self.body) {
                self.body = changed;
            }
            return self;
        }
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let hex = text.split('"').find(|part| part.len() >= 160);
        if let Some(hex) = hex
            && let Ok(block) = Vec::from_hex(hex)
            && let Some(changed) = change(&block)
        {
            let changed = changed.to_lower_hex_string();
            self.body = text.replace(hex, &changed).into_bytes();
        }
        self
    }

    /// One bit in the middle of the body is another; in hex, it stays hex.
    pub(super) fn corrupted(mut self) -> Self {
        let middle = self.body.len() / 2;
        let hex = self.is_json();
        if let Some(byte) = self.body.get_mut(middle) {
            *byte = match *byte {
                b'0' if hex => b'1',
                _ if hex => b'0',
                byte => byte ^ 1,
            };
        }
        self
    }

    /// The answer with an `id` that was not asked, in a batch each of them.
    pub(super) fn of_another_id(mut self) -> Self {
        if let Ok(text) = str::from_utf8(&self.body) {
            self.body = text.replace("\"id\":", "\"id\":98765").into_bytes();
        }
        self
    }

    fn is_json(&self) -> bool {
        self.body.first() == Some(&b'{')
    }

    /// The first bytes of the block in the answer.
    fn block_start(&self) -> Vec<u8> {
        if !self.is_json() {
            return self.body.get(..80).unwrap_or_default().to_vec();
        }
        let text = String::from_utf8_lossy(&self.body);
        let hex = text.split('"').find(|part| part.len() >= 160);
        let header = hex.and_then(|hex| Vec::from_hex(hex.get(..160)?).ok());
        header.unwrap_or_default()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self {
            line,
            headers,
            body,
        } = self;
        let head = format!("{line}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }
}

/// The first line, the headers less those about length and connection, and the
/// length. None at the end of a connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(String, String, Option<usize>)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let (mut headers, mut length) = (String::new(), None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim_end().is_empty() {
            return Ok(Some((line.trim_end().to_owned(), headers, length)));
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "connection" => {}
            _ => headers.push_str(&header),
        }
    }
}
