//! The flags of `metashrew bench`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use super::{BlocksArgs, Scouting, Storage, values};
use crate::memory::Memory;
use crate::size::Size;

/// Tell what this machine does with a guest over some blocks, what takes the time, and what to
/// change
///
/// The blocks are indexed as `start` does it, into a temporary database that is removed at the end,
/// on Ctrl-C too: an empty one, or a fork of --db. Then the guest runs over them once more with every read answered from memory: that
/// is its own floor.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The guest, a WebAssembly module
    #[arg(long, value_name = "FILE", env = "METASHREW_INDEXER")]
    pub(crate) indexer: PathBuf,

    /// Where the compiled guest is kept: a directory, or `off` for nowhere [default: the user's
    /// cache directory]
    #[arg(long, value_name = "DIR", env = "METASHREW_GUEST_CACHE")]
    pub(crate) guest_cache: Option<PathBuf>,

    /// The directory of a database to go on from, with its state: it is forked, and nothing in it is
    /// changed [default: none, the state is empty at first]
    #[arg(long, value_name = "DIR", value_parser = values::database_path())]
    pub(crate) db: Option<PathBuf>,

    /// The height to begin at [default: the first block there is, or the one after the last of --db]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) from: Option<u32>,

    /// The height of the last block [default: see --count]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "count")]
    pub(crate) to: Option<u32>,

    /// How many blocks, if there are so many
    #[arg(long, value_name = "BLOCKS", default_value = "1000")]
    pub(crate) count: NonZeroU32,

    /// The height to which the time is told [default: the last block of the node, or of the files]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) tip: Option<u32>,

    /// Leave out the guest's floor, which takes about as long again as the rest
    #[arg(long)]
    pub(crate) no_floor: bool,

    /// Where the temporary database is made; its disk is measured [default: beside --db, or the
    /// system's directory for temporary files]
    #[arg(long, value_name = "DIR", env = "METASHREW_TEMP_DIR")]
    pub(crate) temp_dir: Option<PathBuf>,

    /// What the temporary database may take, besides what it shares with --db, in bytes, or with a suffix such as GiB; the bench ends
    /// there [default: half of what is free on its disk, 32GiB at most]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<Size>,

    #[command(flatten)]
    pub(crate) scouting: Scouting,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) storage: Storage,

    #[command(flatten)]
    pub(crate) blocks: BlocksArgs,

    /// How the memory is shared out, by these flags and the machine.
    #[arg(skip)]
    pub(crate) memory: Memory,
}
