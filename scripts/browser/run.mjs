// Has a browser open pages of several origins, which ask servers with several settings of `--cors`, and checks that what is
// allowed works and that nothing else does: `run.mjs BROWSER METASHREW CHECKOUT FOLDER`, with the generated client as FOLDER/client.js.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const [browser, metashrew, checkout, folder] = process.argv.slice(2);
const PATIENCE = 120_000;
const running = [];
process.on('exit', () => running.forEach((it) => it.kill('SIGKILL')));

const FILES = {
  '/': ['text/html', '<!doctype html><title>check</title><script type="module" src="/page.mjs"></script>'],
  '/page.mjs': ['text/javascript', await readFile(new URL('page.mjs', import.meta.url))],
  '/client.js': ['text/javascript', await readFile(`${folder}/client.js`)],
  '/favicon.ico': ['image/x-icon', ''],
};
const told = new Map();
let servers = [];
let pages = [];
const isOver = Promise.withResolvers?.() ?? (() => {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  return it;
})();

const site = createServer(async (request, response) => {
  const file = FILES[request.url];
  if (file) {
    response.setHeader('content-type', file[0]);
    response.end(file[1]);
  } else if (request.url === '/servers') {
    response.end(JSON.stringify(servers.map(({ url }) => url)));
  } else {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    const page = JSON.parse(body);
    told.set(page.origin, page.told);
    const next = pages.find((origin) => !told.has(origin));
    response.end(next ? `${next}/` : '');
    if (!next) isOver.resolve();
  }
}).listen(0, '127.0.0.1');
await once(site, 'listening');
const { port } = site.address();
const [local, name, elsewhere] = (pages = [`http://127.0.0.1:${port}`, `http://localhost:${port}`, `http://page.example:${port}`]);

/** Serves the first blocks of Bitcoin with a setting of `--cors`; answers where. */
async function serve(cors, number) {
  const flags = ['--indexer', `${checkout}/guests/wasm/addresses.wasm`, '--blocks', `${checkout}/examples/mainnet-blocks-1-255.dat.bz2`];
  flags.push('--db', `${folder}/db${number}`, '--listen', '127.0.0.1:0', '--allowed-host', 'api.example', ...cors);
  const server = spawn(metashrew, ['start', ...flags], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
  running.push(server);
  let address;
  for await (const line of createInterface(server.stderr)) {
    address ??= line.match(/serving JSON-RPC.*address=([0-9.:]+)/)?.[1];
    if (address && line.includes('all blocks are indexed')) break;
  }
  assert.ok(address, 'the server does not run');
  server.stderr.resume();
  return address;
}

const [byDefault, off, any, one] = await Promise.all([[], ['--cors', 'off'], ['--cors', '*'], ['--cors', elsewhere]].map(serve));
servers = [
  { what: 'without --cors', url: `http://${byDefault}`, may: [local, name] },
  { what: '--cors off', url: `http://${off}`, may: [] },
  { what: '--cors *', url: `http://${any}`, may: pages },
  { what: `--cors ${elsewhere}`, url: `http://${one}`, may: [elsewhere] },
  { what: `--cors ${elsewhere}, by a name`, url: `http://api.example:${one.split(':')[1]}`, may: [elsewhere] },
];

const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--no-proxy-server', '--disable-background-networking', '--disable-features=HttpsUpgrades'];
flags.push(`--user-data-dir=${folder}/profile`, '--host-resolver-rules=MAP *.example 127.0.0.1', `${local}/`);
const shown = spawn(browser, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
running.push(shown);
let log = '';
shown.stderr.on('data', (text) => (log += text));
shown.on('exit', () => isOver.reject(new Error(`the browser ended: ${log.slice(-2000)}`)));
const timer = setTimeout(() => isOver.reject(new Error(`the pages told nothing: ${log.slice(-2000)}`)), PATIENCE);
await isOver.promise;
clearTimeout(timer);

/** What whoever may gets, but for what only pages see. */
const balance = await (await fetch(`http://${byDefault}/view/balance?address=12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S&block=170`)).json();
const last = await (await fetch(`http://${byDefault}/view/balance?address=12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S`)).json();
const ALLOWED = {
  'GET /view': [200, '170', balance],
  'POST /view': [200, last],
  'GET /view, conditional': [200, 304],
  'JSON-RPC': '255',
  'GET /openapi.json': '3.1.0',
  EventSource: [255, true],
  WebSocket: 255,
  'the generated client': [balance, 255],
  image: 'error',
};
const REFUSED = { ...Object.fromEntries(Object.keys(ALLOWED).map((way) => [way, 'refused'])), image: 'error' };
for (const [number, { what, may }] of servers.entries()) {
  for (const origin of pages) {
    const expected = may.includes(origin) ? ALLOWED : REFUSED;
    assert.deepEqual(told.get(origin)[number], expected, `a page of ${origin}, ${what}`);
    console.log(`${what}: a page of ${origin} ${may.includes(origin) ? 'may, in all' : 'may not, in any'} of ${Object.keys(ALLOWED).length - 1} ways`);
  }
}
// An image had a view run only where every page may call, and by a name over plain http, where browsers do not say where
// it is from.
for (const { what, url } of servers.slice(0, 3)) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'metashrew_stats' });
  const stats = (await (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json()).result;
  const ran = stats.views.by_view.history?.answered ?? 0;
  assert.equal(ran > 0, what === '--cors *', `${what}: images had a view run ${ran} times`);
}
console.log('an image of another page has a view run only with --cors *');
process.exit();
