//! What flags take: parsed on the command line, so that a mistake is one there, and in
//! the configuration file the same.

use std::ffi::OsStr;
use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{
    PathBufValueParser, PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};
use metashrew_runtime::{Scope, ViewCheck};
use metashrew_server::HeightCompat;
use metashrew_store::{BlockId, Durability, ParseBlockIdError, without_hex_prefix};
use metashrew_sync::{Auth, CoreSettings, Network, check_endpoint};

use super::server_url::ServerUrl;
use crate::size::Size;

/// Takes the directory of a database. A shell leaves the `~` of `--db=~/x` as it is:
/// a folder of that name is never meant.
pub(super) fn database_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let first = path.components().next();
        if first.is_some_and(|first| first.as_os_str().to_string_lossy().starts_with('~')) {
            Err("`~` stands for a home directory in a shell only, and none replaced it here: write the directory out, or `./~…` if it is really named so")
        } else {
            Ok(path)
        }
    })
}

/// Takes one of a library's values: its word, and what the help says of it.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [(&'static str, T, &'static str); N],
) -> impl TypedValueParser<Value = T> {
    let words = values.map(|(word, _, help)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(words).try_map(move |word| {
        let found = values.iter().find(|(known, ..)| *known == word);
        found.map(|(_, value, _)| *value).ok_or("no such value")
    })
}

pub(super) fn durability() -> impl TypedValueParser<Value = Durability> {
    let word = Durability::as_str;
    let [synced, buffered] = [Durability::Synced, Durability::Buffered];
    one_of([
        (word(synced), synced, "A power cut"),
        (
            word(buffered),
            buffered,
            "The end of the process; a power cut may take the blocks of the last seconds",
        ),
    ])
}

pub(super) fn height_compat() -> impl TypedValueParser<Value = HeightCompat> {
    one_of([
        (
            "last",
            HeightCompat::Last,
            "The height of the last committed block",
        ),
        ("next", HeightCompat::Next, "One more, as an older host did"),
    ])
}

pub(super) fn view_scope() -> impl TypedValueParser<Value = Scope> {
    one_of([
        (
            "auto",
            Scope::Auto,
            "As `shared` for a guest that says it keeps heights apart, else as `block`",
        ),
        ("block", Scope::Block, "An instance answers for one block"),
        (
            "shared",
            Scope::Shared,
            "An instance answers for every block",
        ),
    ])
}

pub(super) fn view_check() -> impl TypedValueParser<Value = ViewCheck> {
    one_of([
        ("off", ViewCheck::Off, "Nothing; no call is run again"),
        (
            "warn",
            ViewCheck::Warn,
            "Name it, once; it goes on as it is",
        ),
        (
            "enforce",
            ViewCheck::Enforce,
            "Name it, once, and answer as the fresh instance does from then on",
        ),
    ])
}

/// A name or an address of a machine. An IPv6 address has no brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host(pub(crate) String);

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unbracketed = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let host = unbracketed.unwrap_or(text);
        let is_six = host.parse::<Ipv6Addr>().is_ok();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if is_six || unbracketed.is_none() && !host.is_empty() && host.bytes().all(is_name) {
            Ok(Self(host.to_owned()))
        } else {
            Err("expected a host's name or address, such as 127.0.0.1, without a port")
        }
    }
}

/// Takes the memory for caches of a database.
pub(super) fn parse_cache(text: &str) -> Result<Size, String> {
    /// Less would hold nothing that is asked for twice.
    const LEAST: usize = 16 << 20;
    let size: Size = text.parse().map_err(|error| format!("{error}"))?;
    if size.0 < LEAST {
        return Err("expected 16MiB or more".to_owned());
    }
    Ok(size)
}

/// How many scouts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scouts {
    Auto,
    Exactly(usize),
}

/// Each has a slot of virtual memory, and a thread once it is wanted.
const MOST_SCOUTS: usize = 64;

impl FromStr for Scouts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `parse` would take a plus sign.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(count) if is_number && count <= MOST_SCOUTS => Ok(Self::Exactly(count)),
            _ => Err(format!(
                "expected auto, or a number from 0 to {MOST_SCOUTS}"
            )),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected HOST:PORT, such as 127.0.0.1:8080";
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(parse_port(text).map_or_else(
                || EXPECTED.to_owned(),
                |port| format!("expected HOST:PORT, such as 127.0.0.1:{port}"),
            ));
        };
        if host.contains(':') && !host.starts_with('[') && host.parse::<Ipv6Addr>().is_ok() {
            return Err("an IPv6 address stands in brackets before a port: [::1]:8080".to_owned());
        }
        let port = parse_port(port).ok_or("expected a port from 0 to 65535 behind the colon")?;
        let host = host.parse().map_err(|_| EXPECTED)?;
        Ok(Self { host, port })
    }
}

/// `parse` would take a plus sign.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// A block that a view may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewBlock {
    /// A block of the chain.
    Indexed(BlockId),
    /// What the node would mine next, on top of the last block; servers know it.
    Pending,
}

impl FromStr for ViewBlock {
    type Err = ParseBlockIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pending" => Ok(Self::Pending),
            text => text.parse().map(Self::Indexed),
        }
    }
}

impl fmt::Display for ViewBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indexed(block) => block.fmt(formatter),
            Self::Pending => formatter.write_str("pending"),
        }
    }
}

/// Where a view's input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// In the command line.
    Given(Vec<u8>),
    File(PathBuf),
    Stdin,
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if without_hex_prefix(text).len() < text.len() {
            return decode_hex(text)
                .map(Self::Given)
                .map_err(|error| format!("what begins with 0x is hex, but: {error}"));
        }
        Ok(match text.strip_prefix('@') {
            Some("-") => Self::Stdin,
            Some(path) => Self::File(path.into()),
            None => Self::Given(text.as_bytes().to_vec()),
        })
    }
}

/// Bytes given in hex. A type of its own because `Vec` means a repeated flag to clap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode_hex(text)
            .map(Self)
            .map_err(|error| format!("expected hex, but: {error}"))
    }
}

/// Hex, with or without `0x` or `0X` before it.
fn decode_hex(text: &str) -> Result<Vec<u8>, hex::FromHexError> {
    match text.strip_prefix("0X") {
        Some(digits) => hex::decode(format!("0x{digits}")),
        None => hex::decode(text),
    }
}

pub(crate) fn parse_magic(text: &str) -> Result<Network, &'static str> {
    match without_hex_prefix(text).parse() {
        Ok(network @ Network::Custom { .. }) => Ok(network),
        _ => Err("expected 8 hex digits"),
    }
}

pub(crate) fn parse_zmq(text: &str) -> Result<String, String> {
    let Err(error) = check_endpoint(text) else {
        return Ok(text.to_owned());
    };
    let with_scheme = format!("tcp://{text}");
    Err(match check_endpoint(&with_scheme) {
        Ok(()) => format!("{error}; did you mean `{with_scheme}`?"),
        Err(_) => error.to_string(),
    })
}

fn read_rpc_url(text: &str) -> Result<String, String> {
    let checked = CoreSettings::new(text).check_url();
    checked
        .map(|()| text.to_owned())
        .map_err(|error| error.to_string())
}

fn read_auth(text: &str) -> Result<Auth, String> {
    let expected = "expected a user and a password with a colon between them";
    Auth::from_user_pass(text).ok_or_else(|| expected.to_owned())
}

/// Reads a value that may hold a password: no error shows it.
#[derive(Clone)]
pub(crate) struct Secret<T>(fn(&str) -> Result<T, String>);

pub(crate) fn rpc_url() -> Secret<String> {
    Secret(read_rpc_url)
}

pub(crate) fn auth() -> Secret<Auth> {
    Secret(read_auth)
}

pub(crate) fn server_url() -> Secret<ServerUrl> {
    Secret(str::parse)
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Secret<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        (self.0)(&text).map_err(|what| {
            let flag = arg.map_or_else(String::new, ToString::to_string);
            let message = format!("the value of '{flag}' cannot be used: {what}");
            let mut error =
                Error::raw(ErrorKind::ValueValidation, message).format(&mut command.clone());
            error.insert(ContextKind::Custom, ContextValue::String(what));
            error
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen() {
        let check = |text: &str, host: &str, port: u16| {
            let host = Host(host.to_owned());
            assert_eq!(text.parse(), Ok(Listen { host, port }), "{text}");
        };
        check("127.0.0.1:8080", "127.0.0.1", 8080);
        check("localhost:0", "localhost", 0);
        check("[::1]:1", "::1", 1);
        for (text, expect) in [
            ("8081", "expected HOST:PORT, such as 127.0.0.1:8081"),
            ("nonsense", "expected HOST:PORT"),
            (":8080", "expected HOST:PORT"),
            ("::1:8080", "stands in brackets"),
            ("127.0.0.1:", "expected a port"),
            ("127.0.0.1:x", "expected a port"),
            ("127.0.0.1:+1", "expected a port"),
            ("127.0.0.1:99999", "expected a port"),
            ("http://127.0.0.1:8080", "expected HOST:PORT"),
            ("a b:1", "expected HOST:PORT"),
            ("[localhost]:1", "expected HOST:PORT"),
        ] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
        for host in ["", "127.0.0.1:1", "http://h", "[::1"] {
            assert!(host.parse::<Host>().is_err(), "{host}");
        }
    }

    #[test]
    fn inputs_are_hex_files_or_themselves() {
        let check = |text: &str, expect: Input| assert_eq!(text.parse(), Ok(expect), "{text}");
        check("", Input::Given(vec![]));
        check("plain", Input::Given(b"plain".to_vec()));
        check("0x", Input::Given(vec![]));
        check("0x00Ff", Input::Given(vec![0, 255]));
        check("0X00Ff", Input::Given(vec![0, 255]));
        check("0", Input::Given(b"0".to_vec()));
        check("@a/b", Input::File("a/b".into()));
        check("@-", Input::Stdin);
        for text in ["0x0", "0X0", "0xzz", "0x0x00", "0X0x00"] {
            assert!(text.parse::<Input>().is_err(), "{text}");
        }
        assert_eq!("0XfF".parse::<Bytes>().unwrap().0, [255]);
        assert_eq!("ff".parse::<Bytes>().unwrap().0, [255]);
    }

    #[test]
    fn an_endpoint_without_its_scheme_is_suggested() {
        assert_eq!(
            parse_zmq("tcp://127.0.0.1:1"),
            Ok("tcp://127.0.0.1:1".to_owned())
        );
        let error = parse_zmq("127.0.0.1:1").unwrap_err();
        assert!(
            error.ends_with("; did you mean `tcp://127.0.0.1:1`?"),
            "{error}"
        );
        let error = parse_zmq("ipc://x").unwrap_err();
        assert!(error.ends_with("`tcp://HOST:PORT`"), "{error}");
    }
}
