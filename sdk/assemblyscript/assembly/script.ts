// What scripts say.

/** The standard forms of locking scripts. */
export enum ScriptType {
  Other,
  /** To a public key itself. */
  P2pk,
  P2pkh,
  P2sh,
  P2wpkh,
  P2wsh,
  P2tr,
  /** A witness program of a version or a length without a meaning yet. */
  Witness,
  /** Data: what follows the first byte. */
  OpReturn,
}

const OP_PUSHDATA1: u8 = 0x4c;
const OP_PUSHDATA4: u8 = 0x4e;
const OP_1: u8 = 0x51;
const OP_16: u8 = 0x60;
const OP_RETURN: u8 = 0x6a;
const OP_DUP: u8 = 0x76;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_HASH160: u8 = 0xa9;
const OP_CHECKSIG: u8 = 0xac;
const MAX_SCRIPT_BYTES: i32 = 10_000;

/** Of which standard form a locking script is. */
export function scriptType(script: Uint8Array): ScriptType {
  const length = script.length;
  if (length == 0) return ScriptType.Other;
  const first = script[0];
  const last = script[length - 1];
  if (length == 25 && first == OP_DUP && script[1] == OP_HASH160 && script[2] == 20) {
    if (script[23] == OP_EQUALVERIFY && last == OP_CHECKSIG) return ScriptType.P2pkh;
  }
  if (length == 23 && first == OP_HASH160 && script[1] == 20 && last == OP_EQUAL) return ScriptType.P2sh;
  if (first == OP_RETURN) return ScriptType.OpReturn;
  if (last == OP_CHECKSIG && isKey(script)) return ScriptType.P2pk;
  if (length < 4 || length > 42 || script[1] != length - 2) return ScriptType.Other;
  if (first == 0) {
    if (length == 22) return ScriptType.P2wpkh;
    return length == 34 ? ScriptType.P2wsh : ScriptType.Witness;
  }
  if (first < OP_1 || first > OP_16) return ScriptType.Other;
  return first == OP_1 && length == 34 ? ScriptType.P2tr : ScriptType.Witness;
}

/** Whether nobody can ever spend an output with this script. */
export function isUnspendable(script: Uint8Array): bool {
  return (script.length > 0 && script[0] == OP_RETURN) || script.length > MAX_SCRIPT_BYTES;
}

/** Whether a script is the push of a public key, and one operation behind it. */
function isKey(script: Uint8Array): bool {
  if (script.length == 35 && script[0] == 33) return script[1] == 2 || script[1] == 3;
  if (script.length == 67 && script[0] == 65) return script[1] == 4 || script[1] == 6 || script[1] == 7;
  return false;
}

/**
 * A script's pushes and operations, one after the other:
 * `for (const i = new Instructions(script); i.next(); ) if (i.push !== null) …`.
 */
export class Instructions {
  /** The operation; of a push, what says how long it is. */
  op: u8 = 0;
  /** What is pushed, or null. */
  push: Uint8Array | null = null;
  /** Whether the script ends inside a push. */
  isCut: bool = false;
  private at: i32 = 0;

  constructor(private script: Uint8Array) {}

  /** Goes to the next one; false at the end, or where the script ends inside a push. */
  next(): bool {
    this.push = null;
    if (this.at >= this.script.length) return false;
    this.op = this.script[this.at++];
    if (this.op > OP_PUSHDATA4) return true;
    let length: u32 = this.op;
    if (this.op >= OP_PUSHDATA1) {
      const width = 1 << (this.op - OP_PUSHDATA1);
      if (width > this.script.length - this.at) return this.cut();
      length = 0;
      for (let i = 0; i < width; i++) length |= (<u32>this.script[this.at + i]) << (8 * i);
      this.at += width;
    }
    if (length > <u32>(this.script.length - this.at)) return this.cut();
    this.push = this.script.subarray(this.at, this.at + <i32>length);
    this.at += <i32>length;
    return true;
  }

  private cut(): bool {
    this.isCut = true;
    this.at = this.script.length;
    return false;
  }
}
