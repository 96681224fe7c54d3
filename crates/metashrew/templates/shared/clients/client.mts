/**
 * Asks views of this project's server: metashrew start.
 *
 *     node clients/client.mts VIEW [JSON] [BLOCK]
 *
 * prints the answer. BLOCK is a height, a hash or `latest`. From TypeScript: `await view<Balance>("balance", { script: "51" })`.
 * METASHREW_URL says where the server is, if not at http://127.0.0.1:8080.
 */

import { realpathSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const URL = process.env.METASHREW_URL ?? "http://127.0.0.1:8080";
const TIMEOUT_MS = 60_000;

/** A view, or the server, says that it cannot answer. */
export class ViewError extends Error {}

type Response = { result: string } | { error: { code: number; message: string } };

/** What a view answers about the state after a block. */
export async function view<Answer>(
  name: string,
  question: unknown = {},
  block: number | string = "latest",
): Promise<Answer> {
  const input = Buffer.from(JSON.stringify(question)).toString("hex");
  const call = { jsonrpc: "2.0", id: 1, method: "metashrew_view", params: [name, input, block] };
  const response = await fetch(URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(call),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error) => {
    const why = error.cause ?? error;
    throw new ViewError(`${URL} cannot be asked: ${why.message}; does \`metashrew start\` run?`);
  });
  if (!response.ok) {
    throw new ViewError(`${URL}: ${response.status} ${response.statusText}`);
  }
  const answer = (await response.json()) as Response;
  if ("error" in answer) {
    throw new ViewError(answer.error.message);
  }
  const answered = Buffer.from(answer.result.slice(2), "hex").toString();
  return JSON.parse(answered || "null");
}

/** Asks what the command line says. */
async function main(name: string, text = "{}", block = "latest"): Promise<void> {
  const answer = await view(name, JSON.parse(text), block);
  console.log(JSON.stringify(answer));
}

const [script, ...words] = process.argv.slice(1);
if (script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url)) {
  if (words.length < 1 || words.length > 3) {
    console.error("usage: client.mts VIEW [JSON] [BLOCK]");
    process.exitCode = 2;
  } else {
    try {
      await main(...(words as [string, string?, string?]));
    } catch (error) {
      console.error(`error: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
}
