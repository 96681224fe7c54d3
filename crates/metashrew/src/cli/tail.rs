//! The flags of `metashrew tail`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Bytes, Input, Serves};

/// Print what a running `metashrew start` tells as it happens, one JSON object a line
///
/// It connects again by itself, and goes on where it was: no event is lost, and none is printed twice.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(subcommand)]
    pub(crate) subscription: Subscription,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subscription {
    /// Blocks that come and go
    Heads {
        #[command(flatten)]
        follow: Follow,
    },
    /// What blocks write, and what a reorg undoes of it
    Writes {
        /// Only keys that begin with these bytes, in hex [default: all]
        #[arg(long, value_name = "HEX", conflicts_with = "storage")]
        prefix: Option<Bytes>,

        /// Only keys of this table of the guest
        #[arg(long, value_name = "NAME")]
        storage: Option<String>,

        #[command(flatten)]
        follow: Follow,
    },
    /// What a view answers, whenever that changes
    View {
        /// The view's name
        name: String,

        /// Its input: `0x…` is hex, `@FILE` a file's content (`@-` standard input), anything else text
        #[arg(default_value = "", hide_default_value = true)]
        input: Input,

        /// How answers are printed
        #[arg(long = "as", value_name = "FORM", default_value = "hex")]
        form: AnswerForm,

        #[command(flatten)]
        follow: Follow,
    },
    /// The pending block, whenever there is another one
    Pending {
        /// Only keys that begin with these bytes, in hex [default: all]
        #[arg(long, value_name = "HEX")]
        prefix: Option<Bytes>,

        #[command(flatten)]
        server: Serves,
    },
}

/// Where a subscription begins and ends.
#[derive(Debug, Clone, Args)]
pub(crate) struct Follow {
    #[command(flatten)]
    pub(crate) server: Serves,

    /// Go on after the event that had this cursor [default: at the last block]
    #[arg(long, value_name = "CURSOR", conflicts_with = "from")]
    pub(crate) cursor: Option<String>,

    /// Begin before the first block that the server holds
    #[arg(long, value_name = "WHERE")]
    pub(crate) from: Option<From>,

    /// End once all is printed up to this height
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) until: Option<u32>,

    /// Keep the cursor in this file, and go on there if it exists, whatever --cursor and --from say
    ///
    /// It is written after what it stands for is printed: who is killed between may print events twice, and
    /// loses none.
    #[arg(long, value_name = "FILE")]
    pub(crate) cursor_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum From {
    First,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AnswerForm {
    /// `0x` and two digits a byte
    Hex,
    /// The JSON that it is; an error if it is none
    Json,
    /// The text that it is; an error if it is no UTF-8
    Text,
}
