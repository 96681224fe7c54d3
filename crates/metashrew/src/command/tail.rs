//! `metashrew tail`: prints a subscription of a running `metashrew start`, an event a line.
//!
//! One connection after the other is read until it is lost; the next one goes on after the last event that
//! was printed. A thread reads and prints, so that a signal can end the command while it waits.

mod events;
mod output;

use std::io::{self, Stdout};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result};
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::cli::{AnswerForm, Follow, ServerUrl, Subscription, Tail};
use crate::client::{Client, RpcError};
use crate::input;
use crate::signals::Signals;
use events::{Events, Lost};
use output::{CursorFile, Sink};

/// How long a connection may bring nothing, not even a heartbeat.
const IDLE: Duration = Duration::from_secs(90);

/// Bytes of a refusal that are read.
const MAX_REFUSAL: u64 = 1 << 20;

/// How long to wait before connecting again: at first, and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How long a line under way may hold up the end.
const LAST_LINE: Duration = Duration::from_secs(1);

/// What is followed, from where to where.
struct Following {
    url: ServerUrl,
    path: String,
    /// Names and values, beside where to begin.
    query: Vec<(&'static str, String)>,
    cursor: Option<String>,
    from_first: bool,
    until: Option<u32>,
}

type Shared = Arc<Mutex<Sink<Stdout>>>;

pub(super) fn run(args: &Tail) -> Result<()> {
    let (following, file) = following(&args.subscription)?;
    let sink: Shared = Arc::new(Mutex::new(Sink::new(io::stdout(), file)));
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    tokio.block_on(async {
        let mut signals = Signals::catch().context("signals cannot be caught")?;
        let (done, ended) = tokio::sync::oneshot::channel();
        let printing = Arc::clone(&sink);
        std::thread::spawn(move || done.send(follow(following, &printing)));
        tokio::select! {
            ended = ended => ended.context("reading the events failed")?,
            signal = signals.next() => {
                tracing::debug!("{signal}: stopping");
                // It may be held by a line that nobody reads.
                sink.try_lock_for(LAST_LINE).map_or(Ok(()), |mut sink| sink.settle())
            }
        }
    })
}

/// What the flags name.
fn following(subscription: &Subscription) -> Result<(Following, Option<CursorFile>)> {
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let prefix = |prefix: &Option<crate::cli::Bytes>| {
        let prefix = prefix.as_ref().map(|prefix| ("prefix", hex(&prefix.0)));
        prefix.into_iter().collect::<Vec<_>>()
    };
    let (path, query, follow) = match subscription {
        Subscription::Heads { follow } => ("heads".to_owned(), Vec::new(), Ok(follow)),
        Subscription::Writes {
            prefix: bytes,
            storage,
            follow,
        } => {
            let mut query = prefix(bytes);
            query.extend(storage.clone().map(|storage| ("storage", storage)));
            ("writes".to_owned(), query, Ok(follow))
        }
        Subscription::View {
            name,
            input,
            form,
            follow,
        } => {
            let form = match form {
                AnswerForm::Hex => "hex",
                AnswerForm::Json => "json",
                AnswerForm::Text => "text",
            };
            let query = vec![
                ("input", hex(&input::read(input)?)),
                ("as", form.to_owned()),
            ];
            (format!("view/{}", encoded(name)), query, Ok(follow))
        }
        Subscription::Pending {
            prefix: bytes,
            server,
        } => ("pending".to_owned(), prefix(bytes), Err(server)),
    };
    let server = follow.map_or_else(|server| server, |follow| &follow.server);
    let follow = follow.ok();
    let file = follow.and_then(|follow: &Follow| follow.cursor_file.as_deref());
    let file = file.map(CursorFile::new);
    let kept = file.as_ref().map(CursorFile::read).transpose()?.flatten();
    let following = Following {
        url: server.url.clone(),
        path,
        query,
        cursor: kept.or_else(|| follow.and_then(|follow| follow.cursor.clone())),
        from_first: follow.is_some_and(|follow| follow.from.is_some()),
        until: follow.and_then(|follow| follow.until),
    };
    Ok((following, file))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Prints until the height is reached, or what fails cannot be mended by trying again.
fn follow(mut following: Following, sink: &Shared) -> Result<()> {
    let url = following.url.clone();
    let client = Client::streaming(&url, IDLE, MAX_REFUSAL)?;
    let mut told = None;
    let mut wait = WAITS.0;
    loop {
        let lost = match connect(&client, &following.address())? {
            Ok(stream) => {
                let mut events = Events::new(stream);
                match print(&mut following, &mut events, sink, &mut told, &mut wait)? {
                    Some(lost) => Error::new(lost),
                    None => return sink.lock().settle(),
                }
            }
            Err(error) => error,
        };
        sink.lock().settle()?;
        let pause = jittered(wait);
        tracing::warn!(
            "the server at `{url}` is asked again in {} ms: {lost:#}",
            pause.as_millis()
        );
        std::thread::sleep(pause);
        wait = (wait * 2).min(WAITS.1);
    }
}

/// Prints the events of a connection, until it is lost or, `None`, all is printed.
fn print(
    following: &mut Following,
    events: &mut Events<impl io::Read>,
    sink: &Shared,
    told: &mut Option<String>,
    wait: &mut Duration,
) -> Result<Option<Lost>> {
    loop {
        let event = match events.next() {
            Ok(event) => event,
            Err(lost) => return Ok(Some(lost)),
        };
        *wait = WAITS.0;
        let reached = event.head.height.zip(following.until);
        if reached.is_some_and(|(height, until)| height > until) {
            return Ok(None);
        }
        let cursor = event.head.cursor;
        // What has no cursor is told anew to each connection.
        if cursor.is_some() || told.as_ref() != Some(&event.line) {
            sink.lock()
                .print(&event.line, cursor.as_deref(), events.has_more())?;
        }
        *told = cursor.is_none().then_some(event.line);
        following.cursor = cursor.or(following.cursor.take());
        if reached.is_some_and(|(height, until)| height == until) {
            return Ok(None);
        }
    }
}

impl Following {
    /// What the next connection asks for.
    fn address(&self) -> String {
        let mut pairs: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        match &self.cursor {
            Some(cursor) => pairs.push(("cursor", cursor)),
            None if self.from_first => pairs.push(("from", "first")),
            None => {}
        }
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        format!(
            "/subscribe/{}?{}",
            self.path,
            pairs.collect::<Vec<_>>().join("&")
        )
    }
}

/// A refusal, as the server writes it.
#[derive(Deserialize)]
struct Refusal {
    error: RpcError,
}

/// Opens a stream of events; within, what may be tried again.
fn connect(client: &Client<'_>, address: &str) -> Result<Result<ureq::BodyReader<'static>>> {
    let answer = match client.open(address, "text/event-stream") {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error.into())),
    };
    let status = answer.status().as_u16();
    if status == 200 {
        return Ok(Ok(answer.into_body().into_reader()));
    }
    let error = match client.read::<Refusal>(answer) {
        Ok(Refusal { error }) => {
            let kind = error.data.get("kind").and_then(|kind| kind.as_str());
            if kind == Some("cursor_ahead") {
                return Ok(Err(Error::msg(error.message)));
            }
            Error::msg(error.message)
        }
        Err(error) => error,
    };
    if status >= 500 || matches!(status, 408 | 425 | 429) {
        return Ok(Err(error));
    }
    Err(error.context("the server does not give the subscription"))
}

/// A time up to half shorter, so that many who lost one server do not come back together.
fn jittered(wait: Duration) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    wait / 2 + wait / 2 * (now.subsec_nanos() % 1_000) / 1_000
}
