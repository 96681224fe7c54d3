// Keys in order: those of a prefix or between two keys, page by page.

import { loadAnswer, readRange } from "./host";
import { ByteWriter, compare, concat } from "./bytes";
import { Parts } from "./parts";
import { get, ownKeys, ownValue } from "./state";

const MAX_LIMIT: i32 = 65_536;
const MAX_BYTES: u32 = 1 << 26;
const DESCENDING: u8 = 1;
const KEYS_ONLY: u8 = 2;

/** Why an answer of the host ends. */
const END_OF_RANGE: u8 = 0;
const FIRST_PAIR_TOO_LONG: u8 = 3;

/** A key and its value. */
export class Entry {
  constructor(
    /** The whole key, with the range's prefix. */
    public key: Uint8Array,
    /** Its value; empty if only keys were asked for. */
    public value: Uint8Array,
  ) {}
}

/** Some entries of a range, in its order. */
export class Page {
  constructor(
    public entries: Array<Entry>,
    /** What to give to `after` for the page behind; null exactly if nothing follows. */
    public next: Uint8Array | null,
  ) {}
}

/**
 * A range of keys: `Range.prefix(utf8("/balance/")).limit(100).page()`. It shows what `get` shows: the state, with
 * the call's own writes on top; a key with an empty value is not in it. It needs a host with the import
 * module `metashrew`, which each page asks at least once.
 */
export class Range {
  private isReverse: bool = false;
  private isKeysOnly: bool = false;
  private most: i32 = 100;

  private constructor(
    private start: Uint8Array,
    /** The key before which it ends; null is the end of all keys. */
    private end: Uint8Array | null,
  ) {}

  /** All keys that begin so. */
  static prefix(prefix: Uint8Array): Range {
    let length = prefix.length;
    while (length > 0 && prefix[length - 1] == 0xff) length--;
    if (length == 0) return new Range(prefix, null);
    const end = prefix.slice(0, length);
    end[length - 1] += 1;
    return new Range(prefix, end);
  }

  /** The keys from `start` on and before `end`. */
  static between(start: Uint8Array, end: Uint8Array): Range {
    return new Range(start, end);
  }

  /** The highest key first. */
  reverse(): Range {
    this.isReverse = true;
    return this;
  }

  /** Values stay empty: they are not read. */
  keysOnly(): Range {
    this.isKeysOnly = true;
    return this;
  }

  /** How many entries a page has at most: 100 if nothing is said, 65,536 at most. */
  limit(count: i32): Range {
    if (count < 1 || count > MAX_LIMIT) throw new Error("a page has 1 to 65,536 entries, not " + count.toString());
    this.most = count;
    return this;
  }

  /** What follows the page that had this `next`. Say `reverse` before. */
  after(cursor: Uint8Array): Range {
    if (this.isReverse) this.end = cursor;
    else this.start = concat(cursor, new Uint8Array(1));
    return this;
  }

  /** Reads a page. */
  page(): Page {
    // One more than asked for tells whether there is another page.
    const merge = new Merge(this.ownInside(), this.most + 1, this.isReverse, this.isKeysOnly);
    let start = this.start;
    let end = this.end;
    while (!this.isEmpty(start, end)) {
      const answer = this.ask(start, end, this.most + 1 - merge.entries.length);
      const why = answer.byte();
      let last = start;
      while (!answer.isAtEnd) {
        last = answer.next();
        if (why == FIRST_PAIR_TOO_LONG) {
          answer.number();
          merge.stored(last, get(last));
        } else if (this.isKeysOnly) {
          answer.number();
          merge.stored(last, new Uint8Array(0));
        } else {
          merge.stored(last, answer.next());
        }
      }
      if (why == END_OF_RANGE || merge.isFull) break;
      if (this.isReverse) end = last;
      else start = concat(last, new Uint8Array(1));
    }
    merge.rest();
    const entries = merge.entries;
    if (entries.length <= this.most) return new Page(entries, null);
    return new Page(entries.slice(0, this.most), entries[this.most - 1].key);
  }

  private isEmpty(start: Uint8Array, end: Uint8Array | null): bool {
    return end !== null && compare(start, end) >= 0;
  }

  /** What the call has set inside the range, in its order. */
  private ownInside(): Array<Uint8Array> {
    const keys = ownKeys();
    const inside = new Array<Uint8Array>();
    const end = this.end;
    for (let i = 0; i < keys.length; i++) {
      const isBehindStart = compare(keys[i], this.start) >= 0;
      if (isBehindStart && (end === null || compare(keys[i], end) < 0)) inside.push(keys[i]);
    }
    inside.sort((a, b) => compare(a, b));
    return this.isReverse ? inside.reverse() : inside;
  }

  private ask(start: Uint8Array, end: Uint8Array | null, count: i32): Parts {
    const flags: u8 = (this.isReverse ? DESCENDING : 0) | (this.isKeysOnly ? KEYS_ONLY : 0);
    const request = new ByteWriter().number<u8>(flags).number<u32>(count).number<u32>(MAX_BYTES).part(start);
    request.part(end === null ? new Uint8Array(0) : end);
    const answer = new ArrayBuffer(readRange(request.toBuffer()));
    loadAnswer(answer);
    return new Parts(Uint8Array.wrap(answer));
  }
}

/** Puts the call's own writes between and over what the state has. */
class Merge {
  entries: Array<Entry> = new Array<Entry>();
  private at: i32 = 0;

  constructor(
    private own: Array<Uint8Array>,
    private most: i32,
    private isReverse: bool,
    private isKeysOnly: bool,
  ) {}

  get isFull(): bool {
    return this.entries.length >= this.most;
  }

  /** Takes the next key of the state, and own ones before it. */
  stored(key: Uint8Array, value: Uint8Array): void {
    while (this.at < this.own.length && this.isBefore(this.own[this.at], key)) this.takeOwn();
    if (this.at < this.own.length && compare(this.own[this.at], key) == 0) this.takeOwn();
    else this.add(key, value);
  }

  /** Takes the own keys that are left. */
  rest(): void {
    while (this.at < this.own.length && !this.isFull) this.takeOwn();
  }

  private isBefore(own: Uint8Array, key: Uint8Array): bool {
    const order = compare(own, key);
    return this.isReverse ? order > 0 : order < 0;
  }

  private takeOwn(): void {
    const key = this.own[this.at++];
    const value = ownValue(key);
    if (value !== null && value.length > 0) this.add(key, this.isKeysOnly ? new Uint8Array(0) : value.slice());
  }

  private add(key: Uint8Array, value: Uint8Array): void {
    if (!this.isFull) this.entries.push(new Entry(key, value));
  }
}
