// Bytes, and what is made of them: text, hex, numbers.

/** The bytes of a text in UTF-8. */
export function utf8(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

/** The text that bytes hold in UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

/** Whether two byte strings are the same. */
export function equal(a: Uint8Array, b: Uint8Array): bool {
  return a.length == b.length && memory.compare(a.dataStart, b.dataStart, a.length) == 0;
}

/** Negative, 0 or positive, as `a` is before, the same as or after `b` in the order of keys. */
export function compare(a: Uint8Array, b: Uint8Array): i32 {
  const order = memory.compare(a.dataStart, b.dataStart, min(a.length, b.length));
  return order != 0 ? order : a.length - b.length;
}

/** Two byte strings, one after the other. */
export function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Bytes as an ArrayBuffer of their own, as the host takes them. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  const whole = bytes.byteOffset == 0 && bytes.length == bytes.buffer.byteLength;
  return whole ? bytes.buffer : bytes.slice().buffer;
}

/** An integer's bytes, the lowest first: how values are kept. */
export function littleEndian<T extends number>(value: T): Uint8Array {
  const bytes = new Uint8Array(sizeof<T>());
  store<T>(bytes.dataStart, value);
  return bytes;
}

/** An integer's bytes, the highest first: keys made so are in the order of unsigned numbers. */
export function bigEndian<T extends number>(value: T): Uint8Array {
  return littleEndian<T>(bswap<T>(value));
}

/** The integer that bytes hold, the lowest first; 0 if there are none. A wrong length ends the call. */
export function fromLittleEndian<T extends number>(bytes: Uint8Array): T {
  if (bytes.length == 0) return <T>0;
  if (bytes.length != sizeof<T>()) {
    throw new Error("want " + sizeof<T>().toString() + " bytes of a number, not " + bytes.length.toString());
  }
  return load<T>(bytes.dataStart);
}

/** Bytes in hex. */
export function hex(bytes: Uint8Array): string {
  const text = new StaticArray<u16>(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    text[2 * i] = digit(bytes[i] >> 4);
    text[2 * i + 1] = digit(bytes[i] & 15);
  }
  return String.UTF16.decodeUnsafe(changetype<usize>(text), bytes.length * 4);
}

/** A hash as people read it: hex, last byte first. */
export function hashHex(hash: Uint8Array): string {
  return hex(hash.slice().reverse());
}

/** The bytes that a hex text stands for, or null if it is none. */
export function fromHex(text: string): Uint8Array | null {
  if (text.length % 2 != 0) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = nibble(text.charCodeAt(2 * i));
    const low = nibble(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) return null;
    bytes[i] = <u8>((high << 4) | low);
  }
  return bytes;
}

function digit(nibble: u8): u16 {
  return nibble < 10 ? 0x30 + nibble : 0x57 + nibble;
}

function nibble(c: i32): i32 {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Bytes that grow at their end. */
export class ByteWriter {
  private held: Uint8Array = new Uint8Array(64);
  private used: i32 = 0;

  /** How many bytes were written. */
  get length(): i32 {
    return this.used;
  }

  /** Adds bytes. */
  bytes(bytes: Uint8Array): ByteWriter {
    const at = this.room(bytes.length);
    memory.copy(at, bytes.dataStart, bytes.length);
    return this;
  }

  /** Adds an integer, the lowest byte first. */
  number<T extends number>(value: T): ByteWriter {
    store<T>(this.room(sizeof<T>()), value);
    return this;
  }

  /** Adds a length and as many bytes: a part, as the host's optional functions have it. */
  part(bytes: Uint8Array): ByteWriter {
    return this.number<u32>(bytes.length).bytes(bytes);
  }

  /** Adds a number of protobuf, seven bits a byte. */
  varint(value: u32): ByteWriter {
    while (value > 0x7f) {
      this.number<u8>(<u8>value | 0x80);
      value >>= 7;
    }
    return this.number<u8>(<u8>value);
  }

  /** Adds a field of protobuf that holds bytes. */
  field(number: u32, bytes: Uint8Array): ByteWriter {
    return this.varint((number << 3) | 2).varint(bytes.length).bytes(bytes);
  }

  /** What was written, as an ArrayBuffer of just this length. */
  toBuffer(): ArrayBuffer {
    return this.held.buffer.slice(0, this.used);
  }

  /** What was written. */
  toBytes(): Uint8Array {
    return Uint8Array.wrap(this.toBuffer());
  }

  /** Where so many bytes more go. */
  private room(count: i32): usize {
    const needed = <i64>this.used + count;
    if (needed > i32.MAX_VALUE / 2) throw new Error("more than 1 GiB of bytes");
    if (needed > this.held.length) {
      const larger = new Uint8Array(max(<i32>needed, this.held.length * 2));
      memory.copy(larger.dataStart, this.held.dataStart, this.used);
      this.held = larger;
    }
    const at = this.held.dataStart + this.used;
    this.used = <i32>needed;
    return at;
  }
}
