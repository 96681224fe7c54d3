#!/usr/bin/env bash
# Checks what a server tells of itself (`rpc.discover`, `/openapi.json`, the page at `/`) against
# the official schemas of OpenRPC and OpenAPI, makes the calls that it shows, and compiles and runs
# a client of others' making: openapi-typescript and openapi-fetch, from npm, pinned by
# scripts/clients/package-lock.json.
#
#   scripts/check-discovery.sh METASHREW
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[[ -n ${1:-} ]] || { sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "$0"; exit 2; }
metashrew=$(realpath "$1")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/metashrew-check-clients
# shellcheck source=scripts/clients/tools.sh
. "$root/scripts/clients/tools.sh"

work=$(mktemp -d)
server=
finish() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

cp "$root"/scripts/discovery/* "$root/scripts/clients/package.json" "$work"
cd "$work"
blocks=$root/examples/mainnet-blocks-1-255.dat.bz2
"$metashrew" start --indexer "$root/guests/wasm/typed.wasm" --blocks "$blocks" --db db --listen 127.0.0.1:0 2>log &
server=$!
npm_tools "$cache"
ln -s "$cache/node_modules" node_modules
url=
for ((i = 0; i < 600; i++)); do
    url=$(sed -n 's/.*serving JSON-RPC.*address=\([0-9.:]*\).*/\1/p' log)
    [[ -z $url ]] || break
    kill -0 "$server" 2>/dev/null || { cat log >&2; exit 1; }
    sleep 0.1
done
[[ -n $url ]] || { cat log >&2; exit 1; }
url=http://$url
for ((i = 0; i < 600; i++)); do
    ! curl -sf "$url/ready" >/dev/null || break
    sleep 0.1
done

node check.mjs "$url" types.d.ts
node_modules/.bin/tsc --project tsconfig.json
node client.js "$url"
