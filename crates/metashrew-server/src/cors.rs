//! Which web pages may call the server from a browser.

use std::str::FromStr;

use http::header::{ETAG, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{
    AllowHeaders, AllowMethods, AllowOrigin, AllowPrivateNetwork, CorsLayer, ExposeHeaders,
};

use crate::wire::{BLOCK_HASH, GUEST, HEIGHT, HISTORY_ROOT, PENDING};

/// The headers of answers that pages may read, besides those that they always may.
const EXPOSED: [HeaderName; 7] = [
    ETAG,
    RETRY_AFTER,
    HEIGHT,
    BLOCK_HASH,
    HISTORY_ROOT,
    GUEST,
    PENDING,
];

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
    /// Pages of these origins, such as `https://example.org`, and extensions of browsers,
    /// such as `moz-extension://…`.
    Origins(Vec<HeaderValue>),
}

/// A text that names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{origin}` is not an origin: expected `*`, `off`, `localhost`, or origins such as `https://example.org` or `chrome-extension://…`, separated by commas"
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

/// As browsers write it: in lower case, without the port that its scheme implies.
fn parse_origin(text: &str) -> Result<HeaderValue, ParseCorsError> {
    let not_one = || ParseCorsError {
        origin: text.trim().to_owned(),
    };
    let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let (scheme, host) = origin.split_once("://").ok_or_else(not_one)?;
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ if scheme.len() > EXTENSION.len() && scheme.ends_with(EXTENSION) => "",
        _ => return Err(not_one()),
    };
    if host.is_empty() || host.contains('/') {
        return Err(not_one());
    }
    let host = host.strip_suffix(port).unwrap_or(host);
    HeaderValue::from_str(&format!("{scheme}://{host}")).map_err(|_| not_one())
}

/// What the schemes of browsers' extensions end with.
const EXTENSION: &str = "-extension";

impl Cors {
    /// Whether pages of the origin may call.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Localhost => is_local(origin),
            Self::Any => true,
            Self::Off => false,
            Self::Origins(origins) => origins.contains(origin),
        }
    }

    /// The HTTP layer that answers preflight requests and marks answers.
    ///
    /// A page that may call may send any header, and may do so where it came from the
    /// public network and the server is in a private one.
    pub(crate) fn layer(&self) -> CorsLayer {
        let layer = CorsLayer::new()
            .allow_methods(AllowMethods::list([
                Method::GET,
                Method::HEAD,
                Method::POST,
            ]))
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(EXPOSED));
        match self {
            Self::Off => CorsLayer::new(),
            Self::Any => layer
                .allow_origin(AllowOrigin::any())
                .allow_private_network(AllowPrivateNetwork::yes()),
            Self::Origins(origins) => {
                let allowed = origins.clone();
                layer
                    .allow_origin(AllowOrigin::list(origins.clone()))
                    .allow_private_network(AllowPrivateNetwork::predicate(move |origin, _| {
                        allowed.contains(origin)
                    }))
            }
            Self::Localhost => layer
                .allow_origin(AllowOrigin::predicate(|origin, _| is_local(origin)))
                .allow_private_network(AllowPrivateNetwork::predicate(|origin, _| {
                    is_local(origin)
                })),
        }
    }
}

/// Whether the origin is this machine's, at any port.
fn is_local(origin: &HeaderValue) -> bool {
    let Some((scheme, host)) = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
    else {
        return false;
    };
    let is_web = matches!(scheme, "http" | "https");
    is_web
        && ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| {
            host.strip_prefix(local)
                .is_some_and(|rest| rest.is_empty() || is_port(rest))
        })
}

/// Whether it is a port with its colon.
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
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
        for bad in [
            "",
            "example.org",
            "https://",
            "https://a/b",
            "ftp://a",
            "-extension://a",
            "chrome-extension://",
        ] {
            let error = bad.parse::<Cors>().unwrap_err();
            assert_eq!(error.origin, bad);
        }
    }

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        let check = |text: &str, expect: &'static str| {
            let expect = Cors::Origins(vec![HeaderValue::from_static(expect)]);
            assert_eq!(text.parse(), Ok(expect), "{text}");
        };
        check("https://Example.org:443/", "https://example.org");
        check("http://example.org:80", "http://example.org");
        check("http://example.org:443", "http://example.org:443");
        let extension = "moz-extension://0f6a2a5e-5b1d-4d0a-9d9a-2f4f3d1c8b7e";
        check(extension, extension);
        check("chrome-extension://abcdefgh", "chrome-extension://abcdefgh");
    }

    #[test]
    fn who_may_call() {
        let check = |cors: &str, origin: &'static str, expect: bool| {
            let cors: Cors = cors.parse().unwrap();
            let origin = HeaderValue::from_static(origin);
            assert_eq!(cors.allows(&origin), expect, "{cors:?} {origin:?}");
        };
        check("*", "null", true);
        check("off", "http://localhost", false);
        check("localhost", "http://localhost:3000", true);
        check("localhost", "null", false);
        check("https://a.example", "https://a.example", true);
        check("https://a.example", "https://b.example", false);
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
        check("https://localhost:3000", true);
        check("ftp://localhost", false);
        check("localhost", false);
        check("null", false);
        check("http://localhost.example.org", false);
        check("http://127.0.0.100", false);
        check("http://localhost:3@example.org", false);
        check("http://localhost:", false);
    }
}
