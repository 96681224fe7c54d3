//! The last parameter of a call: an object of options.

use std::time::Duration;

use metashrew_runtime::Route;
use serde_json::value::RawValue;

use crate::fault::RpcError;
use crate::params::{Arguments, text_of};

/// The options that a view takes.
pub(super) const OF_VIEW: [&str; 4] = ["anchor", "session", "fresh", "timeout_ms"];

/// The options that a preview takes: it runs on instances of its own anyway.
pub(super) const OF_PREVIEW: [&str; 2] = ["anchor", "timeout_ms"];

/// The options that one call of a multicall takes: all stand on one block anyway.
pub(super) const OF_ENTRY: [&str; 3] = ["session", "fresh", "timeout_ms"];

/// What a call asks for besides its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CallOptions {
    /// The answer comes in an envelope that says what it stands on.
    pub(super) anchor: bool,
    pub(super) timeout: Option<Duration>,
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
                "anchor" => flag(value).map(|anchor| self.anchor = anchor),
                "session" => text_of(value).map(|name| {
                    session = true;
                    self.instance = Instance::Session(name.into_owned());
                }),
                "fresh" => flag(value).and_then(|fresh| self.set_fresh(fresh, session)),
                _ => milliseconds(value).map(|timeout| self.timeout = Some(timeout)),
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

    pub(super) fn route(&self) -> Route<'_> {
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

fn flag(value: &RawValue) -> Result<bool, String> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be `true` or `false`".to_owned()),
    }
}

fn milliseconds(value: &RawValue) -> Result<Duration, String> {
    let milliseconds = value
        .get()
        .parse()
        .ok()
        .filter(|milliseconds| *milliseconds > 0);
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
}
