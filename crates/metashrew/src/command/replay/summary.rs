//! What `metashrew replay` prints of a run, and of what differs.

use std::fmt::{self, Display};
use std::io::{BufWriter, Write};

use anyhow::{Error, Result};
use metashrew_abi::proto::Storage;
use metashrew_runtime::ReadCounts;
use metashrew_store::{BlockRef, GuestId, HistoryRoot, State, WriteSet};

use crate::command::{Differs, Output, differs_unread, keys};
use crate::difference::{Difference, differences};
use crate::printable;

/// Lines that each say one thing.
#[derive(Default)]
pub(super) struct Summary(Vec<String>);

impl Summary {
    pub(super) fn of(block: &BlockRef, guest: &GuestId) -> Self {
        let mut summary = Self::default();
        summary.line("block", format!("{} {}", block.height, block.hash));
        summary.line("guest", guest);
        summary
    }

    /// One line; what is told may be a guest's.
    pub(super) fn line(&mut self, name: &str, said: impl Display) {
        let said = said.to_string();
        let line = printable::line(&said);
        self.0.push(format!("{name}: {line}\n"));
    }

    pub(super) fn read(&mut self, counts: &ReadCounts) {
        let ReadCounts {
            keys,
            absent,
            ranges,
            found,
            bytes,
        } = counts;
        self.line(
            "read",
            format!(
                "{keys} keys, {absent} of them absent; {ranges} ranges with {found} keys; {bytes} bytes of values"
            ),
        );
    }

    pub(super) fn wrote(&mut self, writes: &WriteSet, root: &HistoryRoot) {
        let bytes: usize = writes
            .sorted()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        self.line("wrote", format!("{} keys, {bytes} bytes", writes.len()));
        self.line("history root", format!("0x{root}"));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.concat())
    }
}

/// The error of a block that could not be run to its end; whether that is the guest's.
pub(super) fn failed<E>(block: &BlockRef, is_guests: impl Fn(&E) -> bool) -> impl Fn(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let block = format!("block {} ({})", block.height, block.hash);
    move |error| {
        let what = if is_guests(&error) {
            format!("the guest failed on {block}")
        } else {
            format!("{block} could not be run to its end")
        };
        Error::new(error).context(what)
    }
}

/// What a block wrote, beside what it wrote before.
pub(super) struct Compared<'a> {
    /// What to call what it wrote before.
    pub(super) what: &'static str,
    pub(super) expected: &'a WriteSet,
    pub(super) replayed: &'a WriteSet,
    /// The state below the block, if that is at hand.
    pub(super) below: Option<&'a State>,
}

impl Compared<'_> {
    /// Prints the summary, how much differs from what `holder` has, and, with the module of
    /// a guest that may name keys, each key that does. An error if something does.
    pub(super) fn tell(
        &self,
        holder: &str,
        mut summary: Summary,
        named_by: Option<&[u8]>,
    ) -> Result<()> {
        let count = differences(self.expected, self.replayed).count();
        if count == 0 {
            summary.line(holder, "the same");
        } else {
            summary.line(holder, format!("differs in {count} keys"));
        }
        let tables = match named_by {
            Some(wasm) if count > 0 => keys::tables_of(wasm),
            _ => Vec::new(),
        };
        let printed = self.print(&summary, named_by.is_some(), &tables);
        if count > 0 {
            printed.map_err(differs_unread)?;
            return Err(Differs.into());
        }
        printed
    }

    fn print(&self, summary: &Summary, with_keys: bool, tables: &[Storage]) -> Result<()> {
        let mut output = BufWriter::new(std::io::stdout().lock());
        write!(output, "{summary}").map_err(Output)?;
        if with_keys {
            for difference in differences(self.expected, self.replayed) {
                let line = self.shown(tables, &difference)?;
                writeln!(output, "{line}").map_err(Output)?;
            }
        }
        output.flush().map_err(Output)?;
        Ok(())
    }

    /// A difference as a JSON object.
    fn shown(&self, tables: &[Storage], difference: &Difference<'_>) -> Result<String> {
        let key = keys::shown(tables, difference.key);
        let (expected, replayed) = (value(difference.first), value(difference.second));
        let before = match self.below {
            Some(state) => {
                let version = state.get(difference.key)?;
                let value = value(version.as_ref().map(|version| &version.value[..]));
                format!(r#","before":{value}"#)
            }
            None => String::new(),
        };
        let what = self.what;
        Ok(format!(
            r#"{{{key},"{what}":{expected},"replayed":{replayed}{before}}}"#
        ))
    }
}

/// A value in JSON.
fn value(value: Option<&[u8]>) -> String {
    value.map_or_else(
        || "null".to_owned(),
        |value| format!(r#""{}""#, hex::encode_prefixed(value)),
    )
}
