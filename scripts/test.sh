#!/usr/bin/env bash
# Sets up what the tests need, and runs them.
#
#   scripts/test.sh [ARG...]    with more arguments for `cargo test`
#
# The tests would build their Bitcoin node by themselves. Here it is done first, so
# that a package which is missing is known before everything has been compiled.
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "$0")")")
# shellcheck source=scripts/compile.sh
. "$project/scripts/compile.sh"

arguments=(--workspace --release --locked --manifest-path "$project/Cargo.toml")
say "1 of 3: a Bitcoin node for the tests"
bin=$("$project/scripts/setup-bitcoind.sh")
say "1 of 3: $("${BITCOIND_EXE:-$bin/bitcoind}" -version | head -n 1), after ${SECONDS}s"
say "2 of 3: compiling the tests (about 7 minutes on 2 cores the first time, once metashrew has been compiled)"
compile test --no-run "${arguments[@]}"
say "3 of 3: running the tests after ${SECONDS}s (about 6 minutes on 2 cores)"
status=0
cargo test "${arguments[@]}" "$@" || status=$?
say "ended after ${SECONDS}s"
exit $status
