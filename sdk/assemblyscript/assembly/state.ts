// The state: reads, and the writes of this call, which reads see.

import { flushMessage, loadAnswer, loadValue, readKeys, valueLength } from "./host";
import { bufferOf, ByteWriter } from "./bytes";
import { Parts } from "./parts";

/** What was set since the last flush, by key. */
let pending = new Map<string, Uint8Array>();
/** What the call has flushed; the host shows it to later blocks only. */
let flushed = new Map<string, Uint8Array>();

/** The value of a key, as the call has set it or as the state has it; empty if it has none. */
export function get(key: Uint8Array): Uint8Array {
  const own = ownValue(key);
  return own === null ? stored(key) : own.slice();
}

/** Sets a key. An empty value makes the key absent. It reaches the state with `flush`. */
export function set(key: Uint8Array, value: Uint8Array): void {
  pending.set(nameOf(key), value.slice());
}

/** Hands what was set to the host. A block has to flush once, even if it has set nothing. */
export function flush(): void {
  const names = pending.keys();
  const message = new ByteWriter();
  for (let i = 0; i < names.length; i++) {
    const value = pending.get(names[i]);
    message.field(1, keyOf(names[i])).field(1, value);
    flushed.set(names[i], value);
  }
  pending.clear();
  flushMessage(message.toBuffer());
}

/**
 * The values of many keys in one call of the host, in their order; an absent key's is empty. Keys may be 65,536
 * at most, values 256 MiB together: more ends the call. It needs a host with the import module `metashrew`.
 */
export function readMany(keys: Array<Uint8Array>): Array<Uint8Array> {
  const request = new ByteWriter();
  for (let i = 0; i < keys.length; i++) request.part(keys[i]);
  const length = readKeys(request.toBuffer());
  if (length == -1) throw new Error("readMany: " + keys.length.toString() + " keys are more than 65,536");
  if (length == -2) throw new Error("readMany: the values have more than 256 MiB");
  if (length < 0) throw new Error("readMany: error " + length.toString() + " of the host");
  const answer = new ArrayBuffer(length);
  loadAnswer(answer);
  const parts = new Parts(Uint8Array.wrap(answer));
  const values = new Array<Uint8Array>(keys.length);
  for (let i = 0; i < keys.length; i++) {
    const value = parts.next();
    const own = ownValue(keys[i]);
    values[i] = own === null ? value : own.slice();
  }
  return values;
}

/** The keys that the call has set, in no order of use. */
export function ownKeys(): Array<Uint8Array> {
  const keys = new Array<Uint8Array>();
  const later = pending.keys();
  for (let i = 0; i < later.length; i++) keys.push(keyOf(later[i]));
  const earlier = flushed.keys();
  for (let i = 0; i < earlier.length; i++) if (!pending.has(earlier[i])) keys.push(keyOf(earlier[i]));
  return keys;
}

/** What the call has set for a key, or null. */
export function ownValue(key: Uint8Array): Uint8Array | null {
  if (pending.size == 0 && flushed.size == 0) return null;
  const name = nameOf(key);
  if (pending.has(name)) return pending.get(name);
  return flushed.has(name) ? flushed.get(name) : null;
}

/** Forgets what an earlier call set. */
export function forgetWrites(): void {
  if (pending.size > 0) pending = new Map<string, Uint8Array>();
  if (flushed.size > 0) flushed = new Map<string, Uint8Array>();
}

function stored(key: Uint8Array): Uint8Array {
  const buffer = bufferOf(key);
  const value = new ArrayBuffer(valueLength(buffer));
  if (value.byteLength > 0) loadValue(buffer, value);
  return Uint8Array.wrap(value);
}

/** A key as a string of as many characters: maps compare strings by what they hold. */
function nameOf(key: Uint8Array): string {
  const name = new StaticArray<u16>(key.length);
  for (let i = 0; i < key.length; i++) unchecked((name[i] = key[i]));
  return String.UTF16.decodeUnsafe(changetype<usize>(name), key.length << 1);
}

function keyOf(name: string): Uint8Array {
  const key = new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) unchecked((key[i] = <u8>name.charCodeAt(i)));
  return key;
}
