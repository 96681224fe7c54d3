// Blocks, read in place: scripts and witnesses are parts of the block's bytes.

import { hashHex } from "./bytes";
import { Flaw, Reader } from "./reader";
import { sha256d } from "./sha256";
import { Transaction } from "./transaction";

const HEADER_BYTES: i32 = 80;

/** Why bytes are not a block. */
export class ParseError {
  constructor(public message: string) {}
}

/** A header and transactions. The encoding is checked as Bitcoin Core does; the rules of consensus are not. */
export class Block {
  /** The first is the coinbase. */
  transactions: Array<Transaction> = new Array<Transaction>();

  private constructor(
    /** The block as consensus encodes it. */
    public bytes: Uint8Array,
  ) {}

  /** Reads a block. If the bytes are none, the call ends with a message. */
  static parse(bytes: Uint8Array): Block {
    const block = new Block(bytes);
    const error = block.read();
    if (error !== null) throw new Error(error.message);
    return block;
  }

  /** Why bytes are not a block; null if they are one. */
  static check(bytes: Uint8Array): ParseError | null {
    return new Block(bytes).read();
  }

  /** The block's hash, in the byte order of hashing: people read `hashHex(block.hash)`. */
  get hash(): Uint8Array {
    return sha256d(this.bytes.subarray(0, HEADER_BYTES));
  }

  /** The hash as people read it. */
  get id(): string {
    return hashHex(this.hash);
  }

  /** Which rules it was made for, and what its miner signals. */
  get version(): i32 {
    return load<i32>(this.bytes.dataStart);
  }

  /** The hash of the block before. */
  get previous(): Uint8Array {
    return this.bytes.subarray(4, 36);
  }

  /** The root of the tree over the transactions' ids. */
  get merkleRoot(): Uint8Array {
    return this.bytes.subarray(36, 68);
  }

  /** When it was mined, as its miner says: seconds since 1970. */
  get time(): u32 {
    return load<u32>(this.bytes.dataStart, 68);
  }

  /** The target that the hash had to meet, in compact form. */
  get bits(): u32 {
    return load<u32>(this.bytes.dataStart, 72);
  }

  /** What the miner varied. */
  get nonce(): u32 {
    return load<u32>(this.bytes.dataStart, 76);
  }

  private read(): ParseError | null {
    const reader = new Reader(this.bytes);
    reader.skip(HEADER_BYTES);
    const count = reader.length();
    for (let i: u64 = 0; i < count && reader.isSound; i++) {
      this.transactions.push(Transaction.read(this.bytes, reader));
    }
    const left = this.bytes.length - reader.at;
    if (!reader.isSound) return new ParseError(this.describe(reader));
    if (left > 0) return new ParseError("the block is followed by " + left.toString() + " bytes");
    return null;
  }

  private describe(reader: Reader): string {
    switch (reader.flaw) {
      case Flaw.WitnessFlag: {
        const flag = this.bytes[reader.at - 1];
        return "a transaction has witness flag " + flag.toString() + "; only 1 is known";
      }
      case Flaw.NoWitness:
        return "a transaction is encoded with witnesses but has none";
      case Flaw.NonMinimal:
        return "a count or a length is written in more bytes than it needs";
      default:
        return "the block ends after " + this.bytes.length.toString() + " bytes, inside a value";
    }
  }
}
