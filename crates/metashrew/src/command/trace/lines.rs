//! The lines of a trace: as text for people, and as JSON, one object a line.

use std::fmt::Write;
use std::time::Duration;

use metashrew_abi::proto::Storage;
use metashrew_runtime::Event;
use serde_json::json;

use super::source_lines::Site;
use super::sums::{Sum, Sums};
use crate::command::keys;
use crate::printable;

/// How a trace is written.
#[derive(Debug)]
pub(super) struct Style {
    /// The tables that the guest tells of.
    pub(super) tables: Vec<Storage>,
    pub(super) json: bool,
    /// Bytes of a value that are shown.
    pub(super) max_value: usize,
}

/// When something happened, and for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// Since the run began.
    pub(super) at: Duration,
    /// Since the call of the host began, or since what happened last in it.
    pub(super) took: Duration,
    /// The guest's function that called.
    pub(super) site: Option<&'a Site>,
}

/// Bytes of a key that are shown: no table's keys are longer, in practice.
const MAX_KEY: usize = 256;

impl Style {
    /// The line of an event.
    pub(super) fn line(&self, moment: &Moment<'_>, event: &Event<'_>) -> String {
        if self.json {
            self.object(moment, event)
        } else {
            self.text(moment, event)
        }
    }

    fn text(&self, moment: &Moment<'_>, event: &Event<'_>) -> String {
        let what = match event {
            Event::Input { bytes } => format!("input  {bytes} bytes"),
            Event::Read { key, value } => {
                format!("read   {} = {}", self.key(key), self.value(value))
            }
            Event::Range {
                start,
                end,
                descending,
                keys_only,
            } => {
                let order = if *descending { ", last first" } else { "" };
                let keys = if *keys_only { ", keys only" } else { "" };
                let (start, end) = (self.key(start), self.end(end));
                format!("range  from {start} to {end}{order}{keys}")
            }
            Event::Found { key, value } => {
                format!("found  {} = {}", self.key(key), self.value(value))
            }
            Event::RangeEnd { complete: true } => "end    of the range".to_owned(),
            Event::RangeEnd { complete: false } => "end    as the answer was full".to_owned(),
            Event::Write { key, value } => {
                format!("write  {} = {}", self.key(key), self.value(value))
            }
            Event::Log { text } => format!("log    {}", printable::line(text.trim_end())),
            Event::Failed { error } => format!("failed {}", printable::lines(&error.to_string())),
            other => format!("other  {}", printable::line(&format!("{other:?}"))),
        };
        let mut line = format!(
            "{:>12}  {:>10}  {what}",
            millis(moment.at),
            micros(moment.took)
        );
        if let Some(site) = moment.site {
            let _ = write!(line, "  <- {}", printable::line(&shown(site)));
        }
        line
    }

    fn object(&self, moment: &Moment<'_>, event: &Event<'_>) -> String {
        let mut line = format!(
            r#"{{"at_us":{},"took_us":{}"#,
            in_micros(moment.at),
            in_micros(moment.took)
        );
        let mut add = |members: &str| {
            line.push(',');
            line.push_str(members);
        };
        match event {
            Event::Input { bytes } => add(&format!(r#""event":"input","bytes":{bytes}"#)),
            Event::Read { key, value } => add(&self.pair("read", key, value)),
            Event::Range {
                start,
                end,
                descending,
                keys_only,
            } => add(&format!(
                r#""event":"range","start":{},"end":{},"descending":{descending},"keys_only":{keys_only}"#,
                json!(hex::encode_prefixed(cut(start, MAX_KEY))),
                if end.is_empty() {
                    json!(null)
                } else {
                    json!(hex::encode_prefixed(cut(end, MAX_KEY)))
                },
            )),
            Event::Found { key, value } => add(&self.pair("found", key, value)),
            Event::RangeEnd { complete } => {
                add(&format!(r#""event":"range_end","complete":{complete}"#));
            }
            Event::Write { key, value } => add(&self.pair("write", key, value)),
            Event::Log { text } => add(&format!(r#""event":"log","text":{}"#, string(text))),
            Event::Failed { error } => {
                let error = string(&error.to_string());
                add(&format!(r#""event":"failed","error":{error}"#));
            }
            other => {
                let other = string(&format!("{other:?}"));
                add(&format!(r#""event":"other","what":{other}"#));
            }
        }
        if let Some(site) = moment.site {
            add(&format!(r#""function":{}"#, string(&site.function)));
            if let Some(file) = &site.file {
                add(&format!(r#""file":{}"#, string(file)));
            }
            if let Some(line) = site.line {
                add(&format!(r#""line":{line}"#));
            }
        }
        line.push('}');
        line
    }

    /// The line of a view's answer.
    pub(super) fn answer(&self, at: Duration, answer: &[u8]) -> String {
        if self.json {
            let value = hex::encode_prefixed(cut(answer, self.max_value));
            let (at, bytes) = (in_micros(at), answer.len());
            return format!(
                r#"{{"at_us":{at},"event":"answer","value":"{value}","bytes":{bytes}}}"#
            );
        }
        format!(
            "{:>12}  {:>10}  answer {}",
            millis(at),
            "",
            self.value(answer)
        )
    }

    /// The sums, as lines.
    pub(super) fn sums(&self, sums: &Sums, time: Duration) -> Vec<String> {
        let total = sums.total();
        if self.json {
            let object = |event: &str, function: Option<&str>, sum: &Sum, more: &str| {
                let function = function
                    .map_or_else(String::new, |it| format!(r#""function":{},"#, string(it)));
                format!(
                    r#"{{"event":"{event}",{function}"calls":{},"reads":{},"ranges":{},"found":{},"writes":{},"host_us":{}{more}}}"#,
                    sum.calls,
                    sum.reads,
                    sum.ranges,
                    sum.found,
                    sum.writes,
                    in_micros(sum.host)
                )
            };
            let by_function = sums.by_time().into_iter();
            let mut lines: Vec<_> = by_function
                .map(|(name, sum)| object("sum", Some(name), sum, ""))
                .collect();
            let more = format!(r#","time_us":{}"#, in_micros(time));
            lines.push(object("total", None, &total, &more));
            return lines;
        }
        let mut lines = vec![
            String::new(),
            format!(
                "{:>12} {:>8} {:>8} {:>8} {:>8} {:>8}  function",
                "in the host", "calls", "reads", "ranges", "found", "writes"
            ),
        ];
        let row = |name: &str, sum: &Sum| {
            format!(
                "{:>12} {:>8} {:>8} {:>8} {:>8} {:>8}  {name}",
                millis(sum.host),
                sum.calls,
                sum.reads,
                sum.ranges,
                sum.found,
                sum.writes
            )
        };
        for (name, sum) in sums.by_time() {
            lines.push(row(&printable::line(name), sum));
        }
        let total = row(&format!("all, of {}", millis(time)), &total);
        lines.push(total);
        lines
    }

    fn pair(&self, event: &str, key: &[u8], value: &[u8]) -> String {
        let members = if key.len() <= MAX_KEY {
            keys::shown(&self.tables, key)
        } else {
            let shown = hex::encode_prefixed(cut(key, MAX_KEY));
            format!(r#""key":"{shown}","key_bytes":{}"#, key.len())
        };
        format!(
            r#""event":"{event}",{members},"value":"{}","bytes":{}"#,
            hex::encode_prefixed(cut(value, self.max_value)),
            value.len()
        )
    }

    fn key(&self, key: &[u8]) -> String {
        if key.len() <= MAX_KEY {
            return keys::named(&self.tables, key);
        }
        let shown = hex::encode_prefixed(cut(key, MAX_KEY));
        format!("{shown}… ({} bytes)", key.len())
    }

    fn end(&self, end: &[u8]) -> String {
        if end.is_empty() {
            return "the last key".to_owned();
        }
        self.key(end)
    }

    fn value(&self, value: &[u8]) -> String {
        if value.is_empty() {
            return "none".to_owned();
        }
        let shown = hex::encode_prefixed(cut(value, self.max_value));
        if value.len() <= self.max_value {
            return shown;
        }
        format!("{shown}… ({} bytes)", value.len())
    }
}

fn cut(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}

/// A function, and where it is in the source, if the guest tells.
fn shown(site: &Site) -> String {
    match (&site.file, site.line) {
        (Some(file), Some(line)) => format!("{} {file}:{line}", site.function),
        (Some(file), None) => format!("{} {file}", site.function),
        (None, _) => site.function.clone(),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// Microseconds with three digits behind the point, as JSON.
fn in_micros(time: Duration) -> String {
    format!("{}.{:03}", time.as_micros(), time.as_nanos() % 1000)
}

/// A text of the guest's as JSON.
fn string(text: &str) -> String {
    printable::json(&json!(text).to_string()).into_owned()
}
