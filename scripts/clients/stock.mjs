/** Asks a server by libraries that know nothing of it, and prints what it answers, a line each, for `scripts/check-clients.sh`. */

import { EventSource } from "eventsource";
import { JSONRPCClient } from "json-rpc-2.0";
import process from "node:process";
import WebSocket from "ws";

const [url, last] = process.argv.slice(2);
const OWNER = { address: "12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S" };

function tell(label, value) {
  console.log(`${label} ${JSON.stringify(value)}`);
}

/** What is told of a block. */
function head({ cursor, height, hash, parent, historyRoot }) {
  tell("head", [cursor, height, hash, parent, historyRoot]);
}

/** A JSON-RPC library over `fetch`. */
async function overHttp() {
  const client = new JSONRPCClient(async (request) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(request) });
    client.receive(await response.json());
  });
  tell("hash", await client.request("metashrew_getblockhash", [170]));
  tell("balance", await client.request("metashrew_view", ["balance", { json: OWNER }, "latest", { as: "json" }]));
  const [balance, missing] = await Promise.all([
    client.request("metashrew_view", { function: "balance", input: { json: OWNER }, block: 170, options: { as: "json" } }),
    client.request("metashrew_view", ["balanc"]).catch((error) => error),
  ]);
  tell("balance-at", balance);
  tell("missing", missing.code);
}

/** `fetch` alone. */
async function byFetch() {
  const body = JSON.stringify(OWNER);
  const response = await fetch(`${url}/view/balance`, { method: "POST", body });
  tell("balance", await response.json());
  const again = await fetch(`${url}/view/balance?address=${OWNER.address}&block=170`);
  tell("balance-at", await again.json());
  const etag = again.headers.get("etag");
  const same = await fetch(again.url, { headers: { "if-none-match": etag } });
  tell("unchanged", same.status);
}

/** Reads until the last block; the connection is closed on the way, and the library resumes. */
function byEventSource() {
  return new Promise((resolve, reject) => {
    let sources = 0;
    const open = (query) => {
      const source = new EventSource(`${url}/subscribe/heads?${query}`);
      sources += 1;
      source.onerror = (event) => reject(new Error(`EventSource: ${event.message}`));
      source.addEventListener("block", ({ data, lastEventId }) => {
        // This library still hands over what it had read before it was closed.
        if (source.readyState === EventSource.CLOSED) return;
        const block = JSON.parse(data);
        if (lastEventId !== block.cursor) reject(new Error(`its id is ${lastEventId}`));
        head(block);
        if (block.height === 100 && sources === 1) {
          source.close();
          open(`cursor=${lastEventId}`);
        } else if (block.height === Number(last)) {
          source.close();
          resolve();
        }
      });
    };
    open("from=first");
  });
}

/** A WebSocket library, and the JSON-RPC library over it. */
function byWebSocket() {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace(/^http/, "ws"));
    const client = new JSONRPCClient(async (request) => socket.send(JSON.stringify(request)));
    let id;
    socket.on("error", reject);
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (message.method !== "metashrew_subscription") {
        client.receive(message);
        return;
      }
      const { subscription, event } = message.params;
      if (event.type !== "block" || event.height > Number(last)) return;
      head(event);
      if (event.height < Number(last)) return;
      client.request("metashrew_unsubscribe", [id]).then((ended) => {
        tell("unsubscribed", [subscription === id, ended]);
        socket.close();
        resolve();
      }, reject);
    });
    socket.on("open", async () => {
      tell("hash", await client.request("metashrew_getblockhash", [170]));
      id = await client.request("metashrew_subscribe", { kind: "heads", from: "first" });
    });
  });
}

await { rpc: overHttp, fetch: byFetch, eventsource: byEventSource, websocket: byWebSocket }[process.argv[4]]();
