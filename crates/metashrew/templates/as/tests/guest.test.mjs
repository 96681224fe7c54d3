// The guest's module over chains made to order, under Node.js.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { Chain, spend } from "@metashrew/as/testing/chain.mjs";
import { Guest, ViewError } from "@metashrew/as/testing/guest.mjs";

const MODULE = "build/{{crate}}.wasm";
/** Anyone can spend from it. */
const ANYONE = "51";
const ALICE = "0014240ba6e56510ce10ba34ad9a445ae422c5578e14";
const COINBASE = 5_000_000_000;

/** Four blocks: Alice gets 1,000 satoshi, then 700 more, and spends 500 of them. */
function demo() {
  const chain = new Chain();
  const first = chain.mine();
  const paid = spend([first.coinbase.output(0)], [{ script: ALICE, value: 1_000 }, { script: ANYONE, value: COINBASE - 1_000 }]);
  chain.mine([paid]);
  const more = spend([paid.output(1)], [{ script: ALICE, value: 700 }, { script: "6a0568656c6c6f", value: 1 }]);
  chain.mine([more]);
  chain.mine([spend([paid.output(0)], [{ script: ALICE, value: 500 }, { script: ANYONE, value: 500 }])]);
  return chain;
}

async function indexed(chain) {
  const guest = await Guest.load(MODULE);
  for (const { height, bytes } of chain.blocks) guest.block(height, bytes);
  return guest;
}

test("balances after each block", async () => {
  const guest = await Guest.load(MODULE);
  const seen = demo().blocks.map(({ height, bytes }) => {
    guest.block(height, bytes);
    return guest.ask("balance", { script: ALICE });
  });
  assert.deepEqual(seen, [
    { height: 1, satoshi: 0 },
    { height: 2, satoshi: 1_000 },
    { height: 3, satoshi: 1_700 },
    { height: 4, satoshi: 1_200 },
  ]);
  assert.deepEqual(guest.ask("balance", { script: ANYONE }), { height: 4, satoshi: 3 * COINBASE + 500 });
});

test("a reorganisation takes back what its blocks did", async () => {
  const chain = demo();
  const guest = await indexed(chain);
  chain.reorganize(2);
  guest.rollback(2);
  for (const { height, bytes } of [chain.mine(), chain.mine()]) guest.block(height, bytes);
  assert.deepEqual(guest.ask("balance", { script: ALICE }), { height: 4, satoshi: 1_000 });
});

test("a question that is none is answered with an error", async () => {
  const guest = await indexed(demo());
  const fails = (question, message) => assert.throws(() => guest.ask("balance", question), new ViewError(message));
  fails({}, 'bad input: want {"script": hex}');
  fails({ script: "5" }, "bad input: `script` is no hex");
  fails({ scrpt: ANYONE }, "bad input: unknown field `scrpt`");
});

test("demo.dat, a file of blocks to try the guest on", () => {
  writeFileSync("demo.dat", demo().file());
});
