// A position in encoded bytes that moves forward.

/** What keeps bytes from being a block. */
export const enum Flaw {
  None,
  Short,
  WitnessFlag,
  NoWitness,
  NonMinimal,
}

/** Reads what a block is made of. The first flaw stays, and what is read after it is 0. */
export class Reader {
  flaw: Flaw = Flaw.None;
  at: i32 = 0;

  constructor(private bytes: Uint8Array) {}

  get isSound(): bool {
    return this.flaw == Flaw.None;
  }

  /** Moves over so many bytes. */
  skip(count: u64): void {
    if (!this.isSound) return;
    if (count > <u64>(this.bytes.length - this.at)) this.flaw = Flaw.Short;
    else this.at += <i32>count;
  }

  /** A number of a fixed size. */
  number<T extends number>(): T {
    const start = this.at;
    this.skip(sizeof<T>());
    return this.isSound ? load<T>(this.bytes.dataStart + start) : <T>0;
  }

  /** A count or a length, in as few bytes as it needs. */
  length(): u64 {
    const first = this.number<u8>();
    if (first < 0xfd) return first;
    let long: u64;
    let least: u64;
    if (first == 0xfd) {
      long = this.number<u16>();
      least = 0xfd;
    } else if (first == 0xfe) {
      long = this.number<u32>();
      least = 0x10000;
    } else {
      long = this.number<u64>();
      least = (<u64>1) << 32;
    }
    if (this.isSound && long < least) this.flaw = Flaw.NonMinimal;
    return this.isSound ? long : 0;
  }

  /** Moves over a length and as many bytes. */
  skipSized(): void {
    this.skip(this.length());
  }
}
