// What a guest says of itself: `__meta`.

import { ByteWriter, utf8 } from "./bytes";

/**
 * The guest's name, version and views, as `metashrew inspect` shows them:
 *
 * ```ts
 * export function __meta(): ArrayBuffer {
 *   return new Meta("tally", "0.1.0").view("totals", "{}", '{"height","blocks"}').encode();
 * }
 * ```
 */
export class Meta {
  private message: ByteWriter = new ByteWriter();

  constructor(name: string, version: string) {
    this.message
      .field(1, utf8("AssemblyScript " + ASC_VERSION_MAJOR.toString() + "." + ASC_VERSION_MINOR.toString()))
      .field(4, utf8(name))
      .field(5, utf8(version));
  }

  /** What the guest is for. */
  doc(text: string): Meta {
    this.message.field(7, utf8(text));
    return this;
  }

  /** A view: its name, what it takes and what it answers, and what it is for. */
  view(name: string, input: string, output: string, doc: string = ""): Meta {
    const view = new ByteWriter().field(1, utf8(name)).field(2, utf8(input)).field(3, utf8(output));
    this.message.field(3, view.field(4, utf8(doc)).toBytes());
    return this;
  }

  /** What `__meta` returns. */
  encode(): ArrayBuffer {
    return this.message.toBuffer();
  }
}
