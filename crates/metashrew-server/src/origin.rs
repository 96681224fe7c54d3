//! Which web pages may have something run by a request that browsers send without asking.
//!
//! A browser asks before it posts JSON, but sends a `GET`, or a `POST` of plain text, from
//! any page; that page cannot read the answer, but the work is done. Browsers say where
//! such a request comes from, and no page can change that.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::cors::Cors;
use crate::refusal::{Reason, Refusal};

/// Refuses a request that a browser sends for a page that may not call: one of another
/// origin than those that `cors` allows and the server's own. A user may follow a link.
pub(crate) fn check(headers: &HeaderMap, cors: &Cors) -> Result<(), Refusal> {
    let allowed = match headers.get(ORIGIN) {
        Some(origin) => cors.allows(origin) || is_own(origin, headers.get(HOST)),
        // Only some requests name their origin. Browsers that say where the others come
        // from do so at addresses of this machine and over https.
        None => *cors == Cors::Any || !is_from_elsewhere(headers) || is_navigation(headers),
    };
    if allowed {
        return Ok(());
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let message = match origin {
        Some(origin) => {
            format!("pages of `{origin}` may not call: `--cors` names the origins that may")
        }
        None => "pages of other sites may not call: `--cors` names the origins that may".to_owned(),
    };
    Err(Refusal::new(Reason::Origin, message).with("origin", origin))
}

/// Whether the page came from this server: its origin has the authority that was asked.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let host = host.and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some((_, authority)), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    matches!(site, Some(b"cross-site" | b"same-site"))
}

fn is_navigation(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-dest")
        .is_some_and(|dest| dest == "document")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(cors: &str, given: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        check(&headers, &cors.parse().unwrap()).is_ok()
    }

    #[test]
    fn pages_that_may_call() {
        assert!(is_allowed("off", &[]));
        assert!(is_allowed("off", &[("host", "localhost:8080")]));
        let local = ("origin", "http://localhost:3000");
        assert!(is_allowed("localhost", &[local]));
        assert!(!is_allowed("off", &[local]));
        let other = ("origin", "https://a.example");
        assert!(is_allowed("*", &[other]));
        assert!(is_allowed("https://a.example", &[other]));
        assert!(!is_allowed("localhost", &[other]));
        assert!(!is_allowed("localhost", &[("origin", "null")]));
    }

    #[test]
    fn the_servers_own_pages_may_call() {
        let own = ("origin", "https://indexer.example");
        assert!(is_allowed("off", &[own, ("host", "indexer.example")]));
        assert!(!is_allowed("off", &[own, ("host", "indexer.example:8080")]));
        assert!(!is_allowed("off", &[own]));
        let other = ("origin", "https://indexer.example.org");
        assert!(!is_allowed("off", &[other, ("host", "indexer.example")]));
    }

    #[test]
    fn requests_without_an_origin_say_their_site() {
        let from = |site| ("sec-fetch-site", site);
        for site in ["none", "same-origin"] {
            assert!(is_allowed("localhost", &[from(site)]));
        }
        for site in ["cross-site", "same-site"] {
            assert!(!is_allowed("localhost", &[from(site)]));
            assert!(!is_allowed(
                "localhost",
                &[from(site), ("sec-fetch-dest", "image")]
            ));
            assert!(!is_allowed(
                "localhost",
                &[from(site), ("sec-fetch-dest", "iframe")]
            ));
            assert!(is_allowed(
                "localhost",
                &[from(site), ("sec-fetch-dest", "document")]
            ));
            assert!(is_allowed("*", &[from(site)]));
        }
    }
}
