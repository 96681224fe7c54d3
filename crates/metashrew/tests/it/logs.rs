//! What guests log while blocks are indexed: kept by block, within a bound, and asked for.

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::chatting::{Then, chats};
use metashrew_testing::guests;
use serde_json::{Value, json};

use crate::followed::{Desk, wait_until};
use crate::harness::{Place, Running, fail, metashrew, succeed};

/// No block has this height.
const NEVER: u32 = u32::MAX;

fn logs(running: &Running, params: &Value) -> Value {
    running.result("metashrew_logs", params)
}

fn texts(answer: &Value) -> Vec<&str> {
    let lines = answer["lines"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect()
}

fn line(height: u32, number: u32) -> String {
    format!("block {height:05} line {number:05}")
}

/// `metashrew logs` with more arguments.
fn printed(running: &Running, args: &[&str]) -> String {
    let url = format!("http://{}", running.address);
    succeed(metashrew().args(["logs", "--url", &url]).args(args))
}

#[test]
fn each_blocks_lines_are_its_own_and_come_in_pages() {
    let place = Place::with(&chats(3, NEVER, Then::Spin), 5);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_state("done");
    // What views and previews log is not among them.
    running.result("metashrew_view", &json!(["chat"]));
    let raw = hex::encode(&*place.tip().bytes);
    running.result("metashrew_preview", &json!([raw, "chat"]));
    for height in 1..=5 {
        let hash = format!("0x{}", place.chain.at(height).unwrap().hash);
        let answer = logs(&running, &json!([height]));
        assert_eq!(
            answer,
            json!({
                "height": height, "block_hash": hash, "state": "processed", "known": true,
                "logged": 3, "dropped": 0, "next": null,
                "lines": (0..3).map(|number| json!({ "number": number, "text": line(height, number) }))
                    .collect::<Vec<_>>(),
            })
        );
        assert_eq!(logs(&running, &json!([hash])), answer);
        assert_eq!(
            logs(&running, &json!([format!("{height}:{}", &hash[2..])])),
            answer
        );
    }
    let last = logs(&running, &json!(["latest"]));
    assert_eq!(logs(&running, &json!([])), last, "the block that ran last");
    let page = logs(&running, &json!({ "block": 2, "from": 1, "limit": 1 }));
    assert_eq!(
        (texts(&page), &page["next"]),
        (vec![line(2, 1).as_str()], &json!(2))
    );
    let page = logs(&running, &json!({ "block": 2, "from": -1 }));
    assert_eq!(
        (texts(&page), &page["next"]),
        (vec![line(2, 2).as_str()], &Value::Null)
    );
    let error = |params: Value| running.call("metashrew_logs", &params)["error"].clone();
    assert_eq!(error(json!([6]))["data"]["kind"], "not_indexed");
    assert_eq!(
        error(json!(["00".repeat(32)]))["data"]["kind"],
        "unknown_hash"
    );
    for (params, parameter) in [
        (json!([1, "x"]), "from"),
        (json!([1, 0, 0]), "limit"),
        (json!([1, 0, 10_001]), "limit"),
        (json!(["first"]), "block"),
    ] {
        assert_eq!(error(params)["data"]["parameter"], parameter);
    }
    let text = printed(&running, &["2"]);
    let expected = (0..3).map(|number| format!("{number}: {}", line(2, number)));
    let expected: Vec<_> = expected.collect();
    let text: Vec<_> = text.lines().collect();
    assert_eq!(text, expected);
    assert_eq!(
        printed(&running, &["2", "--last", "1"]),
        format!("2: {}\n", line(2, 2))
    );
    running.end();
}

#[test]
fn a_block_that_halts_indexing_has_its_lines_and_so_it_has_after_a_restart() {
    let place = Place::with(&chats(2, 4, Then::Trap), 5);
    for indexed in [3, 0] {
        let running = Running::spawn(&mut place.start(&[]));
        running.wait_for_state("halted");
        let answer = logs(&running, &json!([]));
        assert_eq!(
            (&answer["height"], &answer["state"]),
            (&json!(4), &json!("failed"))
        );
        assert_eq!(texts(&answer), [line(4, 0), line(4, 1)]);
        assert_eq!(logs(&running, &json!([4])), answer);
        assert_eq!(running.served_height(), Some(3));
        // Of the blocks below, a process knows those that it has run.
        let below = logs(&running, &json!([3]));
        assert_eq!(below["known"], indexed > 0);
        let url = format!("http://{}", running.address);
        let status = succeed(metashrew().args(["status", "--url", &url]));
        assert!(
            status.contains("\nguest's log: `metashrew logs 4`\n"),
            "{status}"
        );
        assert_eq!(
            printed(&running, &[]),
            format!("0: {}\n1: {}\n", line(4, 0), line(4, 1))
        );
        if indexed == 0 {
            let stderr = fail(metashrew().args(["logs", "--url", &url, "3"]), 1);
            assert!(
                stderr.contains("it ran before the server was started"),
                "{stderr}"
            );
        }
        running.end();
    }
}

#[test]
fn a_block_that_does_not_end_has_its_lines_meanwhile() {
    let place = Place::with(&chats(2, 3, Then::Spin), 5);
    let running = Running::spawn(&mut place.start(&[]));
    wait_until("it has logged", || {
        let last = logs(&running, &json!([]));
        last["height"] == 3 && texts(&last).len() == 2
    });
    let answer = logs(&running, &json!([3]));
    assert_eq!(answer["state"], "running");
    assert_eq!(texts(&answer), [line(3, 0), line(3, 1)]);
    running.end();
}

#[test]
fn a_guest_that_logs_without_end_takes_no_more_than_it_may() {
    let place = Place::with(&chats(2, 3, Then::Chat), 5);
    let flags = [
        "--guest-log-memory",
        "16KiB",
        "--guest-log-block-memory",
        "4KiB",
    ];
    let running = Running::spawn(&mut place.start(&flags));
    let stats = || running.result("metashrew_stats", &json!([]))["guest_logs"].clone();
    wait_until("it has logged more than is kept", || {
        stats()["lines"].as_u64() > Some(10_000)
    });
    let stats = stats();
    assert!(stats["bytes"].as_u64().unwrap() <= 16 << 10, "{stats}");
    assert_eq!(stats["limit_bytes"], 16 << 10);
    assert!(stats["dropped"].as_u64().unwrap() > 5_000, "{stats}");
    let answer = logs(&running, &json!([3]));
    let lines = answer["lines"].as_array().unwrap();
    let kept = lines.len() as u64;
    assert!((100..200).contains(&kept), "{kept}");
    let logged = answer["logged"].as_u64().unwrap();
    assert_eq!(answer["dropped"], logged - kept);
    // The first ones, and the last ones.
    assert_eq!(lines[0]["text"], line(3, 0));
    assert_eq!(lines.last().unwrap()["number"], logged - 1);
    // The block before has its lines all the same.
    assert_eq!(texts(&logs(&running, &json!([2]))).len(), 2);
    let text = printed(&running, &["3"]);
    assert!(text.contains(" lines that are not kept\n"), "{text}");
    running.end();
}

#[test]
fn the_blocks_that_ran_first_go_first_and_none_are_kept_where_there_is_no_room() {
    let place = Place::with(&chats(20, NEVER, Then::Spin), 30);
    let flags = [
        "--guest-log-memory",
        "8KiB",
        "--guest-log-block-memory",
        "4KiB",
    ];
    let running = Running::spawn(&mut place.start(&flags));
    running.wait_for_state("done");
    assert_eq!(texts(&logs(&running, &json!([30]))).len(), 20);
    let first = logs(&running, &json!([1]));
    assert_eq!(
        (&first["known"], &first["lines"]),
        (&json!(false), &json!([]))
    );
    running.end();
    std::fs::remove_dir_all(place.path("db")).unwrap();
    let running = Running::spawn(&mut place.start(&["--guest-log-memory", "0"]));
    running.wait_for_state("done");
    assert_eq!(logs(&running, &json!([30]))["known"], false);
    assert_eq!(logs(&running, &json!([]))["block_hash"], Value::Null);
    running.end();
}

#[test]
fn a_silent_guest_is_told_from_one_whose_lines_are_gone() {
    let place = Place::new(5);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_state("done");
    let answer = logs(&running, &json!([2]));
    assert_eq!(
        (&answer["known"], &answer["logged"]),
        (&json!(true), &json!(0))
    );
    running.end();
}

#[test]
fn lines_of_a_dead_block_are_had_by_its_hash_alone() {
    let node = Bitcoind::start();
    node.mine(12);
    let desk = Desk::with(&chats(1, NEVER, Then::Spin));
    let running = Running::spawn(&mut desk.follow("db", &node.rpc_url(), &[]));
    running.wait_for_tip(&node);
    let dead = running.hash_at(12).unwrap();
    node.reorganise(10, 3);
    running.wait_for_tip(&node);
    let new = running.hash_at(12).unwrap();
    assert_ne!(dead, new);
    for hash in [&dead, &new] {
        let answer = logs(&running, &json!([hash]));
        assert_eq!(answer["block_hash"], format!("0x{hash}"));
        assert_eq!(texts(&answer), [line(12, 0)]);
    }
    let answer = logs(&running, &json!([12]));
    assert_eq!(answer["block_hash"], format!("0x{new}"));
    let answer = running.call("metashrew_logs", &json!([format!("11:{dead}")]));
    assert_eq!(answer["error"]["data"]["kind"], "not_in_chain");
    running.end();
}

#[test]
fn what_a_guest_logs_does_not_reach_a_terminal_as_it_is() {
    let place = Place::with(&guests::logs("\x1b[2J\u{202e}x\ny"), 2);
    let running = Running::spawn(&mut place.start(&[]));
    running.wait_for_state("done");
    assert_eq!(printed(&running, &["2"]), "0: \\u{1b}[2J\\u{202e}x\\ny\n");
    let json = printed(&running, &["2", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["text"], "\x1b[2J\u{202e}x\ny");
    running.end();
}
