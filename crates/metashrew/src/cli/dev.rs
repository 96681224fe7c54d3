//! The flags of `metashrew dev`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, value_parser};

use super::values::{Input, Listen};

/// Build, index and show a project again at every edit
///
/// Run in a directory with a `metashrew.toml`, which may say all of this. Watches the sources,
/// builds the guest, indexes the blocks with it into a new database, and prints what the views
/// answer where that has changed; JSON-RPC is answered by the newest guest that got through all
/// blocks. Type `r` and Enter to build again, `s` to index from the first block, `q` to end.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// What builds the guest, run by the shell [default: none, --module is built by others]
    #[arg(long, value_name = "COMMAND", env = "METASHREW_BUILD_COMMAND")]
    pub(crate) build_command: Option<String>,

    /// The WebAssembly module that comes of it
    #[arg(long, value_name = "FILE", env = "METASHREW_MODULE")]
    pub(crate) module: Option<PathBuf>,

    /// A file or a directory whose changes have it built again; may be given several times
    /// [default: src, or --module where there is no --build-command]
    ///
    /// Within directories, names that begin with a dot, `target` and `node_modules` are left out.
    #[arg(long, value_name = "PATH", env = "METASHREW_WATCH", action = ArgAction::Append)]
    pub(crate) watch: Vec<PathBuf>,

    /// Where the blocks are: a file of framed blocks (as Core's blk*.dat), a directory of such
    /// files, or one raw block [default: none, see --regtest]
    #[arg(long, value_name = "PATH", env = "METASHREW_BLOCKS")]
    pub(crate) blocks: Option<PathBuf>,

    /// Take the blocks of a regtest node, with its data in `.regtest` in this directory; started,
    /// and stopped at the end, unless it runs already
    #[arg(long, env = "METASHREW_REGTEST", value_parser = BoolishValueParser::new())]
    pub(crate) regtest: bool,

    /// How many blocks the regtest node has at the beginning at least; those that lack are mined
    #[arg(
        long,
        value_name = "BLOCKS",
        env = "METASHREW_MINE",
        default_value_t = 101
    )]
    pub(crate) mine: u32,

    /// The height to begin at; where the blocks don't tell their heights, that of the first one
    /// [default: 0 from a node, the first block there is from files]
    #[arg(long, value_name = "HEIGHT", env = "METASHREW_START_HEIGHT")]
    pub(crate) start_height: Option<u32>,

    /// Keep the state through this block as the guest of now makes it, and index from the next
    /// block on after each edit: fast, and right only if these blocks come out the same with later
    /// guests [default: none, all blocks are indexed with each guest]
    #[arg(long, value_name = "HEIGHT", env = "METASHREW_CHECKPOINT")]
    pub(crate) checkpoint: Option<u32>,

    /// Make the state at --checkpoint anew first, though there is one
    #[arg(long, env = "METASHREW_FROM_SCRATCH", value_parser = BoolishValueParser::new())]
    pub(crate) from_scratch: bool,

    /// How long the guest may take for a block, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_BLOCK_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 10_000
    )]
    pub(crate) block_timeout_ms: u64,

    /// A view whose answer is shown, and its input, as `metashrew view` takes it; may be given
    /// several times. In the name, `\=` stands for `=`, and `\\` for a backslash [default: none]
    #[arg(
        long = "view",
        value_name = "NAME=INPUT",
        env = "METASHREW_VIEW",
        action = ArgAction::Append
    )]
    pub(crate) views: Vec<WatchedView>,

    /// How many lines that the guest logs over all blocks are shown, the last ones; those of new
    /// blocks, and of a block that fails, are shown beside
    #[arg(
        long,
        value_name = "LINES",
        env = "METASHREW_LOG_LINES",
        default_value_t = 20
    )]
    pub(crate) log_lines: usize,

    /// The address to serve JSON-RPC on; port 0 takes any free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "METASHREW_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: Listen,

    /// Print a JSON object a line, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// A view to be shown, and its input: `NAME=INPUT`, or `NAME` for an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchedView {
    pub(crate) name: String,
    pub(crate) input: Input,
}

impl WatchedView {
    /// A view's name as the flag has it: `=` would end it.
    pub(super) fn escaped(name: &str) -> String {
        name.replace('\\', r"\\").replace('=', r"\=")
    }

    /// The name, and what follows the `=` that ends it.
    fn split(text: &str) -> (String, &str) {
        let (mut name, mut rest) = (String::new(), text.chars());
        while let Some(character) = rest.next() {
            match character {
                '=' => break,
                '\\' => name.extend(rest.next()),
                _ => name.push(character),
            }
        }
        (name, rest.as_str())
    }
}

impl FromStr for WatchedView {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, input) = Self::split(text);
        if name.is_empty() {
            return Err("expected a view and its input, such as balance=0x00".to_owned());
        }
        match input.parse()? {
            Input::Stdin => Err("standard input is for commands here".to_owned()),
            input => Ok(Self { name, input }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_the_first_sign_that_is_not_escaped() {
        let check = |text: &str, name: &str, input: &[u8]| {
            let view: WatchedView = text.parse().unwrap();
            assert_eq!(view.name, name);
            assert_eq!(&*crate::input::read(&view.input).unwrap(), input);
        };
        check("tip", "tip", b"");
        check("tip=", "tip", b"");
        check(r#"balance={"a":"b=c\\"}"#, "balance", br#"{"a":"b=c\\"}"#);
        check(r"a\=b\\=c", r"a=b\", b"c");
        check(r"a\", "a", b"");
        for name in ["a=b", r"\", r"=\=\\", r"a\=", "é"] {
            check(&format!("{}=x=y", WatchedView::escaped(name)), name, b"x=y");
        }
        assert!("=x".parse::<WatchedView>().is_err());
    }
}
