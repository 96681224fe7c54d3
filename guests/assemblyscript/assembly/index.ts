// `tally`: the blocks of a chain by height, and running totals.
//
// State: `/blocks/{height}` is a block's hash (32 bytes, in the order of
// hashing) and its size (u32, little-endian); `/totals` is the number of blocks
// and of their bytes (two u64, little-endian).

import { Answer, ByteWriter, hashHex, Input, JsonObject, JsonWriter, log, Meta, Pointer, sha256d, flush } from "@metashrew/as";
export { __metashrew_begin, __metashrew_error } from "@metashrew/as";

const HEADER_BYTES: i32 = 80;

/** Indexes a block. */
export function _start(): void {
  const input = Input.load();
  const block = input.bytes;
  if (block.length < HEADER_BYTES) throw new Error("block " + input.height.toString() + " has no header");

  const entry = new ByteWriter().bytes(sha256d(block.subarray(0, HEADER_BYTES))).number<u32>(block.length);
  blockAt(input.height).set(entry.toBytes());
  const totals = Totals.read();
  totals.blocks += 1;
  totals.bytes += block.length;
  totals.write();
  flush();
  log("tallied block " + input.height.toString());
}

/**
 * `{"height": n}`, or `{}` for the newest: `{"height","hash","size"}`. A block
 * that is not there, or a question that is none, ends the call with a message.
 */
export function block(): ArrayBuffer {
  const input = Input.load();
  const question = JsonObject.parse(input.bytes);
  const height = question.u32("height", input.height);
  const mistake = question.end();
  if (mistake !== null) throw new Error(mistake);
  const entry = blockAt(height).get();
  if (entry.length == 0) throw new Error("no block at height " + height.toString());
  const size = load<u32>(entry.dataStart, 32);
  const answer = new JsonWriter().u64("height", height).string("hash", hashHex(entry.subarray(0, 32)));
  return Answer.text(answer.u64("size", size).toString());
}

/** `{}`: `{"height","blocks","bytes"}`. */
export function totals(): ArrayBuffer {
  const input = Input.load();
  const totals = Totals.read();
  const answer = new JsonWriter().u64("height", input.height).u64("blocks", totals.blocks);
  return Answer.text(answer.u64("bytes", totals.bytes).toString());
}

/** What the guest says of itself. */
export function __meta(): ArrayBuffer {
  return new Meta("tally", "0.1.0")
    .doc("Blocks by height, and running totals.")
    .view("block", '{"height"}', '{"height","hash","size"}', "A block; the newest, if none is named.")
    .view("totals", "{}", '{"height","blocks","bytes"}', "How many blocks there are, and of how many bytes.")
    .encode();
}

/** How many blocks there were, and of how many bytes. */
class Totals {
  constructor(
    public blocks: u64,
    public bytes: u64,
  ) {}

  static read(): Totals {
    const kept = Pointer.for("/totals").get();
    return kept.length == 0 ? new Totals(0, 0) : new Totals(load<u64>(kept.dataStart), load<u64>(kept.dataStart, 8));
  }

  write(): void {
    Pointer.for("/totals").set(new ByteWriter().number(this.blocks).number(this.bytes).toBytes());
  }
}

function blockAt(height: u32): Pointer {
  return Pointer.for("/blocks/" + height.toString());
}
