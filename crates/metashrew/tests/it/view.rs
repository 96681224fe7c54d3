//! `metashrew view`, with and without a server.

use std::process::Command;

use metashrew_testing::announced::announced;
use metashrew_testing::proxy::Front;
use rcgen::{CertificateParams, IsCa, KeyPair};

use crate::harness::{Place, Running, fail, header, header_key, succeed};

/// The flags that ask the database, and those that ask the server.
fn both_ways(place: &Place, check: impl Fn(&dyn Fn(&[&str]) -> Command)) {
    place.index();
    check(&|args| {
        let mut command = place.metashrew(&["view"]);
        command
            .args(args)
            .args(["--db", "db", "--indexer", "guest.wasm"]);
        command
    });
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    let url = format!("http://{}", running.address);
    check(&|args| {
        let mut command = place.metashrew(&["view"]);
        command.args(args).args(["--url", &url]);
        command
    });
}

#[test]
fn inputs_and_answers_in_every_form() {
    let place = Place::new(3);
    std::fs::write(place.path("input"), "from a file").unwrap();
    std::fs::write(place.path("bytes"), [0, 1, 255]).unwrap();
    both_ways(&place, |view| {
        let check = |args: &[&str], expect: &str| {
            assert_eq!(succeed(&mut view(args)), format!("{expect}\n"), "{args:?}");
        };
        check(&["echo", "text"], "text");
        check(&["echo"], "");
        check(&["echo", "0x7465787420"], "text ");
        check(&["echo", "0x00ff"], "0x00ff");
        check(&["echo", "0X00Ff"], "0x00ff");
        check(&["echo", "@input"], "from a file");
        check(&["echo", "@bytes"], "0x0001ff");
        check(&["echo", "text", "--as", "hex"], "0x74657874");
        check(
            &["echo", "{\"a\": \"é\"}", "--as", "utf8"],
            "{\"a\": \"é\"}",
        );
    });
}

#[test]
fn every_block_can_be_asked() {
    let place = Place::new(3);
    both_ways(&place, |view| {
        for block in place.chain.blocks() {
            let height = block.height.to_string();
            let names = [
                height.clone(),
                format!("0X{:X}", block.height),
                format!("0X{}", block.hash),
                block.hash.to_string(),
                format!("{height}:{}", block.hash),
            ];
            for name in &names {
                let args = ["get", &header_key(block.height), "--height", name];
                assert_eq!(succeed(&mut view(&args)), format!("{}\n", header(block)));
            }
        }
        assert_eq!(
            succeed(&mut view(&["height", "--as", "hex"])),
            "0x03000000\n"
        );
    });
}

#[test]
fn failures_say_the_same_either_way() {
    let place = Place::new(3);
    both_ways(&place, |view| {
        let check = |args: &[&str], expect: &str| {
            let stderr = fail(&mut view(args), 1);
            assert!(stderr.contains(expect), "{args:?}: {stderr}");
        };
        check(
            &["no_such"],
            "error: the view `no_such` at block `latest` failed\n  caused by: the guest has no view `no_such`",
        );
        check(&["trap"], "caused by: the guest trapped:");
        check(&["trap"], "\n  0: ");
        check(
            &["abort_view"],
            "caused by: the guest aborted: out of tea (tea.ts:7:3)\n  0: ",
        );
        check(
            &["echo", "--height", "4"],
            "caused by: block 4 is not indexed yet: the last one is 3",
        );
        check(
            &["echo", "@no-such-file"],
            "error: the input could not be read from `no-such-file`",
        );
        check(
            &["echo", "0xff", "--as", "utf8"],
            "error: the answer is not UTF-8 from byte 0 on: 0xff",
        );
    });
}

#[test]
fn an_error_that_the_view_returns_is_its_text() {
    let place = Place::with(&announced(), 3);
    both_ways(&place, |view| {
        let stderr = fail(&mut view(&["fail", "no such token"]), 1);
        assert_eq!(
            stderr,
            "error: the view `fail` at block `latest` failed\n  caused by: the view returned an error: no such token\n"
        );
    });
}

#[test]
fn a_server_that_is_not_there() {
    let place = Place::new(1);
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let stderr = fail(&mut place.metashrew(&["view", "echo", "--url", &url]), 1);
    assert!(
        stderr.contains(&format!("caused by: the server at `{url}` does not answer")),
        "{stderr}"
    );
}

#[test]
fn a_server_is_named_in_the_same_ways_for_every_command() {
    let place = Place::new(3);
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    let address = running.address;
    for url in [
        format!("http://{address}"),
        format!("http://{address}/"),
        format!("HTTP://{address}//"),
        address.to_string(),
        format!("http://user:password@{address}"),
    ] {
        let view = ["view", "echo", "text", "--url", &url];
        assert_eq!(succeed(&mut place.metashrew(&view)), "text\n", "{url}");
        let status = succeed(&mut place.metashrew(&["status", "--url", &url]));
        assert!(status.starts_with("state: done\n"), "{url}: {status}");
    }
    for url in ["ftp://h", "http://u:secret@h:port", "http://h/?q=1"] {
        for command in [
            &["view", "echo", "--url", url][..],
            &["status", "--url", url],
        ] {
            let stderr = fail(&mut place.metashrew(command), 2);
            assert!(stderr.contains("'--url <URL>'"), "{stderr}");
            assert!(stderr.contains("such as http://127.0.0.1:8080"), "{stderr}");
            assert!(!stderr.contains("secret"), "{stderr}");
        }
    }
}

#[test]
fn a_server_behind_https_is_asked_as_any_other() {
    let place = Place::new(3);
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    own.is_ca = IsCa::ExplicitNoCa;
    let certificate = own.self_signed(&key).unwrap();
    let front = Front::start_tls(running.address, certificate.der(), key.serialized_der());
    std::fs::write(place.path("ca.pem"), certificate.pem()).unwrap();
    let url = format!("https://{}/", front.address());
    let view = ["view", "echo", "text", "--url", &url];
    let trusting = |args: &[&str]| {
        let mut command = place.metashrew(args);
        command.env("SSL_CERT_FILE", place.path("ca.pem"));
        succeed(&mut command)
    };
    assert_eq!(trusting(&view), "text\n");
    assert!(trusting(&["status", "--url", &url]).starts_with("state: done\n"));
    let stderr = fail(&mut place.metashrew(&view), 1);
    assert!(
        stderr.contains("ertificate") || stderr.contains("https"),
        "{stderr}"
    );
}

#[test]
fn a_pending_block_is_a_servers() {
    let place = Place::new(1);
    let args = [
        "view",
        "echo",
        "--height",
        "pending",
        "--db",
        "db",
        "--indexer",
        "guest.wasm",
    ];
    let stderr = fail(&mut place.metashrew(&args), 2);
    assert!(stderr.contains("--height pending needs --url"), "{stderr}");
    assert!(
        stderr.contains("Usage: metashrew view [OPTIONS]"),
        "{stderr}"
    );
    // A server of files has none either, and says so itself.
    let mut running = Running::spawn(&mut place.start(&[]));
    running.wait_for("all blocks are indexed");
    let url = format!("http://{}", running.address);
    let args = ["view", "echo", "--height", "pending", "--url", &url];
    let stderr = fail(&mut place.metashrew(&args), 1);
    assert!(
        stderr.contains("caused by: there is no pending block"),
        "{stderr}"
    );
}

#[test]
fn an_empty_database() {
    let place = Place::with(&metashrew_testing::guests::traps_at(1), 1);
    fail(&mut place.start(&["--exit-at", "1"]), 1);
    let args = ["view", "echo", "--db", "db", "--indexer", "guest.wasm"];
    let stderr = fail(&mut place.metashrew(&args), 1);
    assert!(
        stderr.contains("caused by: no block is indexed yet"),
        "{stderr}"
    );
    assert!(stderr.contains("\nhint: `metashrew start`"), "{stderr}");
}
