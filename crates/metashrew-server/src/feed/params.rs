//! What a client asks to be told: read from JSON, or from the query of a URL.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::cursor::{Cursor, ParseCursorError};
use crate::fault::RpcError;
use crate::form::Form;
use crate::input;
use crate::params::{Arguments, hex_of, hex_of_text, invalid};
use crate::query::Query;

/// A subscription that a client wants.
#[derive(Debug, Clone)]
pub(crate) struct Subscribe {
    pub(super) kind: Kind,
    pub(super) from: From,
}

/// What it is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Blocks that come and go.
    Heads,
    /// What blocks write.
    Writes(Filter),
    /// What a view answers.
    View {
        function: String,
        input: Bytes,
        form: Form,
    },
    /// What the block that may come next writes.
    Pending(Filter),
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Writes(_) => "writes",
            Self::View { .. } => "view",
            Self::Pending(_) => "pending",
        }
    }

    /// Bytes of its client's that are kept.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Heads => 0,
            Self::Writes(filter) | Self::Pending(filter) => match filter {
                Filter::Prefix(prefix) => prefix.len(),
                Filter::Storage(name) => name.len(),
            },
            Self::View {
                function, input, ..
            } => function.len() + input.len(),
        }
    }
}

/// Keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    Prefix(Bytes),
    /// Those of the storage of this name.
    Storage(String),
}

/// From where on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// From the last committed block on.
    Tip,
    /// From the first block held on.
    First,
    Cursor(Cursor),
}

/// The parameters of the method, and names in the query.
const NAMES: [&str; 8] = [
    "kind", "cursor", "from", "prefix", "storage", "function", "input", "as",
];

impl Subscribe {
    /// Reads the parameters of `metashrew_subscribe`: an object, or the kind and an object of the
    /// others.
    ///
    /// # Errors
    /// `-32602`, which names the parameter that is wrong.
    pub(crate) fn from_json(params: Option<&str>) -> Result<Self, RpcError> {
        if params.is_some_and(|params| params.trim_start().starts_with('[')) {
            let listed = Arguments::read(params, ["kind", "options"])?;
            let kind = listed.text("kind")?;
            let Some(options) = listed.value("options") else {
                return Given::default().read(&kind);
            };
            if !options.get().starts_with('{') {
                return Err(listed.invalid("options", "it must be an object"));
            }
            let options = Arguments::read(Some(options.get()), NAMES)?;
            if options.value("kind").is_some() {
                return Err(options.invalid("kind", "it is given twice"));
            }
            return Given::of_json(&options)?.read(&kind);
        }
        let arguments = Arguments::read(params, NAMES)?;
        let kind = arguments.text("kind")?;
        Given::of_json(&arguments)?.read(&kind)
    }

    /// Reads the query of `/subscribe/KIND`, or `/subscribe/view/VIEW`.
    ///
    /// # Errors
    /// `-32602`, which names the parameter that is wrong.
    pub(crate) fn from_query(
        kind: &str,
        view: Option<&str>,
        mut query: Query,
        last_event_id: Option<&str>,
    ) -> Result<Self, RpcError> {
        let mut given = Given {
            cursor: query.take("cursor"),
            from: query.take("from"),
            prefix: query.take_as("prefix", hex_of_text)?,
            storage: query.take("storage"),
            function: view.map(str::to_owned),
            input: query.take_input()?,
            form: query.take("as"),
        };
        if let Some((name, _)) = query.into_pairs().first() {
            return Err(invalid(Some(name), "no parameter has this name"));
        }
        // A client that comes again says with it what it got last, whatever its URL says.
        if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
            given.cursor = Some(id.to_owned());
            given.from = None;
        }
        given.read(kind)
    }
}

/// What was given, in either way.
#[derive(Debug, Default)]
struct Given {
    cursor: Option<String>,
    from: Option<String>,
    prefix: Option<Vec<u8>>,
    storage: Option<String>,
    function: Option<String>,
    input: Option<Vec<u8>>,
    form: Option<String>,
}

impl Given {
    fn of_json(arguments: &Arguments<'_, 8>) -> Result<Self, RpcError> {
        let text = |name| {
            let text = arguments.value(name).map(|_| arguments.text(name));
            Ok(text.transpose()?.map(Cow::into_owned))
        };
        let bytes = |name, read: fn(&RawValue) -> Result<Vec<u8>, String>| {
            let bytes = arguments.value(name).map(read).transpose();
            bytes.map_err(|reason| arguments.invalid(name, &reason))
        };
        Ok(Self {
            cursor: text("cursor")?,
            from: text("from")?,
            prefix: bytes("prefix", hex_of)?,
            storage: text("storage")?,
            function: text("function")?,
            input: bytes("input", input::read)?,
            form: text("as")?,
        })
    }

    fn read(self, kind: &str) -> Result<Subscribe, RpcError> {
        let filter = [
            ("prefix", self.prefix.is_some()),
            ("storage", self.storage.is_some()),
        ];
        let view = [
            ("function", self.function.is_some()),
            ("input", self.input.is_some()),
            ("as", self.form.is_some()),
        ];
        let from = self.from()?;
        let none = |given: &[(&'static str, bool)]| {
            let given = given.iter().find(|(_, is_given)| *is_given);
            given.map_or(Ok(()), |(name, _)| {
                let reason = format!("a subscription to `{kind}` has no such parameter");
                Err(invalid(Some(name), &reason))
            })
        };
        let kind = match kind {
            "heads" => {
                none(&filter)?;
                none(&view)?;
                Kind::Heads
            }
            "writes" => {
                none(&view)?;
                Kind::Writes(self.filter()?)
            }
            "view" => {
                none(&filter)?;
                self.view()?
            }
            "pending" => {
                none(&view)?;
                none(&[
                    ("cursor", self.cursor.is_some()),
                    ("from", self.from.is_some()),
                ])?;
                Kind::Pending(self.filter()?)
            }
            _ => {
                let reason = "it must be `heads`, `writes`, `view` or `pending`";
                return Err(invalid(Some("kind"), reason));
            }
        };
        Ok(Subscribe { kind, from })
    }

    fn from(&self) -> Result<From, RpcError> {
        match (&self.cursor, self.from.as_deref()) {
            (Some(_), Some(_)) => Err(invalid(Some("from"), "there is a cursor already")),
            (Some(cursor), None) => match cursor.parse() {
                Ok(cursor) => Ok(From::Cursor(cursor)),
                Err(ParseCursorError) => {
                    Err(invalid(Some("cursor"), &ParseCursorError.to_string()))
                }
            },
            (None, None | Some("tip")) => Ok(From::Tip),
            (None, Some("first")) => Ok(From::First),
            (None, Some(_)) => Err(invalid(Some("from"), "it must be `tip` or `first`")),
        }
    }

    fn filter(self) -> Result<Filter, RpcError> {
        match (self.prefix, self.storage) {
            (Some(_), Some(_)) => Err(invalid(Some("storage"), "there is a prefix already")),
            (None, Some(name)) => Ok(Filter::Storage(name)),
            (prefix, None) => Ok(Filter::Prefix(prefix.unwrap_or_default().into())),
        }
    }

    fn view(self) -> Result<Kind, RpcError> {
        let function = self.function;
        let function = function.ok_or_else(|| invalid(Some("function"), "it is missing"))?;
        let form = self.form.as_deref().map(Form::of_json).transpose();
        Ok(Kind::View {
            function,
            input: self.input.unwrap_or_default().into(),
            form: form
                .map_err(|reason| invalid(Some("as"), &reason))?
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json(params: &serde_json::Value) -> Result<Subscribe, String> {
        let read = Subscribe::from_json(Some(&params.to_string()));
        read.map_err(|error| error.message.into_owned())
    }

    fn query(kind: &str, view: Option<&str>, query: &str) -> Result<Subscribe, String> {
        let read = Subscribe::from_query(kind, view, Query::parse(query).unwrap(), None);
        read.map_err(|error| error.message.into_owned())
    }

    fn check(read: Result<Subscribe, String>, kind: &Kind, from: From) {
        let read = read.unwrap();
        assert_eq!((&read.kind, read.from), (kind, from));
    }

    #[test]
    fn both_ways_say_the_same() {
        check(json(&json!({ "kind": "heads" })), &Kind::Heads, From::Tip);
        check(json(&json!(["heads"])), &Kind::Heads, From::Tip);
        let listed = json!(["heads", { "from": "first" }]);
        check(json(&listed), &Kind::Heads, From::First);
        check(query("heads", None, ""), &Kind::Heads, From::Tip);
        check(
            query("heads", None, "from=first"),
            &Kind::Heads,
            From::First,
        );
        let writes = Kind::Writes(Filter::Prefix(Bytes::from_static(b"\x0a")));
        check(
            json(&json!({ "kind": "writes", "prefix": "0x0a" })),
            &writes,
            From::Tip,
        );
        check(query("writes", None, "prefix=0x0a"), &writes, From::Tip);
        let writes = Kind::Writes(Filter::Storage("sizes".to_owned()));
        check(
            json(&json!({ "kind": "writes", "storage": "sizes" })),
            &writes,
            From::Tip,
        );
        check(query("writes", None, "storage=sizes"), &writes, From::Tip);
        let view = Kind::View {
            function: "get".to_owned(),
            input: Bytes::from_static(b"{}"),
            form: Form::Json,
        };
        let text = format!("7:0x{}", "ab".repeat(32));
        let from = From::Cursor(text.parse().unwrap());
        let asked = json!({
            "kind": "view", "function": "get", "input": { "json": {} }, "as": "json",
            "cursor": text,
        });
        check(json(&asked), &view, from);
        let asked = format!("json={{}}&as=json&cursor={text}");
        check(query("view", Some("get"), &asked), &view, from);
    }

    #[test]
    fn the_last_event_that_came_goes_before_the_url() {
        let text = format!("7:0x{}", "ab".repeat(32));
        for url in ["from=first", "cursor=first", ""] {
            let query = Query::parse(url).unwrap();
            let read = Subscribe::from_query("heads", None, query, Some(&text)).unwrap();
            assert_eq!(read.from, From::Cursor(text.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn complaints_name_the_parameter() {
        let check = |params: serde_json::Value, expect: &str| {
            let message = json(&params).unwrap_err();
            assert!(message.contains(expect), "{params}: {message}");
        };
        check(json!({}), "`kind`: it is missing");
        check(json!({ "kind": "blocks" }), "`kind`: it must be `heads`");
        check(json!({ "kind": "view" }), "`function`: it is missing");
        check(
            json!({ "kind": "heads", "prefix": "" }),
            "`prefix`: a subscription to `heads`",
        );
        check(
            json!({ "kind": "heads", "as": "hex" }),
            "`as`: a subscription to `heads`",
        );
        check(
            json!({ "kind": "pending", "cursor": "first" }),
            "`cursor`: a subscription",
        );
        check(
            json!({ "kind": "writes", "prefix": "x" }),
            "`prefix`: it must be hex",
        );
        check(
            json!({ "kind": "writes", "prefix": "", "storage": "a" }),
            "`storage`: there is a prefix already",
        );
        check(
            json!({ "kind": "heads", "from": "x" }),
            "`from`: it must be",
        );
        check(
            json!({ "kind": "heads", "cursor": "7" }),
            "`cursor`: it must be a cursor",
        );
        check(
            json!({ "kind": "heads", "cursor": "first", "from": "tip" }),
            "`from`: there is a cursor already",
        );
        check(json!(["heads", "tip"]), "`options`: it must be an object");
        check(
            json!(["heads", { "kind": "heads" }]),
            "`kind`: it is given twice",
        );
        let message = query("heads", None, "prefx=0x").unwrap_err();
        assert!(message.contains("`prefx`"), "{message}");
    }
}
