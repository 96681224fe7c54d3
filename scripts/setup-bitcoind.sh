#!/usr/bin/env bash
# Finds or builds the Bitcoin node that the tests run, and prints the folder that bitcoind and bitcoin-cli are in.
# Uses what is there already: $BITCOIND_EXE, or bitcoind on PATH, or an earlier build. Else builds the source that the crate
# libbitcoinkernel-sys 0.2.0 carries (Bitcoin Core 30.99, with ZMQ and REST, without wallet; about 6 minutes on 2 cores).
# Needs root, sudo, or the Debian packages named below. What it does is told on stderr. The tests run it by themselves.
#   bin=$(setup-bitcoind.sh) && "$bin/bitcoind" -version
set -euo pipefail
CRATE=libbitcoinkernel-sys VERSION=0.2.0
ROOT=${BITCOIND_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bitcoind-$VERSION}
say() { printf 'setup-bitcoind: %s\n' "$*" >&2; }
die() { printf 'setup-bitcoind: error: %s\n' "$*" >&2; exit 1; }

if [[ -n ${BITCOIND_EXE:-} ]]; then dirname "$BITCOIND_EXE"; exit; fi
if command -v bitcoind >/dev/null; then dirname "$(command -v bitcoind)"; exit; fi
if [[ -x $ROOT/bin/bitcoind ]]; then echo "$ROOT/bin"; exit; fi

mkdir -p "$ROOT"
exec 9>"$ROOT/lock"
flock -n 9 || { say "another run is building it; waiting for that"; flock 9; }
if [[ -x $ROOT/bin/bitcoind ]]; then echo "$ROOT/bin"; exit; fi

say "there is no Bitcoin node here yet: building Bitcoin Core 30.99 in $ROOT, once; about 6 minutes on 2 cores"
packages="cmake g++ make libboost-dev libevent-dev libzmq3-dev pkg-config"
if ! command -v dpkg >/dev/null; then
    say "this is neither Debian nor Ubuntu: trying with what is here; the packages are called $packages there"
# shellcheck disable=SC2086
elif ! dpkg -s $packages >/dev/null 2>&1; then
    sudo=()
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null ||
            die "packages are missing, and only root can install them; run: sudo apt-get install $packages"
        sudo=(sudo -n)
    fi
    say "installing what that needs: $packages"
    "${sudo[@]}" apt-get update -qq >&2 || say "apt-get update failed; going on with the lists there are"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 9>&- ||
        die "packages could not be installed; run: apt-get install $packages"
fi
work=$(mktemp -d "$ROOT/work.XXXXXX"); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/fetch/src"; : >"$work/fetch/src/lib.rs"
printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' $CRATE $VERSION >"$work/fetch/Cargo.toml"
say "fetching $CRATE $VERSION"
(cd "$work/fetch" && cargo fetch --quiet >&2)
manifest=$(cd "$work/fetch" && cargo metadata --format-version 1 | grep -o "\"manifest_path\":\"[^\"]*/$CRATE-$VERSION/Cargo.toml\"" | head -n1 | cut -d'"' -f4)
[[ -n $manifest ]] || die "cargo did not tell where $CRATE is"
cp -r "$(dirname "$manifest")/bitcoin" "$work/src"
# The crate leaves this one header out; init.cpp names the type and never throws it.
if [[ ! -e $work/src/src/ipc/exception.h ]]; then
    mkdir -p "$work/src/src/ipc"
    printf '#pragma once\n#include <stdexcept>\nnamespace ipc { class Exception : public std::runtime_error { public: using std::runtime_error::runtime_error; }; }\n' >"$work/src/src/ipc/exception.h"
fi
say "compiling it after ${SECONDS}s; the compiler's output goes to $ROOT/build.log"
cmake -B "$work/build" -S "$work/src" -DCMAKE_BUILD_TYPE=Release -DBUILD_DAEMON=ON -DBUILD_CLI=ON -DWITH_ZMQ=ON -DENABLE_WALLET=OFF \
    -DENABLE_IPC=OFF -DBUILD_TESTS=OFF -DBUILD_BENCH=OFF -DBUILD_TX=OFF -DBUILD_UTIL=OFF -DBUILD_BITCOIN_BIN=OFF -DBUILD_WALLET_TOOL=OFF \
    -DENABLE_EXTERNAL_SIGNER=OFF -DBUILD_FUZZ_BINARY=OFF -DBUILD_KERNEL_LIB=OFF -DBUILD_UTIL_CHAINSTATE=OFF -DBUILD_GUI=OFF \
    -DREDUCE_EXPORTS=OFF -DAPPEND_CXXFLAGS=-O1 -DINSTALL_MAN=OFF -DWITH_CCACHE=OFF >"$ROOT/configure.log" 2>&1 || die "configure failed: $ROOT/configure.log"
cmake --build "$work/build" -j"$(nproc)" >"$ROOT/build.log" 2>&1 || die "build failed: $ROOT/build.log"
mkdir -p "$ROOT/bin.new"
cp "$work"/build/bin/bitcoind "$work"/build/bin/bitcoin-cli "$ROOT/bin.new/"
mv "$ROOT/bin.new" "$ROOT/bin"
say "ready after ${SECONDS}s: $("$ROOT/bin/bitcoind" -version | head -n1)"
echo "$ROOT/bin"
