/** Follows a server by a generated client up to a block, over connections that break, and prints what it has then, for `scripts/check-clients.sh`. */

import process from "node:process";
import {
  type AnswerEvent, type BlockEvent, Client, type Cursor, type FollowOptions, type Hex, type Subscription, type UndoEvent, writeJson,
} from "./addresses.js";

const [url = "", last = "", ...kinds] = process.argv.slice(2);
const LAST = Number(last);
/** After so many events a loop is left, and another one goes on from its cursor. */
const LEFT_AFTER = 13;

const client = new Client({ url });
const seen = { retries: 0, undone: 0 };

function tell(label: string, value: unknown): void {
  console.log(`${label} ${writeJson(value)}`);
}

function check(holds: boolean, what: string, event: unknown): void {
  if (!holds) throw new Error(`${what}: ${writeJson(event)}`);
}

/** All events from the first block to the last. */
async function* all<E extends { readonly type: string; readonly cursor: Cursor }>(
  follow: (options: FollowOptions) => Subscription<E>,
): AsyncGenerator<E, void, undefined> {
  let start: { readonly from: "first" } | { readonly cursor: Cursor } = { from: "first" };
  for (;;) {
    let left = LEFT_AFTER;
    for await (const event of follow({ ...start, idleMs: 2_000, onRetry: () => void (seen.retries += 1) })) {
      yield event;
      if (event.type !== "position" && "height" in event && event.height === LAST) return;
      start = { cursor: event.cursor };
      left -= 1;
      if (left === 0) break;
    }
  }
}

/** Each block stands on the one before it, and what goes is what came last. */
function apply(chain: BlockEvent[], event: BlockEvent | UndoEvent): void {
  if (event.type === "block") {
    check(chain.length === 0 || chain.at(-1)?.hash === event.parent, "it stands on another block", event);
    chain.push(event);
    return;
  }
  for (const { hash } of event.undone) check(chain.pop()?.hash === hash, "another block came last", event);
  check(chain.at(-1)?.hash === event.hash, "another block is left", event);
  seen.undone += event.undone.length;
}

async function heads(): Promise<() => void> {
  const chain: BlockEvent[] = [];
  for await (const event of all((options) => client.heads(options))) {
    if (event.type === "block" || event.type === "undo") apply(chain, event);
  }
  return () => {
    for (const { cursor, height, hash, parent, historyRoot } of chain) tell("head", [cursor, height, hash, parent, historyRoot]);
  };
}

async function writes(): Promise<() => void> {
  const chain: BlockEvent[] = [];
  const values = new Map<Hex, Hex>();
  for await (const event of all((options) => client.writes({}, options))) {
    if (event.type !== "block" && event.type !== "undo") continue;
    apply(chain, event);
    for (const { key, value } of event.writes) {
      if (value === null) throw new Error(`the value of ${key} is too long`);
      if (value === "0x") values.delete(key);
      else values.set(key, value);
    }
  }
  return () => {
    for (const pair of [...values].sort()) tell("value", pair);
  };
}

async function answers(): Promise<() => void> {
  const told: AnswerEvent<unknown>[] = [];
  for await (const event of all((options) => client.watch.balance({ script: "51" }, options))) {
    if (event.type !== "answer") continue;
    if (event.error !== undefined) throw new Error(event.error.message);
    const gone = new Set(event.undone?.map(({ hash }) => hash));
    for (let top = told.at(-1); top !== undefined && (top.height >= event.height || gone.has(top.hash)); top = told.at(-1)) {
      check(gone.size > 0, "it came already", event);
      told.pop();
    }
    told.push(event);
  }
  return () => {
    for (const { cursor, result } of told) tell("answer", [cursor, result]);
  };
}

const KINDS = { heads, writes, answers };
const wanted = Object.entries(KINDS).filter(([kind]) => kinds.includes(kind));
for (const print of await Promise.all(wanted.map(([, follow]) => follow()))) print();
console.error(`TypeScript: ${seen.retries} connections were lost, ${seen.undone} blocks undone`);
