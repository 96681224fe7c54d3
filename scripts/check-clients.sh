#!/usr/bin/env bash
# Generates clients for guests of all kinds with `metashrew codegen`, compiles them with `tsc` and `mypy` at their
# strictest, and runs them against servers; then does the same things with stock clients: a JSON-RPC library, a WebSocket
# library and `EventSource`, `fetch` and curl. All of them have to tell the same. In the end the generated clients follow a
# server whose node reorganises, which is killed, and whose connections are cut.
#
#   scripts/check-clients.sh METASHREW
#
# What is installed from npm and PyPI for that, of fixed versions, is kept where the machine keeps its caches; so are the node
# (scripts/setup-bitcoind.sh) and, where rustup cannot bring it, a toolchain for WebAssembly (scripts/setup-wasm.sh).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
metashrew=$(realpath "${1:?usage: $0 METASHREW}")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/metashrew-check-clients
work=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
export NO_COLOR=1
# shellcheck source=scripts/clients/tools.sh
. "$root/scripts/clients/tools.sh"
# The compiler that this checkout is built with, whatever a project's rust-toolchain.toml would download.
if [[ -z ${RUSTUP_TOOLCHAIN:-} ]] && command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN=$(rustup show active-toolchain | cut -d' ' -f1)
    export RUSTUP_TOOLCHAIN
fi
# Nothing asks this machine by way of a proxy.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

tools() {
    npm_tools "$cache"
    if ! cmp -s "$root/scripts/clients/requirements.txt" "$cache/requirements.txt"; then
        python3 -m venv --clear "$cache/venv"
        "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$root/scripts/clients/requirements.txt"
        cp "$root/scripts/clients/requirements.txt" "$cache"
    fi
    ln -s "$cache/node_modules" "$work/node_modules"
}

# Serves a guest over the first blocks of Bitcoin.
serve() { # its name, its module
    : >"$work/$1.log"
    "$metashrew" start --indexer "$2" --blocks "$root/examples/mainnet-blocks-1-255.dat.bz2" --db "$work/$1.db" \
        --listen 127.0.0.1:0 >"$work/$1.log" 2>&1 &
    servers+=($!)
}

# The address of a server, once all blocks are indexed.
address() { # its name, its process
    local log=$work/$1.log
    until grep -q 'all blocks are indexed' "$log"; do
        kill -0 "$2" 2>/dev/null || { cat "$log" >&2; return 1; }
        sleep 0.1
    done
    echo "http://$(sed -n 's/.*serving JSON-RPC.*address=\([0-9.:]*\).*/\1/p' "$log")"
}

# The guest of a new project in Rust: as scripts/check-template.sh has built it, unless something that it is made of is newer.
template() {
    local target=${CARGO_TARGET_DIR:-$root/target}/template-rust sources=("$root/crates/metashrew/templates/rust")
    local module=$target/wasm32-unknown-unknown/release/guest.wasm
    sources+=("$root"/crates/metashrew-{abi,core,macros,support})
    if [[ ! -e $module || -n $(find "${sources[@]}" -newer "$module" -print -quit) ]]; then
        (cd "$work" && "$metashrew" new guest --lang rust --sdk "$root" >/dev/null)
        (cd "$work/guest" && CARGO_TARGET_DIR=$target "$root/scripts/setup-wasm.sh" \
            cargo build --quiet --release --target wasm32-unknown-unknown)
    fi
    cp "$module" "$work/template.wasm"
}

# What is printed, with the members of objects in order.
sorted() {
    python3 -c '
import json, sys
for line in sys.stdin:
    label, value = line.split(" ", 1)
    print(label, json.dumps(json.loads(value), sort_keys=True))'
}

same() { # what, expected, given
    sorted <"$2" >"$2.sorted"
    sorted <"$3" >"$3.sorted"
    diff -u "$2.sorted" "$3.sorted" >"$work/difference" || {
        echo "$1 tells otherwise:" >&2
        head -c 4000 "$work/difference" >&2
        exit 1
    }
    echo "$1: $(wc -l <"$3") lines, as expected"
}

# By curl: what a method answers.
rpc() { # address, method, parameters
    curl -sS "$1" -H 'content-type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$2\",\"params\":$3}"
}

# By curl: what a view answers, as JSON.
view() { # address, view, input in JSON, block
    local input
    input=$(printf %s "$3" | od -An -v -tx1 | tr -d ' \n')
    rpc "$1" metashrew_view "[\"$2\",\"$input\",$4]" | python3 -c '
import json, sys
sys.stdout.write(bytes.fromhex(json.load(sys.stdin)["result"][2:]).decode())'
}

result() { python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["result"]))'; }
error() { python3 -c 'import json, sys; e = json.load(sys.stdin)["error"]; print(json.dumps([e["code"], e["data"]["kind"]]))'; }

# By curl: the events of a subscription up to a height, each by a Python expression. (By itself curl would end with the next
# word of the server, which has no more to say for 20 seconds.)
events() { # address, what behind /subscribe/, height, label, expression
    python3 -c '
import json, subprocess, sys
url, last, label, tell = sys.argv[1], int(sys.argv[2]), sys.argv[3], eval("lambda e: " + sys.argv[4])
with subprocess.Popen(["curl", "-sN", url], stdout=subprocess.PIPE) as curl:
    for line in curl.stdout:
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            if event["type"] in ("block", "answer"):
                print(label, json.dumps(tell(event)))
                if event["height"] >= last:
                    break
    curl.kill()' "$1/subscribe/$2" "$3" "$4" "$5"
}

# All blocks, once for all who are to tell them.
heads() { # address
    [[ -s $work/heads ]] ||
        events "$1" 'heads?from=first' 255 head '[e["cursor"], e["height"], e["hash"], e["parent"], e["historyRoot"]]' >"$work/heads"
    cat "$work/heads"
}

owner='{"address":"12cbQLTFMXRnSzktFkuoG3eHoMeFtpTu3S"}'
unhex='json.loads(bytes.fromhex(e["result"][2:]))'

# What the generated clients are to print.
expected() { # address of `addresses`, of `shapes`, of `blocks`
    local hash block nobody
    nobody=$(printf '0%.0s' {1..64})
    hash=$(rpc "$1" metashrew_getblockhash '[170]' | result)
    echo "tip $(rpc "$1" metashrew_snapshot '[]' | python3 -c '
import json, sys
told = json.load(sys.stdin)["result"]
print(json.dumps({"height": told["indexed_height"], "hash": told["block_hash"], "historyRoot": told["history_root"]}))')"
    echo "hash $hash"
    echo "root $(rpc "$1" metashrew_stateroot '[]' | result)"
    echo "balance $(view "$1" balance "$owner" '"latest"')"
    echo "balance-at $(view "$1" balance "$owner" 170)"
    echo "utxos $(view "$1" utxos "$owner" 170)"
    for block in 300 "$nobody" pending; do
        echo "failed-$block $(rpc "$1" metashrew_view "[\"balance\",\"\",\"$block\"]" | error)"
    done
    view "$2" numbers '{}' '"latest"' | sed 's/^/numbers /'
    echo
    echo 'sum [340282366920938463463374607436063179005]'
    printf '%s %s\n' tree '{"value":"\u0000a😀\"\\","children":[{"value":7},{"value":null,"children":[]}],"parent":4294967295}' \
        event0 '{"kind":"transfer","amount":18446744073709551615}' event1 '{"kind":"mint","to":"x"}' event2 '{"Burnt":{"to":""}}' \
        event3 '"none"' event4 '"all"' no-event '{"kind":"theft"}' \
        odd '{"class":"a","from":"b","merged":true,"undescribed":[1.5],"pair":["c",1],"by-number":{"1":true}}' double '[0.5]' list '[1,2]' \
        text '"grün\n"' bytes '"0x00ff"' untyped '[1,{"a":12345678901234567890}]' nothing '""' \
        untold-bytes '"0x01"' untold-text '"text"' untold-json '{"a":1}' \
        nullables '{"reference":null,"short":null,"whole":null,"patterns":{"x1":1,"other":"x"},"closed":{"x":"a","y":true}}' \
        long '[12345678901234567890,8000000,8000000]'
    echo "views $(($("$metashrew" inspect "$root/crates/metashrew/tests/it/codegen/shapes.wasm" --json |
        python3 -c 'import json, sys; print(len(json.load(sys.stdin)["views"]))') + 1))"
    heads "$1"
    events "$1" "writes?cursor=200:$(rpc "$1" metashrew_getblockhash '[200]' | result | tr -d '"')" 220 writes \
        '[e["cursor"], [[w["key"], w["value"]] for w in e["writes"]]]'
    events "$1" "view/balance?from=first&input=0x$(printf %s "$owner" | od -An -v -tx1 | tr -d ' \n')" 181 watched \
        "[e[\"cursor\"], $unhex]"
    echo 'begins ["position", 255]'
}

guests=$root/guests/wasm
kept=$root/crates/metashrew/tests/it/codegen
serve blocks "$guests/blocks.wasm"
serve addresses "$guests/addresses.wasm"
serve shapes "$kept/shapes.wasm"
tools
template
blocks=$(address blocks "${servers[0]}")
addresses=$(address addresses "${servers[1]}")
shapes=$(address shapes "${servers[2]}")
generate() { # the client's name, more flags
    local name=$1
    shift
    "$metashrew" codegen typescript "$@" --out "$work/$name.ts"
    "$metashrew" codegen python "$@" --out "$work/$name.py"
}
# A server tells what it has compiled already.
generate addresses --url "$addresses" --untold json
generate typed --indexer "$guests/typed.wasm"
generate template --indexer "$work/template.wasm"
generate untold --indexer "$guests/memo.wasm"
generate shapes --url "$shapes"
generate hostile --indexer "$kept/hostile.wasm"
generate blocks --url "$blocks"
"$metashrew" codegen python --indexer "$guests/blocks.wasm" | cmp - "$work/blocks.py"
cp "$root/scripts/clients/"{check.ts,check.py,example.ts,example.py,follow.ts,follow.py,stock.mjs,stock.py,tsconfig.json,package.json} "$work"
for language in ts py; do
    cp "$work/template.$language" "$work/client.$language"
done
cp "$root/crates/metashrew/src/command/codegen/runtime."{ts,py} "$work"

(cd "$work" && exec "$cache/venv/bin/mypy" --strict --python-version 3.9 --cache-dir "$cache/mypy" addresses.py typed.py template.py \
    untold.py shapes.py hostile.py blocks.py runtime.py check.py client.py example.py follow.py) &
mypy=$!
(cd "$work" && node_modules/.bin/tsc)
wait "$mypy"
(cd "$work" && python3 -c 'import addresses, typed, template, untold, shapes, hostile, blocks')

expected "$addresses" "$shapes" "$blocks" >"$work/expected"
(cd "$work" && node built/check.js "$addresses" "$shapes" "$blocks") >"$work/typescript.told"
same "the generated client in TypeScript" "$work/expected" "$work/typescript.told"
(cd "$work" && python3 check.py "$addresses" "$shapes" "$blocks") >"$work/python.told"
same "the generated client in Python" "$work/expected" "$work/python.told"

# What the libraries of others are to print.
stock_expected() { # address
    local hash
    hash=$(rpc "$1" metashrew_getblockhash '[170]' | result)
    case $2 in
    rpc) echo "hash $hash" ;;
    websocket) echo "hash $hash" ;;
    esac
    case $2 in
    rpc | fetch)
        echo "balance $(view "$1" balance "$owner" '"latest"')"
        echo "balance-at $(view "$1" balance "$owner" 170)"
        ;;
    *) heads "$1" ;;
    esac
    case $2 in
    rpc) echo 'missing -32003' ;;
    fetch) echo 'unchanged 304' ;;
    websocket) echo 'unsubscribed [true, true]' ;;
    esac
}
for way in rpc fetch eventsource websocket; do
    stock_expected "$addresses" "$way" >"$work/expected.$way"
    (cd "$work" && node stock.mjs "$addresses" 255 "$way") >"$work/stock.$way"
    same "stock clients of Node.js, $way" "$work/expected.$way" "$work/stock.$way"
done
for way in rpc websocket; do
    (cd "$work" && "$cache/venv/bin/python" stock.py "$addresses" 255 "$way") >"$work/stock.$way.py"
    same "stock clients of Python, $way" "$work/expected.$way" "$work/stock.$way.py"
done
"$metashrew" tail heads --url "$addresses" --from first --until 255 -q | python3 -c '
import json, sys
for line in sys.stdin:
    e = json.loads(line)
    if e["type"] == "block":
        print("head", json.dumps([e["cursor"], e["height"], e["hash"], e["parent"], e["historyRoot"]]))' >"$work/tail"
heads "$addresses" >"$work/expected.tail"
same "metashrew tail" "$work/expected.tail" "$work/tail"

# Connections that break off, everywhere and nowhere by chance; then a node that reorganises, and a server that is killed.
(cd "$work" && exec python3 "$root/scripts/clients/broken.py" node built/follow.js) &
broken=$!
(cd "$work" && python3 "$root/scripts/clients/broken.py" python3 follow.py)
wait "$broken"
node=$("$root/scripts/setup-bitcoind.sh")/bitcoind
(cd "$work" && python3 "$root/scripts/clients/cut.py" "$metashrew" "$node" "$guests/addresses.wasm" "$work/cut" \
    "typescript=node built/follow.js" "python=python3 follow.py") >"$work/expected.cut"
for language in typescript python; do
    same "the generated client over what breaks, $language" "$work/expected.cut" "$work/cut/$language"
done
