//! The address of a server of `metashrew start`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

/// Where a server answers: `http://HOST:PORT`, or `https://`, with a path if it stands
/// behind something that has one. Without a scheme it is `http`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// Without a slash at its end, and without a login.
    base: String,
    /// The header `Authorization`, of a login in the URL.
    pub(crate) login: Option<String>,
}

impl ServerUrl {
    pub(crate) fn is_https(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// The address of a path, which begins with a slash.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected the address of a server, such as http://127.0.0.1:8080";
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|error| format!("{EXPECTED}: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{EXPECTED}: `{}` is not spoken", url.scheme()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("{EXPECTED}: no host"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{EXPECTED}: nothing can stand behind the path"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty()).then(|| {
            let (user, password) = (url.username(), url.password().unwrap_or_default());
            let login = format!("{}:{}", decoded(user), decoded(password));
            format!("Basic {}", BASE64_STANDARD.encode(login))
        });
        let mut base = url;
        // They fail for addresses without a host only.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base, login })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        let check = |text: &str, expect: &str| {
            let url: ServerUrl = text.parse().unwrap();
            assert_eq!(url.at("/ready"), format!("{expect}/ready"), "{text}");
        };
        check("http://127.0.0.1:8080", "http://127.0.0.1:8080");
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080");
        check("127.0.0.1:8080", "http://127.0.0.1:8080");
        check("localhost:8080//", "http://localhost:8080");
        check("localhost", "http://localhost");
        check("[::1]:1", "http://[::1]:1");
        check("HTTPS://example.org/api/", "https://example.org/api");
        let login: ServerUrl = "http://u:p%40@h:1/".parse().unwrap();
        assert_eq!(login.to_string(), "http://h:1");
        assert_eq!(login.login.as_deref(), Some("Basic dTpwQA=="));
        for text in [
            "",
            "http://",
            "ftp://h",
            "http://h:x",
            "http://h?q",
            "h#f",
            "a b",
        ] {
            assert!(text.parse::<ServerUrl>().is_err(), "{text}");
        }
    }
}
