"""Asks two servers by generated clients, and prints what they answer, a line each, for `scripts/check-clients.sh`."""

import json
import sys
from dataclasses import astuple
from typing import Any, List

import addresses
import blocks
import shapes

OWNER = {"address": "12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S"}


def tell(label: str, value: Any) -> None:
    print(label, json.dumps(value))


def main(url: str, shapes_url: str, blocks_url: str) -> None:
    client = addresses.Client(url)
    tip = client.tip()
    assert tip is not None
    tell("tip", {"height": tip.height, "hash": tip.hash, "historyRoot": tip.history_root})
    tell("hash", client.block_hash(170))
    tell("root", client.state_root())
    tell("balance", client.views.balance(OWNER))
    tell("balance-at", client.views.balance(OWNER, 170))
    tell("utxos", client.views.utxos(OWNER, f"170:{client.block_hash(170)}"))
    ids: List[addresses.BlockId] = [300, "00" * 32, "pending"]
    for block in ids:
        try:
            client.views.balance(OWNER, block)
            tell(f"failed-{block}", "no error")
        except addresses.RpcError as error:
            tell(f"failed-{block}", [error.code, error.kind])

    shaped = shapes.Client(shapes_url + "/")
    numbers: shapes.Numbers = shaped.views.numbers(
        {"byte": 1, "size": 2, "satoshi": 3, "amount": 4, "signed": 5, "bounded": 6, "any": 7, "ratio": 8, "text": ""}
    )
    tell("numbers", numbers)
    tell("sum", [numbers["byte"] + numbers["size"] + numbers["amount"]])
    tree: shapes.Tree = {
        "value": "\0a\U0001f600\"\\",
        "children": [{"value": 7}, {"value": None, "children": []}],
        "parent": 4294967295,
    }
    tell("tree", shaped.views.tree(tree))
    events: List[shapes.Event] = [
        {"kind": "transfer", "amount": 2**64 - 1},
        {"kind": "mint", "to": "x"},
        {"Burnt": {"to": ""}},
        "none",
        "all",
    ]
    for index, event in enumerate(events):
        tell(f"event{index}", shaped.views.event(event))
    tell("no-event", shaped.views.event({"kind": "theft"}))  # type: ignore[arg-type]
    odd: shapes.OddInput = {
        "class": "a",
        "from": "b",
        "merged": True,
        "undescribed": [1.5],
        "pair": ["c", 1],
        "by-number": {"1": True},
    }
    tell("odd", shaped.views.odd(odd))
    doubled: shapes.OddInput = {"class": "", "from": "", "merged": True, "undescribed": None, "matrix": [[1e17, None]]}
    matrix = shaped.views.odd(doubled)["matrix"]
    tell("double", [(matrix[0][0] or 0) / 2e17])
    tell("list", shaped.views.list([1, 2]))
    tell("text", shaped.views.text("grün\n"))
    tell("bytes", "0x" + shaped.views.bytes_(b"\x00\xff").hex())
    tell("untyped", shaped.views.untyped([1, {"a": 12345678901234567890}]))
    tell("nothing", shaped.views.nothing())
    tell("untold-bytes", "0x" + shaped.views.untold(b"\x01").bytes.hex())
    tell("untold-text", shaped.views.untold("text").text())
    tell("untold-json", shaped.views.untold(shapes.Json({"a": 1})).json())
    nullables: shapes.Nullables = {
        "reference": None,
        "short": None,
        "whole": None,
        "patterns": {"x1": 1, "other": "x"},
        "closed": {"x": "a", "y": True},
    }
    tell("nullables", shaped.views.nullables(nullables))
    long, text = json.loads('[12345678901234567890,"' + "\\n" * 8_000_000 + '"]')
    tell("long", [long, len(text), len(bytes.fromhex("ab" * 8_000_000))])
    tell("views", sum(not name.startswith("_") for name in vars(shapes.Views)) + 1)

    for head in client.heads(start="first"):
        if isinstance(head, addresses.BlockEvent):
            tell("head", astuple(head))
            if head.height == tip.height:
                break
    # It goes on after a cursor, of which the server knows what came then.
    for written in client.writes(cursor=f"200:{client.block_hash(200)}"):
        if isinstance(written, addresses.BlockWritesEvent):
            writes = [["0x" + write.key.hex(), "0x" + (write.value or b"").hex()] for write in written.writes]
            tell("writes", [written.cursor, writes])
            if written.height >= 220:
                break
    for watched in client.watch.balance(OWNER, start="first"):
        if isinstance(watched, addresses.FailureEvent):
            tell("watched", [watched.cursor, watched.error.code])
        if isinstance(watched, addresses.AnswerEvent):
            tell("watched", [watched.cursor, watched.result])
        if isinstance(watched, (addresses.AnswerEvent, addresses.FailureEvent)) and watched.height >= 181:
            break
    # Where it is, is told first.
    position = next(blocks.Client(blocks_url).heads())
    assert isinstance(position, blocks.PositionEvent)
    tell("begins", ["position", position.height])


main(*sys.argv[1:])
