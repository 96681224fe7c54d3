//! What a request at the path of a view asks.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};
use metashrew_runtime::ViewAt;
use metashrew_store::BlockId;

use super::described::Described;
use super::negotiation;
use crate::fault::RpcError;
use crate::form::Form;
use crate::method::CallOptions;
use crate::params::{hex_of_text, invalid, view_at};
use crate::query::{Query, decoded};
use crate::wire;

/// What the query of a `POST` may have: its body is the input.
const OF_POST: &str = "no parameter has this name: the body is the input, and `block`, `as`, `guest`, \
     `history_root`, `session`, `fresh` and `timeout_ms` are parameters";

/// One call of a view.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) input: Bytes,
    pub(super) at: ViewAt,
    pub(super) form: Form,
    pub(super) options: CallOptions,
    /// The guest that is to answer.
    pub(super) guest: Option<[u8; 32]>,
    /// The history root that the block is to have.
    pub(super) history_root: Option<[u8; 32]>,
    /// Whether another such request may be answered with the same, as far as the guest and
    /// what is asked tell.
    pub(super) is_cacheable: bool,
}

impl Asked {
    /// Reads the head of a request for the view `name`, which is as in the path. The input of
    /// a `POST` is its body, and not read here; nothing else may have one.
    pub(super) fn read(
        name: &str,
        head: &Parts,
        described: &Described,
        has_body: bool,
    ) -> Result<Self, RpcError> {
        let name = decoded(name).map_err(|reason| invalid(Some("NAME"), reason))?;
        let mut query = Query::parse(head.uri.query().unwrap_or_default())?;
        let at = at(&mut query, &head.headers)?;
        let view = described.view(&name);
        let form = query.take_as("as", Form::of_http)?;
        let form = form.unwrap_or_else(|| negotiation::form(&head.headers, view.form));
        let options = CallOptions::of_query(&mut query)?;
        let guest = query.take_as("guest", sha256)?;
        let history_root = query.take_as("history_root", root)?;
        let is_post = head.method == Method::POST;
        let input = if is_post {
            if let Some((name, _)) = query.into_pairs().first() {
                return Err(invalid(Some(name), OF_POST));
            }
            Vec::new()
        } else if has_body {
            let reason = "only a POST has a body: give the input in the query";
            return Err(invalid(None, reason));
        } else {
            let input = query.take_input()?;
            let pairs = query.into_pairs();
            match (input, pairs.first()) {
                (Some(_), Some((name, _))) => {
                    let reason = "an input is given already, by `input`, `json` or `text`: no other \
                         parameter can be part of it";
                    return Err(invalid(Some(name), reason));
                }
                (Some(input), None) => input,
                (None, Some(_)) => view.members(&pairs),
                (None, None) => Vec::new(),
            }
        };
        let is_cacheable = !is_post && options.is_pooled() && view.is_repeatable;
        Ok(Self {
            name,
            input: input.into(),
            at,
            form,
            options,
            guest,
            history_root,
            is_cacheable,
        })
    }

    /// How long a cache may answer in the server's place, if it may at all.
    pub(super) fn cache_control(&self) -> &'static str {
        let names_hash = matches!(
            self.at,
            ViewAt::Block(BlockId::Hash(_) | BlockId::Anchored { .. })
        );
        // A block's answer depends on the guest, too, and on what was written up to the block:
        // by another guest once, perhaps, and anew after a rollback. All of that may change.
        if names_hash && self.guest.is_some() && self.history_root.is_some() {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }
    }
}

/// The block in the query, or in the header; the last committed one if in neither.
fn at(query: &mut Query, headers: &HeaderMap) -> Result<ViewAt, RpcError> {
    let name = wire::BLOCK;
    let wrong = |reason: &str| invalid(Some(name.as_str()), reason);
    let mut given = headers.get_all(&name).iter();
    let header = given.next();
    if given.next().is_some() {
        return Err(wrong("the header is given twice"));
    }
    let header = header.map(|value| {
        let value = value.to_str().map_err(|_| wrong("it is no text"))?;
        view_at(value.trim()).map_err(|reason| wrong(&reason))
    });
    match (query.take_block()?, header.transpose()?) {
        (Some(one), Some(other)) if one != other => {
            Err(wrong("the header names another block than the parameter"))
        }
        (parameter, header) => Ok(parameter.or(header).unwrap_or_default()),
    }
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    hash(
        text,
        "it must be the SHA-256 of a guest's module: 64 hex digits",
    )
}

fn root(text: &str) -> Result<[u8; 32], String> {
    hash(
        text,
        "it must be the history root at the block: 64 hex digits",
    )
}

fn hash(text: &str, what: &str) -> Result<[u8; 32], String> {
    let bytes = hex_of_text(text)?;
    bytes.try_into().map_err(|_| what.to_owned())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn read(method: &str, query: &str, headers: &[(&str, &str)]) -> Result<Asked, String> {
        let head = head(method, &format!("/view/f?{query}"), headers);
        let asked = Asked::read("f", &head, &Described::with("f"), false);
        asked.map_err(|error| error.message.into_owned())
    }

    fn get(query: &str) -> Asked {
        read("GET", query, &[]).unwrap()
    }

    #[test]
    fn names_have_any_characters() {
        let name = |text: &str| {
            let head = head("GET", "/", &[]);
            Asked::read(text, &head, &Described::default(), false).map(|asked| asked.name)
        };
        assert_eq!(name("balance").as_deref(), Ok("balance"));
        assert_eq!(name("a%2Fb/c+d%20%C3%A9%25").as_deref(), Ok("a/b/c+d é%"));
        assert_eq!(name("").as_deref(), Ok(""));
        assert!(name("%ff").is_err());
        assert!(name("100%").is_err());
    }

    #[test]
    fn what_is_asked_by_a_query() {
        assert_eq!(get("").input, "");
        assert_eq!(get("").at, ViewAt::default());
        let asked = get("block=0x7&as=text&json=%7B%22a%22%3A+1%7D&timeout_ms=5");
        assert_eq!(asked.input, r#"{"a":1}"#);
        assert_eq!(asked.at, ViewAt::Block(BlockId::Height(7)));
        assert_eq!(asked.form, Form::Text);
        assert_eq!(get("a=x&n=12&block=7").input, r#"{"a":"x","n":12}"#);
        let guest = "ab".repeat(32);
        assert_eq!(get(&format!("guest=0x{guest}")).guest, Some([0xab; 32]));
        let root = get(&format!("history_root={guest}")).history_root;
        assert_eq!(root, Some([0xab; 32]));
    }

    #[test]
    fn the_block_is_a_parameter_or_a_header() {
        let at = |query: &str, header: &str| {
            read("GET", query, &[("metashrew-block", header)]).map(|asked| asked.at)
        };
        let seven = ViewAt::Block(BlockId::Height(7));
        assert_eq!(at("", "7"), Ok(seven));
        assert_eq!(at("block=7", "0x7"), Ok(seven));
        assert_eq!(at("", "pending"), Ok(ViewAt::Pending));
        let error = at("block=8", "7").unwrap_err();
        assert!(
            error.contains("another block than the parameter"),
            "{error}"
        );
        assert!(
            at("", "first")
                .unwrap_err()
                .contains("`metashrew-block`: `first` names no block")
        );
        let twice = [("metashrew-block", "7"), ("metashrew-block", "7")];
        assert!(read("GET", "", &twice).unwrap_err().contains("given twice"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |method: &str, query: &str, expect: &str| {
            let message = read(method, query, &[]).unwrap_err();
            assert!(message.contains(expect), "{method} {query}: {message}");
        };
        check(
            "POST",
            "json=1",
            "`json`: no parameter has this name: the body is",
        );
        check(
            "POST",
            "a=1",
            "`a`: no parameter has this name: the body is",
        );
        check("GET", "text=a&b=1", "`b`: an input is given already");
        check(
            "GET",
            "as=xml",
            "`as`: it must be `json`, `text`, `hex` or `bytes`",
        );
        check("GET", "guest=00", "`guest`: it must be the SHA-256");
        check("GET", "history_root=00", "`history_root`: it must be the");
        check("GET", "block=7&block=8", "`block`: it is given twice");
        check("GET", "fresh=yes", "`fresh`: it must be");
        let head = head("GET", "/", &[]);
        let error = Asked::read("f", &head, &Described::default(), true).unwrap_err();
        assert!(error.message.contains("only a POST has a body"));
    }

    #[test]
    fn what_caches_may_keep() {
        let hash = "ab".repeat(32);
        for (query, expect) in [
            (String::new(), "no-cache"),
            ("block=7".to_owned(), "no-cache"),
            ("block=pending".to_owned(), "no-cache"),
            (format!("block=7:{hash}"), "no-cache"),
            (format!("guest={hash}"), "no-cache"),
            (format!("block=7&guest={hash}"), "no-cache"),
            (format!("block={hash}&guest={hash}"), "no-cache"),
            (format!("block={hash}&history_root={hash}"), "no-cache"),
            (
                format!("block=7&guest={hash}&history_root={hash}"),
                "no-cache",
            ),
            (
                format!("block=7:{hash}&guest={hash}&history_root={hash}"),
                "public, max-age=31536000, immutable",
            ),
            (
                format!("block={hash}&guest={hash}&history_root={hash}"),
                "public, max-age=31536000, immutable",
            ),
        ] {
            assert_eq!(get(&query).cache_control(), expect, "{query}");
            assert!(get(&query).is_cacheable, "{query}");
        }
        assert!(!get("session=a").is_cacheable);
        assert!(!get("fresh=true").is_cacheable);
        assert!(!read("POST", "", &[]).unwrap().is_cacheable);
    }

    proptest! {
        #[test]
        fn nothing_panics(query in "[ -~]{0,60}", name in any::<String>(), header in "[ -~]{0,20}") {
            let mut head = head("GET", "/", &[("metashrew-block", &header), ("accept", &header)]);
            if let Ok(uri) = format!("/view/x?{query}").parse() {
                head.uri = uri;
            }
            let _ = Asked::read(&name, &head, &Described::default(), false);
        }
    }
}
