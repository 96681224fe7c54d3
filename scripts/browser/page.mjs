// What a web page does with servers of other origins, and tells the server that it came from: see run.mjs.
import { Client } from './client.js';

const OWNER = { address: '12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S' };
const VIEW = `/view/balance?address=${OWNER.address}&block=170`;
const JSON_TYPE = { 'content-type': 'application/json' };

/** Each answers what it got, or throws if it may not. */
const ways = {
  // Browsers send these two without asking whether they may.
  async 'GET /view'(url) {
    const answer = await fetch(url + VIEW);
    return [answer.status, answer.headers.get('metashrew-height'), await answer.json()];
  },
  async 'POST /view'(url) {
    const answer = await fetch(`${url}/view/balance`, { method: 'POST', body: JSON.stringify(OWNER) });
    return [answer.status, await answer.json()];
  },
  // These, only if they may.
  async 'GET /view, conditional'(url) {
    const first = await fetch(url + VIEW, { headers: { 'metashrew-block': '170' } });
    const headers = { 'if-none-match': first.headers.get('etag') };
    return [first.status, (await fetch(url + VIEW, { headers })).status];
  },
  async 'JSON-RPC'(url) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'metashrew_height' });
    const answer = await fetch(url, { method: 'POST', headers: JSON_TYPE, body });
    return (await answer.json()).result;
  },
  async 'GET /openapi.json'(url) {
    return (await (await fetch(`${url}/openapi.json`)).json()).openapi;
  },
  EventSource(url) {
    return new Promise((resolve, reject) => {
      const source = new EventSource(`${url}/subscribe/heads?from=first`);
      let blocks = 0;
      source.onerror = () => {
        source.close();
        reject(new Error('EventSource'));
      };
      source.addEventListener('block', ({ data, lastEventId }) => {
        blocks += 1;
        const { height, cursor } = JSON.parse(data);
        if (height < 255) return;
        source.close();
        resolve([blocks, cursor === lastEventId]);
      });
    });
  },
  WebSocket(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url.replace('http', 'ws'));
      let blocks = 0;
      socket.onerror = reject;
      socket.onopen = () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'metashrew_subscribe', params: { kind: 'heads', from: 'first' } }));
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(data).params?.event;
        if (event?.type !== 'block') return;
        blocks += 1;
        if (event.height < 255) return;
        socket.close();
        resolve(blocks);
      };
    });
  },
  async 'the generated client'(url) {
    const client = new Client({ url });
    const balance = await client.views.balance(OWNER, 170);
    let blocks = 0;
    const follow = { from: 'first', onRetry: (cause) => { throw cause ?? new Error('it ended'); } };
    for await (const event of client.heads(follow)) {
      if (event.type !== 'block') continue;
      blocks += 1;
      if (event.height === 255) break;
    }
    return [balance, blocks];
  },
  // No page may read this, and only few have it run: run.mjs looks whether it was.
  image(url) {
    return new Promise((resolve) => {
      const image = new Image();
      image.onload = image.onerror = ({ type }) => resolve(type);
      image.src = `${url}/view/history?address=${OWNER.address}`;
    });
  },
};

async function ask(url) {
  const told = {};
  for (const [way, call] of Object.entries(ways)) {
    told[way] = await call(url).catch(() => 'refused');
  }
  return told;
}

const servers = await (await fetch('/servers')).json();
const told = await Promise.all(servers.map(ask));
const next = await (await fetch('/told', { method: 'POST', body: JSON.stringify({ origin: location.origin, told }) })).text();
if (next !== '') location.href = next;
