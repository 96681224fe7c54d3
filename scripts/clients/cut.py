"""Runs generated clients through everything that breaks a connection, for `scripts/check-clients.sh`: a server over a node of
Bitcoin Core whose chain grows and is reorganised, killed again and again, behind a proxy that cuts connections, also in the
midst of an event, and lets some of them hang. Each client writes what it has in the end; what it is to have is printed.

    cut.py METASHREW BITCOIND GUEST FOLDER NAME=COMMAND…

`COMMAND URL LAST heads writes answers` follows the server up to the block LAST; `FOLDER/NAME` is what it prints.
"""

import base64
import json
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

#: What happens when, and where connections are cut: the same each time, as far as the machine allows.
SEED = 7
BEGIN, LAST, ROUNDS, DEEPEST = 20, 60, 8, 6
#: Bytes that a connection brings before it is cut, as powers of two: an event of writes has some 2,000.
CUT_AFTER = 10.5, 15
#: Nothing here takes so long.
PATIENCE = 120


def call(url, method, params, headers=()):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json", **dict(headers)})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)["result"]


def until(holds, process, log):
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"it does not run:\n{log.read_text()[-4000:]}")
        time.sleep(0.02)
    return found


class Node:
    """A regtest node of its own."""

    def __init__(self, bitcoind, folder):
        folder.mkdir()
        self.cookie, log = folder / "regtest/.cookie", folder / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        flags = ["-regtest", f"-datadir={folder}", f"-rpcport={port}", "-listen=0", "-server"]
        self.process = subprocess.Popen([bitcoind, *flags], stdout=log.open("w"), stderr=subprocess.STDOUT)
        until(self.answers, self.process, log)

    def answers(self):
        try:
            return self.call("getblockcount") is not None
        except (OSError, KeyError):
            # It is not there yet, or says that it is still warming up.
            return False

    def call(self, method, *params):
        login = base64.b64encode(self.cookie.read_bytes()).decode()
        return call(self.url, method, params, {"authorization": f"Basic {login}"})

    def height(self):
        return self.call("getblockcount")

    def mine(self, count, script="51"):
        self.call("generatetodescriptor", count, f"raw({script})")

    def reorganise(self, depth, script):
        self.call("invalidateblock", self.call("getblockhash", self.height() - depth + 1))
        self.mine(depth + 1, script)


class Server:
    """`metashrew start`, which may be killed."""

    def __init__(self, command, folder):
        self.command, self.log = command, folder / "log"
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log.open("w"), stderr=subprocess.STDOUT)
        address = re.compile(r"serving JSON-RPC.*address=([0-9.]+):(\d+)")
        self.port = int(until(lambda: address.search(self.log.read_text()), self.process, self.log)[2])
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_for(self, height, subscriptions, patience):
        """Until it has the node's last block, and so many follow it and have been told all; for so many seconds at most."""
        deadline, before = time.monotonic() + patience, None
        while time.monotonic() < deadline:
            stats = call(self.url, "metashrew_stats", [])
            told = stats["subscriptions"]["events"]
            is_followed = sum(stats["subscriptions"]["open"].values()) == subscriptions
            if is_followed and told == before and (stats["tip"] or {}).get("height") == height:
                return
            before = told
            time.sleep(0.1)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def events(self, path):
        """Up to the last block, over one connection."""
        with urllib.request.urlopen(f"{self.url}/subscribe/{path}?from=first", timeout=PATIENCE) as response:
            for line in response:
                if line.startswith(b"data: ") and (event := json.loads(line[6:]))["type"] == "block":
                    yield event
                    if event["height"] == LAST:
                        return


class Proxy:
    """Passes on what a server says, up to a number of bytes."""

    def __init__(self, server):
        self.server, self.is_calm, self.connections = server, False, 0
        self.random = random.Random(SEED)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            self.connections += 1
            left = float("inf") if self.is_calm else int(2 ** self.random.uniform(*CUT_AFTER))
            threading.Thread(target=self.connect, args=(client, left, self.connections), daemon=True).start()

    def connect(self, client, left, number):
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:
                return
            with server:
                asking = threading.Thread(target=self.ask, args=(client, server), daemon=True)
                asking.start()
                try:
                    while left > 0 and (data := server.recv(65536)):
                        client.sendall(data[: min(left, len(data))])
                        left -= len(data)
                    if left <= 0 and number % 8 == 0:
                        # It hangs, until the client has enough of that.
                        asking.join()
                    elif left <= 0 and number % 2 == 0:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass

    def ask(self, client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def disturb(node, server, subscriptions):
    chance = random.Random(SEED)
    for number in range(ROUNDS):
        script = f"01{number:02x}51"
        # Who is cut just now, or waits to come again, sees less.
        server.wait_for(node.height(), subscriptions, 1)
        if chance.random() < 0.5:
            node.reorganise(chance.randint(1, DEEPEST), script)
        else:
            node.mine(chance.randint(1, 4))
        time.sleep(chance.random() / 4)
        if number % 3 == 1:
            server.kill()
            if number % 2 == 1:
                node.reorganise(chance.randint(1, DEEPEST), script + "51")
            server.start()


def expected(node, server):
    """What a client has that was told all: by the node, by connections that nobody cuts, and by asking at each block."""
    values = {}
    for event in server.events("heads"):
        assert event["hash"] == "0x" + node.call("getblockhash", event["height"]), event
        yield "head", [event[name] for name in ("cursor", "height", "hash", "parent", "historyRoot")]
    for event in server.events("writes"):
        values.update((write["key"], write["value"]) for write in event["writes"])
    for pair in sorted(values.items()):
        if pair[1] != "0x":
            yield "value", pair
    question = "0x" + b'{"script":"51"}'.hex()
    for event in server.events("heads"):
        answer = call(server.url, "metashrew_view", ["balance", question, event["cursor"]])
        yield "answer", [event["cursor"], json.loads(bytes.fromhex(answer[2:]))]


def main(metashrew, bitcoind, guest, folder, *commands):
    folder = Path(folder)
    folder.mkdir()
    running, servers = [], []
    try:
        node = Node(bitcoind, folder / "node")
        running.append(node.process)
        node.mine(BEGIN)
        start = [metashrew, "start", "--indexer", guest, "--db", folder / "db", "--network", "regtest", "--rpc-url", node.url]
        start += ["--cookie-file", node.cookie, "--poll-interval-ms", "20", "--heartbeat-ms", "500", "--listen", "127.0.0.1:0"]
        server = Server(start, folder)
        servers.append(server)
        proxy = Proxy(server)
        clients = []
        for name, command in (it.split("=", 1) for it in commands):
            command = [*command.split(" "), proxy.url, str(LAST), "heads", "writes", "answers"]
            with (folder / name).open("w") as told:
                clients.append(subprocess.Popen(command, stdout=told, stderr=subprocess.PIPE, text=True))
        running += clients
        disturb(node, server, 3 * len(clients))
        # One reorganisation that all of them see.
        proxy.is_calm = True
        server.wait_for(node.height(), 3 * len(clients), PATIENCE)
        node.reorganise(3, "02515151")
        node.mine(LAST - node.height())
        for client in clients:
            _, told = client.communicate(timeout=PATIENCE)
            print(told, end="", file=sys.stderr)
            lost, undone = map(int, re.search(r"(\d+) connections were lost, (\d+) blocks", told).groups())
            assert client.returncode == 0 and lost > 0 and undone >= 3, told
        for label, value in expected(node, server):
            print(label, json.dumps(value))
    finally:
        for process in [*running, *(server.process for server in servers)]:
            process.kill()


main(*sys.argv[1:])
