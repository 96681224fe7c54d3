// Balances of every script on a Bitcoin chain: what a block changes, and what can be asked.

import { Answer, Block, flush, fromHex, Input, JsonObject, JsonWriter, Meta, Transaction } from "@metashrew/as";
import { balanceOf, Output } from "./state";
export { __metashrew_begin, __metashrew_error } from "@metashrew/as";

/**
 * Indexes a block. Reads see what the block wrote before. All of it is kept, or, after an error, nothing: an error
 * stops the indexer, so it is for what cannot be, and not for what somebody may write to the chain.
 */
export function _start(): void {
  const block = Block.parse(Input.load().bytes);
  for (let i = 0; i < block.transactions.length; i++) index(block.transactions[i]);
  flush();
}

function index(tx: Transaction): void {
  for (let i = 0; i < tx.inputs.length; i++) Output.at(tx.inputs[i].outpoint).spend();
  const txid = tx.txid;
  for (let vout = 0; vout < tx.outputs.length; vout++) {
    const output = tx.outputs[vout];
    // Nobody can spend these.
    if (!output.isUnspendable) Output.of(txid, vout).create(output.script, output.value);
  }
}

/** `{"script": hex}`: what the script has, in satoshi, after the block that is asked about. */
export function balance(): ArrayBuffer {
  const input = Input.load();
  const question = JsonObject.parse(input.bytes);
  const isNamed = question.has("script");
  const hex = question.string("script", "");
  const mistake = question.end();
  // An error is the caller's answer; the guest goes on.
  if (mistake !== null) return Answer.error(mistake);
  if (!isNamed) return Answer.error('bad input: want {"script": hex}');
  const script = fromHex(hex);
  if (script === null) return Answer.error("bad input: `script` is no hex");
  const satoshi = balanceOf(script).getValue<u64>();
  return Answer.text(new JsonWriter().u64("height", input.height).u64("satoshi", satoshi).toString());
}

/** What the guest says of itself: `metashrew inspect` shows it. */
export function __meta(): ArrayBuffer {
  return new Meta("{{name}}", "0.1.0")
    .doc("Balances of every script.")
    .view("balance", '{"script"}', '{"height","satoshi"}', "What a script, in hex, has.")
    .encode();
}
