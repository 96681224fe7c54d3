"""Runs a client against events that break off wherever they can, and checks what it asks for then, for
`scripts/check-clients.sh`: `broken.py COMMAND…`, with the address and `4 writes` behind the command."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def block(height, **members):
    this, parent = f"0x{height:064x}", f"0x{height - 1:064x}"
    at = {"cursor": f"{height}:{this}", "height": height, "hash": this}
    return {"type": "block", **at, "parent": parent, "historyRoot": "0x00", **members}


def part(height, number, key, is_last=False):
    told = block(height, part=number, writes=[{"key": key, "value": "0x01"}], **({"last": True} if is_last else {}))
    if not is_last:
        del told["cursor"]
    if number:
        del told["parent"], told["historyRoot"]
    return told


def sse(event, end="\n"):
    return f"event: {event['type']}{end}data: {json.dumps(event)}{end}{end}".encode()


FIRST = block(1, writes=[{"key": "0x0a", "value": "0xff"}])
FIRST_CURSOR, SECOND_CURSOR = FIRST["cursor"], block(2)["cursor"]
THIRD = sse(part(3, 0, "0x0d")) + sse(
    block(3, part=1, last=True, writes=[{"key": "0x0a", "value": "0x"}, {"key": "0x0d", "value": "0x02"}])
)
#: What may be asked for, in this order, and what is answered, one after the other and the last one again: pieces of events,
#: or a status. (What came just before a connection broke, a client may not have seen: then it asks for the same again.)
ANSWERS = {
    "first": [[b": hello\n\n", sse(FIRST)[:40], sse(FIRST)[40:], sse(part(2, 0, "0x0b"))]],
    FIRST_CURSOR: [
        [sse(part(2, 0, "0x0b")), sse(part(2, 1, "0x0c", True))[:-1]],
        503,
        [sse({"type": "from later on", "cursor": FIRST_CURSOR}), sse({"type": "end", "reason": "shutdown"})],
        [sse(part(2, 0, "0x0b"), "\r\n"), sse(part(2, 1, "0x0c", True), "\r\n"), THIRD[:100]],
    ],
    SECOND_CURSOR: [[bytes([byte]) for byte in THIRD] + [sse(part(4, 0, "0x0e")), sse(part(4, 1, "0x0f", True))]],
}
KEYS = {"0x0b": "0x01", "0x0c": "0x01", "0x0d": "0x02", "0x0e": "0x01", "0x0f": "0x01"}
EXPECTED = "".join(f'value ["{key}", "{value}"]\n' for key, value in KEYS.items())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = []

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        (start,) = query.get("cursor") or query["from"]
        before = self.asked.count(start)
        self.asked.append(start)
        answers = ANSWERS.get(start, [400])
        given = answers[min(before, len(answers) - 1)]
        self.close_connection = True
        if isinstance(given, int):
            self.send_error(given)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        # The last chunk does not come.
        for piece in given:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        # Most clients have read it by then.
        time.sleep(0.2)

    def log_message(self, *args):
        pass


def main(*command):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    told = subprocess.run([*command, url, "4", "writes"], stdout=subprocess.PIPE, timeout=60, check=True, text=True).stdout
    told = told.replace('","', '", "')
    assert told == EXPECTED, told
    # Each was asked for until its last answer came, and nothing else.
    assert Handler.asked == sorted(Handler.asked, key=list(ANSWERS).index), Handler.asked
    assert all(Handler.asked.count(start) >= len(answers) for start, answers in ANSWERS.items()), Handler.asked


main(*sys.argv[1:])
