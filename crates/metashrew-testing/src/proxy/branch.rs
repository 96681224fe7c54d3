//! A branch that the proxy claims in place of the end of the node's chain, and
//! hands out, whether it is asked by RPC or REST.
#![allow(
    clippy::indexing_slicing,
    reason = "members of JSON that are missing read as null"
)]

use std::io;
use std::net::SocketAddr;

use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, serialize, serialize_hex};
use bitcoin::hashes::Hash;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::{Block, BlockHash, ScriptBuf};
use serde_json::{Value, json};

use super::message::{Answer, Request};

/// Bytes of a header.
const HEADER_LEN: usize = 80;

/// Core's codes for a height and for a block that it does not have.
const NO_HEIGHT: i64 = -8;

pub(super) struct Branch {
    /// The height of the first of the blocks.
    from: u64,
    blocks: Vec<Block>,
}

impl Branch {
    /// Two blocks in place of the node's last one: more work by what they claim, but
    /// their hashes miss their targets.
    pub(super) fn without_work(upstream: SocketAddr) -> io::Result<Self> {
        let (height, tip) = tip(upstream)?;
        let first = sibling(&tip, tip.header.prev_blockhash, false);
        let second = sibling(&tip, first.block_hash(), false);
        Ok(Self {
            from: height,
            blocks: vec![first, second],
        })
    }

    /// One block in place of the node's last two, with all the work it claims.
    pub(super) fn with_less_work(upstream: SocketAddr) -> io::Result<Self> {
        let (height, tip) = tip(upstream)?;
        let below = block(upstream, &tip.header.prev_blockhash)?;
        Ok(Self {
            from: height - 1,
            blocks: vec![sibling(&below, below.header.prev_blockhash, true)],
        })
    }

    /// What a node whose best chain ends in the branch answers.
    pub(super) fn answer(&self, request: &Request, upstream: SocketAddr) -> io::Result<Answer> {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        if let Some(hash) = between(path, "/rest/block/", ".bin") {
            if let Some(block) = self.find(hash) {
                return Ok(Answer::binary(serialize(block)));
            }
        } else if let Some(height) = between(path, "/rest/blockhashbyheight/", ".bin") {
            let height = height.parse().unwrap_or_default();
            if height >= self.from {
                let hash = self.hash_at(height);
                let hash = hash.map(|hash| Answer::binary(hash.to_byte_array().to_vec()));
                return Ok(hash.unwrap_or_else(Answer::not_found));
            }
        } else if let Some(hash) = between(path, "/rest/headers/", ".bin") {
            let hash = hash.rsplit('/').next().unwrap_or_default();
            return self.headers_from(hash, request, upstream);
        }
        let real = request.ask(upstream)?;
        let questions = serde_json::from_slice(&request.body);
        let answers = serde_json::from_slice(&real.body);
        let (Ok(questions), Ok(mut answers)): (Result<Value, _>, Result<Value, _>) =
            (questions, answers)
        else {
            return Ok(real);
        };
        match (&questions, &mut answers) {
            (Value::Array(questions), Value::Array(answers)) => {
                for answer in answers {
                    let asked = questions.iter().find(|asked| asked["id"] == answer["id"]);
                    self.change(asked.unwrap_or(&Value::Null), answer);
                }
            }
            (question, answer) => self.change(question, answer),
        }
        Ok(Answer::json(&answers))
    }

    /// Changes what the node answers to one question by RPC.
    fn change(&self, question: &Value, answer: &mut Value) {
        let parameter = &question["params"][0];
        let block = parameter.as_str().and_then(|hash| self.find(hash));
        let result = match question["method"].as_str().unwrap_or_default() {
            "getblockchaininfo" => {
                let tip = self.from + self.blocks.len() as u64 - 1;
                answer["result"]["blocks"] = json!(tip);
                answer["result"]["headers"] = json!(tip);
                answer["result"]["bestblockhash"] =
                    json!(self.hash_at(tip).map(|hash| hash.to_string()));
                return;
            }
            "getblockhash" => {
                let height = parameter.as_u64().unwrap_or_default();
                if height < self.from {
                    return;
                }
                let Some(hash) = self.hash_at(height) else {
                    answer["result"] = Value::Null;
                    answer["error"] =
                        json!({"code": NO_HEIGHT, "message": "Block height out of range"});
                    return;
                };
                json!(hash.to_string())
            }
            "getblock" => match block {
                Some(block) => json!(serialize_hex(block)),
                None => return,
            },
            "getblockheader" => match block {
                Some(block) => json!(serialize_hex(&block.header)),
                None => return,
            },
            _ => return,
        };
        answer["result"] = result;
        answer["error"] = Value::Null;
    }

    /// The headers of the claimed chain from a block on.
    fn headers_from(
        &self,
        hash: &str,
        request: &Request,
        upstream: SocketAddr,
    ) -> io::Result<Answer> {
        let claimed = |blocks: &[Block]| -> Vec<u8> {
            let headers = blocks.iter().map(|block| serialize(&block.header));
            headers.collect::<Vec<_>>().concat()
        };
        let place = self
            .blocks
            .iter()
            .position(|block| block.block_hash().to_string() == hash);
        if let Some((_, rest)) = place.and_then(|place| self.blocks.split_at_checked(place)) {
            return Ok(Answer::binary(claimed(rest)));
        }
        let fork = self.blocks.first().map(|block| block.header.prev_blockhash);
        let mut answer = request.ask(upstream)?;
        let mut headers = answer.body.chunks(HEADER_LEN);
        let kept = headers.position(|header| {
            deserialize::<Header>(header).is_ok_and(|header| Some(header.block_hash()) == fork)
        });
        if let Some(kept) = kept {
            answer.body.truncate((kept + 1) * HEADER_LEN);
            answer.body.extend(claimed(&self.blocks));
        }
        Ok(answer)
    }

    fn find(&self, hash: &str) -> Option<&Block> {
        let mut blocks = self.blocks.iter();
        blocks.find(|block| block.block_hash().to_string() == hash)
    }

    fn hash_at(&self, height: u64) -> Option<BlockHash> {
        let place = usize::try_from(height.checked_sub(self.from)?).ok()?;
        self.blocks.get(place).map(Block::block_hash)
    }
}

fn between<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(path.strip_prefix(before)?.split_once(after)?.0)
}

/// The node's last block and its height.
fn tip(upstream: SocketAddr) -> io::Result<(u64, Block)> {
    let info = Request::rest("/rest/chaininfo.json").ask(upstream)?;
    let info: Value = serde_json::from_slice(&info.body)?;
    let (height, hash) = (info["blocks"].as_u64(), info["bestblockhash"].as_str());
    let hash = hash.and_then(|hash| hash.parse().ok());
    let (height, hash) = height.zip(hash).ok_or(io::ErrorKind::InvalidData)?;
    Ok((height, block(upstream, &hash)?))
}

fn block(upstream: SocketAddr, hash: &BlockHash) -> io::Result<Block> {
    let answer = Request::rest(&format!("/rest/block/{hash}.bin")).ask(upstream)?;
    deserialize(&answer.body).map_err(io::Error::other)
}

/// The same block with another coinbase and parent, whose hash meets its target or
/// misses it.
fn sibling(block: &Block, parent: BlockHash, with_work: bool) -> Block {
    let mut block = block.clone();
    if let Some(coinbase) = block.txdata.first_mut()
        && let Some(input) = coinbase.input.first_mut()
    {
        let marked = Builder::from(input.script_sig.to_bytes());
        let mark = PushBytesBuf::from(*b"other");
        input.script_sig = ScriptBuf::from(marked.push_slice(mark).into_bytes());
    }
    block.header.prev_blockhash = parent;
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
    let target = block.header.target();
    while target.is_met_by(block.block_hash()) != with_work {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
    block
}
