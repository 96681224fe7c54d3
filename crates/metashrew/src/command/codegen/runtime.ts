/** What names a block: its height, its hash, `"height:hash"`, `"latest"` or `"pending"`. An event's cursor names its block, too. */
export type BlockId = number | string;

/** A whole number that may be beyond 2^53: a `bigint` where a `number` would not be exact. `BigInt(value)` is exact for both. */
export type Integer = number | bigint;

/** Bytes as hex, with `0x`. */
export type Hex = string;

/** A view's input where the guest does not tell its form: bytes, text, or JSON. */
export type Input = Uint8Array | string | { readonly json: unknown };

/** A view's answer where the guest does not tell its form. */
export class Output {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** As text; throws if it is not UTF-8. */
  text(): string {
    return decodeText(this.bytes);
  }

  /** As JSON; an empty answer is `null`. */
  json<T = unknown>(): T {
    return decodeJson(this.bytes) as T;
  }
}

export interface CallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** How long the call may take; by default as long as the client's. */
  readonly timeoutMs?: number;
}

export interface ClientOptions {
  /** Where `metashrew start` serves; by default `http://127.0.0.1:8080`. */
  readonly url?: string;
  /** Sent with each request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long a call may take; by default a minute. */
  readonly timeoutMs?: number;
  /** What to call in place of the platform's `fetch`. */
  readonly fetch?: typeof fetch;
}

/** The server, or a view, says that it cannot answer. */
export class RpcError extends Error {
  /** As in JSON-RPC; 0 if the server said nothing of that kind. */
  readonly code: number;
  /** For programs: `data.kind` is a fixed word. */
  readonly data: unknown;

  constructor(code: number, message: string, data: unknown) {
    super(message);
    this.name = "RpcError";
    this.code = code;
    this.data = data;
  }

  /** Whether the same may be tried again. */
  get isTemporary(): boolean {
    return this.kind === "cursor_ahead";
  }

  /** The fixed word of `data.kind`, such as `no_such_view`; empty if there is none. */
  get kind(): string {
    const kind = (this.data as { kind?: unknown } | null | undefined)?.kind;
    return typeof kind === "string" ? kind : "";
  }
}

/** The last block that is indexed. */
export interface Tip {
  readonly height: number;
  readonly hash: Hex;
  readonly historyRoot: Hex;
}

/** A position after a block, `"height:hash"`, from which a subscription goes on. */
export type Cursor = string;

export interface FollowOptions {
  /** Go on after this event; by default the subscription begins at the tip. */
  readonly cursor?: Cursor;
  /** Begin before the first block that the server holds. A cursor goes before it. */
  readonly from?: "first";
  /** Ends the subscription; the loop over it ends, too. */
  readonly signal?: AbortSignal;
  /** A connection that brings nothing for so long, not even a heartbeat, is given up; by default 90 seconds. */
  readonly idleMs?: number;
  /** Told whenever the connection is lost, before it is tried again. */
  readonly onRetry?: (cause: unknown, waitMs: number) => void;
}

export interface BlockRef {
  readonly height: number;
  readonly hash: Hex;
}

export interface Write {
  readonly key: Hex;
  /** `"0x"` is an absent value; `null` one that is too long to be told. */
  readonly value: Hex | null;
  /** How many bytes a value has that is too long. */
  readonly length?: number;
}

interface Positioned {
  readonly cursor: Cursor;
  readonly height: number;
  readonly hash: Hex;
}

/** Where the subscription stands: nothing that it tells of happened up to here. */
export interface PositionEvent {
  readonly type: "position";
  readonly cursor: Cursor;
  /** `null` before the first block. */
  readonly height: number | null;
  readonly hash: Hex | null;
}

/** So many blocks have come that are not told yet. */
export interface BehindEvent {
  readonly type: "behind";
  readonly cursor: Cursor;
  readonly blocks: number;
}

/** A block was added. */
export interface BlockEvent extends Positioned {
  readonly type: "block";
  readonly parent: Hex;
  readonly historyRoot: Hex;
}

/** A reorg: these blocks are gone, from the top down; the event's own block is the tip now. */
export interface UndoEvent extends Positioned {
  readonly type: "undo";
  readonly undone: readonly BlockRef[];
}

/** A block wrote these keys. */
export interface BlockWritesEvent extends BlockEvent {
  readonly writes: readonly Write[];
}

/** A reorg: these keys have these values again. */
export interface UndoWritesEvent extends UndoEvent {
  readonly writes: readonly Write[];
}

/** A view answers something else from this block on. */
export interface AnswerEvent<T> extends Positioned {
  readonly type: "answer";
  readonly result: T;
  readonly error?: undefined;
  /** After a reorg: the blocks that are gone. */
  readonly undone?: readonly BlockRef[];
}

/** A view fails from this block on. */
export interface FailureEvent extends Positioned {
  readonly type: "answer";
  readonly result?: undefined;
  readonly error: { readonly code: number; readonly message: string; readonly data?: unknown };
  readonly undone?: readonly BlockRef[];
}

/** Another pending block, and what it writes. */
export interface PendingEvent {
  readonly type: "pending";
  readonly number: number;
  readonly height: number;
  readonly hash: Hex;
  readonly parent: Hex;
  readonly writes: readonly Write[];
}

/** There is no pending block now. */
export interface NoPendingEvent {
  readonly type: "none";
}

export type Subscription<E> = AsyncGenerator<E, void, undefined>;
export type HeadsEvent = BlockEvent | UndoEvent | PositionEvent | BehindEvent;
export type WritesEvent = BlockWritesEvent | UndoWritesEvent | PositionEvent | BehindEvent;
export type ViewEvent<T> = AnswerEvent<T> | FailureEvent | PositionEvent | BehindEvent;

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
const KNOWN_EVENTS = new Set(["position", "behind", "block", "undo", "answer", "pending", "none"]);

/** What every guest's client has. */
export class BaseClient<StorageName extends string = string> {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions = {}) {
    this.#url = (options.url ?? "http://127.0.0.1:8080").replace(/\/+$/, "");
    this.#headers = options.headers ?? {};
    this.#timeoutMs = options.timeoutMs ?? 60_000;
    // A browser's `fetch` has to be called as a function of its own.
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** Calls a method of the server's JSON-RPC. */
  async rpc(method: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    const abort = new Abort(options.signal);
    abort.after(options.timeoutMs ?? this.#timeoutMs);
    try {
      const response = await this.#fetch(`${this.#url}/`, {
        method: "POST",
        headers: { ...this.#headers, "content-type": "application/json" },
        body: writeJson({ jsonrpc: "2.0", id: 1, method, params }),
        signal: abort.signal,
      });
      return resultOf(response.status, await response.text());
    } finally {
      abort.done();
    }
  }

  /** What a view answers about the state after a block, in bytes. */
  async view(name: string, input: Input, block: BlockId = "latest", options: CallOptions = {}): Promise<Uint8Array> {
    return fromHex(String(await this.rpc("metashrew_view", [name, toHex(inputBytes(input)), block], options)));
  }

  /** The last block that is indexed; `null` before the first. */
  async tip(options: CallOptions = {}): Promise<Tip | null> {
    const told = (await this.rpc("metashrew_snapshot", [], options)) as Record<string, unknown>;
    const { indexed_height: height, block_hash: hash, history_root: historyRoot } = told;
    return typeof height === "number" ? { height, hash: String(hash), historyRoot: String(historyRoot) } : null;
  }

  /** The hash of a block. */
  async blockHash(block: BlockId = "latest", options: CallOptions = {}): Promise<Hex> {
    return String(await this.rpc("metashrew_getblockhash", [block], options));
  }

  /** The history root at a block. */
  async stateRoot(block: BlockId = "latest", options: CallOptions = {}): Promise<Hex> {
    return String(await this.rpc("metashrew_stateroot", [block], options));
  }

  /** Blocks that come and go. */
  heads(options: FollowOptions = {}): Subscription<HeadsEvent> {
    return this.#follow("heads", {}, options);
  }

  /** What blocks write, in keys that begin with a prefix, or in a table of the guest. */
  writes(
    filter: { readonly prefix?: Hex | Uint8Array; readonly storage?: StorageName } = {},
    options: FollowOptions = {},
  ): Subscription<WritesEvent> {
    const { prefix, storage } = filter;
    const query = { prefix: prefix instanceof Uint8Array ? toHex(prefix) : prefix, storage };
    return this.#follow("writes", query, options);
  }

  /** The pending block, whenever there is another one. It has no cursor. */
  pending(
    filter: { readonly prefix?: Hex | Uint8Array } = {},
    options: Omit<FollowOptions, "cursor" | "from"> = {},
  ): Subscription<PendingEvent | NoPendingEvent> {
    const { prefix } = filter;
    const query = { prefix: prefix instanceof Uint8Array ? toHex(prefix) : prefix };
    return this.#follow("pending", query, options);
  }

  /** A view's answers, whenever they change. */
  watchView<T>(
    name: string,
    input: Input,
    decode: (answer: Uint8Array) => T,
    options: FollowOptions = {},
  ): Subscription<ViewEvent<T>> {
    const query = { input: toHex(inputBytes(input)) };
    return this.#follow(`view/${encodeURIComponent(name)}`, query, options, (event) => {
      const told = event as unknown as ViewEvent<T>;
      if (told.type !== "answer" || told.error !== undefined) return told;
      // Without `strictNullChecks` nothing tells the compiler so.
      return { ...(told as AnswerEvent<T>), result: decode(fromHex(String(told.result))) };
    });
  }

  /** Events from a cursor on, over as many connections as it takes: none is lost and none comes twice. */
  async *#follow<E>(
    path: string,
    query: Query,
    options: FollowOptions,
    decode = (event: RawEvent): E => event as unknown as E,
  ): Subscription<E> {
    const { signal, from } = options;
    let cursor = options.cursor;
    let waitMs = FIRST_WAIT_MS;
    while (!isAborted(signal)) {
      let cause: unknown;
      let isReading = true;
      try {
        const start = cursor === undefined ? { from } : { cursor };
        for await (const event of this.#connect(path, { ...query, ...start }, options)) {
          waitMs = FIRST_WAIT_MS;
          isReading = false;
          if (KNOWN_EVENTS.has(event.type)) yield decode(event);
          isReading = true;
          // Only now has it arrived: the loop over this asks for the next one.
          cursor = event.cursor ?? cursor;
        }
      } catch (error) {
        if (!isReading || (error instanceof RpcError && !error.isTemporary)) throw error;
        cause = error;
      }
      if (isAborted(signal)) return;
      const jittered = waitMs * (0.5 + Math.random() / 2);
      options.onRetry?.(cause, jittered);
      await sleep(jittered, signal);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    }
  }

  /** The whole events of one connection. */
  async *#connect(path: string, query: Query, options: FollowOptions): AsyncGenerator<RawEvent, void, undefined> {
    const pairs = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    );
    const abort = new Abort(options.signal);
    const idleMs = options.idleMs ?? 90_000;
    try {
      abort.after(idleMs);
      const response = await this.#fetch(`${this.#url}/subscribe/${path}?${pairs.join("&")}`, {
        headers: { ...this.#headers, accept: "text/event-stream" },
        signal: abort.signal,
      });
      if (!response.ok || response.body === null) {
        resultOf(response.status, await response.text());
        throw new TemporaryError(0, `HTTP status ${response.status} in place of events`, null);
      }
      const parts: RawEvent[] = [];
      for await (const data of messages(response.body, () => abort.after(idleMs))) {
        const event = readJson(data) as RawEvent;
        if (event.type === "end") return;
        if (event.part === undefined) {
          yield event;
          continue;
        }
        if (event.part !== parts.length) throw new Error("a part of an event is missing");
        parts.push(event);
        if (event.last === true) yield joined(parts.splice(0));
      }
    } finally {
      abort.done();
    }
  }
}

type Query = Record<string, string | undefined>;

interface RawEvent {
  readonly type: string;
  readonly cursor?: Cursor;
  readonly part?: number;
  readonly last?: boolean;
  readonly [member: string]: unknown;
}

/** What may be tried again. */
class TemporaryError extends RpcError {
  override get isTemporary(): boolean {
    return true;
  }
}

/** Ends a request, by its caller, or when it takes too long. */
class Abort {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #end = (): void => this.#controller.abort(this.#outer?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (isAborted(outer)) this.#end();
    outer?.addEventListener("abort", this.#end, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it after so long from now, unless this is called again. */
  after(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Error(`nothing came for ${ms} ms`)), ms);
  }

  /** Lets go of everything; what is still open ends. */
  done(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#end);
    this.#controller.abort();
  }
}

/** The `data` of each server-sent event. */
async function* messages(
  body: ReadableStream<Uint8Array>,
  arrived: () => void,
): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let data: string[] = [];
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    // What the stream breaks off in the midst of is not dispatched.
    if (done) return;
    arrived();
    const text = decoder.decode(value, { stream: true });
    if (!text.includes("\n")) {
      rest += text;
      continue;
    }
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const ended of lines) {
      const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
      if (line.startsWith("data:")) {
        data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      } else if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      }
    }
  }
}

/** One event of its parts. */
function joined(parts: readonly RawEvent[]): RawEvent {
  const whole: Record<string, unknown> = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      const before = whole[name];
      if (Array.isArray(before) && Array.isArray(value)) {
        for (const entry of value) before.push(entry);
      } else {
        whole[name] = value;
      }
    }
  }
  delete whole["part"];
  delete whole["last"];
  return whole as RawEvent;
}

/** The result that a response has; throws what it has in place of one. */
function resultOf(status: number, text: string): unknown {
  let answer: { result?: unknown; error?: { code: number; message: string; data?: unknown } };
  try {
    answer = readJson(text) as typeof answer;
  } catch {
    answer = {};
  }
  const isTemporary = status >= 500 || [408, 425, 429].includes(status);
  const Thrown = isTemporary ? TemporaryError : RpcError;
  const error = answer?.error;
  if (error !== undefined) throw new Thrown(error.code, error.message, error.data);
  if (status !== 200) throw new Thrown(0, `HTTP status ${status}`, null);
  if (answer === null || answer.result === undefined) throw new RpcError(0, "it does not answer in JSON-RPC", null);
  return answer.result;
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

function inputBytes(input: Input): Uint8Array {
  if (input instanceof Uint8Array) return input;
  return new TextEncoder().encode(typeof input === "string" ? input : writeJson(input.json));
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Where a value has doubles: there, or in all of its members, or in some. `true` has no type of its own under a name such as `constructor`. */
type Doubles =
  | boolean
  | (() => Doubles | undefined)
  | { readonly each?: Doubles; readonly members?: { readonly [name: string]: Doubles } };

function decodeJson(bytes: Uint8Array, doubles?: Doubles): unknown {
  return bytes.length === 0 ? null : withDoubles(readJson(decodeText(bytes)), doubles);
}

/** A value in which doubles that were read as whole numbers are doubles again. */
function withDoubles(value: unknown, doubles: Doubles | undefined): unknown {
  if (typeof doubles === "function") return withDoubles(value, doubles());
  if (doubles === true) return typeof value === "bigint" ? Number(value) : value;
  if (typeof doubles !== "object" || typeof value !== "object" || value === null) return value;
  const { each, members = {} } = doubles;
  const found = value as Record<string, unknown>;
  for (const name of Object.keys(found)) {
    const within = each ?? (Object.hasOwn(members, name) ? members[name] : undefined);
    if (within !== undefined) found[name] = withDoubles(found[name], within);
  }
  return found;
}

export function toHex(bytes: Uint8Array): Hex {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  return `0x${digits.join("")}`;
}

export function fromHex(hex: Hex): Uint8Array {
  const start = hex.startsWith("0x") ? 2 : 0;
  // One that repeats a group would fail for a long text.
  if (hex.length % 2 !== 0 || /[^0-9a-f]/i.test(hex.slice(start))) throw new Error("it is not hex");
  const bytes = new Uint8Array((hex.length - start) / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(hex.slice(start + 2 * index, start + 2 * index + 2), 16);
  }
  return bytes;
}

/** JSON, in which a whole number that a `number` would not hold is a `bigint`. */
export function readJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  // `JSON.parse` rounds them before anybody sees them: they go through it as texts that begin with a zero character.
  // A text that begins with one of its own gets a second one. What is followed by a colon is a name.
  const parts: string[] = [];
  let copied = 0;
  const token = /["\d]/g;
  while (token.test(text)) {
    const start = token.lastIndex - 1;
    if (text[start] === '"') {
      token.lastIndex = textEnd(text, start);
      if (!text.startsWith("\\u0000", start + 1) || isName(text, token.lastIndex)) continue;
      parts.push(text.slice(copied, start + 1), "\\u0000");
      copied = start + 1;
    } else {
      const end = numberEnd(text, start);
      token.lastIndex = end;
      if (end - start < 16) continue;
      const from = text[start - 1] === "-" ? start - 1 : start;
      const number = text.slice(from, end);
      if (/[.eE]/.test(number) || Number.isSafeInteger(Number(number))) continue;
      parts.push(text.slice(copied, from), `"\\u0000${number}"`);
      copied = end;
    }
  }
  parts.push(text.slice(copied));
  return JSON.parse(parts.join(""), (_, value: unknown) => {
    if (typeof value !== "string" || !value.startsWith("\0")) return value;
    return value.startsWith("\0\0") ? value.slice(1) : BigInt(value.slice(1));
  });
}

/** Where what begins at `start` is over: a text, behind its quote. No expression finds that, of a text of any length. */
function textEnd(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let escapes = 0;
    while (json[end - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return end + 1;
  }
  return json.length;
}

/** As `textEnd`, of a number. */
function numberEnd(json: string, start: number): number {
  let end = start + 1;
  while (end < json.length && "0123456789.eE+-".includes(json.charAt(end))) end += 1;
  return end;
}

/** Whether the text that ends here is the name of a member. */
function isName(json: string, end: number): boolean {
  let next = end;
  while (next < json.length && " \t\n\r".includes(json.charAt(next))) next += 1;
  return json[next] === ":";
}

/** JSON, with each `bigint` as a number. */
export function writeJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if ("toJSON" in value && typeof value.toJSON === "function") return writeJson(value.toJSON());
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${writeJson(member)}`).join(",")}}`;
}
