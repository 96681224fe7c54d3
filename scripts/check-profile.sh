#!/usr/bin/env bash
# Opens a profile of `metashrew profile` with the Firefox Profiler's own parser: the command
# `profiler-cli` of the same repository, from npm, which loads a profile with the code of
# https://profiler.firefox.com.
#
#   scripts/check-profile.sh METASHREW    profiles a block of an example guest first, and looks
#                                         for the functions of the guest and of the host in it
#   scripts/check-profile.sh --file FILE  opens a profile that is there, and prints what the
#                                         parser finds in it
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
version=0.10.0

work=$(mktemp -d)
export PROFILER_CLI_SESSION_DIR=$work/sessions
# Nothing is asked of Mozilla's symbol server: the names are in the profile.
export PROFILER_CLI_NO_SYMBOLICATE=1

profiler() {
    node "$work/node_modules/@firefox-devtools/profiler-cli/dist/profiler-cli.js" "$@"
}

finish() {
    [[ ! -d $work/node_modules ]] || profiler stop --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT

case ${1:-} in
--file)
    profile=$(realpath "$2")
    ;;
?*)
    metashrew=$(realpath "$1")
    profile=$work/profile.json
    blocks=$root/examples/mainnet-blocks-1-255.dat.bz2
    (
        cd "$work"
        indexer=$root/guests/wasm/blocks.wasm
        "$metashrew" start --indexer "$indexer" --blocks "$blocks" --db db --exit-at 200 --listen 127.0.0.1:0 --log warn
        "$metashrew" profile --indexer "$indexer" --blocks "$blocks" --db db --height 170 \
            --repeat 2000 --interval-us 100 --out "$profile"
    )
    ;;
*)
    sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "$0"
    exit 2
    ;;
esac

npm install --silent --no-audit --no-fund --prefix "$work" "@firefox-devtools/profiler-cli@$version"
# The parser is a daemon, which must be there within half a second: on a busy machine that may
# take more than one try.
for try in {1..10}; do
    profiler load "$profile" && break
    ((try < 10)) || exit 1
    sleep 1
done
profiler thread functions --json >"$work/functions.json"
node - "$work/functions.json" "${1:-}" <<'JS'
const fs = require('fs');
const { functions } = JSON.parse(fs.readFileSync(process.argv[2]));
for (const { nameWithLibrary, selfSamples, totalSamples } of functions.slice(0, 20))
  console.log(String(selfSamples).padStart(8), String(totalSamples).padStart(8), nameWithLibrary);
const samples = functions.reduce((sum, { selfSamples }) => sum + selfSamples, 0);
const has = (library) => functions.some((it) => it.library === library && it.totalSamples > 0);
if (samples === 0) throw new Error('the parser finds no samples');
if (process.argv[3] !== '--file' && !(has('guest') && has('host')))
  throw new Error('functions of the guest or of the host are missing');
console.log(`the Firefox Profiler's parser finds ${samples} samples in ${functions.length} functions`);
JS
