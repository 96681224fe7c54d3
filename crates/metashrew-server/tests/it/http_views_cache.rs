//! What caches may keep of views: tags that cover all that an answer follows from, answers
//! that need not be sent again, and views that are not kept.

use std::collections::BTreeMap;

use metashrew_runtime::PendingBlock;
use metashrew_store::Store;
use metashrew_testing::guests;
use serde_json::json;

use crate::harness::{FIRST, Reply, Served, Setup, block_ref};

fn views_run(served: &Served) -> u64 {
    let counts = served.runtime.view_counts();
    counts.iter().map(|view| view.answered + view.failed).sum()
}

fn tag(served: &Served, target: &str) -> String {
    let reply = served.got(target, &[]);
    assert_eq!(reply.status, 200, "{target}");
    let tag = reply.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
    tag
}

#[test]
fn what_a_client_has_is_not_sent_and_the_view_not_run() {
    let served = Served::new();
    let target = "/view/echo?text=abc";
    let first = served.got(target, &[]);
    let tag = first.header("etag");
    let before = views_run(&served);
    let strong = tag.trim_start_matches("W/");
    let list = format!("\"other\", {tag}, W/\"third\"");
    for (method, given) in [("GET", tag), ("GET", strong), ("GET", &list), ("HEAD", tag)] {
        let reply = served.ask(method, target, &[("if-none-match", given)], b"");
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{given}");
        for name in [
            "etag",
            "cache-control",
            "vary",
            "metashrew-height",
            "metashrew-block-hash",
        ] {
            assert_eq!(reply.header(name), first.header(name), "{name}");
        }
    }
    assert_eq!(views_run(&served), before);
    for given in ["", "\"\"", "\"other\"", "W/", "abc", ","] {
        let reply = served.got(target, &[("if-none-match", given)]);
        assert_eq!((reply.status, reply.text()), (200, "abc"), "{given}");
    }
    // `*` is any answer: there is one.
    assert_eq!(served.got(target, &[("if-none-match", "*")]).status, 304);
    assert_eq!(
        served.got("/view/trap", &[("if-none-match", "*")]).status,
        500
    );
}

#[test]
fn a_tag_covers_all_that_an_answer_follows_from() {
    let served = Served::new();
    let hash = served.tip().hash;
    let mut tags = BTreeMap::new();
    for target in [
        "/view/echo",
        "/view/echo?text=a",
        "/view/echo?text=b",
        "/view/echo?a=1",
        "/view/echo?json=1&as=json",
        "/view/echo?json=1&as=text",
        "/view/echo?json=1&as=hex",
        "/view/echo?json=1&as=bytes",
        "/view/get?text=a",
        "/view/height",
        "/view/height?block=103",
        "/view/height?block=102",
    ] {
        if let Some(other) = tags.insert(tag(&served, target), target) {
            panic!("{target} has the tag of {other}");
        }
    }
    // The same by another name.
    let height = served.tip().height;
    for block in [
        "latest".to_owned(),
        height.to_string(),
        format!("0x{hash}"),
        format!("{height}:{hash}"),
    ] {
        let same = tag(&served, &format!("/view/height?block={block}"));
        assert_eq!(tags.get(&same), Some(&"/view/height"), "{block}");
    }
    let input = tag(&served, "/view/echo?input=61");
    assert_eq!(tags.get(&input), Some(&"/view/echo?text=a"));
}

#[test]
fn a_block_that_replaces_another_has_another_tag() {
    let mut served = Served::new();
    let target = format!("/view/get?text=acc&block={}", FIRST + 3);
    let before = served.got(&target, &[]);
    served.runtime.store().rollback(Some(FIRST + 2)).unwrap();
    served.chain = served.chain.fork(FIRST + 2, 99);
    served.grow(2);
    let after = served.got(&target, &[("if-none-match", before.header("etag"))]);
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), before.header("etag"));
    assert_ne!(after.body, before.body);
    assert_ne!(
        after.header("metashrew-block-hash"),
        before.header("metashrew-block-hash")
    );
    assert_eq!(
        after.header("metashrew-height"),
        before.header("metashrew-height")
    );
}

#[test]
fn other_guests_and_other_states_have_other_tags() {
    let target = "/view/echo?text=a";
    let one = Served::new();
    let other = Setup {
        wasm: guests::slow(1),
        ..Setup::default()
    }
    .serve();
    assert_eq!(one.tip().hash, other.tip().hash);
    assert_ne!(one.runtime.guest_sha256(), other.runtime.guest_sha256());
    assert_ne!(tag(&one, target), tag(&other, target));
    // The same guest over the same blocks, but another one wrote the first of them.
    let store = Store::in_memory();
    let first = Setup {
        wasm: guests::empty_flush(),
        store: store.clone(),
        ..Setup::default()
    }
    .serve();
    assert_eq!(first.tip().hash, one.tip().hash);
    let later = Setup {
        store,
        blocks: 0,
        ..Setup::default()
    }
    .serve();
    assert_eq!(later.runtime.guest_sha256(), one.runtime.guest_sha256());
    assert_ne!(tag(&later, target), tag(&one, target));
    // Block and guest have the same names: only the history root tells one from the other.
    let named = |served: &Served| {
        let guest = hex::encode(served.runtime.guest_sha256());
        let tip = served.tip();
        let (hash, root) = (tip.hash, tip.history_root);
        format!("/view/get?text=acc&block={hash}&guest={guest}&history_root={root}")
    };
    let (mine, others) = (one.got(&named(&one), &[]), later.got(&named(&later), &[]));
    assert_eq!((mine.status, others.status), (200, 200));
    assert_ne!(mine.body, others.body);
    assert_eq!(later.got(&named(&one), &[]).status, 409);
}

#[test]
fn pending_blocks_have_tags_of_their_own() {
    let mut served = Served::new();
    let target = "/view/get?text=acc&block=pending";
    let mut tags = vec![tag(&served, "/view/get?text=acc")];
    for seed in [1, 2] {
        let mut chain = served.chain.fork(served.tip().height, seed);
        let next = chain.mine(1).to_vec().remove(0);
        let pending = PendingBlock {
            parent: block_ref(&next).parent,
            block: next.bytes.to_vec().into(),
        };
        served.runtime.set_pending(Some(pending)).unwrap();
        let one = tag(&served, target);
        assert!(!tags.contains(&one));
        let again = served.got(target, &[("if-none-match", &one)]);
        assert_eq!(again.status, 304);
        assert_eq!(again.header("cache-control"), "no-cache");
        tags.push(one);
    }
    served.grow(1);
    assert_eq!(
        served.got(target, &[("if-none-match", &tags[2])]).status,
        404
    );
}

#[test]
fn only_what_is_named_by_block_guest_and_history_root_is_kept_unasked() {
    let served = Served::new();
    let tip = served.tip();
    let guest = hex::encode(served.runtime.guest_sha256());
    let (height, hash, root) = (tip.height, tip.hash, tip.history_root);
    let control = |query: &str| {
        let reply = served.got(&format!("/view/echo?{query}"), &[]);
        assert_eq!(reply.status, 200, "{query}");
        assert_eq!(
            reply.header("vary"),
            "accept, accept-encoding, metashrew-block, origin"
        );
        reply.header("cache-control").to_owned()
    };
    for query in [
        "",
        "block=latest",
        &format!("block={height}"),
        &format!("block={height}:{hash}"),
        &format!("guest={guest}"),
        &format!("block={height}:{hash}&guest={guest}"),
        &format!("block={height}&guest={guest}&history_root={root}"),
    ] {
        assert_eq!(control(query), "no-cache", "{query}");
    }
    let pinned = format!("block={height}:0x{hash}&guest=0x{guest}&history_root=0x{root}");
    assert_eq!(control(&pinned), "public, max-age=31536000, immutable");
    // Once another guest answers, or the block is gone, it is an error, and not kept.
    let reply = served.got(&format!("/view/echo?guest={}", "00".repeat(32)), &[]);
    assert_eq!(
        (reply.status, reply.error()["data"]["kind"].clone()),
        (409, json!("other_guest"))
    );
    let reply = served.got(&format!("/view/echo?history_root={}", "00".repeat(32)), &[]);
    assert_eq!(
        (reply.status, reply.error()["data"]["kind"].clone()),
        (409, json!("other_history_root"))
    );
    assert_eq!(reply.header("metashrew-history-root"), format!("0x{root}"));
    served.runtime.store().rollback(Some(height - 1)).unwrap();
    let gone = served.got(&format!("/view/echo?{pinned}"), &[]);
    assert_eq!(
        (gone.status, gone.header("cache-control")),
        (409, "no-store")
    );
}

fn is_kept(reply: &Reply) -> bool {
    assert_eq!(reply.status, 200);
    let is_kept = !reply.header("etag").is_empty();
    assert_eq!(reply.header("cache-control") == "no-store", !is_kept);
    is_kept
}

#[test]
fn what_depends_on_more_than_the_block_has_no_tag() {
    let served = Served::new();
    assert!(is_kept(&served.got("/view/counter", &[])));
    for query in ["session=a", "fresh=true"] {
        let any = [("if-none-match", "*")];
        assert!(
            !is_kept(&served.got(&format!("/view/counter?{query}"), &any)),
            "{query}"
        );
    }
    assert!(!is_kept(&served.ask(
        "POST",
        "/view/counter",
        &[("if-none-match", "*")],
        b""
    )));
}

/// A guest that says of its views what they are. `remembers` answers from its memory.
fn described() -> Vec<u8> {
    let field = |number: u8, value: &[u8]| {
        let length = u8::try_from(value.len()).unwrap();
        [&[number << 3 | 2, length], value].concat()
    };
    let view = |name: &str, answer: &str| {
        field(
            3,
            &[field(1, name.as_bytes()), field(3, answer.as_bytes())].concat(),
        )
    };
    let views = [
        view("balance", "Balance (JSON)"),
        view("greeting", "text"),
        view("remembers", "bytes"),
    ];
    let views = views.concat();
    let length = u32::try_from(views.len()).unwrap().to_le_bytes();
    let bytes = length.iter().chain(&views);
    let escaped: Vec<_> = bytes.map(|byte| format!("\\{byte:02x}")).collect();
    let meta = escaped.concat();
    guests::from_wat(&format!(
        r#"(module
          (import "env" "__host_len" (func $host_len (result i32)))
          (import "env" "__load_input" (func $load_input (param i32)))
          (import "env" "__flush" (func $flush (param i32)))
          (memory (export "memory") 2)
          (export "__metashrew_answers_from_memory.remembers" (memory 0))
          (data (i32.const 0) "{meta}")
          (func (export "__meta") (result i32) (i32.const 4))
          (func (export "_start") (call $flush (i32.const 2052)))
          (func $echo (result i32)
            (call $load_input (i32.const 4096))
            (i32.store (i32.const 4096) (i32.sub (call $host_len) (i32.const 4)))
            (i32.const 4100))
          (export "balance" (func $echo))
          (export "greeting" (func $echo))
          (export "remembers" (func $echo))
          (export "silent" (func $echo)))"#
    ))
}

#[test]
fn what_the_guest_says_of_its_views_counts() {
    let served = Setup {
        wasm: described(),
        ..Setup::default()
    }
    .serve();
    for (view, content_type, has_tag) in [
        ("balance", "application/json; charset=utf-8", true),
        ("greeting", "text/plain; charset=utf-8", true),
        ("remembers", "application/octet-stream", false),
        ("silent", "application/octet-stream", true),
    ] {
        let reply = served.got(&format!("/view/{view}?json=7"), &[]);
        assert_eq!(reply.text(), "7");
        assert_eq!(reply.header("content-type"), content_type, "{view}");
        assert_eq!(is_kept(&reply), has_tag, "{view}");
    }
    // `__meta` runs on the same instances, and says nothing of itself.
    assert!(!is_kept(&served.got("/view/__meta", &[])));
    let tag = served.got("/view/silent?json=7", &[]);
    let given = [("if-none-match", tag.header("etag"))];
    assert_eq!(served.got("/view/__meta", &given).status, 200);
    // What is said to be JSON is checked to be.
    let reply = served.got("/view/balance?text=seven", &[]);
    assert_eq!(
        (reply.status, reply.error()["code"].clone()),
        (406, json!(-32017))
    );
    assert_eq!(
        served.got("/view/balance?text=seven&as=bytes", &[]).text(),
        "seven"
    );
}
