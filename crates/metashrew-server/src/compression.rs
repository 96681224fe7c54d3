//! Long answers in gzip or brotli, for clients that take them.
//!
//! Only an answer that says so is compressed. The memory of its encoder is part of what its
//! request holds; where there is no room for that, it is sent as it is. An encoder gives way
//! to other tasks after each piece.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::ACCEPT_ENCODING;
use http::{Extensions, HeaderMap, Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tower::{Layer, Service};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use crate::answer::Answer;
use crate::budget::Lease;
use crate::front::Answered;
use crate::held::Held;

/// Bytes of the shortest answer that is compressed: below, the answer is one packet anyway.
const LEAST: usize = 1024;

/// The level, in gzip and brotli alike: the fastest that compresses at all, and for brotli
/// one whose encoder has no large window.
const LEVEL: CompressionLevel = CompressionLevel::Precise(1);

/// Bytes that an encoder of that level takes, at most.
pub(crate) const ENCODER: usize = 2 * 1024 * 1024;

type Plain = UnsyncBoxBody<Bytes, Infallible>;

/// An answer as it is sent.
pub(crate) type Sent = Response<SentBody>;

/// The body of an answer, compressed or not.
pub(crate) enum SentBody {
    Plain(Plain),
    Compressed(UnsyncBoxBody<Bytes, io::Error>),
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Plain(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Self::Compressed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            Self::Compressed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Compressed(body) => body.size_hint(),
        }
    }
}

/// The mark of an answer that may be compressed.
#[derive(Debug, Clone, Copy)]
struct Compressible;

/// Which encodings a client takes, if it says so.
pub(crate) struct Accepted(Request<()>);

impl Accepted {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(ACCEPT_ENCODING) {
            return None;
        }
        let mut request = Request::new(());
        for value in headers.get_all(ACCEPT_ENCODING) {
            request.headers_mut().append(ACCEPT_ENCODING, value.clone());
        }
        Some(Self(request))
    }
}

/// The body of an answer, which holds its lease. If it is long, its client takes other
/// encodings, and there is room for an encoder, it is marked to be compressed.
pub(crate) fn body(
    answer: Answer,
    lease: Arc<Lease>,
    headers: &HeaderMap,
    marks: &mut Extensions,
) -> Plain {
    let is_wanted = answer.len() >= LEAST && headers.contains_key(ACCEPT_ENCODING);
    if is_wanted && lease.charge_spare(ENCODER) {
        marks.insert(Compressible);
        return Held::new(Paced::new(answer), lease).boxed_unsync();
    }
    Held::new(answer, lease).boxed_unsync()
}

/// Compresses an answer that is marked, as its client prefers.
pub(crate) fn compressed(answered: Answered, accepted: Option<Accepted>) -> Sent {
    let is_marked = answered.extensions().get::<Compressible>().is_some();
    let Some(Accepted(request)) = accepted.filter(|_| is_marked) else {
        return answered.map(SentBody::Plain);
    };
    let layer = CompressionLayer::new().quality(LEVEL);
    let sent = layer.layer(There(Some(answered))).call(request);
    match sent.now_or_never().expect("what it waits for is there") {
        Ok(sent) => sent.map(|body| {
            let body = body.map_err(io::Error::other);
            SentBody::Compressed(body.boxed_unsync())
        }),
        Err(never) => match never {},
    }
}

/// Answers with what is there already.
struct There(Option<Answered>);

impl Service<Request<()>> for There {
    type Response = Answered;
    type Error = Infallible;
    type Future = Ready<Result<Answered, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(self.0.take().unwrap_or_default()))
    }
}

/// A body that gives way to other tasks after each part but the last.
struct Paced<B> {
    body: B,
    gives_way: bool,
}

impl<B> Paced<B> {
    fn new(body: B) -> Self {
        Self {
            body,
            gives_way: false,
        }
    }
}

impl<B: Body + Unpin> Body for Paced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if std::mem::take(&mut self.gives_way) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.gives_way = polled.is_ready() && !self.body.is_end_stream();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::budget::Budget;
    use crate::connections::Connection;

    const LONG: usize = 1 << 20;

    fn accepting(encodings: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encodings));
        headers
    }

    fn sent(length: usize, headers: &HeaderMap, budget: &Arc<Budget>) -> Sent {
        let mut answer = Answer::default();
        answer.push_raw(vec![b'a'; length].into());
        let lease = Arc::new(budget.lease(&Arc::new(Connection::new([127, 0, 0, 1].into()))));
        lease.settle(answer.held()).unwrap();
        let mut response = Answered::default();
        let mut marks = Extensions::new();
        *response.body_mut() = body(answer, lease, headers, &mut marks);
        *response.extensions_mut() = marks;
        compressed(response, Accepted::of(headers))
    }

    fn encoding(sent: &Sent) -> Option<&str> {
        let encoding = sent.headers().get("content-encoding");
        encoding.map(|encoding| encoding.to_str().unwrap())
    }

    fn roomy() -> Arc<Budget> {
        Arc::new(Budget::new(1 << 30, Duration::ZERO))
    }

    #[test]
    fn long_answers_are_compressed_as_the_client_prefers() {
        let check = |length, accepted, expect| {
            let sent = sent(length, &accepting(accepted), &roomy());
            assert_eq!(encoding(&sent), expect, "{length} {accepted}");
        };
        check(LONG, "gzip, deflate, br, zstd", Some("br"));
        check(LONG, "gzip", Some("gzip"));
        check(LONG, "br;q=0.5, gzip", Some("gzip"));
        check(LONG, "gzip;q=0", None);
        check(LONG, "deflate, zstd", None);
        check(LONG, "identity", None);
        check(LEAST, "gzip", Some("gzip"));
        check(LEAST - 1, "gzip", None);
        assert_eq!(encoding(&sent(LONG, &HeaderMap::new(), &roomy())), None);
    }

    #[test]
    fn an_encoder_is_held_until_the_last_byte() {
        let budget = roomy();
        let sent = sent(LONG, &accepting("gzip"), &budget);
        assert!(budget.used() > LONG + ENCODER / 2, "{}", budget.used());
        drop(sent);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_answer_is_sent_as_it_is_where_there_is_no_room_to_compress_it() {
        let budget = Arc::new(Budget::new(LONG + ENCODER / 2, Duration::ZERO));
        let sent = sent(LONG, &accepting("gzip"), &budget);
        assert_eq!(encoding(&sent), None);
        assert_eq!(sent.status(), 200);
    }

    #[test]
    fn no_poll_takes_more_than_a_piece() {
        let mut answer = Answer::default();
        answer.push_raw(vec![0; LONG].into());
        let mut paced = Paced::new(answer);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let (mut parts, mut pauses) = (0, 0);
        loop {
            match Pin::new(&mut paced).poll_frame(&mut context) {
                Poll::Ready(Some(_)) => parts += 1,
                Poll::Ready(None) => break,
                Poll::Pending => pauses += 1,
            }
        }
        assert_eq!((parts, pauses), (16, 15));
    }
}
