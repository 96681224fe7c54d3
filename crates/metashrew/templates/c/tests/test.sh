#!/usr/bin/env bash
# Runs the guest in metashrew over the four blocks of demo.dat, and compares what it answers.
#
#   tests/test.sh build/{{crate}}.wasm     METASHREW names the command, if it is not on PATH
#
# In them, Alice gets 1,000 satoshi (block 2), then 700 more (3), and spends 500 of them (4).
set -euo pipefail
cd "$(dirname "$0")/.."

metashrew=${METASHREW:-metashrew}
command -v "$metashrew" >/dev/null || {
    echo "metashrew is not on PATH; set METASHREW to where the command is" >&2
    exit 1
}
# Settings of yours would change what is asked, and where.
while read -r name; do unset "$name"; done < <(compgen -e METASHREW_ || true)
guest=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
alice=0014240ba6e56510ce10ba34ad9a445ae422c5578e14
failures=0

answer() { # question, height
    "$metashrew" view balance "$1" --height "$2" --indexer "$guest" --db "$folder/db" 2>&1 || true
}

check() { # question, height, what is answered
    local given
    given=$(answer "$1" "$2")
    if [[ $given == *"$3"* ]]; then
        echo "ok: balance $1 at $2: $3"
    else
        echo "FAILED: balance $1 at $2: want $3, not $given" >&2
        failures=$((failures + 1))
    fi
}

"$metashrew" start -qq --network regtest --blocks demo.dat --indexer "$guest" --db "$folder/db" \
    --listen 127.0.0.1:0 --exit-at 4
check "{\"script\":\"$alice\"}" 1 '{"height":1,"satoshi":0}'
check "{\"script\":\"$alice\"}" 2 '{"height":2,"satoshi":1000}'
check "{\"script\":\"$alice\"}" 3 '{"height":3,"satoshi":1700}'
check "{\"script\":\"$alice\"}" 4 '{"height":4,"satoshi":1200}'
check '{"script":"51"}' 4 '{"height":4,"satoshi":15000000500}'
check '{"script":"5"}' 4 '`script` is no hex'
check '{"scrpt":"51"}' 4 'unknown field `scrpt`'
((failures == 0))
