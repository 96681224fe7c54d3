// What is stored. Numbers are u64, the lowest byte first.
//
// `b` and the SHA-256 of a script: what the script has, in satoshi.
// `o` and an outpoint (36 bytes, as inputs have it): an unspent output's value, and the SHA-256 of its script.

import { ByteWriter, fromLittleEndian, Pointer, sha256 } from "@metashrew/as";

const SATOSHI_BYTES: i32 = 8;

/** Where a script's balance is. */
export function balanceOf(script: Uint8Array): Pointer {
  return balanceOfHash(sha256(script));
}

function balanceOfHash(scriptHash: Uint8Array): Pointer {
  return Pointer.for("b").select(scriptHash);
}

/** Where an output is kept, as long as it is unspent. */
export class Output {
  private constructor(private kept: Pointer) {}

  /** That of an outpoint. */
  static at(outpoint: Uint8Array): Output {
    return new Output(Pointer.for("o").select(outpoint));
  }

  /** That of a transaction and a number. */
  static of(txid: Uint8Array, vout: u32): Output {
    return Output.at(new ByteWriter().bytes(txid).number<u32>(vout).toBytes());
  }

  /** Adds it to its script's balance. */
  create(script: Uint8Array, satoshi: u64): void {
    // Two old coinbases (in blocks 91,842 and 91,880) are those of earlier blocks again, whose outputs are lost.
    this.spend();
    const scriptHash = sha256(script);
    this.kept.set(new ByteWriter().number<u64>(satoshi).bytes(scriptHash).toBytes());
    const balance = balanceOfHash(scriptHash);
    balance.setValue<u64>(balance.getValue<u64>() + satoshi);
  }

  /** Takes it away, if it is known: a coinbase spends none. */
  spend(): void {
    const output = this.kept.get();
    if (output.length == 0) return;
    const satoshi = fromLittleEndian<u64>(output.subarray(0, SATOSHI_BYTES));
    const balance = balanceOfHash(output.subarray(SATOSHI_BYTES));
    balance.setValue<u64>(balance.getValue<u64>() - satoshi);
    this.kept.remove();
  }
}
