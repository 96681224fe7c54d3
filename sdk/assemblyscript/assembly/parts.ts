// Answers of the host's optional functions: lengths, each with as many bytes behind it.

/** Reads an answer from its start. What reaches beyond its end ends the call. */
export class Parts {
  private at: i32 = 0;

  constructor(private answer: Uint8Array) {}

  /** Whether all is read. */
  get isAtEnd(): bool {
    return this.at >= this.answer.length;
  }

  /** The next byte. */
  byte(): u8 {
    return load<u8>(this.take(1));
  }

  /** The next number. */
  number(): u32 {
    return load<u32>(this.take(4));
  }

  /** The next part, as bytes of its own. */
  next(): Uint8Array {
    const length = this.number();
    if (length > <u32>(this.answer.length - this.at)) throw new Error("the host's answer ends inside a part");
    const start = this.at;
    this.at += length;
    return this.answer.slice(start, this.at);
  }

  private take(count: i32): usize {
    if (count > this.answer.length - this.at) throw new Error("the host's answer ends inside a number");
    const place = this.answer.dataStart + this.at;
    this.at += count;
    return place;
  }
}
