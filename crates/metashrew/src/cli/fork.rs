//! The flags of `metashrew fork`.

use std::path::PathBuf;

use clap::Args;

use super::{Database, values};

/// Make a second database of the blocks up to a height, for another guest to go on with
///
/// The tables of the first are linked, not copied, where both are on one file system. Nothing in it is
/// changed, and a `start` may have it open.
#[derive(Debug, Args)]
pub(crate) struct Fork {
    #[command(flatten)]
    pub(crate) database: Database,

    /// The directory of the new database; it must not be there yet
    #[arg(long, value_name = "DIR", value_parser = values::database_path())]
    pub(crate) to: PathBuf,

    /// The height of the last block to keep [default: the last one there is]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at: Option<u32>,

    /// The guest that goes on from there, a WebAssembly module: `start` takes it without
    /// --accept-guest-change, and no other [default: the guest of the last block kept]
    #[arg(long, value_name = "FILE")]
    pub(crate) indexer: Option<PathBuf>,
}
