/** Asks two servers by generated clients, and prints what they answer, a line each, for `scripts/check-clients.sh`. */

import process from "node:process";
import { Client as Addresses, fromHex, readJson, RpcError, writeJson } from "./addresses.js";
import { Client as Blocks } from "./blocks.js";
import { type Event, type Integer, type Numbers, Client as Shapes, toHex, type Tree, Views } from "./shapes.js";

const [url = "", shapesUrl = "", blocksUrl = ""] = process.argv.slice(2);
const OWNER = { address: "12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S" };

function tell(label: string, value: unknown): void {
  console.log(`${label} ${writeJson(value)}`);
}

const addresses = new Addresses({ url });
tell("tip", await addresses.tip());
tell("hash", await addresses.blockHash(170));
tell("root", await addresses.stateRoot());
tell("balance", await addresses.views.balance(OWNER));
tell("balance-at", await addresses.views.balance(OWNER, 170));
tell("utxos", await addresses.views.utxos(OWNER, `170:${await addresses.blockHash(170)}`));
for (const block of [300, "00".repeat(32), "pending"]) {
  const failed = await addresses.views.balance(OWNER, block).catch((error: unknown) => error);
  tell(`failed-${block}`, failed instanceof RpcError ? [failed.code, failed.kind] : "no error");
}

const shapes = new Shapes({ url: `${shapesUrl}/` });
const numbers: Numbers = await shapes.views.numbers({
  byte: 1, size: 2, satoshi: 3n, amount: 4, signed: 5, bounded: 6, any: 7, ratio: 8, text: "",
});
const small: number = numbers.byte + numbers.size;
const wide: Integer = numbers.amount;
// @ts-expect-error: it may be more than a `number` holds.
void (() => numbers.amount + 1);
tell("numbers", numbers);
tell("sum", [BigInt(small) + BigInt(wide)]);
const tree: Tree = { value: "\0a\u{1f600}\"\\", children: [{ value: 7 }, { value: null, children: [] }], parent: 4294967295 };
tell("tree", await shapes.views.tree(tree));
const events: Event[] = [{ kind: "transfer", amount: 2n ** 64n - 1n }, { kind: "mint", to: "x" }, { Burnt: { to: "" } }, "none", "all"];
for (const [index, event] of events.entries()) tell(`event${index}`, await shapes.views.event(event));
// @ts-expect-error: there is no such event.
tell("no-event", await shapes.views.event({ kind: "theft" }));
tell("odd", await shapes.views.odd({ class: "a", from: "b", merged: true, undescribed: [1.5], pair: ["c", 1], "by-number": { 1: true } }));
// It is sent, and comes again, as a whole number.
const { matrix } = await shapes.views.odd({ class: "", from: "", merged: true, undescribed: null, matrix: [[1e17, null]] });
tell("double", [(matrix?.[0]?.[0] ?? 0) / 2e17]);
tell("list", await shapes.views.list([1, 2]));
tell("text", await shapes.views.text("grün\n"));
tell("bytes", toHex(await shapes.views.bytes(new Uint8Array([0, 255]))));
tell("untyped", await shapes.views.untyped([1, { a: 12345678901234567890n }]));
tell("nothing", await shapes.views.nothing());
tell("untold-bytes", toHex((await shapes.views.untold(new Uint8Array([1]))).bytes));
tell("untold-text", (await shapes.views.untold("text")).text());
tell("untold-json", (await shapes.views.untold({ json: { a: 1 } })).json());
tell("nullables", await shapes.views.nullables({
  reference: null, short: null, whole: null, patterns: { x1: 1, other: "x" }, closed: { x: "a", y: true },
}));
// Of what is long, no expression of JavaScript knows the end.
const [exact, text = ""] = readJson(`[12345678901234567890,"${"\\n".repeat(8_000_000)}"]`) as [unknown, string?];
tell("long", [exact, text.length, fromHex(`0x${"ab".repeat(8_000_000)}`).length]);
tell("views", Object.getOwnPropertyNames(Views.prototype).length);

const height = (await addresses.tip())?.height ?? 0;
for await (const event of addresses.heads({ from: "first" })) {
  if (event.type !== "block") continue;
  tell("head", [event.cursor, event.height, event.hash, event.parent, event.historyRoot]);
  if (event.height === height) break;
}
// It goes on after a cursor, of which the server knows what came then.
const cursor = `200:${await addresses.blockHash(200)}`;
for await (const event of addresses.writes({}, { cursor })) {
  if (event.type !== "block") continue;
  tell("writes", [event.cursor, event.writes.map((write) => [write.key, write.value])]);
  if (event.height >= 220) break;
}
for await (const event of addresses.watch.balance(OWNER, { from: "first" })) {
  if (event.type !== "answer") continue;
  tell("watched", event.error === undefined ? [event.cursor, event.result] : [event.cursor, event.error.code]);
  if (event.height >= 181) break;
}
// Where it is, is told first.
for await (const event of new Blocks({ url: blocksUrl }).heads({ signal: AbortSignal.timeout(60_000) })) {
  tell("begins", [event.type, "height" in event && event.height]);
  break;
}
