// As much of JSON as questions and answers need: an object of numbers, texts and truth values.

import { ByteWriter, textOf } from "./bytes";

const MAX_DEPTH: i32 = 64;
const MAX_MEMBERS: i32 = 64;

/**
 * What a caller asks, such as `{"height": 7}`; an empty input is `{}`. The first mistake is kept, and told at the end:
 *
 * ```ts
 * const question = JsonObject.parse(input.bytes);
 * const height = question.u32("height", input.height);
 * const mistake = question.end();
 * if (mistake !== null) return Answer.error(mistake);
 * ```
 */
export class JsonObject {
  private names: Array<string> = new Array<string>();
  /** The values, as they are written. */
  private values: Array<string> = new Array<string>();
  private asked: Set<string> = new Set<string>();
  private mistake: string | null = null;

  private constructor() {}

  /** Reads an object. */
  static parse(input: Uint8Array): JsonObject {
    const object = new JsonObject();
    if (input.length > 0) object.read(new Scanner(textOf(input)));
    return object;
  }

  /** Whether there is a member of this name. */
  has(name: string): bool {
    this.asked.add(name);
    return this.names.includes(name);
  }

  /** The number under a name, or what stands for none. */
  u64(name: string, otherwise: u64): u64 {
    if (!this.has(name)) return otherwise;
    const digits = this.raw(name);
    const number = decimal(digits);
    if (number.toString() == digits) return number;
    this.note("`" + name + "` is no whole number from 0 to 18446744073709551615");
    return otherwise;
  }

  /** As `u64`, of a number below 2^32, such as a height. */
  u32(name: string, otherwise: u32): u32 {
    const number = this.u64(name, otherwise);
    if (number <= u32.MAX_VALUE) return <u32>number;
    this.note("`" + name + "` is no whole number from 0 to 4294967295");
    return otherwise;
  }

  /** The text under a name, or what stands for none. */
  string(name: string, otherwise: string): string {
    if (!this.has(name)) return otherwise;
    const written = this.raw(name);
    if (written.charCodeAt(0) == CharCode.QUOTE) return unescape(written);
    this.note("`" + name + "` is no text");
    return otherwise;
  }

  /** The truth value under a name, or what stands for none. */
  bool(name: string, otherwise: bool): bool {
    if (!this.has(name)) return otherwise;
    const written = this.raw(name);
    if (written == "true") return true;
    if (written == "false") return false;
    this.note("`" + name + "` is neither true nor false");
    return otherwise;
  }

  /** The value under a name as it is written; empty if there is none. */
  raw(name: string): string {
    this.asked.add(name);
    const at = this.names.indexOf(name);
    return at < 0 ? "" : this.values[at];
  }

  /** The first mistake, or null. A member that was not asked for is one, too. */
  end(): string | null {
    for (let i = 0; i < this.names.length; i++) {
      if (!this.asked.has(this.names[i])) this.note("unknown field `" + this.names[i] + "`");
    }
    return this.mistake;
  }

  private note(mistake: string): void {
    if (this.mistake === null) this.mistake = "bad input: " + mistake;
  }

  private read(scanner: Scanner): void {
    if (!scanner.take(CharCode.OPEN_BRACE)) return this.note("want a JSON object");
    if (!scanner.take(CharCode.CLOSE_BRACE)) {
      do {
        const name = scanner.string();
        if (name === null || !scanner.take(CharCode.COLON)) return this.note("want a JSON object");
        const value = scanner.value(0);
        if (value === null) return this.note("no JSON value after `" + unescape(name) + "`");
        const plain = unescape(name);
        if (this.names.includes(plain)) return this.note("field `" + plain + "` is given twice");
        if (this.names.length == MAX_MEMBERS) return this.note("more than 64 fields");
        this.names.push(plain);
        this.values.push(value);
      } while (scanner.take(CharCode.COMMA));
      if (!scanner.take(CharCode.CLOSE_BRACE)) return this.note("the JSON object does not end");
    }
    if (!scanner.isAtEnd()) this.note("something follows the JSON object");
  }
}

/** Makes an object, a member after the other. */
export class JsonWriter {
  private members: Array<string> = new Array<string>();

  u64(name: string, value: u64): JsonWriter {
    return this.raw(name, value.toString());
  }

  string(name: string, value: string): JsonWriter {
    return this.raw(name, quote(value));
  }

  bool(name: string, value: bool): JsonWriter {
    return this.raw(name, value ? "true" : "false");
  }

  /** A value that is JSON already, such as an array or another object. */
  raw(name: string, json: string): JsonWriter {
    this.members.push(quote(name) + ":" + json);
    return this;
  }

  /** The object. */
  toString(): string {
    return "{" + this.members.join(",") + "}";
  }
}

const enum CharCode {
  QUOTE = 0x22,
  COMMA = 0x2c,
  MINUS = 0x2d,
  POINT = 0x2e,
  ZERO = 0x30,
  NINE = 0x39,
  COLON = 0x3a,
  OPEN_BRACKET = 0x5b,
  BACKSLASH = 0x5c,
  CLOSE_BRACKET = 0x5d,
  U = 0x75,
  OPEN_BRACE = 0x7b,
  CLOSE_BRACE = 0x7d,
}

/** Finds where values begin and end. */
class Scanner {
  private at: i32 = 0;

  constructor(private text: string) {}

  isAtEnd(): bool {
    this.skipBlanks();
    return this.at == this.text.length;
  }

  /** Takes this character, if it is next. */
  take(c: i32): bool {
    this.skipBlanks();
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  /** Takes a text, with its quotes; null if none is next. */
  string(): string | null {
    this.skipBlanks();
    const start = this.at;
    if (this.peek() != CharCode.QUOTE) return null;
    let c = 0;
    do {
      this.at++;
      c = this.peek();
      if (c < 0x20) return null;
      if (c == CharCode.BACKSLASH && !this.escape()) return null;
    } while (c != CharCode.QUOTE);
    return this.text.slice(start, ++this.at);
  }

  /** Takes any value, as it is written; null if none is next. */
  value(depth: i32): string | null {
    this.skipBlanks();
    const start = this.at;
    const c = this.peek();
    if (c == CharCode.QUOTE) return this.string();
    if (c == CharCode.OPEN_BRACE || c == CharCode.OPEN_BRACKET) {
      if (depth == MAX_DEPTH || !this.nested(c, depth)) return null;
    } else if (!this.word("true") && !this.word("false") && !this.word("null") && !this.number()) {
      return null;
    }
    return this.text.slice(start, this.at);
  }

  private nested(open: i32, depth: i32): bool {
    const close = open + 2;
    this.at++;
    if (this.take(close)) return true;
    do {
      if (open == CharCode.OPEN_BRACE && (this.string() === null || !this.take(CharCode.COLON))) return false;
      if (this.value(depth + 1) === null) return false;
    } while (this.take(CharCode.COMMA));
    return this.take(close);
  }

  private number(): bool {
    this.maybe(CharCode.MINUS);
    const isZero = this.peek() == CharCode.ZERO;
    const whole = this.digits();
    if (whole == 0 || (isZero && whole > 1)) return false;
    if (this.maybe(CharCode.POINT) && this.digits() == 0) return false;
    if ((this.peek() | 0x20) == 0x65) {
      this.at++;
      if (!this.maybe(0x2b)) this.maybe(CharCode.MINUS);
      return this.digits() > 0;
    }
    return true;
  }

  private digits(): i32 {
    const start = this.at;
    while (isDigit(this.peek())) this.at++;
    return this.at - start;
  }

  private word(word: string): bool {
    if (this.text.substr(this.at, word.length) != word) return false;
    this.at += word.length;
    return true;
  }

  /** Goes from a backslash to the last character of what it escapes. */
  private escape(): bool {
    this.at++;
    const c = this.peek();
    if (c != CharCode.U) return c >= 0 && "\"\\/bfnrt".includes(String.fromCharCode(c));
    for (let i = 0; i < 4; i++) {
      this.at++;
      if (hexDigit(this.peek()) < 0) return false;
    }
    return true;
  }

  private maybe(c: i32): bool {
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  private skipBlanks(): void {
    for (;;) {
      const c = this.peek();
      if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) return;
      this.at++;
    }
  }

  /** The next character; -1 at the end. */
  private peek(): i32 {
    return this.text.charCodeAt(this.at);
  }
}

/** The number that digits are, modulo 2^64. */
function decimal(digits: string): u64 {
  let number: u64 = 0;
  for (let i = 0; i < digits.length; i++) number = number * 10 + (digits.charCodeAt(i) - CharCode.ZERO);
  return number;
}

function isDigit(c: i32): bool {
  return c >= CharCode.ZERO && c <= CharCode.NINE;
}

function hexDigit(c: i32): i32 {
  if (isDigit(c)) return c - CharCode.ZERO;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** What a text with quotes and escapes stands for. */
function unescape(written: string): string {
  if (!written.includes("\\")) return written.slice(1, written.length - 1);
  const plain = new ByteWriter();
  for (let i = 1; i < written.length - 1; i++) {
    let c = written.charCodeAt(i);
    if (c == CharCode.BACKSLASH) {
      c = written.charCodeAt(++i);
      if (c == CharCode.U) {
        c = 0;
        for (let j = 0; j < 4; j++) c = c * 16 + hexDigit(written.charCodeAt(++i));
      } else if (c == 0x62) c = 0x08;
      else if (c == 0x66) c = 0x0c;
      else if (c == 0x6e) c = 0x0a;
      else if (c == 0x72) c = 0x0d;
      else if (c == 0x74) c = 0x09;
    }
    plain.number<u16>(<u16>c);
  }
  return utf16(plain);
}

/** A text as JSON has it, with its quotes. */
function quote(text: string): string {
  const quoted = new ByteWriter().number<u16>(<u16>CharCode.QUOTE);
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20) {
      quoted.number<u16>(<u16>CharCode.BACKSLASH).number<u16>(<u16>CharCode.U);
      for (let shift = 12; shift >= 0; shift -= 4) {
        const digit = (c >> shift) & 15;
        quoted.number<u16>(<u16>(digit < 10 ? CharCode.ZERO + digit : 0x57 + digit));
      }
    } else {
      if (c == CharCode.QUOTE || c == CharCode.BACKSLASH) quoted.number<u16>(<u16>CharCode.BACKSLASH);
      quoted.number<u16>(<u16>c);
    }
  }
  return utf16(quoted.number<u16>(<u16>CharCode.QUOTE));
}

function utf16(text: ByteWriter): string {
  return String.UTF16.decode(text.toBuffer());
}
