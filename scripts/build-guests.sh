#!/usr/bin/env bash
# Builds the example guests from source.
#
#   scripts/build-guests.sh                  all of them, into guests/wasm
#   scripts/build-guests.sh all DIRECTORY    all of them, into another directory
#   scripts/build-guests.sh rust [DIRECTORY] the Rust ones only (no Node.js, no clang needed)
#
# Debian and Ubuntu have what the others need in: apt-get install nodejs npm clang lld
# scripts/setup-wasm.sh sees to the compiler's wasm target.
set -euo pipefail
cd "$(dirname "$0")/.."

which=${1:-all}
case $which in all | rust) ;; *) echo "usage: $0 [all|rust] [DIRECTORY]" >&2; exit 2 ;; esac
mkdir -p "${2:-guests/wasm}"
out=$(cd "${2:-guests/wasm}" && pwd)

# Panic messages name source files: without the folders of this machine.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
guests=(addresses attributes blocks existing ledger memo script script-by-hand session tables typed workload)
remap="--remap-path-prefix=$PWD=/metashrew"
for sources in "$cargo_home"/registry/src/*; do
    remap+=$'\x1f'"--remap-path-prefix=$sources=/cargo"
done
(
    cd guests
    CARGO_TARGET_DIR=$PWD/target CARGO_ENCODED_RUSTFLAGS=$remap \
        ../scripts/setup-wasm.sh cargo build --locked --release --target wasm32-unknown-unknown "${guests[@]/#/--package=}"
)
for guest in "${guests[@]}"; do
    install -m 644 "guests/target/wasm32-unknown-unknown/release/${guest//-/_}.wasm" "$out/"
done

if [[ $which == all ]]; then
    (
        cd guests/assemblyscript
        npm ci --no-audit --no-fund --loglevel=error
        npm run --silent build -- --outFile "$out/tally.wasm"
        npm run --silent build:fields -- --outFile "$out/fields_as.wasm"
    )
    make --silent --directory guests/c OUT="$out"
fi
ls -l "$out"
