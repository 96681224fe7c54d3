//! How a connection becomes a WebSocket: the request that asks for it, and its answer.

use std::sync::Arc;

use http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::{Pushing, Way};
use crate::connections::Connection;
use crate::front::{Answered, Shared};
use crate::origin;
use crate::refusal::{Reason, Refusal};

/// The version of the protocol that is spoken: that of RFC 6455.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A connection that becomes a WebSocket once its answer, which has this, is written.
#[derive(Clone)]
pub(crate) struct Upgrade {
    pub(super) connection: OnUpgrade,
    pub(super) pushing: Arc<Pushing>,
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    let protocols = request.headers().get_all(UPGRADE).into_iter();
    let mut protocols = protocols
        .filter_map(|protocols| protocols.to_str().ok())
        .flat_map(|protocols| protocols.split(','));
    *request.method() == Method::GET
        && protocols.any(|name| name.trim().eq_ignore_ascii_case("websocket"))
}

impl Shared {
    /// The answer to a request that asks for a WebSocket.
    pub(crate) fn upgrade(&self, request: Request<Incoming>, connection: &Connection) -> Answered {
        let unread = !request.body().is_end_stream();
        self.upgraded(request, connection)
            .unwrap_or_else(|refusal| {
                let is_version = refusal.status == StatusCode::UPGRADE_REQUIRED;
                let mut response = self.refuse(refusal, connection, unread);
                if is_version {
                    response
                        .headers_mut()
                        .insert(SEC_WEBSOCKET_VERSION, VERSION);
                }
                response
            })
    }

    fn upgraded(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Result<Answered, Refusal> {
        // What a browser sends for a page here it sends for every page: there is no CORS.
        origin::check(request.headers(), &self.cors)?;
        if !request.body().is_end_stream() {
            let message = "a request that asks for a WebSocket has no body";
            return Err(Refusal::new(Reason::BadUpgrade, message));
        }
        let empty = || Empty::new().boxed_unsync();
        let response = create_response_with_body(&request, empty);
        let mut response = response.map_err(|error| refusal_of(&error))?;
        let pushing = self.push.begin(Way::WebSocket, connection)?;
        response.extensions_mut().insert(Upgrade {
            connection: hyper::upgrade::on(request),
            pushing: Arc::new(pushing),
        });
        Ok(response)
    }
}

fn refusal_of(error: &Error) -> Refusal {
    let refusal = Refusal::new(
        Reason::BadUpgrade,
        format!("the request does not ask for a WebSocket as it should: {error}"),
    );
    match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            refusal.status(StatusCode::UPGRADE_REQUIRED)
        }
        _ => refusal,
    }
}
