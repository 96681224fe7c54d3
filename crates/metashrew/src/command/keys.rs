//! `metashrew keys`: the state at a block, as newline-delimited JSON.

use std::io::{self, BufWriter, Write};

use anyhow::{Context, Error, Result};
use metashrew_abi::layout::{self, Decoded, Part};
use metashrew_abi::proto::Storage;
use metashrew_store::wait;
use serde_json::Value;

use super::{Output, database};
use crate::cli::Keys;
use crate::printable;

pub(super) fn run(args: &Keys) -> Result<()> {
    let tables = tables(args)?;
    let store = database::open_to_read(&args.database.db, args.database.cache.size)?;
    let snapshot = store.snapshot();
    let block = wait(snapshot.resolve(&args.height))
        .with_context(|| format!("there is no state at block `{}`", args.height))?;
    let prefix = args.prefix.clone().unwrap_or_default();
    let limit = usize::try_from(args.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let mut output = BufWriter::new(io::stdout().lock());
    for entry in snapshot.at(block.height).scan_prefix(&prefix.0).take(limit) {
        let (key, version) = entry?;
        writeln!(
            output,
            r#"{{{},"value":"{}","height":{}}}"#,
            shown(&tables, &key),
            hex::encode_prefixed(&version.value),
            version.height
        )
        .map_err(Output)?;
    }
    output.flush().map_err(|error| Output(error).into())
}

/// The tables that the guest tells of.
fn tables(args: &Keys) -> Result<Vec<Storage>> {
    let Some(path) = args.indexer.as_ref().filter(|_| !args.raw) else {
        return Ok(Vec::new());
    };
    let wasm = database::read_guest(path)?;
    let report = metashrew_runtime::inspect(&wasm)
        .with_context(|| format!("`{}` is no guest", path.display()))?;
    let meta = report.meta.transpose().map_err(Error::msg);
    let meta = meta.with_context(|| format!("`{}` does not tell its tables", path.display()))?;
    Ok(meta.map(|meta| meta.storage).unwrap_or_default())
}

/// The tables that the guest of that module tells of; none if it tells none that can be read.
pub(super) fn tables_of(wasm: &[u8]) -> Vec<Storage> {
    let report = metashrew_runtime::inspect(wasm).ok();
    let meta = report.and_then(|report| report.meta?.ok());
    meta.map(|meta| meta.storage).unwrap_or_default()
}

/// A key as members of a line's object: in hex, or by its table.
pub(super) fn shown(tables: &[Storage], key: &[u8]) -> String {
    let Some(decoded) = layout::decode(tables, key) else {
        return format!(r#""key":"{}""#, hex::encode_prefixed(key));
    };
    let table = text(&decoded.table.name);
    let parts: Vec<_> = parts(&decoded)
        .map(|(name, value)| format!("{}:{value}", text(name)))
        .collect();
    format!(r#""table":{table},"key":{{{}}}"#, parts.join(","))
}

/// A key as text for people: in hex, or by its table as `balances[owner="0x…", token=7]`.
pub(super) fn named(tables: &[Storage], key: &[u8]) -> String {
    let Some(decoded) = layout::decode(tables, key) else {
        return hex::encode_prefixed(key);
    };
    let table = printable::line(&decoded.table.name);
    let parts: Vec<_> = parts(&decoded)
        .map(|(name, value)| format!("{}={value}", printable::line(name)))
        .collect();
    format!("{table}[{}]", parts.join(", "))
}

/// The parts of a key in their order: their names, and their values as JSON.
fn parts<'a>(decoded: &'a Decoded<'_>) -> impl Iterator<Item = (&'a str, String)> {
    decoded.parts.iter().map(|(name, part)| {
        let value = match part {
            Part::Unsigned(number) => integer(u64::try_from(*number).ok(), number),
            Part::Signed(number) => integer(i64::try_from(*number).ok(), number),
            Part::Bool(truth) => truth.to_string(),
            Part::Text(part) => text(part),
            Part::Bytes(bytes) => format!(r#""{}""#, hex::encode_prefixed(bytes)),
        };
        (*name, value)
    })
}

/// A number; one that JSON's readers may not hold, as text.
fn integer<T: ToString>(narrow: Option<T>, number: &impl ToString) -> String {
    narrow.map_or_else(
        || format!(r#""{}""#, number.to_string()),
        |number| number.to_string(),
    )
}

fn text(text: &str) -> String {
    // All of it is the guest's.
    printable::json(&Value::from(text).to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use metashrew_abi::proto::KeyPart;

    use super::*;

    #[test]
    fn keys_are_shown_by_their_tables() {
        let part = |name: &str, ty: &str| KeyPart {
            name: name.to_owned(),
            ty: ty.to_owned(),
        };
        let table = Storage {
            name: "a\"\u{9b}".to_owned(),
            prefix: vec![0xff, 1],
            key: vec![
                part("who", "string"),
                part("n", "u128"),
                part("m", "i8"),
                part("is", "bool"),
                part("b", "bytes[2]"),
            ],
            ..Storage::default()
        };
        let tables = [table];
        let key = |number: u128| {
            let number = number.to_be_bytes();
            [b"\xff\x01b\n\0\0", &number[..], b"\x7f\x01\xab\xcd"].concat()
        };
        assert_eq!(
            shown(&tables, &key(7)),
            r#""table":"a\"\u009b","key":{"who":"b\n","n":7,"m":-1,"is":true,"b":"0xabcd"}"#
        );
        assert_eq!(
            named(&tables, &key(7)),
            r#"a"\u{9b}[who="b\n", n=7, m=-1, is=true, b="0xabcd"]"#
        );
        assert_eq!(named(&tables, b"/a"), "0x2f61");
        assert!(shown(&tables, &key(1 << 64)).contains(r#""n":"18446744073709551616""#));
        assert_eq!(
            shown(&tables, b"\xff\x01b\0\0"),
            r#""key":"0xff01620000""#,
            "parts are missing"
        );
        assert_eq!(shown(&tables, b"\xff\x01b\0"), r#""key":"0xff016200""#);
        assert_eq!(shown(&tables, b"/a"), r#""key":"0x2f61""#);
        assert_eq!(shown(&[], &[]), r#""key":"0x""#);
    }
}
