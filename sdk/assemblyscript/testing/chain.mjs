// Makes blocks to order, as a regtest node would: for tests, and for a file of blocks to try a guest on.
//
//     const chain = new Chain();
//     const first = chain.mine();
//     chain.mine([spend([first.coinbase.output(0)], [{ script: "51", value: 600 }])]);
//     writeFileSync("demo.dat", chain.file());

import { createHash } from "node:crypto";

const GENESIS = "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f";
const MAGIC = Buffer.from("fabfb5da", "hex");
const FIRST_TIME = 1_296_688_602;
const SUBSIDY = 5_000_000_000;
/** The least work that a block can have, in compact form. */
const BITS = 0x207fffff;
const NO_OUTPOINT = { txid: Buffer.alloc(32), vout: 0xffffffff };

/** A chain of blocks, the lowest of height 1. */
export class Chain {
  /** `{ height, hash, bytes, coinbase }` each; `hash` is in the byte order of hashing. */
  blocks = [];
  #branch = 0;

  /** Mines a block of a coinbase, which pays to a script (hex; anyone can spend `51`), and these transactions. */
  mine(transactions = [], script = "51") {
    const height = this.blocks.length + 1;
    const coinbase = transaction([{ ...NO_OUTPOINT, script: coinbaseScript(height, this.#branch) }], [{ script, value: SUBSIDY }]);
    const all = [coinbase, ...transactions];
    const previous = this.blocks.at(-1)?.hash ?? Buffer.from(GENESIS, "hex");
    const root = merkleRoot(all.map((tx) => tx.txid));
    const time = FIRST_TIME + 600 * height;
    const header = Buffer.concat([number(0x20000000, 4), previous, root, number(time, 4), number(BITS, 4), number(0, 4)]);
    let hash = sha256d(header);
    for (let nonce = 1; hash[31] >= 0x7f; nonce++) {
      header.writeUInt32LE(nonce, 76);
      hash = sha256d(header);
    }
    const bytes = Buffer.concat([header, count(all.length), ...all.map((tx) => tx.bytes)]);
    const block = { height, hash, bytes, coinbase };
    this.blocks.push(block);
    return block;
  }

  /** Takes the newest blocks away, so that others are mined in their place. */
  reorganize(depth) {
    this.#branch += 1;
    this.blocks.splice(this.blocks.length - depth, depth);
  }

  /** A file of blocks, for `metashrew start --network regtest --blocks`. */
  file() {
    return Buffer.concat(this.blocks.flatMap(({ bytes }) => [MAGIC, number(bytes.length, 4), bytes]));
  }
}

/** A transaction that spends outputs (`tx.output(n)`) and pays to scripts: `{ script, value }`, hex and satoshi. */
export function spend(outputs, payments) {
  return transaction(outputs, payments);
}

function transaction(inputs, outputs) {
  const bytes = Buffer.concat([
    number(2, 4),
    count(inputs.length),
    ...inputs.flatMap(({ txid, vout, script = "" }) => [txid, number(vout, 4), sized(script), number(0xffffffff, 4)]),
    count(outputs.length),
    ...outputs.flatMap(({ script, value }) => [number(value, 8), sized(script)]),
    number(0, 4),
  ]);
  const txid = sha256d(bytes);
  return { bytes, txid, outputs, output: (vout) => ({ txid, vout }) };
}

/** The height, as consensus wants it, and what tells branches apart. */
function coinbaseScript(height, branch) {
  const digits = [];
  for (let left = height; left > 0; left = Math.floor(left / 256)) digits.push(left % 256);
  if (digits.at(-1) > 0x7f) digits.push(0);
  // Small numbers have an opcode of their own.
  const push = height <= 16 ? Buffer.of(0x50 + height) : Buffer.of(digits.length, ...digits);
  return Buffer.concat([push, Buffer.of(4), number(branch, 4)]).toString("hex");
}

function merkleRoot(hashes) {
  while (hashes.length > 1) {
    const above = [];
    for (let i = 0; i < hashes.length; i += 2) {
      above.push(sha256d(Buffer.concat([hashes[i], hashes[i + 1] ?? hashes[i]])));
    }
    hashes = above;
  }
  return hashes[0];
}

function sha256d(bytes) {
  const once = createHash("sha256").update(bytes).digest();
  return createHash("sha256").update(once).digest();
}

/** A number of 4 or 8 bytes, the lowest first. */
function number(value, size) {
  const bytes = Buffer.alloc(size);
  if (size === 8) bytes.writeBigUInt64LE(BigInt(value));
  else bytes.writeUInt32LE(value);
  return bytes;
}

/** A count or a length, in as few bytes as it needs. */
function count(value) {
  if (value < 0xfd) return Buffer.of(value);
  const isShort = value < 0x10000;
  const bytes = Buffer.alloc(isShort ? 3 : 5);
  bytes[0] = isShort ? 0xfd : 0xfe;
  if (isShort) bytes.writeUInt16LE(value, 1);
  else bytes.writeUInt32LE(value, 1);
  return bytes;
}

/** A script in hex, with its length. */
function sized(script) {
  const bytes = Buffer.from(script, "hex");
  return Buffer.concat([count(bytes.length), bytes]);
}
