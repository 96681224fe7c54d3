#!/usr/bin/env bash
# How long a guest takes to build, cold and after a change of one line, and how large it gets.
#
#   scripts/measure-guest-builds.sh [GUEST...]     guests of guests/ (example ledger)
#
# Cold is an empty target folder, with all sources at hand. The changes are made in a copy: one
# in the guest, one in the SDK. Each is made three times; the middle one counts. *cpu* is the
# processor time of all processes, which moves less than the time on a busy machine.
# Takes two minutes or so on two quiet cores.
set -euo pipefail
cd "$(dirname "$0")/.."

(($#)) || set -- example ledger
for guest in "$@"; do
    [[ -f guests/$guest/src/lib.rs ]] || { echo "$0: no guest \`$guest\` in guests/" >&2; exit 2; }
done
exports=$(scripts/setup-wasm.sh) && eval "$exports"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
tar --exclude=target --exclude=node_modules --exclude=guests/wasm -cf - \
    Cargo.toml Cargo.lock crates guests | tar -C "$work/tree" -xf -
cd "$work/tree/guests"
export CARGO_TARGET_DIR=$work/target
cargo fetch --quiet --locked

# Builds; prints the seconds it took, and those of processor time.
build() {
    local TIMEFORMAT='%R %U %S'
    {
        time cargo build --quiet --locked --release --target wasm32-unknown-unknown \
            --package "$1" 2>"$work/errors"
    } 2>"$work/time" || { cat "$work/errors" >&2; return 1; }
    awk '{ printf "%.1f %.1f\n", $1, $2 + $3 }' "$work/time"
}

# Changes a line of a file and builds, three times; prints the middle one.
changed() {
    local run
    for run in 1 2 3; do
        echo "const _: u32 = $run;" >>"$2"
        build "$1" || exit
    done | sort -n | sed -n 2p
}

row() { printf '%-10s %-22s %8s s %8s s cpu\n' "$1" "$2" "${3% *}" "${3#* }"; }

"${RUSTC:-rustc}" --version
for guest in "$@"; do
    rm -rf "$work/target"
    times=$(build "$guest")
    row "$guest" cold "$times"
    times=$(changed "$guest" "$guest/src/lib.rs")
    row "$guest" 'a line of the guest' "$times"
    times=$(changed "$guest" ../crates/metashrew-core/src/lib.rs)
    row "$guest" 'a line of the SDK' "$times"
    module=$work/target/wasm32-unknown-unknown/release/${guest//-/_}.wasm
    printf '%-10s %-22s %8s bytes, %s compressed\n' "$guest" size \
        "$(stat -c %s "$module")" "$(gzip -9 -c "$module" | wc -c)"
done
