//! `metashrew dev`: edits, and what is served after each. The projects' build command copies a
//! module that the test has written.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use metashrew_testing::bitcoind::Bitcoind;
use metashrew_testing::guests::from_wat;
use serde_json::{Value, json};

use crate::harness::{Place, fail, post, succeed};

/// How long a line may take to come.
const PATIENCE: Duration = Duration::from_mins(2);

const BLOCKS: u32 = 8;

const PROJECT: &str = r#"
[build]
command = "if test -e src/broken; then echo 'src/broken:1: no such thing'; exit 1; fi; cp src/guest.wasm out.wasm"
module = "out.wasm"

[dev]
blocks = "blocks.dat"
listen = "127.0.0.1:0"
block_timeout_ms = 1_000
views = [{ name = "sum" }, { name = "echo", input = { a = [1] } }]
"#;

/// A guest that adds `step` to a sum at every block, after it has done something else at height 5,
/// and that tells of a table, if it is named. Its view `sum` answers the sum, and `echo` its input.
fn guest(step: u32, at_five: &str, table: Option<&str>) -> Vec<u8> {
    let meta = table.map_or_else(String::new, |name| {
        let length = name.len();
        // `IndexerMetadata { storage: [Storage { name }] }`, its length in front.
        format!(
            r#"(data (i32.const 200) "\{:02x}\00\00\00\32\{:02x}\0a\{length:02x}{name}")
               (func (export "__meta") (result i32) (i32.const 204))"#,
            length + 4,
            length + 2,
        )
    });
    from_wat(&format!(
        r#"(module
          (import "env" "__host_len" (func $host_len (result i32)))
          (import "env" "__load_input" (func $load_input (param i32)))
          (import "env" "__get_len" (func $get_len (param i32) (result i32)))
          (import "env" "__get" (func $get (param i32 i32)))
          (import "env" "__flush" (func $flush (param i32)))
          (import "env" "__log" (func $log (param i32)))
          (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
          (memory (export "memory") 64)
          ;; A `KeyValueFlush` of the key `k` and four bytes at 9; the key; texts.
          (data (i32.const 0) "\09\00\00\00\0a\01k\0a\04\00\00\00\00")
          (data (i32.const 16) "\01\00\00\00k")
          (data (i32.const 64) "\07\00\00\00counted")
          (data (i32.const 96) "\0a\00\00\00n\00o\00 \00t\00a\00")
          (data (i32.const 128) "\08\00\00\00a\00.\00r\00s\00")
          {meta}
          (func (export "_start")
            (call $load_input (i32.const 65536))
            (call $log (i32.const 68))
            (if (i32.eq (i32.load (i32.const 65536)) (i32.const 5)) (then {at_five}))
            (i32.store (i32.const 40) (i32.const 0))
            (if (call $get_len (i32.const 20)) (then (call $get (i32.const 20) (i32.const 40))))
            (i32.store (i32.const 9) (i32.add (i32.load (i32.const 40)) (i32.const {step})))
            (call $flush (i32.const 4)))
          (func (export "sum") (result i32)
            (i32.store (i32.const 32) (call $get_len (i32.const 20)))
            (call $get (i32.const 20) (i32.const 36))
            (i32.const 36))
          (func (export "echo") (result i32)
            (call $load_input (i32.const 65540))
            (i32.store (i32.const 65540) (i32.sub (call $host_len) (i32.const 4)))
            (i32.const 65544)))"#
    ))
}

const TRAPS: &str = "(unreachable)";
const LOOPS: &str = "(loop $again (br $again))";
const ABORTS: &str = "(call $abort (i32.const 100) (i32.const 132) (i32.const 7) (i32.const 3))";

/// A project with that guest, and a chain.
fn project(wasm: &[u8]) -> Place {
    let place = Place::new(BLOCKS as usize);
    fs::write(place.path("metashrew.toml"), PROJECT).unwrap();
    fs::create_dir(place.path("src")).unwrap();
    edit(&place, wasm);
    place
}

fn edit(place: &Place, wasm: &[u8]) {
    fs::write(place.path("src/guest.wasm"), wasm).unwrap();
}

/// A `metashrew dev` that runs. Killed when dropped.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    seen: String,
    address: Option<SocketAddr>,
}

impl Dev {
    fn start(place: &Place, flags: &[&str]) -> Self {
        Self::of(place.metashrew(&["dev"]).args(flags))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Self {
            child,
            lines,
            seen: String::new(),
            address: None,
        }
    }

    /// Waits for a line that holds a text; answers the lines from the last wait up to it.
    fn wait_for(&mut self, text: &str) -> String {
        let begins = self.seen.len();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no `{text}`:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return self.seen[begins..].to_owned();
            }
        }
    }

    /// Waits until another guest is served.
    fn wait_for_guest(&mut self) -> String {
        let lines = self.wait_for("serving guest ");
        let (_, address) = lines.rsplit_once("http://").unwrap();
        let (address, _) = address.split_once(|end| [',', ' '].contains(&end)).unwrap();
        self.address = Some(address.parse().unwrap());
        lines
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, answer) = post(self.address.unwrap(), &body.to_string()).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.get("error"), None, "{method}");
        answer["result"].clone()
    }

    /// What is served of the tip: the root of all that was ever written, and views.
    fn served(&self) -> [Value; 3] {
        [
            self.call("metashrew_stateroot", &json!(["latest"])),
            self.call("metashrew_view", &json!(["sum", "0x", "latest"])),
            self.call("metashrew_view", &json!(["echo", "0x01", "latest"])),
        ]
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Ends it as Ctrl-C does; answers the exit code.
    fn interrupt(mut self) -> Option<i32> {
        self.signal("INT");
        self.child.wait().unwrap().code()
    }

    /// How many files and threads it has.
    fn resources(&self) -> (usize, usize) {
        let count = |of: &str| {
            let path = format!("/proc/{}/{of}", self.child.id());
            fs::read_dir(path).map_or(0, Iterator::count)
        };
        (count("fd"), count("task"))
    }

    /// Waits until it has no more files and threads than before.
    fn wait_for_resources(&self, before: (usize, usize)) {
        let begun = std::time::Instant::now();
        loop {
            let now = self.resources();
            if now.0 <= before.0 && now.1 <= before.1 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{now:?}, before {before:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a database answers that was indexed from the start by guests, each through a height.
fn indexed(place: &Place, guests: &[(&[u8], u32)]) -> [Value; 3] {
    let db = tempfile::TempDir::new_in(place.directory.path()).unwrap();
    let db = db.path().to_str().unwrap();
    for (wasm, height) in guests {
        place.set_guest(wasm);
        let flags = [
            "--accept-guest-change",
            "--exit-at",
            &height.to_string(),
            "--db",
            db,
        ];
        succeed(&mut place.start(&flags));
    }
    let view = |name: &str, input: &str| {
        let args = [
            "view",
            name,
            input,
            "--db",
            db,
            "--indexer",
            "guest.wasm",
            "--as",
            "hex",
        ];
        Value::from(succeed(&mut place.metashrew(&args)).trim())
    };
    let store = metashrew_store::Store::open_existing(
        Path::new(db),
        metashrew_store::StoreOptions::default(),
    );
    let root = store.unwrap().snapshot().tip().unwrap().history_root;
    [
        Value::from(format!("0x{root}")),
        view("sum", ""),
        view("echo", "0x01"),
    ]
}

#[test]
fn ten_edits() {
    let good = guest(1, "", None);
    let place = project(&good);
    let whole = |wasm: &[u8]| indexed(&place, &[(wasm, BLOCKS)]);
    // Each guest is compiled, so that the threads for that are there from the first one on.
    let mut command = place.metashrew(&["dev"]);
    let mut dev = Dev::of(command.env("XDG_CACHE_HOME", place.path("cache")));
    let lines = dev.wait_for_guest();
    assert!(lines.contains("log of block 8: counted"), "{lines}");
    assert_eq!(dev.served(), whole(&good));
    dev.wait_for("echo at block 8");
    let before = dev.resources();

    // Another step: views show what has changed.
    let other = guest(3, "", None);
    edit(&place, &other);
    dev.wait_for_guest();
    assert_eq!(dev.served(), whole(&other));
    let lines = dev.wait_for("+ 0x18000000");
    assert!(
        lines.contains("- 0x08000000") && !lines.contains("echo"),
        "{lines}"
    );

    // A trap, at a block whose log is shown; the old guest goes on.
    edit(&place, &guest(4, TRAPS, None));
    let lines = dev.wait_for("failed at block 5 (");
    assert_eq!(lines.matches("counted").count(), 1, "{lines}");
    assert!(lines.contains("log of block 5: counted"), "{lines}");
    assert!(lines.contains("the guest trapped: "), "{lines}");
    assert_eq!(dev.served(), whole(&other));

    // An abort tells file and line.
    edit(&place, &guest(4, ABORTS, None));
    dev.wait_for("the guest aborted: no ta (a.rs:7:3)");
    assert_eq!(dev.served(), whole(&other));

    // A build that fails.
    fs::write(place.path("src/broken"), "").unwrap();
    dev.wait_for("| src/broken:1: no such thing");
    dev.wait_for("no new guest: ");
    assert_eq!(dev.served(), whole(&other));
    fs::remove_file(place.path("src/broken")).unwrap();
    dev.wait_for("the guest aborted: ");

    // A loop.
    edit(&place, &guest(5, LOOPS, None));
    dev.wait_for("failed at block 5 (");
    assert!(
        dev.seen.contains("has not ended within 1000 ms"),
        "{}",
        dev.seen
    );
    assert_eq!(dev.served(), whole(&other));

    // No module at all.
    edit(&place, b"no module");
    dev.wait_for("no new guest: ");

    // The guest that is served, once more.
    edit(&place, &other);
    dev.wait_for("nothing to do");

    // Another form of the state.
    let form = guest(6, "", Some("sums"));
    edit(&place, &form);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("the form of the state has changed"),
        "{lines}"
    );
    assert_eq!(dev.served(), whole(&form));

    // And back.
    edit(&place, &good);
    dev.wait_for_guest();
    assert_eq!(dev.served(), whole(&good));
    dev.wait_for("sum at block 8, changed");

    let builds = fs::read_dir(place.path(".metashrew/builds")).unwrap();
    assert_eq!(builds.count(), 1, "a database for the guest that is served");
    dev.wait_for_resources(before);
    let address = dev.address.unwrap();
    assert_eq!(dev.interrupt(), Some(0));
    assert!(!place.path(".metashrew/builds").exists());
    TcpListener::bind(address).unwrap();
}

/// Neither a block that never ends, nor a build that takes an hour, holds up the next edit.
#[test]
fn an_edit_cancels_what_is_under_way() {
    let place = project(&guest(1, LOOPS, None));
    let mut dev = Dev::start(&place, &["--block-timeout-ms", "3600000"]);
    dev.wait_for("indexing with guest");
    let good = guest(2, "", None);
    edit(&place, &good);
    dev.wait_for_guest();
    assert_eq!(dev.served(), indexed(&place, &[(&good, BLOCKS)]));
    drop(dev);

    let sleeps = "echo $$ > pid; sleep 3600";
    let build = format!("if test -e src/slow; then {sleeps}; fi; cp src/guest.wasm out.wasm");
    fs::write(place.path("src/slow"), "").unwrap();
    let mut dev = Dev::start(&place, &["--build-command", &build]);
    dev.wait_for("building: ");
    while fs::read_to_string(place.path("pid")).is_ok_and(|pid| pid.is_empty())
        || !place.path("pid").exists()
    {
        std::thread::yield_now();
    }
    fs::remove_file(place.path("src/slow")).unwrap();
    dev.wait_for_guest();
    let pid = fs::read_to_string(place.path("pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn a_checkpoint_keeps_the_state_of_an_earlier_guest() {
    let first = guest(1, "", Some("sums"));
    let place = project(&first);
    let mut dev = Dev::start(&place, &["--checkpoint", "6"]);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("the state at the checkpoint, block 6, is made"),
        "{lines}"
    );
    assert_eq!(dev.served(), indexed(&place, &[(&first, BLOCKS)]));

    let second = guest(100, "", Some("sums"));
    edit(&place, &second);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("from block 7 on") && !lines.contains("is made"),
        "{lines}"
    );
    assert_eq!(
        dev.served(),
        indexed(&place, &[(&first, 6), (&second, BLOCKS)])
    );

    // It outlives the process, and has to be asked to go.
    assert_eq!(dev.interrupt(), Some(0));
    let mut dev = Dev::start(&place, &["--checkpoint", "6"]);
    dev.wait_for_guest();
    assert_eq!(
        dev.served(),
        indexed(&place, &[(&first, 6), (&second, BLOCKS)])
    );
    dev.type_line("s");
    let lines = dev.wait_for_guest();
    assert!(lines.contains("so it was asked"), "{lines}");
    assert_eq!(dev.served(), indexed(&place, &[(&second, BLOCKS)]));

    // Another form of the state: the checkpoint is made anew.
    let third = guest(7, "", Some("counts"));
    edit(&place, &third);
    let lines = dev.wait_for_guest();
    assert!(
        lines.contains("the form of the state has changed"),
        "{lines}"
    );
    assert_eq!(dev.served(), indexed(&place, &[(&third, BLOCKS)]));

    // One that is damaged is made anew, and so is one that ends elsewhere.
    assert_eq!(dev.interrupt(), Some(0));
    for damage in [scramble as fn(&Path), |database| {
        fs::remove_dir_all(database).unwrap();
        fs::create_dir(database).unwrap();
    }] {
        damage(&place.path(".metashrew/checkpoint/db"));
        let mut dev = Dev::start(&place, &["--checkpoint", "6"]);
        let lines = dev.wait_for_guest();
        let expect = "the one that is kept in `./.metashrew/checkpoint` is of no use: ";
        assert!(lines.contains(expect), "{lines}");
        assert!(!lines.contains("restore"), "advice for databases: {lines}");
        assert_eq!(dev.served(), indexed(&place, &[(&third, BLOCKS)]));
        assert_eq!(dev.interrupt(), Some(0));
    }

    // A checkpoint above the chain is none.
    let mut dev = Dev::start(&place, &["--checkpoint", "900"]);
    let lines = dev.wait_for_guest();
    assert!(lines.contains("there is no block 900 yet"), "{lines}");
}

/// Turns the bytes of all files but the one that says what the database is.
fn scramble(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scramble(&path);
        } else if !path.ends_with("FORMAT") {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, bytes.iter().map(|byte| !byte).collect::<Vec<_>>()).unwrap();
        }
    }
}

/// However the process ends: a terminal that is closed, or a kill.
#[test]
fn nothing_of_a_build_is_left_with_the_process() {
    for signal in ["HUP", "KILL"] {
        if signal == "HUP" && hangups_are_ignored() {
            continue;
        }
        let place = project(&guest(1, "", None));
        let build = "sleep 3600 & echo $! > pid.new; mv pid.new pid; trap '' TERM; wait";
        let mut dev = Dev::start(&place, &["--build-command", build]);
        dev.wait_for("building: ");
        while !place.path("pid").exists() {
            std::thread::yield_now();
        }
        dev.signal(signal);
        dev.child.wait().unwrap();
        let pid = fs::read_to_string(place.path("pid")).unwrap();
        let lives = || {
            let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            // One that nobody has waited for yet is a zombie.
            state.is_ok_and(|state| !state.contains(") Z "))
        };
        while lives() {
            std::thread::yield_now();
        }
    }
}

/// Whether this process, and so what it starts, ignores `SIGHUP`: as under `nohup`.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap() & 1 == 1
}

#[test]
fn a_module_that_is_no_file_is_refused() {
    let place = project(&[]);
    let pipe = place.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for module in ["/dev/zero", pipe.to_str().unwrap()] {
        let flags = ["--build-command", "true", "--module", module];
        let mut dev = Dev::start(&place, &flags);
        dev.wait_for(&format!("no new guest: `{module}` is no file"));
    }
}

#[test]
fn other_blocks_are_indexed_too() {
    let wasm = guest(1, "", None);
    let mut place = project(&wasm);
    let mut dev = Dev::start(&place, &[]);
    dev.wait_for("sum at block 8");
    place.chain.mine(2);
    place.write_blocks();
    dev.wait_for("sum at block 10, changed");
    dev.wait_for("+ 0x0a000000");
    dev.type_line("q");
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
}

#[test]
fn programs_read_it_as_json() {
    let place = project(&guest(1, "", None));
    let mut dev = Dev::start(&place, &["--json"]);
    dev.wait_for(r#""event":"serving""#);
    dev.wait_for(r#""view":"echo""#);
    let events: Vec<Value> = dev
        .seen
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answer = events.last().unwrap();
    assert_eq!(answer["event"], "answer");
    let echoed: Value = serde_json::from_str(answer["answer"].as_str().unwrap()).unwrap();
    assert_eq!(echoed, json!({ "a": [1] }));
}

#[test]
fn mistakes_in_the_project_are_named() {
    let place = Place::new(1);
    let check = |lines: &str, code, expect: &str| {
        fs::write(place.path("metashrew.toml"), lines).unwrap();
        let error = fail(&mut place.metashrew(&["dev"]), code);
        assert!(error.contains(expect), "{error}");
    };
    check(
        "[build]\nmodul = \"m\"\n",
        2,
        "line 2 of `metashrew.toml`: there is no setting `build.modul`",
    );
    check(
        "[build]\nmodule = \"m\"\n",
        2,
        "either --blocks or --regtest is needed",
    );
    check(
        "",
        2,
        "there is no `metashrew.toml` here that names the guest",
    );
    let both = "[build]\nmodule = \"m\"\n[dev]\nblocks = \"b\"\nregtest = true\n";
    check(both, 2, "--blocks and --regtest cannot both be given");
}

#[test]
fn one_process_works_on_a_project() {
    let place = project(&guest(1, "", None));
    let mut dev = Dev::start(&place, &[]);
    dev.wait_for("watching src");
    let error = fail(&mut place.metashrew(&["dev"]), 1);
    assert!(
        error.contains("another `metashrew dev` runs in this directory"),
        "{error}"
    );
}

/// `metashrew dev --regtest` in a project, on the tests' node.
fn regtest(place: &Place, mine: &str) -> Dev {
    let mut command = place.metashrew(&["dev", "--regtest", "--mine", mine]);
    Dev::of(command.env("BITCOIND_EXE", Bitcoind::program()))
}

#[test]
fn a_regtest_node_is_started_followed_and_stopped() {
    let wasm = guest(1, "", None);
    let place = project(&wasm);
    let mut dev = regtest(&place, "3");
    dev.wait_for("regtest node started");
    dev.wait_for("sum at block 3");
    // As the project's script does, by what the directory says.
    let cookie = place.path(".regtest/regtest/.cookie");
    let mine = || {
        let conf = fs::read_to_string(place.path(".regtest/bitcoin.conf")).unwrap();
        let (_, port) = conf.split_once("rpcport=").unwrap();
        let port = port.lines().next().unwrap();
        let login = fs::read_to_string(&cookie).unwrap();
        let body = json!({ "method": "generatetodescriptor", "params": [1, "raw(51)"] });
        let url = format!("http://{login}@127.0.0.1:{port}/");
        let answer = ureq::post(&url).send(body.to_string()).unwrap();
        assert_eq!(answer.status(), 200);
    };
    mine();
    dev.wait_for("sum at block 4, changed");
    // A guest that fails at the next block goes on with the ones before.
    edit(&place, &guest(2, TRAPS, None));
    dev.wait_for("sum at block 4, changed");
    mine();
    dev.wait_for("failed at block 5");
    let good = guest(9, "", None);
    edit(&place, &good);
    dev.wait_for("sum at block 5, changed");
    assert_eq!(dev.interrupt(), Some(0));
    assert!(!cookie.exists(), "the node has ended in order");

    // However the process ends, the node does, too.
    let mut dev = regtest(&place, "1");
    dev.wait_for("sum at block 5");
    dev.child.kill().unwrap();
    dev.child.wait().unwrap();
    while cookie.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_node_is_started_only_where_the_address_is_free() {
    let place = project(&guest(1, "", None));
    let program = place.path("bitcoind");
    fs::write(&program, "#!/bin/sh\necho > started\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = place.metashrew(&["dev", "--regtest", "--listen", &address]);
    let error = fail(command.env("BITCOIND_EXE", &program), 1);
    assert!(
        error.contains("choose another address with --listen\n"),
        "{error}"
    );
    assert!(!place.path("started").exists());
    assert!(!place.path(".regtest").exists());
}

/// A guest without any dependency.
const SOURCE: &str = r#"
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn __host_len() -> usize;
    fn __load_input(input: *mut u8);
    fn __get_len(key: *const u8) -> usize;
    fn __get(key: *const u8, value: *mut u8);
    fn __flush(message: *const u8);
}

const STEP: u32 = 1;
static KEY: [u8; 5] = [1, 0, 0, 0, b'k'];

fn read() -> u32 {
    let key = KEY[4..].as_ptr();
    let mut value = [0; 4];
    unsafe {
        if __get_len(key) == 4 {
            __get(key, value.as_mut_ptr());
        }
    }
    u32::from_le_bytes(value)
}

#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    let mut input = vec![0; unsafe { __host_len() }];
    unsafe { __load_input(input.as_mut_ptr()) };
    let mut message = vec![9, 0, 0, 0, 0x0a, 1, b'k', 0x0a, 4];
    message.extend((read() + STEP).to_le_bytes());
    unsafe { __flush(message[4..].as_ptr()) };
}

#[unsafe(no_mangle)]
pub extern "C" fn sum() -> *const u8 {
    let text = read().to_string();
    let mut answer = (text.len() as u32).to_le_bytes().to_vec();
    answer.extend(text.bytes());
    answer.leak()[4..].as_ptr()
}
"#;

#[test]
fn a_project_of_cargo_is_built() {
    let place = project(&[]);
    let setup = crate::harness::project("scripts/setup-wasm.sh");
    let setup = setup.canonicalize().unwrap();
    let target = "wasm32-unknown-unknown";
    let file = format!(
        "[build]\ncommand = \"'{}' cargo build --release --offline --target {target}\"\n\
         module = \"target/{target}/release/guest.wasm\"\nwatch = [\"src\", \"Cargo.toml\"]\n\
         [dev]\nblocks = \"blocks.dat\"\nlisten = \"127.0.0.1:0\"\nviews = [{{ name = \"sum\" }}]\n",
        setup.display()
    );
    fs::write(place.path("metashrew.toml"), file).unwrap();
    let manifest = "[package]\nname = \"guest\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    fs::write(place.path("Cargo.toml"), manifest).unwrap();
    let write = |source: &str| fs::write(place.path("src/lib.rs"), source).unwrap();
    write(SOURCE);
    let mut command = place.metashrew(&["dev"]);
    // That of the tests is of another package.
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    let mut dev = Dev::of(&mut command);
    dev.wait_for("sum at block 8:");
    dev.wait_for("    8");
    write(&SOURCE.replace("STEP: u32 = 1", "STEP: u32 = \"1\""));
    dev.wait_for("  | error[E0308]: mismatched types");
    dev.wait_for("no new guest");
    write(&SOURCE.replace("STEP: u32 = 1", "STEP: u32 = 5"));
    dev.wait_for("+ 40");
    write(&SOURCE.replace(
        "read() + STEP",
        "read().checked_sub(STEP).expect(\"enough\")",
    ));
    dev.wait_for("failed at block 1 (");
    dev.wait_for("_start");
}
