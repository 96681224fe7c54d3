//! What `metashrew dev` prints: a few lines for each thing that happens, or an object of JSON.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::printable;

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Told<'a> {
    /// The node answers.
    Node {
        directory: &'a Path,
        port: u16,
        height: u32,
        /// Whether it was started here, and will be stopped.
        started: bool,
    },
    Watching {
        paths: &'a [PathBuf],
    },
    Building {
        command: &'a str,
    },
    /// A line of what the build prints.
    Output {
        line: &'a str,
    },
    /// The build, or what it made, cannot be used. The guest that is served goes on.
    Unusable {
        error: &'a str,
    },
    /// The module is the one that is served.
    Unchanged,
    Indexing {
        /// The beginning of the module's SHA-256.
        guest: &'a str,
        /// The last block of the state that it begins with.
        after: Option<u32>,
        why: Option<&'a str>,
    },
    Progress {
        height: Option<u32>,
        target: Option<u32>,
        /// What the node or the machine is waited for.
        waits_for: Option<&'a str>,
    },
    /// A line that the guest logged.
    Log {
        height: u32,
        text: &'a str,
    },
    LogsLeftOut {
        lines: u64,
    },
    /// Indexing cannot go on.
    Failed {
        block: Option<u32>,
        hash: Option<&'a str>,
        error: &'a str,
    },
    /// From now on this guest answers.
    Serving {
        guest: &'a str,
        address: &'a str,
        height: Option<u32>,
        ms: u64,
    },
    /// What a view answers, for the first time.
    Answer {
        view: &'a str,
        height: u32,
        answer: &'a str,
    },
    /// What has changed of a view's answer.
    Changed {
        view: &'a str,
        height: u32,
        diff: &'a str,
    },
    Ending {
        why: &'a str,
    },
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { .. } | Self::Watching { .. } | Self::Ending { .. } => self.of_session(f),
            Self::Indexing { .. } | Self::Progress { .. } | Self::Failed { .. } => {
                self.of_blocks(f)
            }
            Self::Building { command } => write!(f, "building: {command}"),
            Self::Output { line } => write!(f, "  | {line}"),
            Self::Unusable { error } => write!(f, "no new guest: {error}"),
            Self::Unchanged => f.write_str("the module is the one that is served: nothing to do"),
            Self::Log { height, text } => write!(f, "  log of block {height}: {text}"),
            Self::LogsLeftOut { lines } => {
                write!(
                    f,
                    "  {lines} earlier lines of the guest's log are not shown"
                )
            }
            Self::Serving {
                guest,
                address,
                height,
                ms,
            } => {
                write!(f, "serving guest {guest} at http://{address}")?;
                if let Some(height) = height {
                    write!(f, ", block {height}")?;
                }
                write!(f, " ({ms} ms)")
            }
            Self::Answer {
                view,
                height,
                answer,
            } => {
                write!(f, "{view} at block {height}:\n{answer}")
            }
            Self::Changed { view, height, diff } => {
                write!(f, "{view} at block {height}, changed:\n{diff}")
            }
        }
    }
}

impl Told<'_> {
    /// The beginning and the end.
    fn of_session(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node {
                directory,
                port,
                height,
                started,
            } => {
                let started = if *started {
                    "started"
                } else {
                    "found running, and left so at the end"
                };
                let directory = directory.display();
                write!(
                    f,
                    "regtest node {started}: `{directory}`, RPC on port {port}, block {height}"
                )
            }
            Self::Watching { paths } => {
                let paths = paths.iter().map(|path| path.display().to_string());
                let paths: Vec<_> = paths.collect();
                let keys = "Enter after r: build again, s: index from the first block, q: end";
                write!(f, "watching {} ({keys})", paths.join(", "))
            }
            Self::Ending { why } => write!(f, "ending: {why}"),
            _ => Ok(()),
        }
    }

    /// How a guest gets through the blocks.
    fn of_blocks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indexing { guest, after, why } => {
                write!(f, "indexing with guest {guest}")?;
                match after {
                    Some(height) => write!(f, " from block {} on", u64::from(*height) + 1)?,
                    None => f.write_str(" from the first block on")?,
                }
                why.map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Progress {
                height,
                target,
                waits_for,
            } => {
                let block = |height: &Option<u32>| {
                    height.map_or("none".to_owned(), |height| height.to_string())
                };
                write!(f, "indexing: block {} of {}", block(height), block(target))?;
                waits_for.map_or(Ok(()), |error| write!(f, "; waiting: {error}"))
            }
            Self::Failed { block, hash, error } => {
                match (block, hash) {
                    (Some(block), Some(hash)) => write!(f, "failed at block {block} ({hash}): ")?,
                    (Some(block), None) => write!(f, "failed at block {block}: ")?,
                    (None, _) => f.write_str("failed: ")?,
                }
                f.write_str(error)
            }
            _ => Ok(()),
        }
    }
}

/// Prints what happens. Clones print to the same place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller {
    pub(super) json: bool,
}

impl Teller {
    pub(super) fn tell(self, told: &Told<'_>) {
        let mut output = std::io::stdout().lock();
        // Whoever read it may have gone: there is nobody to tell.
        let _ = if self.json {
            // Nothing of it can fail to become JSON.
            let line = serde_json::to_string(told).unwrap_or_default();
            writeln!(output, "{}", printable::json(&line))
        } else {
            writeln!(output, "{}", shown(told))
        };
        let _ = output.flush();
    }
}

/// The text, harmless, whose further lines are set in; a build's own lines and those of a
/// diff keep their beginning.
fn shown(told: &Told<'_>) -> String {
    let text = told.to_string();
    match told {
        Told::Answer { .. } | Told::Changed { .. } => {
            let lines: Vec<_> = text.lines().map(printable::line).collect();
            lines.join("\n    ")
        }
        _ => printable::lines(&text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_harmless_and_stays_in_its_place() {
        let failed = Told::Failed {
            block: Some(7),
            hash: None,
            error: "the guest aborted: \u{1b}[2J\nserving guest",
        };
        let expect = "failed at block 7: the guest aborted: \\u{1b}[2J\n    serving guest";
        assert_eq!(shown(&failed), expect);
        let answer = Told::Answer {
            view: "v",
            height: 1,
            answer: "{\n  \u{202e}\n}",
        };
        assert_eq!(
            shown(&answer),
            "v at block 1:\n    {\n      \\u{202e}\n    }"
        );
    }

    #[test]
    fn json_names_the_event() {
        let told = serde_json::to_string(&Told::Unchanged).unwrap();
        assert_eq!(told, r#"{"event":"unchanged"}"#);
    }
}
