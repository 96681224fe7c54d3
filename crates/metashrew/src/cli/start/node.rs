//! The flags that say how to reach a node, and how to follow its chain.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, value_parser};
use metashrew_sync::{Auth, Network};

use crate::cli::values;

/// How to reach a node. Passwords are kept out of the help, which shows variables.
#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct NodeArgs {
    /// Where a node of Bitcoin Core answers JSON-RPC: `http://USER:PASSWORD@HOST:PORT`, or
    /// https where something in front of it speaks that [default: none, see --blocks]
    #[arg(
        long,
        alias = "daemon-rpc-url",
        value_name = "URL",
        env = "METASHREW_RPC_URL",
        hide_env_values = true,
        value_parser = values::rpc_url()
    )]
    pub(crate) rpc_url: Option<String>,

    /// How to log in [default: as the URL says]
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "METASHREW_AUTH",
        hide_env_values = true,
        value_parser = values::auth()
    )]
    pub(crate) auth: Option<Auth>,

    /// The file with which to log in that the node writes at every start, `.cookie` in its
    /// folder [default: none]
    #[arg(long, value_name = "FILE", env = "METASHREW_COOKIE_FILE")]
    pub(crate) cookie_file: Option<PathBuf>,

    /// A file (PEM) with the certificates to trust over https, in place of those that the machine
    /// trusts [default: none]
    #[arg(long, value_name = "FILE", env = "METASHREW_RPC_CA")]
    pub(crate) rpc_ca: Option<PathBuf>,

    /// Take blocks by REST, on the same port, where the node has it on (`-rest`): faster than RPC
    #[arg(long, env = "METASHREW_REST", value_parser = BoolishValueParser::new())]
    pub(crate) rest: bool,

    /// The node's folder of block files, `blocks` in its own; blocks are read from there where they
    /// are [default: none]
    #[arg(long, value_name = "DIR", env = "METASHREW_BLOCKS_DIR")]
    pub(crate) blocks_dir: Option<PathBuf>,

    /// The network the blocks must be of: `main`, `testnet3`, `testnet4`, `signet` or `regtest`
    /// [default: any]
    #[arg(long, value_name = "NAME", env = "METASHREW_NETWORK")]
    pub(crate) network: Option<Network>,

    /// What the frames in the block files of another network begin with, 8 digits
    /// [default: as --network says]
    #[arg(
        long,
        value_name = "HEX",
        env = "METASHREW_MAGIC",
        value_parser = values::parse_magic
    )]
    pub(crate) magic: Option<Network>,
}

/// How a node's chain is followed at its tip.
#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct Following {
    /// Where the node publishes new blocks (`-zmqpubhashblock`), such as `tcp://127.0.0.1:28332`
    /// [default: none, the node is polled]
    #[arg(
        long,
        value_name = "ENDPOINT",
        env = "METASHREW_ZMQ",
        value_parser = values::parse_zmq
    )]
    pub(crate) zmq: Option<String>,

    /// How often the node is asked for new blocks at its tip, in milliseconds
    /// [default: 1000; 10000 with --zmq]
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_POLL_INTERVAL_MS",
        value_parser = value_parser!(u64).range(1..)
    )]
    pub(crate) poll_interval_ms: Option<u64>,

    /// How long the block `pending` is used before the node is asked again what it would mine
    /// next, in milliseconds; at every new block it is asked anyway, but only once a call is about
    /// that block. 0 for no such block
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_PENDING_INTERVAL_MS",
        default_value_t = 5_000
    )]
    pub(crate) pending_interval_ms: u64,

    /// How long the guest may take to execute the block `pending`, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        env = "METASHREW_PENDING_TIMEOUT_MS",
        value_parser = value_parser!(u64).range(1..),
        default_value_t = 60_000
    )]
    pub(crate) pending_timeout_ms: u64,
}
