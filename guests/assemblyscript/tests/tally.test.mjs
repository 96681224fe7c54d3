// `tally` as a module, and what the SDK does with a call: errors, memory, reorganisations.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { Aborted, Guest } from "@metashrew/as/testing/guest.mjs";

/** A header of its own for each height, and as many bytes behind it. */
function block(height, branch = 0) {
  const bytes = Buffer.alloc(80 + height, branch);
  bytes.writeUInt32LE(height, 36);
  return bytes;
}

function idOf(block) {
  const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
  return sha256(sha256(block.subarray(0, 80))).reverse().toString("hex");
}

async function tally(blocks) {
  const guest = await Guest.load("build/tally.wasm");
  for (let height = 1; height <= blocks; height++) guest.block(height, block(height));
  return guest;
}

test("totals and blocks, before and after a reorganisation", async () => {
  const guest = await tally(5);
  assert.deepEqual(guest.ask("totals"), { height: 5, blocks: 5, bytes: 5 * 80 + 15 });
  assert.deepEqual(guest.ask("block", { height: 2 }), { height: 2, hash: idOf(block(2)), size: 82 });
  assert.deepEqual(guest.ask("block"), { height: 5, hash: idOf(block(5)), size: 85 });
  guest.rollback(3);
  assert.deepEqual(guest.ask("totals"), { height: 3, blocks: 3, bytes: 3 * 80 + 6 });
  guest.block(4, block(4, 7));
  assert.deepEqual(guest.ask("block"), { height: 4, hash: idOf(block(4, 7)), size: 84 });
  assert.equal(guest.logs.at(-1), "tallied block 4");
});

test("what cannot be answered ends the call with a message", async () => {
  const guest = await tally(1);
  const fails = (question, message) =>
    assert.throws(() => guest.ask("block", question), (error) => error instanceof Aborted && error.message.startsWith(message));
  fails({ height: 2 }, "no block at height 2");
  fails({ hieght: 1 }, "bad input: unknown field `hieght`");
  fails({ height: 2 ** 32 }, "bad input: `height` is no whole number from 0 to 4294967295");
  assert.throws(() => guest.block(2, Buffer.alloc(79)), /block 2 has no header/);
  assert.equal(guest.ask("totals").blocks, 1);
});

test("what a view left in memory is given back to the next", async () => {
  const guest = await tally(1);
  const question = Buffer.from(`{"height":1${" ".repeat(100_000)}}`);
  const bytes = () => (guest.view("block", question), guest.memoryBytes);
  const early = [...Array(10)].map(bytes).at(-1);
  for (let i = 0; i < 1_000; i++) bytes();
  assert.equal(bytes(), early);
});
