#!/usr/bin/env bash
# Makes a project with `metashrew new`, and does what its README.md tells: builds, tests and runs it, on a chain of a
# file and on a regtest node, and asks it with both clients. What is printed has to be what is shown.
#
#   scripts/check-template.sh LANG COMMAND    COMMAND is the `metashrew` to do it with
#
# It has a HOME of its own, so that nothing of this machine's settings helps; what is downloaded is kept where it was.
# scripts/console.sh says what is a command. A `metashrew start` goes on beside the others until the next one, and who
# asks it finds every block there is.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
language=${1:?usage: $0 LANG COMMAND}
metashrew=$(realpath "${2:?usage: $0 LANG COMMAND}")
# shellcheck source=scripts/console.sh
. scripts/console.sh
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
export npm_config_cache=${npm_config_cache:-$HOME/.npm} npm_config_update_notifier=false
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$checkout/target}/template-$language
BITCOIND_EXE=$(scripts/setup-bitcoind.sh)/bitcoind
export BITCOIND_EXE

# The compiler that this checkout is built with, whatever the project's rust-toolchain.toml would download.
if [[ -z ${RUSTUP_TOOLCHAIN:-} ]] && command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN=$(rustup show active-toolchain | cut -d' ' -f1)
    export RUSTUP_TOOLCHAIN
fi

work=$(mktemp -d)
trap 'stop_server; stop_node; rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/home"
ln -s "$metashrew" "$work/bin/metashrew"
export PATH="$work/bin:$PATH" HOME="$work/home"
unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
# Node.js runs TypeScript by itself from 22.18 on.
node=$(command -v node)
if ! "$node" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 18) ? 0 : 1)'; then
    printf '#!/bin/sh\ncase $1 in *.mts) exec npx --yes tsx@4 "$@" ;; esac\nexec %q "$@"\n' "$node" >"$work/bin/node"
    chmod +x "$work/bin/node"
fi
# The pages say 8080, where another program may be.
for ((port = 8080; port < 8180; port++)); do
    if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
done
export METASHREW_LISTEN=127.0.0.1:$port METASHREW_URL=http://127.0.0.1:$port

stop_server() {
    local pid
    [[ -e $work/server.pid ]] || return 0
    pid=$(<"$work/server.pid")
    rm "$work/server.pid"
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

stop_node() {
    [[ ! -e $work/guest/.regtest/regtest/bitcoind.pid ]] || "$work/guest/scripts/regtest.sh" stop || true
}

start_server() { # its command
    stop_server
    bash -c "exec $1" >"$work/server.log" 2>&1 &
    echo $! >"$work/server.pid"
    wait_for_server
}

# Waits until every block of the node, or of the file, is served.
wait_for_server() {
    local waited
    [[ -e $work/server.pid ]] || return 0
    for ((waited = 0; waited < 600; waited++)); do
        kill -0 "$(<"$work/server.pid")" 2>/dev/null || break
        if grep -q -e --rpc-url "$work/server.command"; then
            [[ $(served) != "$(scripts/regtest.sh cli getbestblockhash)" ]] || return 0
        elif grep -q 'all blocks are indexed' "$work/server.log"; then
            return 0
        fi
        sleep 0.1
    done
    printf 'not every block is served; the log ends with:\n' >&2
    tail "$work/server.log" >&2
    return 1
}

# The hash of the newest block that is served.
served() {
    curl -s "$METASHREW_URL" -H 'content-type: application/json' \
        -d '{"jsonrpc":"2.0","id":1,"method":"metashrew_getblockhash","params":["latest"]}' |
        sed -n 's/.*"result":"0x\([0-9a-f]*\)".*/\1/p'
}

run_command() {
    local command=$1
    if [[ -e .regtest/bitcoin.conf ]]; then
        # The page says 18443.
        command=${command//127.0.0.1:18443/127.0.0.1:$(sed -n 's/^rpcport=//p' .regtest/bitcoin.conf)}
    fi
    case $command in
    "metashrew start "*)
        echo "$command" >"$work/server.command"
        start_server "$command"
        ;;
    *)
        bash -c "$command" 2>&1 || return
        # What follows asks about what a command did to the chain.
        [[ $command != scripts/regtest.sh* || $command == *" stop" ]] || wait_for_server
        ;;
    esac
}

cd "$work"
metashrew new guest --lang "$language" --sdk "$checkout"
cd guest
if [[ -e Cargo.toml ]]; then
    # Where cargo puts what it builds: the page says `target`.
    mkdir -p "$CARGO_TARGET_DIR"
    ln -s "$CARGO_TARGET_DIR" target
    cargo fmt --check
    # Clippy's compiler lints the guest while it compiles it. (With another compiler it would not fit.)
    if [[ -z ${RUSTC:-} ]]; then
        printf '#!/bin/sh\nexec clippy-driver "$@" -D warnings\n' >"$work/bin/linting"
        chmod +x "$work/bin/linting"
        export RUSTC_WORKSPACE_WRAPPER=$work/bin/linting
    fi
fi
unshown=any
run_console "$PWD/README.md"

# The module of metashrew.toml names nothing of this machine.
module=$(sed -n 's/^module = "\(.*\)"$/\1/p' metashrew.toml)
for folder in "$work" "$checkout" "$CARGO_HOME"; do
    if grep -q -F "$folder" "$module"; then echo "$module names $folder" >&2; exit 1; fi
done
# Who tests a guest compiles no engine.
if [[ -e Cargo.lock ]] && grep -q '"wasmtime"' Cargo.lock; then echo "the project depends on wasmtime" >&2; exit 1; fi
# What cannot be asked is an error of the clients.
for client in "python3 clients/client.py" "node clients/client.mts"; do
    if told=$($client none 2>&1); then echo "$client: no error for a view that is not there" >&2; exit 1; fi
    [[ $told == error:* ]] || { printf '%s: %s\n' "$client" "$told" >&2; exit 1; }
done
echo "template $language: $commands commands of its README.md run, all as shown"
