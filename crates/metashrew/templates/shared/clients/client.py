#!/usr/bin/env python3
"""Asks views of this project's server: metashrew start.

    python3 clients/client.py VIEW [JSON] [BLOCK]

prints the answer. BLOCK is a height, a hash or `latest`. From Python: `view("balance", {"script": "51"})`.
METASHREW_URL says where the server is, if not at http://127.0.0.1:8080.
"""

import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ.get("METASHREW_URL", "http://127.0.0.1:8080")
TIMEOUT_SECONDS = 60


class ViewError(Exception):
    """A view, or the server, says that it cannot answer."""


def view(name, question=None, block="latest"):
    """What a view answers about the state after a block."""
    text = json.dumps({} if question is None else question)
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "metashrew_view",
        "params": [name, text.encode().hex(), block],
    }
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(URL, json.dumps(call).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise ViewError(f"{URL}: {error}") from error
    if "error" in answer:
        raise ViewError(answer["error"]["message"])
    answered = bytes.fromhex(answer["result"].removeprefix("0x"))
    return json.loads(answered) if answered else None


def main(arguments):
    """Asks what the command line says."""
    if not 1 <= len(arguments) <= 3:
        print(__doc__, file=sys.stderr)
        return 2
    name, text, block = (*arguments, *["{}", "latest"][len(arguments) - 1 :])
    try:
        print(json.dumps(view(name, json.loads(text), block)))
    except json.JSONDecodeError as error:
        print(f"error: no JSON: {error}", file=sys.stderr)
        return 1
    except ViewError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {URL} cannot be asked: {error}; does `metashrew start` run?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
