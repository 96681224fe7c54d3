//! The names, paths and signatures that guests in the wild compile against. A
//! change that breaks one of them breaks those guests: this file then does not
//! compile.
#![allow(clippy::type_complexity, reason = "the types are what is tested")]

use anyhow::Result;
use bitcoin::consensus::{Decodable, Encodable};
use bitcoin::key::{TweakedPublicKey, UntweakedPublicKey};
use bitcoin::secp256k1::{All, Secp256k1};
use bitcoin::taproot::TapNodeHash;
use bitcoin::{Block, PublicKey, Script, ScriptBuf, Transaction};
use metashrew_support::address::{AddressEncoding, AddressType, Payload};
use metashrew_support::block::{
    Auxpow, AuxpowBlock, AuxpowHeader, AuxpowMerkleBranch, AuxpowVersion,
};
use metashrew_support::byte_view::{ByteView, shrink_back};
use metashrew_support::index_pointer::KeyValuePointer;
use metashrew_support::lru_cache::{
    ApiCacheKey, CacheAllocationMode, CacheKey, CacheStats, CacheValue, HeightPartitionedKey,
    KeyPrefixStats, LruDebugStats, PrefixAnalysisConfig,
};
use metashrew_support::proto::metashrew::{IndexerMetadata, KeyValueFlush, ViewFunction};
use metashrew_support::{block, compat, utils};
use std::fmt::Display;
use std::io::Cursor;
use std::str::FromStr;
use std::sync::Arc;

type Bytes = Cursor<Vec<u8>>;

#[test]
fn functions_keep_their_signatures() {
    let _: fn(&mut Vec<u8>) -> i32 = compat::to_ptr;
    let _: fn(&mut Vec<u8>) -> i32 = compat::to_passback_ptr;
    let _: fn(&'static [u8]) -> Vec<u8> = compat::to_arraybuffer_layout;
    let _: fn(Vec<u8>) -> i32 = compat::export_bytes;
    let _: fn(Vec<u8>, usize) -> Vec<u8> = shrink_back;
    let _: fn(&mut Bytes) -> Result<u64> = utils::consume_varint;
    let _: fn(&mut Bytes) -> Result<u128> = utils::consume_u128;
    let _: fn(&mut Bytes) -> Result<Vec<u8>> = utils::consume_to_end;
    let _: fn(&mut Bytes, usize) -> Result<Vec<u8>> = utils::consume_exact;
    let _: fn(&mut Bytes) -> Result<u32> = utils::consume_sized_int;
    let _: fn(&mut Bytes) -> bool = utils::is_empty;
    let _: fn(&mut Bytes) -> &[u8] = utils::remaining_slice;
    let _: fn(i32) -> Vec<u8> = utils::ptr_to_vec;
    let _: fn(&Vec<u8>) -> String = utils::format_key;
    codec::<Transaction>();
    integers::<(u8, u16, u32, u64, u128, usize)>();
}

fn codec<T: Encodable + Decodable>() {
    let _: fn(&T) -> Result<Vec<u8>> = utils::consensus_encode::<T>;
    let _: fn(&mut Bytes) -> Result<T> = utils::consensus_decode::<T>;
}

fn integers<T: Integers>() {
    T::check();
}

trait Integers {
    fn check();
}

impl<A: ByteView, B: ByteView, C: ByteView, D: ByteView, E: ByteView, F: ByteView> Integers
    for (A, B, C, D, E, F)
{
    fn check() {
        let _: (fn(Vec<u8>) -> A, fn(&A) -> Vec<u8>) = (A::from_bytes, A::to_bytes);
        let _: (fn() -> A, fn() -> A) = (A::maximum, A::zero);
    }
}

#[test]
fn addresses_keep_their_signatures() {
    fn text<T: Display + FromStr>() {}
    text::<AddressType>();
    let _: fn(&Script) -> Result<Payload> = Payload::from_script;
    let _: fn(&Payload) -> ScriptBuf = Payload::script_pubkey;
    let _: fn(&Payload, &Script) -> bool = Payload::matches_script_pubkey;
    let _: fn(&PublicKey) -> Payload = Payload::p2pkh;
    let _: fn(&Script) -> Result<Payload> = Payload::p2sh;
    let _: fn(&PublicKey) -> Result<Payload> = Payload::p2wpkh;
    let _: fn(&PublicKey) -> Result<Payload> = Payload::p2shwpkh;
    let _: fn(&Script) -> Payload = Payload::p2wsh;
    let _: fn(&Script) -> Payload = Payload::p2shwsh;
    let _: fn(&Secp256k1<All>, UntweakedPublicKey, Option<TapNodeHash>) -> Payload = Payload::p2tr;
    let _: fn(TweakedPublicKey) -> Payload = Payload::p2tr_tweaked;
    let payload = Payload::p2wsh(Script::new());
    let encoding = AddressEncoding {
        payload: &payload,
        p2pkh_prefix: 0x1e,
        p2sh_prefix: 0x16,
        hrp: bitcoin::bech32::Hrp::parse("dc").unwrap(),
    };
    assert!(encoding.to_string().starts_with("dc1"));
}

#[test]
fn auxpow_blocks_keep_their_signatures() {
    let constants = [
        block::VERSION_AUXPOW,
        block::VERSION_POS_START,
        block::VERSION_CHAIN_START,
        block::VERSION_CHAIN_ID,
    ];
    assert_eq!(constants, [0x100, 0x200, 0x10000, 20]);
    let _: fn(&mut Bytes) -> Result<Auxpow> = Auxpow::parse;
    let _: fn(&mut Bytes) -> Result<AuxpowHeader> = AuxpowHeader::parse;
    let _: fn(&mut Bytes) -> Result<AuxpowHeader> = AuxpowHeader::parse_without_auxpow;
    let _: fn(&mut Bytes) -> Result<AuxpowBlock> = AuxpowBlock::parse;
    let _: fn(&mut Bytes) -> Result<AuxpowMerkleBranch> = AuxpowMerkleBranch::parse;
    let _: fn(&AuxpowBlock) -> Block = AuxpowBlock::to_consensus;
    let version: bitcoin::block::Version = AuxpowVersion::new(1).into();
    assert_eq!(version.to_consensus(), 1);
    let _: fn(AuxpowHeader) -> bitcoin::block::Header = Into::into;
}

/// A trait's methods, as an implementer and a caller see them.
#[derive(Clone)]
struct Key(Arc<Vec<u8>>);

impl KeyValuePointer for Key {
    fn wrap(word: &Vec<u8>) -> Self {
        Self(Arc::new(word.clone()))
    }
    fn unwrap(&self) -> Arc<Vec<u8>> {
        self.0.clone()
    }
    fn set(&mut self, _v: Arc<Vec<u8>>) {}
    fn get(&self) -> Arc<Vec<u8>> {
        Arc::default()
    }
    fn inherits(&mut self, _from: &Self) {}
}

#[test]
fn pointers_keep_their_methods() {
    let mut key = Key::from_keyword("a").prefix("b");
    assert_eq!(
        *key.select(&vec![1]).keyword("c").select_value(1u8).unwrap(),
        b"ba\x01c\x01"
    );
    key.set_value(1u32);
    key.nullify();
    key.set_or_nullify(Arc::new(vec![1]));
    let list: (Vec<Arc<Vec<u8>>>, Vec<u64>) = (key.get_list(), key.get_list_values());
    assert_eq!(list, (vec![], vec![]));
    let popped: (Arc<Vec<u8>>, u16) = (key.pop(), key.pop_value());
    assert_eq!(popped, (Arc::default(), 0));
    key.append(Arc::default());
    key.append_value(1u8);
    key.append_ll(Arc::default());
    let _: (Key, Key) = (key.extend(), key.extend_ll());
    let _: (Key, Key, Key) = (key.length_key(), key.head_key(), key.next_key(0));
    key.set_next_for(0, 1);
    key.delete_value(0);
    key.drop_index(0);
    let mapped: Vec<u32> = key.map_ll(|_: &mut Key, index: u32| index);
    assert_eq!(
        (mapped.len(), key.length(), key.get_value::<u128>()),
        (0, 0, 0)
    );
}

#[test]
fn messages_keep_their_fields() {
    let _ = KeyValueFlush {
        list: vec![b"key".to_vec(), b"value".to_vec()],
    };
    let function = ViewFunction {
        name: String::new(),
        input_type: String::new(),
        output_type: String::new(),
    };
    let _ = IndexerMetadata {
        compiler_version: String::new(),
        rustc_version: String::new(),
        view_functions: vec![function],
    };
}

#[test]
fn caches_keep_their_types() {
    fn wraps<Wrapper: From<Inner> + Into<Inner> + Clone + Eq + std::hash::Hash, Inner>() {}
    wraps::<CacheKey, Arc<Vec<u8>>>();
    wraps::<CacheValue, Arc<Vec<u8>>>();
    wraps::<ApiCacheKey, String>();
    let key = HeightPartitionedKey::from((7u32, Arc::new(vec![1])));
    let HeightPartitionedKey { height, key } = key;
    assert_eq!((height, key.len()), (7, 1));
    let (CacheKey(_), CacheValue(_), ApiCacheKey(_)) = (
        CacheKey(key.clone()),
        CacheValue(key),
        ApiCacheKey(String::new()),
    );
    let modes = [CacheAllocationMode::Indexer, CacheAllocationMode::View];
    assert_ne!(modes[0], modes[1]);
    let (hits, misses, evictions) = (0u64, 0u64, 0u64);
    let (items, memory_usage) = (0usize, 0usize);
    let cache_stats = CacheStats {
        hits,
        misses,
        items,
        memory_usage,
        evictions,
    };
    let config = PrefixAnalysisConfig::default();
    let PrefixAnalysisConfig {
        min_prefix_length,
        max_prefix_length,
        min_keys_per_prefix: _,
    } = config;
    let prefix_stats = vec![KeyPrefixStats {
        prefix: String::new(),
        prefix_readable: String::new(),
        hits,
        misses,
        unique_keys: items,
        hit_percentage: 0.0f64,
    }];
    let stats = LruDebugStats {
        cache_stats,
        prefix_stats,
        total_prefixes: 1usize,
        min_prefix_length,
        max_prefix_length,
    };
    assert_ne!(stats, LruDebugStats::default());
}
