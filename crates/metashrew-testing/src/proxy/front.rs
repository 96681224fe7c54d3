//! What stands in front of a node and answers in its own way: another server's dialect,
//! or TLS.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::message::{Answer, Request};

/// What becomes of a request.
pub enum Reaction {
    /// The node answers.
    Pass,
    /// The node answers, and this changes the body.
    Change(fn(String) -> String),
    /// The node answers another question: this is its body.
    Ask(String),
    /// This is the answer: status and body.
    Answer(u16, String),
    /// The connection is closed.
    Close,
}

type React = dyn Fn(&str, &str) -> Reaction + Send + Sync;

struct Shared {
    upstream: SocketAddr,
    react: Box<React>,
    tls: Option<Arc<ServerConfig>>,
    closed: AtomicBool,
    /// The first line and the body of each request.
    asked: Mutex<Vec<(String, String)>>,
}

/// A server on a free port of 127.0.0.1 in front of a node. Dropping it closes the port.
pub struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Front {
    /// In front of a node; each request's first line and body say what becomes of it.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(
        upstream: SocketAddr,
        react: impl Fn(&str, &str) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::listen(upstream, Box::new(react), None)
    }

    /// In front of a node, speaking TLS with that certificate and key (DER).
    ///
    /// # Panics
    /// If there is no free port, or the key is not the certificate's.
    pub fn start_tls(upstream: SocketAddr, certificate: &[u8], key: &[u8]) -> Self {
        let certificate = CertificateDer::from(certificate.to_vec());
        let key = PrivateKeyDer::try_from(key.to_vec()).expect("a key in DER");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions that the provider has")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key of the certificate");
        Self::listen(
            upstream,
            Box::new(|_, _| Reaction::Pass),
            Some(Arc::new(config)),
        )
    }

    fn listen(upstream: SocketAddr, react: Box<React>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            upstream,
            react,
            tls,
            closed: AtomicBool::new(false),
            asked: Mutex::default(),
        });
        let listening = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Self {
            address,
            shared,
            listening: Some(listening),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked since this was called last: first lines and bodies.
    pub fn take_asked(&self) -> Vec<(String, String)> {
        std::mem::take(
            &mut *self
                .shared
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(shared);
        // It ends when the client closes, which may be in the middle of a word.
        thread::spawn(move || match &shared.tls {
            None => serve(connection, &shared),
            Some(config) => {
                let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                serve(StreamOwned::new(tls, connection), &shared)
            }
        });
    }
}

fn serve(stream: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        let (line, body) = (request.line().to_owned(), request.body_text());
        shared
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((line.clone(), body.clone()));
        let answer = match (shared.react)(&line, &body) {
            Reaction::Pass => request.ask(shared.upstream)?,
            Reaction::Change(change) => request.ask(shared.upstream)?.changed(change),
            Reaction::Ask(body) => request.with_body(body).ask(shared.upstream)?,
            Reaction::Answer(status, body) => Answer::of(status, &body),
            Reaction::Close => return Ok(()),
        };
        reader.get_mut().write_all(&answer.to_bytes())?;
        reader.get_mut().flush()?;
    }
    Ok(())
}
