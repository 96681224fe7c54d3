// A client of the guest `typed`, with the types that openapi-typescript made: it compiles only
// if they fit, and runs against the server.
import createClient from 'openapi-fetch';
import type { components, paths } from './types.js';

declare const process: { argv: string[] };

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

const client = createClient<paths>({ baseUrl: process.argv[2] });

const { data: counts, error } = await client.POST('/view/counts', { body: { from: 100, count: 2 } });
check(error === undefined, 'POST /view/counts');
const typed: components['schemas']['view.counts.output'] = counts!;
check(typed.transactions.length === 2, 'two blocks');
const height: number = typed.height;

const { data: again } = await client.GET('/view/counts', { params: { query: { from: 100, count: 2 } } });
check(JSON.stringify(again) === JSON.stringify(counts), 'GET answers as POST does');

const { data: text } = await client.GET('/view/text', { parseAs: 'text' });
check(/^\d+$/.test(text!), 'GET /view/text');

const { data: health } = await client.GET('/health');
check(health!.status === 'alive', 'GET /health');
console.log(`openapi-fetch: views at height ${height} are as typed`);
