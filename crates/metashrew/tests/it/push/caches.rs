//! A cache that follows what answers say of themselves (`ETag`, `Cache-Control`) has no answer of
//! another block or another guest, while the node reorganises and guests are exchanged.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests::from_wat;
use metashrew_testing::rng::Rng;
use sha2::{Digest, Sha256};

use crate::followed::Desk;
use crate::harness::Running;

/// How often the chain changes, and then how often is asked.
const CHANGES: u64 = 60;
const ASKED: u64 = 12;

/// Its view `told` answers with the guest's number, and the merkle root of the block before the
/// one that is asked about as the guest kept it, and the input.
fn guest(number: u32) -> Vec<u8> {
    from_wat(&format!(
        r#"(module
          (import "env" "__host_len" (func $host_len (result i32)))
          (import "env" "__load_input" (func $load_input (param i32)))
          (import "env" "__get_len" (func $get_len (param i32) (result i32)))
          (import "env" "__get" (func $get (param i32 i32)))
          (import "env" "__flush" (func $flush (param i32)))
          (memory (export "memory") 64)
          ;; A `KeyValueFlush` of the key `k` and 32 bytes at 9; the key.
          (data (i32.const 0) "\25\00\00\00\0a\01k\0a\20")
          (data (i32.const 64) "\01\00\00\00k")
          (func (export "_start")
            (call $load_input (i32.const 65536))
            (memory.copy (i32.const 9) (i32.const 65576) (i32.const 32))
            (call $flush (i32.const 4)))
          ;; At 65500: the length, number, root; the input behind, in place of the height.
          (func (export "told") (result i32)
            (call $load_input (i32.const 65540))
            (i32.store (i32.const 65500)
              (i32.add (i32.const 36) (i32.sub (call $host_len) (i32.const 4))))
            (i32.store (i32.const 65504) (i32.const {number}))
            (memory.copy (i32.const 65540) (i32.const 65544)
              (i32.sub (call $host_len) (i32.const 4)))
            (drop (call $get_len (i32.const 68)))
            (call $get (i32.const 68) (i32.const 65508))
            (i32.const 65504)))"#
    ))
}

/// An answer over HTTP.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn ask(address: SocketAddr, path: &str, tag: Option<&str>) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let tag = tag.map_or_else(String::new, |tag| format!("if-none-match: {tag}\r\n"));
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{tag}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = head.lines().skip(1).map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Answer {
        status,
        headers: headers.collect(),
        body: answer[end + 4..].to_vec(),
    }
}

/// What a cache keeps under a path.
struct Kept {
    tag: String,
    body: Vec<u8>,
    /// Whether it may be used without asking.
    is_for_good: bool,
}

/// A cache, as far as it matters here.
struct Cache<'a> {
    running: &'a Running,
    kept: &'a mut BTreeMap<String, Kept>,
    hits: &'a mut u64,
}

impl Cache<'_> {
    /// What it answers, and which block and guest the server has named with it, if it was asked.
    fn get(&mut self, path: &str) -> (Vec<u8>, Option<(String, String)>) {
        let kept = self.kept.get(path);
        if let Some(kept) = kept.filter(|kept| kept.is_for_good) {
            *self.hits += 1;
            return (kept.body.clone(), None);
        }
        let answer = ask(
            self.running.address,
            path,
            kept.map(|kept| kept.tag.as_str()),
        );
        let header = |name: &str| answer.headers.get(name).cloned();
        let told = |name: &str| header(name).unwrap_or_else(|| panic!("{path}: no {name}"));
        let block = format!(
            "{}:{}",
            told("metashrew-height"),
            told("metashrew-block-hash")
        );
        let about = Some((block, told("metashrew-guest")));
        match answer.status {
            304 => {
                *self.hits += 1;
                (self.kept[path].body.clone(), about)
            }
            200 => {
                let control = header("cache-control").unwrap_or_default();
                let kept = Kept {
                    tag: told("etag"),
                    body: answer.body.clone(),
                    is_for_good: control.contains("immutable"),
                };
                self.kept.insert(path.to_owned(), kept);
                (answer.body, about)
            }
            status => panic!("{path}: {status}"),
        }
    }
}

/// What a guest answers at a block, by the block itself.
fn expect(node: &Bitcoind, guest: u32, hash: &str, input: &str) -> Vec<u8> {
    let block = node.block(&hash.trim_start_matches("0x").parse().unwrap());
    let root = bitcoin::consensus::encode::serialize(&block.header.merkle_root);
    [&guest.to_le_bytes()[..], &root, input.as_bytes()].concat()
}

#[test]
fn no_answer_is_of_another_block_or_another_guest() {
    let node = Bitcoind::start();
    node.mine(20);
    let guests = [guest(1), guest(2)];
    let names = [0, 1].map(|index| hex::encode_prefixed(Sha256::digest(&guests[index])));
    let desk = Desk::with(&guests[0]);
    let (mut rng, mut current) = (Rng::new(4), 1);
    let flags = ["--accept-guest-change"];
    let mut start = desk.follow("db", &node.rpc_url(), &flags);
    let mut running = Running::spawn(&mut start);
    let mut kept = BTreeMap::new();
    let mut hits = 0;
    for change in 0..CHANGES {
        if rng.chance(150) {
            running.end();
            current = 3 - current;
            std::fs::write(desk.path("guest.wasm"), &guests[current as usize - 1]).unwrap();
            running = Running::spawn(&mut start);
        } else if rng.chance(500) {
            let depth = 1 + u32::try_from(rng.below(4)).unwrap();
            node.reorganise(node.height() - depth, depth as usize + 1);
        } else {
            node.mine(1);
        }
        // Otherwise it is asked while the change comes.
        let is_settled = change % 2 == 0;
        if is_settled {
            running.wait_for_tip(&node);
        }
        let guest = &names[current as usize - 1];
        let mut cache = Cache {
            running: &running,
            kept: &mut kept,
            hits: &mut hits,
        };
        for _ in 0..ASKED {
            let input = format!("i{}", rng.below(3));
            let height = node.height() - u32::try_from(rng.below(4)).unwrap();
            let block = match rng.below(3) {
                _ if !is_settled => "latest".to_owned(),
                0 => "latest".to_owned(),
                1 => height.to_string(),
                _ => format!("{height}:0x{}", node.hash_at(height)),
            };
            let mut path = format!("/view/told?text={input}&block={block}");
            if rng.chance(500) {
                path = format!("{path}&guest={guest}");
            }
            let (body, about) = cache.get(&path);
            let hash = match &about {
                Some((at, by)) => {
                    assert_eq!(by, guest, "{path}");
                    if is_settled {
                        let height = at.split_once(':').unwrap().0.parse().unwrap();
                        let hash = node.hash_at(height);
                        assert_eq!(*at, format!("{height}:0x{hash}"), "{path}");
                    }
                    at.split_once(':').unwrap().1.to_owned()
                }
                // Only what is named by its hash may be used without asking.
                None => block.split_once(':').unwrap().1.to_owned(),
            };
            let expect = expect(&node, current, &hash, &input);
            assert_eq!(hex::encode(body), hex::encode(expect), "{path}");
        }
    }
    assert!(hits > CHANGES, "{hits} answers out of the cache");
    running.end();
}
