// `fields`: tells all that the SDK for AssemblyScript reads of a block, so that tests compare it with what others
// read, and keeps sums in a state by all ways of reading and writing it. `guests/c/fields.c` does the same.

import {
  Answer, bigEndian, Block, ByteWriter, concat, flush, Input, Instructions, JsonObject, JsonWriter, Meta, Pointer, Range,
  readMany, set, sha256, Transaction, TxInput, TxOutput, utf8, littleEndian,
} from "@metashrew/as";
export { __metashrew_begin, __metashrew_error } from "@metashrew/as";

function putInstructions(out: ByteWriter, script: Uint8Array): void {
  const instructions = new Instructions(script);
  while (instructions.next()) {
    const push = instructions.push;
    if (push !== null) out.number<u8>(0).part(push);
    else out.number<u8>(1).number<u8>(instructions.op);
  }
  out.number<u8>(instructions.isCut ? 3 : 2);
}

function putInput(out: ByteWriter, input: TxInput): void {
  out.bytes(input.txid).number<u32>(input.vout).part(input.script);
  putInstructions(out, input.script);
  out.number<u32>(input.sequence);
  const witness = input.witness;
  for (let i = 0; i < witness.length; i++) out.number<u8>(1).part(witness[i]);
  out.number<u8>(0);
}

function putOutput(out: ByteWriter, output: TxOutput): void {
  out.number<u64>(output.value).part(output.script);
  putInstructions(out, output.script);
  out.number<u8>(<u8>output.type).number<u8>(output.isUnspendable ? 1 : 0);
}

function putTransaction(out: ByteWriter, tx: Transaction): void {
  out.number<i32>(tx.version).number<u32>(tx.lockTime).number<u32>(tx.size).number<u32>(tx.weight);
  out.number<u8>((tx.hasWitness ? 1 : 0) | (tx.isCoinbase ? 2 : 0));
  out.bytes(tx.txid).bytes(tx.wtxid);
  out.number<u32>(tx.inputs.length);
  for (let i = 0; i < tx.inputs.length; i++) putInput(out, tx.inputs[i]);
  out.number<u32>(tx.outputs.length);
  for (let i = 0; i < tx.outputs.length; i++) putOutput(out, tx.outputs[i]);
}

/** All fields of the block that is asked with. */
export function fields(): ArrayBuffer {
  const input = Input.load();
  const error = Block.check(input.bytes);
  if (error !== null) return Answer.error(error.message);
  const block = Block.parse(input.bytes);
  const out = new ByteWriter();
  out.number<i32>(block.version).bytes(block.previous).bytes(block.merkleRoot);
  out.number<u32>(block.time).number<u32>(block.bits).number<u32>(block.nonce).bytes(block.hash);
  out.number<u32>(block.transactions.length);
  for (let i = 0; i < block.transactions.length; i++) putTransaction(out, block.transactions[i]);
  return Answer.bytes(out.toBytes());
}

/** Reads the block that is asked with as a guest does that is sure of it: no block ends the call. */
export function count(): ArrayBuffer {
  return Answer.bytes(littleEndian<u64>(Block.parse(Input.load().bytes).transactions.length));
}

/** The question's fields `number`, `text` and `flag`, or what is wrong with it. */
export function question(): ArrayBuffer {
  const question = JsonObject.parse(Input.load().bytes);
  const number = question.u64("number", 7);
  const text = question.string("text", "none");
  const flag = question.bool("flag", false);
  const mistake = question.end();
  if (mistake !== null) return Answer.error(mistake);
  return Answer.text(new JsonWriter().u64("number", number).string("text", text).bool("flag", flag).toString());
}

/** The digest of all entries of a range, read page by page, under a key of the height. */
function keepRange(height: u32, space: string, range: Range): void {
  const seen = new ByteWriter();
  for (;;) {
    const page = range.page();
    for (let i = 0; i < page.entries.length; i++) seen.part(page.entries[i].key).part(page.entries[i].value);
    const next = page.next;
    if (next === null) break;
    range.after(next);
  }
  set(concat(utf8(space), bigEndian<u32>(height)), sha256(seen.toBytes()));
}

/**
 * What outputs pay to each script, under `o/` and the script. Every third transaction takes away the sum of its
 * first output's script. Halfway, what was set is flushed.
 */
export function _start(): void {
  const input = Input.load();
  const block = Block.parse(input.bytes);
  const keys = new Array<Uint8Array>();
  for (let number = 0; number < block.transactions.length; number++) {
    const outputs = block.transactions[number].outputs;
    for (let i = 0; i < outputs.length; i++) {
      const sum = Pointer.for("o/").select(outputs[i].script);
      sum.setValue<u64>(sum.getValue<u64>() + outputs[i].value);
      keys.push(sum.key);
    }
    if (number % 3 == 2 && outputs.length > 0) Pointer.for("o/").select(outputs[0].script).remove();
    if (number == block.transactions.length / 2) flush();
  }
  const prefix = utf8("o/");
  const limit = max(keys.length / 10, 7);
  keepRange(input.height, "f/", Range.prefix(prefix).limit(limit));
  keepRange(input.height, "r/", Range.prefix(prefix).limit(limit).reverse());
  keepRange(input.height, "k/", Range.prefix(prefix).limit(limit).reverse().keysOnly());

  const values = readMany(keys);
  const seen = new ByteWriter();
  for (let i = 0; i < values.length; i++) seen.part(values[i]);
  Pointer.for("m/").select(bigEndian<u32>(input.height)).set(sha256(seen.toBytes()));
  lists(input.height);
  flush();
}

/** A list of heights that grows by two and shrinks by one with each block. */
function lists(height: u32): void {
  const list = Pointer.for("l");
  list.appendValue<u32>(height);
  list.append(littleEndian<u32>(height * 2));
  const last = list.popValue<u32>();
  if (last != height * 2) throw new Error("the last of the list is " + last.toString());
  const values = list.getListValues<u32>();
  let sum: u64 = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  Pointer.for("sum/").selectValue<u32>(height).setValue<u64>(sum);
}

/** Views whose answers follow from what they are asked, at every height. */
export enum __metashrew_height_independent {
  fields,
  count,
  question,
}

/** What the guest says of itself. */
export function __meta(): ArrayBuffer {
  return new Meta("fields_as", "0.1.0")
    .view("fields", "a block", "its fields", "What the SDK reads of a block.")
    .view("count", "a block", "8 bytes", "How many transactions it has.")
    .view("question", '{"number","text","flag"}', "the same", "What the SDK reads of a question.")
    .encode();
}
