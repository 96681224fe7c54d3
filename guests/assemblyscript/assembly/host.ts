// The host's functions and buffers. A pointer names an ArrayBuffer's first byte;
// the runtime keeps the length in the four bytes before it, as the host expects.

@external("env", "__host_len")
declare function __host_len(): i32;
@external("env", "__load_input")
declare function __load_input(buffer: ArrayBuffer): void;
@external("env", "__get_len")
declare function __get_len(key: ArrayBuffer): i32;
@external("env", "__get")
declare function __get(key: ArrayBuffer, value: ArrayBuffer): void;
@external("env", "__flush")
declare function __flush(message: ArrayBuffer): void;
@external("env", "__log")
declare function __log(text: ArrayBuffer): void;

/** The call's input: four bytes of height, then the block or the question. */
export function input(): Uint8Array {
  const buffer = new ArrayBuffer(__host_len());
  __load_input(buffer);
  return Uint8Array.wrap(buffer);
}

/** A key's value; empty if it has none. */
export function get(key: string): Uint8Array {
  const name = String.UTF8.encode(key);
  const value = new ArrayBuffer(__get_len(name));
  if (value.byteLength > 0) __get(name, value);
  return Uint8Array.wrap(value);
}

/** Logs a line. */
export function log(text: string): void {
  __log(String.UTF8.encode(text));
}

/** What a block writes, on its way to the host as a protobuf message. */
export class Writes {
  private message: Array<u8> = [];

  set(key: string, value: Uint8Array): void {
    this.item(Uint8Array.wrap(String.UTF8.encode(key)));
    this.item(value);
  }

  flush(): void {
    const buffer = new Uint8Array(this.message.length);
    for (let i = 0; i < this.message.length; i++) buffer[i] = this.message[i];
    __flush(buffer.buffer);
  }

  /** Field 1, length-delimited. */
  private item(bytes: Uint8Array): void {
    this.message.push(0x0a);
    let length = <u32>bytes.length;
    while (length > 0x7f) {
      this.message.push(<u8>(length & 0x7f) | 0x80);
      length >>= 7;
    }
    this.message.push(<u8>length);
    for (let i = 0; i < bytes.length; i++) this.message.push(bytes[i]);
  }
}
