// Runs a guest's module under Node.js, over a state in memory: what tests of a guest need of a host.
//
//     const guest = await Guest.load("build/guest.wasm");
//     guest.block(1, bytes);
//     assert.deepEqual(guest.ask("totals", {}), { height: 1, … });
//
// It keeps the rules of docs/abi.md: a block sees the state below it, and leaves nothing if it fails.

import { readFile } from "node:fs/promises";

/** The guest ended a call by `abort`, with this message. */
export class Aborted extends Error {}

/** A view ended with this error; the guest goes on. */
export class ViewError extends Error {}

export class Guest {
  /** What was logged. */
  logs = [];
  /** The height of the newest block, or none. */
  height = undefined;
  #module;
  #views;
  #state = new Map();
  /** For each block, what its keys held before. */
  #undo = [];

  /** Compiles a module. */
  static async load(path) {
    const guest = new Guest();
    guest.#module = await WebAssembly.compile(await readFile(path));
    return guest;
  }

  /** Indexes a block, on an instance of its own. */
  block(height, bytes) {
    if (this.height !== undefined && height !== this.height + 1) throw new Error(`block ${height} is not the next`);
    const run = this.#start(height, bytes);
    run.writes = [];
    run.call(0, "_start");
    if (!run.hasFlushed) throw new Error(`block ${height}: the guest did not flush`);
    const before = new Map();
    for (const [key, value] of run.writes) {
      if (!before.has(key)) before.set(key, this.#state.get(key));
      this.#put(key, value.length > 0 ? value : undefined);
    }
    this.#undo.push(before);
    this.height = height;
  }

  /** Undoes the blocks above a height, as a reorganisation does. */
  rollback(height) {
    for (; this.height > height; this.height -= 1) {
      for (const [key, value] of this.#undo.pop()) this.#put(key, value);
    }
    this.#views = undefined;
  }

  /** Calls a view. The instance serves the next call, too, as in metashrew; after an abort it does not. */
  view(name, input = new Uint8Array()) {
    const run = this.#views ?? this.#start(0, input);
    run.begin(this.height ?? 0, input);
    this.#views = undefined;
    const pointer = run.call(1, name);
    this.#views = run;
    if (pointer !== 0) return run.buffer(pointer);
    const text = run.exports.__metashrew_error?.(0) ?? 0;
    if (text === 0) throw new Error(`view ${name} answers with a null pointer`);
    throw new ViewError(Buffer.from(run.buffer(text)).toString());
  }

  /** Calls a view whose question and answer are JSON. */
  ask(name, question = {}) {
    const answer = this.view(name, Buffer.from(JSON.stringify(question)));
    return JSON.parse(Buffer.from(answer).toString());
  }

  /** The memory of the instance that serves views. */
  get memoryBytes() {
    return this.#views?.exports.memory.buffer.byteLength ?? 0;
  }

  /** The value of a key (bytes or text), or none. */
  get(key) {
    return this.#state.get(Buffer.from(key).toString("latin1"));
  }

  #put(key, value) {
    if (value === undefined) this.#state.delete(key);
    else this.#state.set(key, value);
  }

  #start(height, bytes) {
    const run = new Run(this.#state, this.logs);
    run.begin(height, bytes);
    run.exports = new WebAssembly.Instance(this.#module, run.imports(this.#module)).exports;
    return run;
  }
}

/** An instance, and what its calls do. */
class Run {
  exports;
  /** What a block has flushed; a view's flushes are ignored. */
  writes;
  hasFlushed = false;
  #state;
  #logs;
  #input;
  #answer;

  constructor(state, logs) {
    this.#state = state;
    this.#logs = logs;
  }

  begin(height, bytes) {
    this.#input = Buffer.alloc(4 + bytes.length);
    this.#input.writeUInt32LE(height);
    this.#input.set(bytes, 4);
  }

  call(kind, name) {
    if (typeof this.exports[name] !== "function") throw new Error(`the guest has no export ${name}`);
    this.exports.__metashrew_begin?.(kind);
    return this.exports[name]();
  }

  /** The bytes of a buffer of the guest: their length stands before them. */
  buffer(pointer) {
    const memory = Buffer.from(this.exports.memory.buffer);
    const start = pointer >>> 0;
    return Uint8Array.from(memory.subarray(start, start + memory.readUInt32LE(start - 4)));
  }

  /** The functions of the host; others end the call, once they are called. */
  imports(module) {
    const known = { env: this.#env(), metashrew: this.#optional() };
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      const missing = () => {
        throw new Error(`the host has no function ${from}.${name}`);
      };
      (imports[from] ??= {})[name] = known[from]?.[name] ?? missing;
    }
    return imports;
  }

  #env() {
    return {
      __host_len: () => this.#input.length,
      __load_input: (to) => this.#write(to, this.#input),
      __get_len: (key) => this.#read(this.buffer(key)).length,
      __get: (key, to) => this.#write(to, this.#read(this.buffer(key))),
      __flush: (message) => this.#flush(Buffer.from(this.buffer(message))),
      __log: (text) => this.#logs.push(Buffer.from(this.buffer(text)).toString()),
      abort: (message, file, line, column) => {
        const at = file === 0 ? "" : ` (${this.#utf16(file)}:${line}:${column})`;
        throw new Aborted((message === 0 ? "" : this.#utf16(message)) + at);
      },
    };
  }

  #optional() {
    return {
      read_many: (keys) => {
        const parts = [];
        for (let left = Buffer.from(this.buffer(keys)); left.length > 0; ) {
          const [key, behind] = takePart(left);
          parts.push(part(this.#read(key)));
          left = behind;
        }
        this.#answer = Buffer.concat(parts);
        return this.#answer.length;
      },
      read_range: (request) => {
        this.#answer = range(this.#state, Buffer.from(this.buffer(request)));
        return this.#answer.length;
      },
      load_answer: (to) => {
        if (this.#answer === undefined) throw new Error("load_answer: there is no answer");
        this.#write(to, this.#answer);
        this.#answer = undefined;
      },
    };
  }

  #read(key) {
    return this.#state.get(Buffer.from(key).toString("latin1")) ?? new Uint8Array();
  }

  #write(to, bytes) {
    new Uint8Array(this.exports.memory.buffer).set(bytes, to >>> 0);
  }

  #utf16(pointer) {
    return Buffer.from(this.buffer(pointer)).toString("utf16le");
  }

  /** Takes a KeyValueFlush: field 1, key and value in turn. */
  #flush(message) {
    this.hasFlushed = true;
    const items = [];
    for (let at = 0; at < message.length; ) {
      if (message[at++] !== 0x0a) throw new Error("__flush: not a KeyValueFlush");
      let length = 0;
      let shift = 0;
      do length += (message[at] & 0x7f) * 2 ** shift;
      while (((shift += 7), message[at++] & 0x80));
      if (at + length > message.length) throw new Error("__flush: the message ends inside a value");
      items.push(Uint8Array.from(message.subarray(at, at + length)));
      at += length;
    }
    if (items.length % 2 !== 0) throw new Error("__flush: the last key has no value");
    for (let i = 0; i < items.length; i += 2) {
      this.writes?.push([Buffer.from(items[i]).toString("latin1"), items[i + 1]]);
    }
  }
}

const MOST_PAIRS = 65_536;
const MOST_BYTES = 2 ** 26;

/** The answer to a range (docs/abi.md, `read_range`). */
function range(state, request) {
  const flags = request[0];
  const count = Math.min(request.readUInt32LE(1), MOST_PAIRS);
  const bytes = Math.min(request.readUInt32LE(5), MOST_BYTES);
  const [start, behind] = takePart(request.subarray(9));
  const [end] = takePart(behind);
  const inside = [...state.keys()].map((key) => Buffer.from(key, "latin1")).filter((key) => {
    return Buffer.compare(key, start) >= 0 && (end.length === 0 || Buffer.compare(key, end) < 0);
  });
  inside.sort(Buffer.compare);
  if (flags & 1) inside.reverse();
  const parts = [];
  let why = 0;
  let used = 0;
  for (const key of inside) {
    const value = state.get(key.toString("latin1"));
    const size = key.length + (flags & 2 ? 0 : value.length) + 8;
    if (parts.length === count) why = 1;
    else if (used + size > bytes) why = parts.length === 0 ? 3 : 2;
    if (why === 3) parts.push(Buffer.concat([part(key), number(value.length)]));
    if (why !== 0) break;
    used += size;
    parts.push(Buffer.concat([part(key), flags & 2 ? number(value.length) : part(value)]));
  }
  return Buffer.concat([Buffer.of(why), ...parts]);
}

function number(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A length and as many bytes. */
function part(bytes) {
  return Buffer.concat([number(bytes.length), bytes]);
}

function takePart(bytes) {
  const length = bytes.readUInt32LE(0);
  if (4 + length > bytes.length) throw new Error("a request ends inside a part");
  return [bytes.subarray(4, 4 + length), bytes.subarray(4 + length)];
}
