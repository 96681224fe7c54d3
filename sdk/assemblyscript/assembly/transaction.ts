// Transactions, what they spend and what they create.

import { hashHex } from "./bytes";
import { Flaw, Reader } from "./reader";
import { Instructions, isUnspendable, ScriptType, scriptType } from "./script";
import { Sha256, sha256 } from "./sha256";

/** A transaction in a block. */
export class Transaction {
  /** What it spends. */
  inputs: Array<TxInput> = new Array<TxInput>();
  /** What it creates. */
  outputs: Array<TxOutput> = new Array<TxOutput>();
  private end: i32 = 0;
  private bodyStart: i32 = 0;
  private bodyEnd: i32 = 0;

  private constructor(
    private block: Uint8Array,
    private start: i32,
  ) {}

  /** Reads one; it is whole only if the reader is sound afterwards. */
  static read(block: Uint8Array, reader: Reader): Transaction {
    const tx = new Transaction(block, reader.at);
    reader.skip(4);
    tx.bodyStart = reader.at;
    let count = reader.length();
    const isSegwit = reader.isSound && count == 0;
    if (isSegwit) {
      const flag = reader.number<u8>();
      if (reader.isSound && flag != 1) reader.flaw = Flaw.WitnessFlag;
      tx.bodyStart = reader.at;
      count = reader.length();
    }
    for (let i: u64 = 0; i < count && reader.isSound; i++) tx.inputs.push(new TxInput(block, reader));
    const outputs = reader.length();
    for (let i: u64 = 0; i < outputs && reader.isSound; i++) tx.outputs.push(new TxOutput(block, reader));
    tx.bodyEnd = reader.at;
    if (isSegwit) tx.readWitnesses(reader);
    reader.skip(4);
    tx.end = reader.at;
    return tx;
  }

  /** Its bytes, with the witnesses. */
  get bytes(): Uint8Array {
    return this.block.subarray(this.start, this.end);
  }

  /** Its length in bytes. */
  get size(): i32 {
    return this.end - this.start;
  }

  /** Its length without the witnesses. */
  get baseSize(): i32 {
    return this.bodyEnd - this.bodyStart + 8;
  }

  /** What it takes of a block's 4,000,000. */
  get weight(): i32 {
    return 3 * this.baseSize + this.size;
  }

  /** Whether it is encoded with witnesses. */
  get hasWitness(): bool {
    return this.baseSize != this.size;
  }

  /** Whether it creates the block's new coins. */
  get isCoinbase(): bool {
    return this.inputs.length == 1 && this.inputs[0].isCoinbase;
  }

  get version(): i32 {
    return load<i32>(this.block.dataStart + this.start);
  }

  get lockTime(): u32 {
    return load<u32>(this.block.dataStart + this.end - 4);
  }

  /** Its id, in the byte order of hashing: people read `hashHex(tx.txid)`. */
  get txid(): Uint8Array {
    if (!this.hasWitness) return this.wtxid;
    const hash = new Sha256();
    hash.update(this.block.subarray(this.start, this.start + 4));
    hash.update(this.block.subarray(this.bodyStart, this.bodyEnd));
    hash.update(this.block.subarray(this.end - 4, this.end));
    return sha256(hash.digest());
  }

  /** The hash of all its bytes. */
  get wtxid(): Uint8Array {
    return sha256(sha256(this.bytes));
  }

  /** Its id as people read it. */
  get id(): string {
    return hashHex(this.txid);
  }

  private readWitnesses(reader: Reader): void {
    let isEmpty = true;
    for (let i = 0; i < this.inputs.length && reader.isSound; i++) {
      if (!this.inputs[i].readWitness(reader)) isEmpty = false;
    }
    if (reader.isSound && isEmpty && this.inputs.length > 0) reader.flaw = Flaw.NoWitness;
  }
}

/** What a transaction spends. */
export class TxInput {
  private at: i32;
  private scriptStart: i32;
  private scriptEnd: i32;
  private witnessStart: i32 = 0;

  constructor(
    private block: Uint8Array,
    reader: Reader,
  ) {
    this.at = reader.at;
    reader.skip(36);
    const length = reader.length();
    this.scriptStart = reader.at;
    reader.skip(length);
    this.scriptEnd = reader.at;
    reader.skip(4);
  }

  /** Moves over its witness, and tells whether that is empty. */
  readWitness(reader: Reader): bool {
    const start = reader.at;
    const count = reader.length();
    for (let i: u64 = 0; i < count && reader.isSound; i++) reader.skipSized();
    this.witnessStart = start;
    return count == 0;
  }

  /** Where the spent output was created; zeros in a coinbase. */
  get txid(): Uint8Array {
    return this.block.subarray(this.at, this.at + 32);
  }

  /** Which output of that transaction it is. */
  get vout(): u32 {
    return load<u32>(this.block.dataStart + this.at + 32);
  }

  /** The outpoint as it is encoded, 36 bytes: the txid and the number. */
  get outpoint(): Uint8Array {
    return this.block.subarray(this.at, this.at + 36);
  }

  /** The unlocking script. */
  get script(): Uint8Array {
    return this.block.subarray(this.scriptStart, this.scriptEnd);
  }

  get sequence(): u32 {
    return load<u32>(this.block.dataStart + this.scriptEnd);
  }

  /** Whether it spends nothing, as a coinbase's only input. */
  get isCoinbase(): bool {
    if (this.vout != u32.MAX_VALUE) return false;
    const txid = this.block.dataStart + this.at;
    return (load<u64>(txid) | load<u64>(txid, 8) | load<u64>(txid, 16) | load<u64>(txid, 24)) == 0;
  }

  /** The items of its witness. */
  get witness(): Array<Uint8Array> {
    const items = new Array<Uint8Array>();
    if (this.witnessStart == 0) return items;
    const reader = new Reader(this.block);
    reader.at = this.witnessStart;
    const count = reader.length();
    for (let i: u64 = 0; i < count && reader.isSound; i++) {
      const length = reader.length();
      const start = reader.at;
      reader.skip(length);
      items.push(this.block.subarray(start, reader.at));
    }
    return items;
  }
}

/** What a transaction creates. */
export class TxOutput {
  private at: i32;
  private scriptStart: i32;
  private scriptEnd: i32;

  constructor(
    private block: Uint8Array,
    reader: Reader,
  ) {
    this.at = reader.at;
    reader.skip(8);
    const length = reader.length();
    this.scriptStart = reader.at;
    reader.skip(length);
    this.scriptEnd = reader.at;
  }

  /** Satoshi. */
  get value(): u64 {
    return load<u64>(this.block.dataStart + this.at);
  }

  /** The locking script. */
  get script(): Uint8Array {
    return this.block.subarray(this.scriptStart, this.scriptEnd);
  }

  /** Of which standard form the script is. */
  get type(): ScriptType {
    return scriptType(this.script);
  }

  /** The script's pushes and operations. */
  get instructions(): Instructions {
    return new Instructions(this.script);
  }

  /** Whether nobody can ever spend it: `OP_RETURN`, or a script that is too long. */
  get isUnspendable(): bool {
    return isUnspendable(this.script);
  }
}
