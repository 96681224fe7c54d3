//! The last parameter of a call: an object of options.

use std::time::Duration;

use metashrew_runtime::Route;

use crate::fault::RpcError;
use crate::form::Form;
use crate::params::{Arguments, text_of};
use crate::query::Query;

/// The options that a view takes.
pub(super) const OF_VIEW: [&str; 5] = ["anchor", "as", "session", "fresh", "timeout_ms"];

/// The options that a preview takes: it runs on instances of its own anyway.
pub(super) const OF_PREVIEW: [&str; 3] = ["anchor", "as", "timeout_ms"];

/// The options that one call of a multicall takes: all stand on one block anyway.
pub(super) const OF_ENTRY: [&str; 4] = ["as", "session", "fresh", "timeout_ms"];

/// What a call asks for besides its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallOptions {
    /// The answer comes in an envelope that says what it stands on.
    pub(super) anchor: bool,
    /// What the answer is given as within JSON.
    pub(super) form: Form,
    pub(crate) timeout: Option<Duration>,
    instance: Instance,
}

/// Which instance answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Instance {
    #[default]
    Pooled,
    Session(String),
    Fresh,
}

impl CallOptions {
    /// Reads the parameter `name`, which may hold the options `taken`. Where it says
    /// nothing, `self` holds.
    pub(super) fn updated<const N: usize, const M: usize>(
        mut self,
        arguments: &Arguments<'_, N>,
        name: &'static str,
        taken: [&'static str; M],
    ) -> Result<Self, RpcError> {
        let Some(value) = arguments.value(name) else {
            return Ok(self);
        };
        if !value.get().starts_with('{') {
            return Err(arguments.invalid(name, "it must be an object"));
        }
        let members = Arguments::nested(value, taken, arguments.path(name))?;
        let mut session = false;
        for member in taken {
            let Some(value) = members.value(member) else {
                continue;
            };
            let read = match member {
                "anchor" => flag(value.get()).map(|anchor| self.anchor = anchor),
                "as" => text_of(value)
                    .and_then(|name| Form::of_json(&name))
                    .map(|form| self.form = form),
                "session" => text_of(value).map(|name| {
                    session = true;
                    self.instance = Instance::Session(name.into_owned());
                }),
                "fresh" => flag(value.get()).and_then(|fresh| self.set_fresh(fresh, session)),
                _ => milliseconds(value.get()).map(|timeout| self.timeout = Some(timeout)),
            };
            read.map_err(|reason| members.invalid(member, &reason))?;
        }
        Ok(self)
    }

    fn set_fresh(&mut self, fresh: bool, session: bool) -> Result<(), String> {
        if fresh && session {
            return Err(
                "a session has an instance of its own, and that is no fresh one".to_owned(),
            );
        }
        if fresh {
            self.instance = Instance::Fresh;
        } else if self.instance == Instance::Fresh {
            self.instance = Instance::Pooled;
        }
        Ok(())
    }

    /// Takes `session`, `fresh` and `timeout_ms` out of a query.
    pub(crate) fn of_query(query: &mut Query) -> Result<Self, RpcError> {
        let mut options = Self::default();
        let session = query.take("session");
        let has_session = session.is_some();
        if let Some(name) = session {
            options.instance = Instance::Session(name);
        }
        query.take_as("fresh", |value| {
            options.set_fresh(flag(value)?, has_session)
        })?;
        options.timeout = query.take_as("timeout_ms", milliseconds)?;
        Ok(options)
    }

    /// Whether any instance may answer.
    pub(crate) fn is_pooled(&self) -> bool {
        self.instance == Instance::Pooled
    }

    pub(crate) fn route(&self) -> Route<'_> {
        match &self.instance {
            Instance::Pooled => Route::Pooled,
            Instance::Session(name) => Route::Session(name),
            Instance::Fresh => Route::Fresh,
        }
    }

    /// The session's name, if there is one.
    pub(super) fn session(&self) -> Option<&str> {
        match &self.instance {
            Instance::Session(name) => Some(name),
            Instance::Pooled | Instance::Fresh => None,
        }
    }
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be `true` or `false`".to_owned()),
    }
}

fn milliseconds(value: &str) -> Result<Duration, String> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let milliseconds = value
        .parse()
        .ok()
        .filter(|milliseconds| digits && *milliseconds > 0);
    milliseconds
        .map(Duration::from_millis)
        .ok_or_else(|| "it must be a whole number of milliseconds, at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, given: &CallOptions) -> Result<CallOptions, String> {
        let json = format!("[{json}]");
        let arguments = Arguments::read(Some(&json), ["options"]).unwrap();
        let read = given.clone().updated(&arguments, "options", OF_VIEW);
        read.map_err(|error| error.message.into_owned())
    }

    #[test]
    fn every_option() {
        let none = CallOptions::default();
        for nothing in ["", "null", "{}", r#"{"session": null, "fresh": null}"#] {
            assert_eq!(read(nothing, &none).as_ref(), Ok(&none), "{nothing}");
        }
        let options = read(r#"{"as": "json"}"#, &none).unwrap();
        assert_eq!(options.form, Form::Json);
        let options = read(r#"{"anchor": true, "timeout_ms": 50}"#, &none).unwrap();
        assert!(options.anchor);
        assert_eq!(options.timeout, Some(Duration::from_millis(50)));
        assert_eq!(options.route(), Route::Pooled);
        let options = read(r#"{"fresh": false, "session": "\u0061"}"#, &none).unwrap();
        assert_eq!(options.route(), Route::Session("a"));
        let options = read(r#"{"fresh": true}"#, &none).unwrap();
        assert_eq!(options.route(), Route::Fresh);
    }

    #[test]
    fn what_is_given_holds_until_told_otherwise() {
        let none = CallOptions::default();
        let session = read(r#"{"session": "a", "timeout_ms": 7}"#, &none).unwrap();
        let fresh = read(r#"{"fresh": true}"#, &none).unwrap();
        let check = |json: &str, given: &CallOptions, expect: Route<'_>| {
            assert_eq!(read(json, given).unwrap().route(), expect, "{json}");
        };
        check("{}", &session, Route::Session("a"));
        check(r#"{"fresh": false}"#, &session, Route::Session("a"));
        check(r#"{"fresh": true}"#, &session, Route::Fresh);
        check(r#"{"fresh": false}"#, &fresh, Route::Pooled);
        check(r#"{"session": "b"}"#, &fresh, Route::Session("b"));
        let seven = Some(Duration::from_millis(7));
        assert_eq!(read("{}", &session).unwrap().timeout, seven);
    }

    #[test]
    fn complaints_name_the_option() {
        let check = |json: &str, expect: &str| {
            let message = read(json, &CallOptions::default()).unwrap_err();
            assert!(message.contains(expect), "{json}: {message}");
        };
        check("[]", "`options`: it must be an object");
        check("true", "`options`: it must be an object");
        check(
            r#"{"anchors": true}"#,
            "`options.anchors`: no parameter has this name",
        );
        check(
            r#"{"anchor": 1}"#,
            "`options.anchor`: it must be `true` or `false`",
        );
        for wrong in ["1", "\"bytes\"", "\"JSON\""] {
            let json = format!(r#"{{"as": {wrong}}}"#);
            check(&json, "`options.as`: it must be ");
        }
        check(r#"{"session": 1}"#, "`options.session`: it must be a text");
        check(
            r#"{"fresh": "yes"}"#,
            "`options.fresh`: it must be `true` or `false`",
        );
        let number = "`options.timeout_ms`: it must be a whole number";
        for wrong in ["0", "-1", "1.5", "\"10\"", "1e3", "18446744073709551616"] {
            check(&format!(r#"{{"timeout_ms": {wrong}}}"#), number);
        }
        check(
            r#"{"fresh": true, "fresh": true}"#,
            "`options.fresh`: it is given twice",
        );
        check(
            r#"{"fresh": true, "session": "a"}"#,
            "`options.fresh`: a session has",
        );
    }

    #[test]
    fn options_in_a_query() {
        let read = |query: &str| {
            let mut query = Query::parse(query).unwrap();
            let options = CallOptions::of_query(&mut query);
            options.map(|options| (options, query.into_pairs().len()))
        };
        let (none, left) = read("a=1&block=7").unwrap();
        assert_eq!((none, left), (CallOptions::default(), 2));
        let (session, left) = read("session=a&timeout_ms=7&fresh=false").unwrap();
        assert_eq!((session.route(), left), (Route::Session("a"), 0));
        assert_eq!(session.timeout, Some(Duration::from_millis(7)));
        assert!(!session.is_pooled());
        assert_eq!(read("fresh=true").unwrap().0.route(), Route::Fresh);
        for wrong in [
            "fresh=1",
            "fresh=",
            "timeout_ms=0",
            "timeout_ms=%2B1",
            "timeout_ms=",
        ] {
            let name = wrong.split('=').next().unwrap();
            let message = read(wrong).unwrap_err().message;
            assert!(
                message.contains(&format!("`{name}`: it must be")),
                "{message}"
            );
        }
        let message = read("session=a&fresh=true").unwrap_err().message;
        assert!(message.contains("`fresh`: a session has"), "{message}");
    }
}
