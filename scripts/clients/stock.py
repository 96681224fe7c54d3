"""Asks a server by libraries that know nothing of it, and prints what it answers, a line each, for
`scripts/check-clients.sh`."""

import asyncio
import json
import sys
import urllib.request

import jsonrpcclient
import websockets

OWNER = {"address": "12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S"}


def tell(label, value):
    print(label, json.dumps(value))


def over_http(url, last):
    """A JSON-RPC library over `urllib`."""

    def call(method, params):
        request = jsonrpcclient.request_json(method, params=params).encode()
        headers = {"content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, request, headers)) as response:
            return jsonrpcclient.parse_json(response.read())

    tell("hash", call("metashrew_getblockhash", [170]).result)
    options = {"as": "json"}
    tell("balance", call("metashrew_view", ["balance", {"json": OWNER}, "latest", options]).result)
    named = {"function": "balance", "input": {"json": OWNER}, "block": 170, "options": options}
    tell("balance-at", call("metashrew_view", named).result)
    tell("missing", call("metashrew_view", ["balanc"]).code)


def by_websocket(url, last):
    """A WebSocket library, and the JSON-RPC library over it."""

    async def follow():
        async with websockets.connect(url.replace("http", "ws", 1)) as socket:
            await socket.send(jsonrpcclient.request_json("metashrew_getblockhash", params=[170]))
            tell("hash", jsonrpcclient.parse_json(await socket.recv()).result)
            named = {"kind": "heads", "from": "first"}
            await socket.send(jsonrpcclient.request_json("metashrew_subscribe", params=named))
            subscription = jsonrpcclient.parse_json(await socket.recv()).result
            while True:
                told = json.loads(await socket.recv())["params"]
                event = told["event"]
                if event["type"] != "block":
                    continue
                tell("head", [event[name] for name in ("cursor", "height", "hash", "parent", "historyRoot")])
                if event["height"] == int(last):
                    break
            await socket.send(jsonrpcclient.request_json("metashrew_unsubscribe", params=[subscription]))
            while "id" not in (answer := json.loads(await socket.recv())):
                pass
            tell("unsubscribed", [told["subscription"] == subscription, answer["result"]])

    asyncio.run(follow())


{"rpc": over_http, "websocket": by_websocket}[sys.argv[3]](sys.argv[1], sys.argv[2])
