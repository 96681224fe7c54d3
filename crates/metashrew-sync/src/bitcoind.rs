//! Bitcoin Core as a source of blocks: JSON-RPC says which chain is best, and blocks
//! come from where they come fastest: the node's block files, else REST, else RPC.

mod answer;
mod auth;
mod counts;
mod dialect;
mod fault;
mod headers;
mod http;
mod method;
mod rest;
mod rpc;
mod settings;
mod template;
mod tls;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use metashrew_store::{BlockHash, Height};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use answer::{ChainInfo, Hash};
use auth::Login;
use counts::Counters;
use dialect::BlockForm;
use http::Http;
use method::Method;
use rest::Rest;
use rpc::Rpc;

use crate::block::{self, HEADER_LEN, Header, Rules};
use crate::files::LiveFiles;
use crate::network::Network;
use crate::node::{Accept, Node, NodeBlock, NodeError};

pub use auth::{Auth, CookieError};
pub use counts::SourceCounts;
pub(crate) use fault::NodeFault;
pub use settings::{CoreSettings, OtherNetwork, SettingsError};
pub use template::BlockTemplate;
pub use tls::machine_tls;

/// Hashes asked for in one request at most.
const MAX_BATCH: usize = 1_000;

/// The greatest height that can be asked for.
const MAX_HEIGHT: Height = i32::MAX.cast_unsigned();

/// A node of Bitcoin Core, or of something that answers like it.
pub struct CoreNode {
    rpc: Rpc,
    rest: Option<Rest>,
    files: Option<LiveFiles>,
    network: Option<Network>,
    /// Whether the node was found to be on the right network since it was last out of
    /// reach.
    is_checked: AtomicBool,
    /// Whether it ever was.
    was_right: AtomicBool,
    /// What its genesis block says, if no network is named.
    told: Mutex<Option<Network>>,
    counters: Counters,
}

impl CoreNode {
    /// A node as the settings say. It is not asked for anything yet, and need not run;
    /// its block files must be there.
    pub fn new(settings: &CoreSettings) -> Result<Self, SettingsError> {
        let target = settings.target()?;
        let tls = target
            .is_secure
            .then(|| tls::config(settings.rpc_ca.as_deref()))
            .transpose()?;
        let http = || {
            let CoreSettings {
                connect_timeout,
                answer_timeout,
                ..
            } = *settings;
            Http::new(
                target.address.clone(),
                tls.clone(),
                connect_timeout,
                answer_timeout,
            )
        };
        let files = settings.blocks_dir.as_deref();
        let index = settings.blocks_index.as_deref();
        let files = files.map(|directory| LiveFiles::open(directory, settings.network, index));
        Ok(Self {
            rest: settings.rest.then(|| Rest::new(http())),
            rpc: Rpc::new(http(), target.path.clone(), Login::new(target.auth.clone())),
            files: files.transpose()?,
            network: settings.network,
            is_checked: AtomicBool::new(false),
            was_right: AtomicBool::new(false),
            told: Mutex::new(None),
            counters: Counters::default(),
        })
    }

    /// Host and port of the node.
    pub fn address(&self) -> &str {
        self.rpc.http().address()
    }

    /// How many blocks came from where.
    pub fn source_counts(&self) -> SourceCounts {
        self.counters.counts()
    }

    /// Waits until the block files, if there are any, were all looked at once. Until
    /// then blocks that are not found yet come from the node.
    pub fn wait_for_files(&self) {
        if let Some(files) = &self.files {
            files.wait_until_ready();
        }
    }

    /// From now on the index of the block files may be written where the settings say
    /// that it is kept: its folder is there.
    pub fn keep_blocks_index(&self) {
        if let Some(files) = &self.files {
            files.keep();
        }
    }

    /// What the node would put into the next block.
    pub fn block_template(&self) -> Result<BlockTemplate, NodeError> {
        self.check_network()?;
        self.ask(
            Method::BlockTemplate,
            &json!([{"rules": ["segwit", "signet"]}]),
        )
    }

    fn ask<T: DeserializeOwned>(&self, method: Method, params: &Value) -> Result<T, NodeError> {
        self.noting(self.rpc.call(method, params))
    }

    /// Turns a fault into an error. A node that was out of reach may be another one
    /// when it answers again.
    fn noting<T>(&self, result: Result<T, NodeFault>) -> Result<T, NodeError> {
        result.map_err(|fault| {
            if matches!(fault, NodeFault::Transport { .. }) {
                self.is_checked.store(false, Ordering::Relaxed);
                self.rpc.dialect().forget();
                if let Some(rest) = &self.rest {
                    rest.reset();
                }
            }
            fault.into()
        })
    }

    /// Checks that the node's genesis block is that of the network it must be on.
    fn check_network(&self) -> Result<(), NodeError> {
        let Some((expected, genesis)) = self
            .network
            .and_then(|network| Some((network, network.genesis()?)))
            .filter(|_| !self.is_checked.load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        let Hash(found) = self.ask(Method::BlockHash, &json!([0]))?;
        if found != genesis {
            let other = OtherNetwork {
                address: self.address().to_owned(),
                expected,
                genesis,
                found,
            };
            // It was on the right one before: one wrong answer must not end indexing.
            return Err(if self.was_right.load(Ordering::Relaxed) {
                NodeError::BadAnswer {
                    what: other.to_string(),
                }
            } else {
                NodeError::Unusable(Box::new(other))
            });
        }
        self.is_checked.store(true, Ordering::Relaxed);
        self.was_right.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn chain_info(&self) -> Result<ChainInfo, NodeError> {
        self.check_network()?;
        self.ask(Method::ChainInfo, &json!([]))
    }

    fn block_by_rpc(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        match self.hex_block(hash) {
            Err(fault) if fault.is_not_found() => Err(NodeError::NoBlock { hash: *hash }),
            Err(fault) if fault.is_pruned() => Err(NodeError::Pruned { hash: *hash }),
            result => {
                let block = Bytes::from(self.noting(result)?);
                match Header::read(&block) {
                    Some(header) if header.hash == *hash => Ok(block),
                    _ => Err(NodeError::BadAnswer {
                        what: format!("what came for block {hash} is another one, or none"),
                    }),
                }
            }
        }
    }

    /// Asks `getblock` in the form that the node knows. Where that is refused, in the
    /// other one: the node may be of another time than it was.
    fn hex_block(&self, hash: &BlockHash) -> Result<Vec<u8>, NodeFault> {
        let ask = |form: BlockForm| {
            let params = json!([hash.to_string(), form.parameter()]);
            // The hex is decoded where it lies: a block may have megabytes.
            let read = |result: &str| hex::decode(serde_json::from_str::<&str>(result).ok()?).ok();
            self.rpc.call_reading(Method::Block, &params, read)
        };
        let dialect = self.rpc.dialect();
        let form = dialect.block_form();
        match ask(form) {
            Err(refused) if refused.may_be_of_parameters() => match ask(form.other()) {
                Ok(block) => {
                    dialect.learn_block_form(form.other(), &refused, self.rpc.http().address());
                    Ok(block)
                }
                Err(fault) if fault.is_not_found() || fault.is_pruned() => Err(fault),
                Err(_) => Err(refused),
            },
            result => result,
        }
    }

    /// Hashes from a height on, by RPC, in as few requests as the node takes.
    fn hashes_by_rpc(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        let params: Vec<_> = (from..=MAX_HEIGHT)
            .take(count)
            .map(|height| json!([height]))
            .collect();
        let answers = self.noting(self.rpc.batch(Method::BlockHash, &params))?;
        let mut hashes = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(Hash(hash)) => hashes.push(hash),
                Err(fault) if fault.is_out_of_range() => break,
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(hashes)
    }

    /// Hashes from a height on; some, or none at the tip's end.
    fn some_hashes(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        if let Some(rest) = &self.rest
            && count > 2
            && let Some(first) = rest.hash_at(from)
            && let Some(hashes) = rest.hashes(&first, count)
            && !hashes.is_empty()
        {
            return Ok(hashes);
        }
        self.hashes_by_rpc(from, count.min(MAX_BATCH))
    }

    fn count(counter: &AtomicU64, source: &'static str, hash: &BlockHash) {
        counter.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(source, "block {hash}");
    }
}

impl Node for CoreNode {
    fn tip(&self) -> Result<Option<NodeBlock>, NodeError> {
        let info = self.chain_info()?;
        Ok(Some(NodeBlock {
            height: info.blocks,
            hash: info.tip,
        }))
    }

    fn first(&self) -> Result<Option<Height>, NodeError> {
        Ok(Some(self.chain_info()?.prune_height.unwrap_or(0)))
    }

    fn network(&self) -> Result<Option<Network>, NodeError> {
        self.check_network()?;
        if self.network.is_some() {
            return Ok(self.network);
        }
        let Hash(genesis) = self.ask(Method::BlockHash, &json!([0]))?;
        let network = Network::of_genesis(&genesis);
        if network.is_some() {
            *self.told.lock() = network;
        }
        Ok(network)
    }

    fn headers(&self, from: Height, count: usize) -> Result<Vec<[u8; HEADER_LEN]>, NodeError> {
        self.check_network()?;
        if let Some(rest) = &self.rest
            && let Some(first) = rest.hash_at(from)
            && let Some(headers) = rest.headers(&first, count)
            && !headers.is_empty()
        {
            return Ok(headers);
        }
        self.headers_by_rpc(from, count)
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, NodeError> {
        self.check_network()?;
        if height > MAX_HEIGHT {
            return Ok(None);
        }
        if let Some(rest) = &self.rest
            && let Some(hash) = rest.hash_at(height)
        {
            return Ok(Some(hash));
        }
        match self.rpc.call(Method::BlockHash, &json!([height])) {
            Ok(Hash(hash)) => Ok(Some(hash)),
            Err(fault) if fault.is_out_of_range() => Ok(None),
            Err(fault) => self.noting(Err(fault)),
        }
    }

    fn hashes(&self, from: Height, count: usize) -> Result<Vec<BlockHash>, NodeError> {
        self.check_network()?;
        let mut hashes = Vec::new();
        while hashes.len() < count {
            let height = Height::try_from(from as usize + hashes.len());
            let Some(height) = height.ok().filter(|height| *height <= MAX_HEIGHT) else {
                break;
            };
            let more = self.some_hashes(height, count - hashes.len())?;
            if more.is_empty() {
                break;
            }
            hashes.extend(more);
        }
        Ok(hashes)
    }

    fn magic(&self) -> Option<[u8; 4]> {
        self.network.map(Network::magic)
    }

    fn block(&self, hash: &BlockHash) -> Result<Bytes, NodeError> {
        let network = self.network.or_else(|| *self.told.lock());
        let mut block = None;
        self.offer(hash, &mut |bytes| {
            block::check(&bytes, hash, Rules::alone(network, &bytes))?;
            block = Some(bytes);
            Ok(())
        })?;
        block.ok_or(NodeError::NoBlock { hash: *hash })
    }

    fn offer(&self, hash: &BlockHash, accept: &mut Accept<'_>) -> Result<(), NodeError> {
        self.check_network()?;
        if let Some(files) = &self.files
            && files.offer(hash, accept)
        {
            Self::count(&self.counters.files, "block files", hash);
            return Ok(());
        }
        if let Some(rest) = &self.rest
            && let Some(block) = rest.block(hash)
        {
            match accept(block) {
                Ok(()) => {
                    Self::count(&self.counters.rest, "REST", hash);
                    return Ok(());
                }
                Err(fault) => tracing::debug!("block {hash} by REST is wrong: {fault}"),
            }
        }
        let block = self.block_by_rpc(hash)?;
        accept(block).map_err(|fault| NodeError::BadAnswer {
            what: format!("block {hash}: {fault}"),
        })?;
        Self::count(&self.counters.rpc, "RPC", hash);
        Ok(())
    }
}
