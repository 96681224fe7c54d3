// Checks what a server tells of itself against the official schemas of OpenRPC and OpenAPI, and
// has clients of others' making use it: see scripts/check-discovery.sh.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

import { MethodCallValidator, parseOpenRPCDocument, validateOpenRPCDocument } from '@open-rpc/schema-utils-js';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv';
import openapiTypeScript, { astToString } from 'openapi-typescript';

const [url, types] = process.argv.slice(2);

async function call(method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return answer.json();
}

async function get(path, headers = {}) {
  const answer = await fetch(url + path, { headers });
  assert.equal(answer.status, 200, path);
  return answer;
}

// OpenRPC: the document is one, every call that it shows has the parameters that it describes,
// and the server answers as described.
const openrpc = (await call('rpc.discover', [])).result;
assert.equal(validateOpenRPCDocument(openrpc), true);
const document = await parseOpenRPCDocument(structuredClone(openrpc));
const calls = new MethodCallValidator(document);
const ajv = new Ajv();
let answered = 0;
for (const method of document.methods.filter((it) => !it['x-transport'])) {
  const shown = (method.examples ?? []).map((it) => Object.fromEntries(it.params.map(({ name, value }) => [name, value])));
  const withoutParameters = method.params.every((it) => !it.required) ? [{}] : [];
  for (const params of [...shown, ...withoutParameters]) {
    const wrong = calls.validate(method.name, params);
    assert.deepEqual(wrong, [], `${method.name} ${JSON.stringify(params)}`);
    const { result, error } = await call(method.name, params);
    if (error) {
      const codes = method.errors.map((it) => it.code);
      assert.notEqual(error.code, -32602, `${method.name}: ${error.message}`);
      assert.ok(codes.includes(error.code), `${method.name}: the error ${error.code} is not described`);
    } else {
      assert.ok(ajv.validate(method.result.schema, result), `${method.name}: ${ajv.errorsText()}`);
    }
    answered += 1;
  }
}
console.log(`OpenRPC: ${document.methods.length} methods; ${answered} calls are as described`);

// OpenAPI: the document is one, and so many types are made of it.
const openapi = await (await get('/openapi.json')).json();
const outcome = await new Validator({ strict: false }).validate(structuredClone(openapi));
assert.ok(outcome.valid, JSON.stringify(outcome.errors, null, 2));
const made = astToString(await openapiTypeScript(structuredClone(openapi)));
await writeFile(types, made);
console.log(`OpenAPI: ${Object.keys(openapi.paths).length} paths, ${made.length} characters of TypeScript`);

// The page loads nothing but the style that its policy names.
const page = await get('/', { accept: 'text/html' });
const html = await page.text();
const [, style] = html.match(/<style>(.*?)<\/style>/s);
const hash = createHash('sha256').update(style).digest('base64');
assert.ok(page.headers.get('content-security-policy').includes(`style-src 'sha256-${hash}'`));
assert.ok(!/<script|\son\w+=|\ssrc=|style=/i.test(html));
console.log(`page: ${html.length} characters`);
