// `tally`: the blocks of a chain by height, and running totals.
//
// State: `/blocks/{height}` is a block's hash (32 bytes, in the order of
// hashing) and its size (u32, little-endian); `/totals` is the number of blocks
// and of their bytes (two u64, little-endian).

import { get, input, log, Writes } from "./host";
import { number } from "./json";
import { sha256 } from "./sha256";

const HEADER_BYTES: i32 = 80;

/** Indexes a block. */
export function _start(): void {
  const data = input();
  const height = load<u32>(data.dataStart);
  const block = data.subarray(4);
  if (block.length < HEADER_BYTES) throw new Error("block " + height.toString() + " has no header");

  const entry = new Uint8Array(36);
  entry.set(sha256(sha256(block.subarray(0, HEADER_BYTES))));
  store<u32>(entry.dataStart + 32, block.length);

  const totals = new Uint8Array(16);
  totals.set(get("/totals"));
  store<u64>(totals.dataStart, load<u64>(totals.dataStart) + 1);
  store<u64>(totals.dataStart + 8, load<u64>(totals.dataStart + 8) + block.length);

  const writes = new Writes();
  writes.set("/blocks/" + height.toString(), entry);
  writes.set("/totals", totals);
  writes.flush();
  log("tallied block " + height.toString());
}

/**
 * `{"height": n}`, or `{}` for the newest: `{"height","hash","size"}`. A block
 * that is not there, or a question that is none, ends the call with a message.
 */
export function block(): ArrayBuffer {
  const data = input();
  const asked = number(question(data), "height");
  const height = asked < 0 ? <i64>load<u32>(data.dataStart) : asked;
  const entry = get("/blocks/" + height.toString());
  if (entry.length == 0) throw new Error("no block at height " + height.toString());
  const size = load<u32>(entry.dataStart + 32);
  return String.UTF8.encode(
    '{"height":' + height.toString() + ',"hash":"' + hex(entry.subarray(0, 32)) + '","size":' + size.toString() + "}"
  );
}

/** `{}`: `{"height","blocks","bytes"}`. */
export function totals(): ArrayBuffer {
  const height = load<u32>(input().dataStart);
  const totals = new Uint8Array(16);
  totals.set(get("/totals"));
  const blocks = load<u64>(totals.dataStart);
  const bytes = load<u64>(totals.dataStart + 8);
  return String.UTF8.encode(
    '{"height":' + height.toString() + ',"blocks":' + blocks.toString() + ',"bytes":' + bytes.toString() + "}"
  );
}

/** What the caller asks, behind the height. */
function question(data: Uint8Array): string {
  return String.UTF8.decodeUnsafe(data.dataStart + 4, data.length - 4);
}

/** A hash as people read it: hex, last byte first. */
function hex(hash: Uint8Array): string {
  let text = "";
  for (let i = hash.length - 1; i >= 0; i--) text += hash[i].toString(16).padStart(2, "0");
  return text;
}
