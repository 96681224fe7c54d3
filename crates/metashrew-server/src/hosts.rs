//! Which hosts a request may name.
//!
//! A web page can have its own name point at this server's address, and then reads what
//! it answers as its own (DNS rebinding). Its requests name its host, which no page can
//! change. An address is no name: nobody can have one point elsewhere.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::header::HOST;
use http::uri::Authority;
use http::{Request, StatusCode, Version};

use crate::refusal::{Reason, Refusal};

/// The names that requests may name as their host, besides those of this machine
/// (`localhost`, and all that end with `.localhost`) and addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    /// Whether any host is allowed.
    any: bool,
    /// In lower case, without the dot that may end a name.
    names: BTreeSet<String>,
}

/// A text that names no hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a host: expected names such as `indexer.example.org`, without a port, separated by commas, or `*` for any"
)]
pub struct ParseAllowedHostsError {
    /// The part that is not one.
    pub name: String,
}

impl FromStr for AllowedHosts {
    type Err = ParseAllowedHostsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hosts = Self::default();
        for name in text.split(',').map(str::trim) {
            if name == "*" {
                hosts.any = true;
            } else if is_name(name) {
                hosts.allow(name);
            } else {
                return Err(ParseAllowedHostsError {
                    name: name.to_owned(),
                });
            }
        }
        Ok(hosts)
    }
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl AllowedHosts {
    /// Allows one more name.
    pub fn allow(&mut self, name: &str) {
        self.names.insert(normal(name));
    }

    fn allows(&self, host: &str) -> bool {
        let six = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if host.parse::<Ipv4Addr>().is_ok()
            || six.is_some_and(|six| six.parse::<Ipv6Addr>().is_ok())
        {
            return true;
        }
        let name = normal(host);
        name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
    }

    /// Refuses a request for another host. One that names none comes from no browser; only
    /// HTTP/1.0 has such.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        if self.any {
            return Ok(());
        }
        let unusable = |what: &str| {
            let refusal = Refusal::new(Reason::Host, format!("the request {what} host"));
            Err(refusal.status(StatusCode::BAD_REQUEST))
        };
        // A target with a host goes before the header.
        let host = if let Some(authority) = request.uri().authority() {
            authority.host().to_owned()
        } else {
            let mut hosts = request.headers().get_all(HOST).iter();
            let Some(host) = hosts.next() else {
                return match request.version() {
                    Version::HTTP_10 | Version::HTTP_09 => Ok(()),
                    _ => unusable("names no"),
                };
            };
            if hosts.next().is_some() {
                return unusable("names more than one");
            }
            let authority = Authority::try_from(host.as_bytes()).ok();
            let Some(authority) = authority.filter(|name| !name.as_str().contains('@')) else {
                return unusable("names no usable");
            };
            authority.host().to_owned()
        };
        if self.allows(&host) {
            return Ok(());
        }
        let message = format!(
            "the host `{host}` is not one of this server's: `--allowed-host` names those that are"
        );
        Err(Refusal::new(Reason::Host, message).with("host", host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(hosts: &str, request: http::request::Builder) -> u16 {
        let hosts: AllowedHosts = hosts.parse().unwrap();
        let request = request.body(()).unwrap();
        match hosts.check(&request) {
            Ok(()) => 200,
            Err(refusal) => refusal.status.as_u16(),
        }
    }

    fn check(hosts: &str, host: &str, expect: u16) {
        let request = Request::post("/").header(HOST, host);
        assert_eq!(status(hosts, request), expect, "{hosts}: {host}");
    }

    #[test]
    fn this_machine_and_addresses_are_allowed() {
        for host in [
            "localhost",
            "localhost:8080",
            "LocalHost.:1",
            "app.localhost:3",
            "127.0.0.1:8080",
            "127.9.9.9",
            "192.168.1.7:8080",
            "[::1]:8080",
            "[::1]",
            "[2001:db8::7]:80",
        ] {
            check("a.example", host, 200);
        }
    }

    #[test]
    fn other_names_are_allowed_only_if_they_are_named() {
        check("a.example", "evil.example:8080", 403);
        check("a.example", "a.example", 200);
        check("b.example, a.example", "A.Example.:8080", 200);
        check("a.example", "x.a.example", 403);
        check("a.example", "localhost.evil.example", 403);
        check("a.example", "127.0.0.1.evil.example", 403);
        check("a.example", "notlocalhost", 403);
        check("a.example", "2130706433", 403);
        check("*", "evil.example", 200);
    }

    #[test]
    fn what_is_no_host_is_a_bad_request() {
        for host in ["", "a b", "localhost:x:1", "me@localhost", "[::1"] {
            check("a.example", host, 400);
        }
        assert_eq!(status("a.example", Request::post("/")), 400);
        let old = Request::post("/").version(Version::HTTP_10);
        assert_eq!(status("a.example", old), 200);
        let two = Request::post("/")
            .header(HOST, "localhost")
            .header(HOST, "localhost");
        assert_eq!(status("a.example", two), 400);
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        let ask = |target: &str, host: &str| {
            status("a.example", Request::post(target).header(HOST, host))
        };
        assert_eq!(ask("http://evil.example/", "localhost"), 403);
        assert_eq!(ask("http://localhost:8080/", "evil.example"), 200);
        assert_eq!(ask("http://[::1]:8080/", "evil.example"), 200);
    }

    #[test]
    fn names_are_read_as_a_list() {
        for bad in [
            "",
            "a.example,",
            "http://a.example",
            "a.example:80",
            "[::1]",
            "a b",
        ] {
            assert!(bad.parse::<AllowedHosts>().is_err(), "{bad}");
        }
    }
}
