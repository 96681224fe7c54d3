// Pointers into the state: values and lists under keys that grow by appending.
//
// A list lives under `key/length` (u32) and `key/0`, `key/1`…, as with the SDK for Rust.

import { concat, fromLittleEndian, littleEndian, utf8 } from "./bytes";
import { get, set } from "./state";

/** A key, and what can be done with what is under it. */
export class Pointer {
  /** Points to a key. */
  constructor(public key: Uint8Array) {}

  /** Points to the key that a text is. */
  static for(keyword: string): Pointer {
    return new Pointer(utf8(keyword));
  }

  /** A longer key: these bytes follow. */
  select(bytes: Uint8Array): Pointer {
    return new Pointer(concat(this.key, bytes));
  }

  /** A longer key: this text follows. */
  keyword(text: string): Pointer {
    return this.select(utf8(text));
  }

  /** A longer key: this integer follows, the lowest byte first. */
  selectValue<T extends number>(value: T): Pointer {
    return this.select(littleEndian<T>(value));
  }

  /** The value; empty if there is none. */
  get(): Uint8Array {
    return get(this.key);
  }

  /** Sets the value. */
  set(value: Uint8Array): void {
    set(this.key, value);
  }

  /** The integer kept here; 0 if there is none. One of another size ends the call. */
  getValue<T extends number>(): T {
    return fromLittleEndian<T>(this.get());
  }

  /** Keeps an integer. */
  setValue<T extends number>(value: T): void {
    this.set(littleEndian<T>(value));
  }

  /** Makes the key absent. */
  remove(): void {
    this.set(new Uint8Array(0));
  }

  /** Sets the value to one zero byte, as the SDK for Rust does. */
  nullify(): void {
    this.set(new Uint8Array(1));
  }

  /** Where the list's length is. */
  lengthKey(): Pointer {
    return this.keyword("/length");
  }

  /** How many items the list has. */
  length(): u32 {
    return this.lengthKey().getValue<u32>();
  }

  /** An item of the list. */
  selectIndex(index: u32): Pointer {
    return this.keyword("/" + index.toString());
  }

  /** All items of the list. */
  getList(): Array<Uint8Array> {
    const length = this.length();
    const items = new Array<Uint8Array>();
    for (let i: u32 = 0; i < length; i++) items.push(this.selectIndex(i).get());
    return items;
  }

  /** All items of a list of integers. */
  getListValues<T extends number>(): Array<T> {
    const length = this.length();
    const items = new Array<T>();
    for (let i: u32 = 0; i < length; i++) items.push(this.selectIndex(i).getValue<T>());
    return items;
  }

  /** Makes the list longer by one, and points to the new item. */
  extend(): Pointer {
    const length = this.length();
    this.lengthKey().setValue<u32>(length + 1);
    return this.selectIndex(length);
  }

  /** Adds an item to the list. */
  append(value: Uint8Array): void {
    this.extend().set(value);
  }

  /** Adds an integer to the list. */
  appendValue<T extends number>(value: T): void {
    this.extend().setValue<T>(value);
  }

  /** Makes the list shorter by one, and returns what was last; empty if the list is. The item's key keeps its value. */
  pop(): Uint8Array {
    const length = this.length();
    if (length == 0) return new Uint8Array(0);
    this.lengthKey().setValue<u32>(length - 1);
    return this.selectIndex(length - 1).get();
  }

  /** As `pop`, of a list of integers; 0 if the list is empty. */
  popValue<T extends number>(): T {
    return fromLittleEndian<T>(this.pop());
  }
}
