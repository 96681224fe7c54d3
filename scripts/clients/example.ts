/** The example of docs/clients.md. */

let saved: string | null = null;
const load = (): { cursor?: string } => (saved === null ? {} : { cursor: saved });
const save = (cursor: string): void => void (saved = cursor);

import { Client } from "./client.ts";

const client = new Client({ url: "http://127.0.0.1:8080" });
const balance = await client.views.balance({ script: "51" });
const before = await client.views.balance({ script: "51" }, 170);

for await (const event of client.heads(load())) {
  if (event.type === "block") console.log(event.height, event.hash);
  save(event.cursor);
}

export { balance, before };
