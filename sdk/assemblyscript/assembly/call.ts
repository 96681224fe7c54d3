// A call of the host: its input, and how it is answered.

import { inputLength, loadInput, logText } from "./host";
import { bufferOf } from "./bytes";
import { forgetWrites } from "./state";

/** A text in UTF-8: where it holds half of a character, U+FFFD. */
function encoded(text: string): ArrayBuffer {
  return String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
}

let announced: bool = false;
let lastError: string | null = null;

/**
 * Export it: `export { __metashrew_begin, __metashrew_error } from "@metashrew/as";`.
 *
 * The host calls it where a call begins (1 is a view). What an earlier call set is gone then, and what it
 * left in memory is given back, if the runtime collects (`--runtime minimal`).
 */
export function __metashrew_begin(kind: i32): void {
  announced = true;
  lastError = null;
  forgetWrites();
  if (kind == 1) __collect();
}

/** Export it with the one above: the host fetches the text of the error with which a view ended. */
export function __metashrew_error(reserved: i32): ArrayBuffer | null {
  const text = lastError;
  lastError = null;
  return text === null ? null : encoded(text);
}

/** What a call is about. */
export class Input {
  private constructor(
    /** The block's height; in a view, the height it answers for. */
    public height: u32,
    /** The block as consensus encodes it; in a view, what the caller asks. */
    public bytes: Uint8Array,
  ) {}

  /** Loads the input. Do it once, before anything is set: here begins the call on hosts that do not announce it. */
  static load(): Input {
    if (!announced) forgetWrites();
    const length = inputLength();
    if (length < 4) throw new Error("the host gives " + length.toString() + " bytes of input, less than a height");
    const buffer = new ArrayBuffer(length);
    loadInput(buffer);
    return new Input(load<u32>(changetype<usize>(buffer)), Uint8Array.wrap(buffer, 4));
  }
}

/** What a view returns. */
export class Answer {
  /** Bytes. */
  static bytes(bytes: Uint8Array): ArrayBuffer {
    return bufferOf(bytes);
  }

  /** Text, such as JSON, in UTF-8. */
  static text(text: string): ArrayBuffer {
    return encoded(text);
  }

  /**
   * An error: the caller gets this text, and the guest goes on. A host that knows no such errors, or a guest
   * that does not export `__metashrew_begin` and `__metashrew_error`, ends the call with the text.
   */
  static error(text: string): ArrayBuffer {
    if (!announced) throw new Error(text);
    lastError = text;
    return changetype<ArrayBuffer>(0);
  }
}

/** Logs a line. */
export function log(text: string): void {
  logText(encoded(text));
}
