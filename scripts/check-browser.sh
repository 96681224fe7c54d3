#!/usr/bin/env bash
# Has a real browser, headless, open web pages of other origins that ask servers by `fetch`, `EventSource`, `WebSocket` and
# the generated client, with several settings of `--cors`: what is allowed has to work, and nothing else.
#
#   scripts/check-browser.sh METASHREW
#
# The browser is $CHROMIUM, or `chromium` or `google-chrome` on PATH; `apt-get install chromium` brings one. It is no
# step of CI, which would have to install it each time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
metashrew=$(realpath "${1:?usage: $0 METASHREW}")
browser=${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
[[ -n $browser ]] || {
    echo "no browser: set CHROMIUM, or install one (apt-get install chromium)" >&2
    exit 1
}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/metashrew-check-clients
# shellcheck source=scripts/clients/tools.sh
. "$root/scripts/clients/tools.sh"
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm_tools "$cache"
"$metashrew" codegen typescript --indexer "$root/guests/wasm/addresses.wasm" --untold json --out "$work/client.ts"
# As in a project that is not strict.
"$cache/node_modules/.bin/tsc" --target es2022 --module preserve --lib es2022,dom --outDir "$work" "$work/client.ts"
node "$root/scripts/browser/run.mjs" "$browser" "$metashrew" "$root" "$work"
