#!/usr/bin/env python3
"""Measures what an author of a guest waits for, and prints tables for BENCHMARKS.md.

    scripts/measure-project.py METASHREW [PART...]

METASHREW is the command, as built for release. The parts are, by default all but `as`:

    rust, c, as   from `metashrew new` to the first answer of a view, cold and warm
    dev           from a saved edit to a new answer, with `metashrew dev` on 1,000 blocks
    block         trace, profile, replay and recorded reads of block 840,243, and bytes of its bundle

Run it on a machine that does nothing else. Wall time is what one waits; CPU is processor time of all processes
that take part. What is cold begins with empty caches of cargo, npm and metashrew, and nothing built; what is
downloaded then is told apart. The compilers are there already. The folder of all that is TMPDIR, and it is removed.
"""

import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from queue import Empty, Queue

ROOT = Path(__file__).resolve().parent.parent
METASHREW = ""
PATIENCE_SECONDS = 600
BLOCKS = 1_000
CHECKPOINT = 900
EDITS = 5
RUNS = 5
HEIGHT = 840_243
ALICE = '{"script":"0014240ba6e56510ce10ba34ad9a445ae422c5578e14"}'
WASM = "target/wasm32-unknown-unknown/release/measured.wasm"

# What a project in each language is taken through, as the page that `metashrew new` prints tells: what downloads, the
# other commands, and the module that comes of it.
LANGUAGES = {
    "rust": (
        ["cargo fetch"],
        ["cargo test --offline", "cargo build --offline --release --target wasm32-unknown-unknown"],
        "target/wasm32-unknown-unknown/release/measured.wasm",
    ),
    "c": ([], ["make --silent test"], "build/measured.wasm"),
    "as": (["npm install"], ["npm test"], "build/measured.wasm"),
}


class Clock:
    """Wall time, and processor time of this process's children that have ended."""

    def __init__(self):
        self.wall, self.cpu = time.monotonic(), ended_cpu()

    def read(self, running=None):
        """Seconds since it was made; those of one process that runs are among them."""
        running = cpu_of(running) if running else 0
        return time.monotonic() - self.wall, ended_cpu() - self.cpu + running


def ended_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu_of(pid):
    """Processor time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def environment():
    """This one, with nothing of metashrew's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METASHREW_")}
    kept.pop("CARGO_TARGET_DIR", None)
    if "RUSTUP_TOOLCHAIN" not in kept and shutil.which("rustup"):
        # The compiler of this checkout, whatever the project's rust-toolchain.toml would download.
        told = subprocess.run(
            ["rustup", "show", "active-toolchain"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        kept["RUSTUP_TOOLCHAIN"] = told.stdout.split()[0]
    return kept | {"CARGO_TERM_COLOR": "never", "METASHREW": METASHREW}


def with_caches(caches):
    """The environment with all caches in a folder."""
    kept = environment()
    # Where cargo asks for packages stays as it is.
    home = Path(kept.get("CARGO_HOME", Path.home() / ".cargo"))
    cargo = caches / "cargo"
    cargo.mkdir(parents=True, exist_ok=True)
    for name in ["config.toml", "config", "credentials.toml"]:
        if (home / name).exists():
            shutil.copy(home / name, cargo / name)
    kept.setdefault("RUSTUP_HOME", str(Path.home() / ".rustup"))
    own = {"CARGO_HOME": cargo, "npm_config_cache": caches / "npm", "XDG_CACHE_HOME": caches / "xdg"}
    return kept | {name: str(value) for name, value in own.items()}


def run(command, folder, variables):
    """Runs a command; answers its wall and processor time. If it fails, all ends with what it said."""
    clock = Clock()
    with tempfile.TemporaryFile() as output:
        ended = subprocess.run(
            command, shell=isinstance(command, str), cwd=folder, env=variables, stdout=output, stderr=output
        )
        took = clock.read()
        if ended.returncode != 0:
            output.seek(0)
            sys.exit(f"{command} ended with {ended.returncode}:\n{output.read().decode(errors='replace')[-4000:]}")
    return took


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(port):
    """What Alice has, as the view tells it; none if it cannot be asked yet."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/view/balance", ALICE.encode())
    request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
    except OSError:
        return None


def first_answer(project, module, variables):
    """Starts the project's server until it answers about the last of its four blocks."""
    port = free_port()
    flags = ["--network", "regtest", "--blocks", "demo.dat", "--indexer", module, "--db", "db"]
    flags += ["--listen", f"127.0.0.1:{port}"]
    clock = Clock()
    with open(project / "log", "wb") as log:
        server = subprocess.Popen([METASHREW, "start", *flags], cwd=project, env=variables, stderr=log)
    answer = None
    while answer is None or answer["height"] < 4:
        if server.poll() is not None or clock.read()[0] > PATIENCE_SECONDS:
            server.kill()
            sys.exit(f"no answer of metashrew start:\n{(project / 'log').read_text()}")
        time.sleep(0.002)
        answer = ask(port)
    took = clock.read(server.pid)
    server.send_signal(signal.SIGINT)
    server.wait()
    if answer["satoshi"] != 1200:
        sys.exit(f"a wrong answer: {answer}")
    return took


def new(language, folder, variables, target=None):
    """From `metashrew new` to the first answer, in a folder: the steps. `target` is what cargo has built before."""
    download, commands, module = LANGUAGES[language]
    folder.mkdir()
    command = [METASHREW, "new", "measured", "--lang", language, "--sdk", str(ROOT)]
    steps = {"metashrew new": run(command, folder, variables)}
    project = folder / "measured"
    if target:
        (project / "target").symlink_to(target)
    for command in [*download, *commands]:
        steps[command] = run(command, project, variables)
    steps["metashrew start, to the answer"] = first_answer(project, module, variables)
    steps["all"] = tuple(map(sum, zip(*steps.values())))
    return steps


def measure_new(language, work):
    """Cold; then another project, with what the first has downloaded, and in Rust with its dependencies built."""
    caches = work / "caches"
    ways = {}

    def way(name, target=None):
        # Each has its own guest to compile.
        shutil.rmtree(caches / "xdg", ignore_errors=True)
        ways[name] = new(language, work / name.replace(" ", "-"), with_caches(caches), target)

    way("cold")
    if language == "rust":
        way("dependencies built", work / "cold/measured/target")
    elif LANGUAGES[language][0]:
        way("downloads there")
    head = [f"`--lang {language}`, seconds"]
    for name in ways:
        head += [f"{name}, wall", "CPU"]
    rows = []
    for step in ways["cold"]:
        rows.append([step if step == "all" else f"`{step}`"])
        for steps in ways.values():
            rows[-1] += seconds(steps[step])
    table(head, rows)


def table(head, rows):
    print(f"\n| {' | '.join(head)} |\n|---|{'---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def seconds(took):
    return [f"{part:.2f}" for part in took]


class Dev:
    """A `metashrew dev` that runs in a project."""

    def __init__(self, project, variables, flags):
        command = [METASHREW, "dev", "--json", "--blocks", "long.dat", "--listen", "127.0.0.1:0", *flags]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, cwd=project, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.events = Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.put((time.monotonic(), json.loads(line)))
        self.events.put((time.monotonic(), {"event": "ended"}))

    def wait_for_balance(self):
        """Until the view's answer is told: when each kind of event came first."""
        seen = {}
        while True:
            try:
                at, event = self.events.get(timeout=PATIENCE_SECONDS)
            except Empty:
                sys.exit("metashrew dev tells nothing")
            seen.setdefault(event["event"], at)
            if event["event"] in ("ended", "failed", "unusable"):
                self.log.seek(0)
                sys.exit(f"metashrew dev: {event}\n{self.log.read().decode(errors='replace')}")
            if event["event"] in ("answer", "changed") and event["view"] == "balance":
                return seen | {"told": at}

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def change(file, before, after):
    text = file.read_text()
    if before not in text:
        sys.exit(f"{file} does not hold `{before}`")
    file.write_text(text.replace(before, after))


def measure_dev(work):
    """Edits of a project in Rust whose dependencies are built."""
    variables = environment()
    run([METASHREW, "new", "measured", "--lang", "rust", "--sdk", str(ROOT)], work, variables)
    project = work / "measured"
    with open(project / "src/tests.rs", "a", encoding="utf-8") as tests:
        tests.write(LONG_CHAIN)
    # What the view tells more than there is: an edit shows in its answer.
    tables, views = project / "src/tables.rs", project / "src/views.rs"
    with open(tables, "a", encoding="utf-8") as file:
        file.write("\n/// Shows an edit of the tables.\npub const MORE: u64 = 0;\n")
    change(views, "Ok(Balance { height, satoshi })", "Ok(Balance { height, satoshi: satoshi + crate::tables::MORE + 0 })")
    run("cargo test", project, variables)
    rows = []
    for flags in [[], ["--checkpoint", str(CHECKPOINT)]]:
        dev = Dev(project, variables, flags)
        dev.wait_for_balance()
        for what, edit in EDITS_OF.items():
            times = []
            for _ in range(EDITS):
                number = next(NUMBERS)
                cpu = cpu_of(dev.process.pid)
                begun = time.monotonic()
                edit(tables, views, number)
                seen = dev.wait_for_balance()
                cpu = cpu_of(dev.process.pid) - cpu
                noticed, built, told = (seen[event] - begun for event in ["building", "indexing", "told"])
                times.append((noticed, built - noticed, told - built, told, cpu))
            rows.append([f"{what}{' with `--checkpoint ' + flags[1] + '`' if flags else ''}"])
            rows[-1] += seconds(map(statistics.median, zip(*times)))
        dev.end()
    head = [f"an edit, {BLOCKS} blocks, medians of {EDITS}, seconds"]
    table([*head, "noticed", "built", "indexed and asked", "all", "CPU"], rows)


LONG_CHAIN = f"""
#[test]
fn long() {{
    let mut chain = Chain::new();
    chain.mine();
    for _ in 1..{BLOCKS} {{
        for _ in 0..5 {{
            chain.pay(ann(), 1_000);
            chain.pay(bob(), 1_000);
        }}
        chain.mine();
    }}
    chain.write("long.dat").unwrap();
}}
"""

NUMBERS = itertools.count(1)


def edit_view(_, views, number):
    text = views.read_text()
    views.write_text(re.sub(r"MORE \+ \d+", f"MORE + {number}", text))


def edit_form(tables, _, number):
    text = re.sub(r'"balances\d*"', f'"balances{number}"', tables.read_text())
    tables.write_text(re.sub(r"MORE: u64 = \d+", f"MORE: u64 = {1_000_000 * number}", text))


EDITS_OF = {"of a view": edit_view, "of the state's form": edit_form}


def measure_block(work):
    """Commands on a real block, whole: the start of the process and compiling the guest are in each."""
    variables = environment()
    guest = ROOT / "guests/wasm/addresses.wasm"
    block = ROOT / f"examples/block-{HEIGHT}.bin"
    blocks = ["--blocks", str(block), "--start-height", str(HEIGHT)]
    indexer = ["--indexer", str(guest)]
    start = ["start", *indexer, *blocks, "--db", "db", "--exit-at", str(HEIGHT), "--listen", "127.0.0.1:0"]
    run([METASHREW, *start], work, variables)
    at = ["--height", str(HEIGHT), "--db", "db", *indexer, *blocks]
    bundle = ["--bundle", "block.bundle"]
    ways = {
        "replay": ["replay", *at],
        "replay --timeout-ms 60000": ["replay", "--timeout-ms", "60000", *at],
        "replay make": ["replay", "make", "--out", "block.bundle", *at],
        "replay make --with-guest": ["replay", "make", "--with-guest", "--out", "guest.bundle", *at],
        "replay run": ["replay", "run", "block.bundle", *indexer],
        "trace": ["trace", *at],
        "trace --bundle": ["trace", *bundle, *indexer],
        "profile": ["profile", *at],
        "profile --repeat 20": ["profile", "--repeat", "20", *at],
    }
    rows = []
    for name, way in ways.items():
        runs = [run([METASHREW, *way], work, variables) for _ in range(RUNS)]
        rows.append([f"`metashrew {name}`", *seconds(map(statistics.median, zip(*runs)))])
    table([f"block {HEIGHT}, `addresses`, medians of {RUNS}, seconds", "wall", "CPU"], rows)
    files = {"the block": block, "the guest": guest, "the bundle": work / "block.bundle"}
    files["the bundle, with the guest"] = work / "guest.bundle"
    rows = [[name, str(file.stat().st_size)] for name, file in files.items()]
    table([f"block {HEIGHT}, `addresses`", "bytes"], rows)
    print("\nThe parts of it within the process: cargo bench -p metashrew-runtime --bench watched")


def main(arguments):
    global METASHREW
    known = [*LANGUAGES, "dev", "block"]
    if not arguments or not set(arguments[1:]) <= set(known):
        print(__doc__, file=sys.stderr)
        return 2
    METASHREW = str(Path(arguments[0]).resolve(strict=True))
    for part in arguments[1:] or ["rust", "c", "dev", "block"]:
        with tempfile.TemporaryDirectory(prefix="metashrew-measure-") as work:
            work = Path(work)
            if part in LANGUAGES:
                measure_new(part, work)
            elif part == "dev":
                measure_dev(work)
            else:
                measure_block(work)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
