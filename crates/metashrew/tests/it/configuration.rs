//! The configuration file, and what goes before it.

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests;

use crate::followed::Desk;
use crate::harness::{Place, fail, metashrew, succeed};

#[test]
fn a_file_can_say_everything() {
    let node = Bitcoind::start();
    node.mine(8);
    let desk = Desk::with(&guests::chained());
    let file = format!(
        "indexer = \"guest.wasm\"\n\
         db = \"db\"\n\
         rpc-url = \"http://{}\"\n\
         auth = \"user:password\"\n\
         rest = true\n\
         network = \"regtest\"\n\
         listen = \"127.0.0.1:0\"\n\
         confirmations = 2\n\
         exit-at = 6\n\
         log = \"info\"\n\
         [views]\n\
         enabled = false\n\
         queue = 7\n",
        node.address()
    );
    std::fs::write(desk.path("metashrew.toml"), file).unwrap();
    let command = |flags: &[&str]| {
        let mut command = metashrew();
        command
            .current_dir(desk.path(""))
            .args(["start", "--config", "metashrew.toml"])
            .args(flags);
        command
    };
    succeed(&mut command(&[]));
    assert_eq!(desk.records("db").len(), 7);
    // A variable goes before the file, a flag before both.
    succeed(
        command(&[])
            .env("METASHREW_EXIT_AT", "4")
            .env("METASHREW_DB", "four"),
    );
    assert_eq!(desk.records("four").len(), 5);
    let flags = ["--exit-at", "3", "--db", "three"];
    succeed(command(&flags).env("METASHREW_EXIT_AT", "4"));
    assert_eq!(desk.records("three").len(), 4);
    let mut by_variable = metashrew();
    by_variable
        .current_dir(desk.path(""))
        .args(["start", "--db", "variable"])
        .env("METASHREW_CONFIG", "metashrew.toml");
    succeed(&mut by_variable);
    assert_eq!(desk.records("variable"), desk.records("db"));
}

#[test]
fn mistakes_in_a_file_end_with_2_and_name_the_line() {
    let place = Place::new(1);
    for (text, expect) in [
        (
            "db = \"d\"\nblock = \"b\"\n",
            "error: line 2 of `c.toml`: there is no setting `block`\n",
        ),
        (
            "[views]\nqueues = 3\n",
            "error: line 2 of `c.toml`: there is no setting `views.queues`\n",
        ),
        ("port = \"x\"\n", "error: line 1 of `c.toml`: `port`: "),
        ("port 8080\n", "error: line 1 of `c.toml`: "),
    ] {
        std::fs::write(place.path("c.toml"), text).unwrap();
        let stderr = fail(&mut place.metashrew(&["start", "--config", "c.toml"]), 2);
        assert!(stderr.starts_with(expect), "{stderr}");
    }
}

#[test]
fn a_node_or_files_are_needed_and_not_both() {
    let place = Place::new(1);
    let start = ["start", "--indexer", "guest.wasm", "--db", "db"];
    let stderr = fail(&mut place.metashrew(&start), 2);
    assert!(
        stderr.contains("either --rpc-url or --blocks is needed"),
        "{stderr}"
    );
    let flags = ["--blocks", "blocks.dat", "--rpc-url", "http://127.0.0.1:1"];
    let stderr = fail(place.metashrew(&start).args(flags), 2);
    assert!(stderr.contains("cannot both be given"), "{stderr}");
}
