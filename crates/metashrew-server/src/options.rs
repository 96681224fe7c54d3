//! Settings of the server.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;

use http::HeaderValue;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::indexing::IndexingStatus;

const MIB: u32 = 1024 * 1024;

/// Settings of a [`Server`](crate::Server).
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Which web pages may call. Default: [`Cors::Localhost`].
    pub cors: Cors,
    /// What `metashrew_height` answers. Default: [`HeightCompat::Last`].
    pub height_compat: HeightCompat,
    /// Bytes of a request's body. Default: 40 MiB, which holds a view's input of
    /// 16 MiB and a block of 4 MB, both as hex.
    pub max_request: u32,
    /// Bytes of an answer's body. Default: 136 MiB, which holds a view's answer
    /// of 64 MiB as hex.
    pub max_response: u32,
    /// Entries of a batch, and calls of a multicall. Default: 1,000.
    pub max_batch: usize,
    /// Calls of one batch or multicall that run at a time. Default: the number of cores.
    pub batch_parallel: NonZeroUsize,
    /// Requests under way at a time; one more is refused with HTTP 429. `/health`,
    /// `/ready` and `/metrics` do not count. Default: 1,024.
    pub max_connections: u32,
    /// Connections open at a time. Where there are as many, the one idle for longest is
    /// closed for a new one; while none is idle, new ones wait. Each takes a descriptor.
    /// Default: 512, half of the 1,024 descriptors that a process usually may have.
    pub max_open_connections: usize,
    /// Who knows how indexing goes. Default: nobody; the server then knows only what
    /// is indexed.
    pub indexing: Option<Arc<dyn IndexingStatus>>,
    /// Blocks that the index may be below the node's tip for `/ready` to say yes.
    /// Default: 2.
    pub ready_within: u32,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            cors: Cors::default(),
            height_compat: HeightCompat::default(),
            max_request: 40 * MIB,
            max_response: 136 * MIB,
            max_batch: 1000,
            batch_parallel: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_connections: 1024,
            max_open_connections: 512,
            indexing: None,
            ready_within: 2,
        }
    }
}

/// What `metashrew_height` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeightCompat {
    /// The height of the last committed block. The default.
    #[default]
    Last,
    /// One more: the height that will be indexed next. Some clients subtract one
    /// because an older host answered this.
    Next,
}

/// Which web pages may call the server from a browser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cors {
    /// Pages served from this machine, at any port. The default.
    #[default]
    Localhost,
    /// Every page.
    Any,
    /// No page of another origin.
    Off,
    /// Pages of these origins, such as `https://example.org`.
    Origins(Vec<HeaderValue>),
}

/// A text that names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{origin}` is not an origin: expected `*`, `off`, `localhost`, or origins such as `https://example.org`, separated by commas"
)]
pub struct ParseCorsError {
    /// The part that is not one.
    pub origin: String,
}

impl FromStr for Cors {
    type Err = ParseCorsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "*" => Ok(Self::Any),
            "off" => Ok(Self::Off),
            "localhost" => Ok(Self::Localhost),
            origins => origins
                .split(',')
                .map(parse_origin)
                .collect::<Result<_, _>>()
                .map(Self::Origins),
        }
    }
}

fn parse_origin(text: &str) -> Result<HeaderValue, ParseCorsError> {
    let origin = text.trim().trim_end_matches('/');
    let not_one = || ParseCorsError {
        origin: text.trim().to_owned(),
    };
    let has_scheme = ["http://", "https://"]
        .iter()
        .filter_map(|scheme| origin.strip_prefix(scheme))
        .any(|host| !host.is_empty() && !host.contains('/'));
    if !has_scheme {
        return Err(not_one());
    }
    HeaderValue::from_str(origin).map_err(|_| not_one())
}

impl Cors {
    /// The HTTP layer that answers preflight requests and marks answers.
    pub(crate) fn layer(&self) -> CorsLayer {
        let layer = CorsLayer::new()
            .allow_methods(AllowMethods::list([http::Method::POST]))
            .allow_headers(AllowHeaders::list([http::header::CONTENT_TYPE]));
        match self {
            Self::Off => CorsLayer::new(),
            Self::Any => layer.allow_origin(AllowOrigin::any()),
            Self::Origins(origins) => layer.allow_origin(AllowOrigin::list(origins.clone())),
            Self::Localhost => {
                layer.allow_origin(AllowOrigin::predicate(|origin, _| is_local(origin)))
            }
        }
    }
}

/// Whether the origin is this machine's, over http, at any port.
fn is_local(origin: &HeaderValue) -> bool {
    let Some(host) = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://"))
    else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| {
        host.strip_prefix(local)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cors_is_read_as_existing_hosts_read_it() {
        assert_eq!("*".parse(), Ok(Cors::Any));
        assert_eq!("off".parse(), Ok(Cors::Off));
        let two = Cors::Origins(vec![
            HeaderValue::from_static("https://a.example"),
            HeaderValue::from_static("http://b.example:3000"),
        ]);
        assert_eq!("https://a.example, http://b.example:3000/".parse(), Ok(two));
        for bad in ["", "example.org", "https://", "https://a/b", "ftp://a"] {
            let error = bad.parse::<Cors>().unwrap_err();
            assert_eq!(error.origin, bad);
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        let check = |origin: &str, expect: bool| {
            assert_eq!(
                is_local(&HeaderValue::from_str(origin).unwrap()),
                expect,
                "{origin}"
            );
        };
        check("http://localhost", true);
        check("http://localhost:3000", true);
        check("http://127.0.0.1:80", true);
        check("http://[::1]:8080", true);
        check("https://localhost:3000", false);
        check("http://localhost.example.org", false);
        check("http://127.0.0.100", false);
    }
}
