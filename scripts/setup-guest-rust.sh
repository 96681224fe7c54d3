#!/usr/bin/env bash
# Gets the oldest Rust that guests are built with, 1.85, with std for wasm.
#
#   scripts/setup-guest-rust.sh                     set up; print the needed exports
#   scripts/setup-guest-rust.sh COMMAND [ARG...]    set up; run COMMAND with them
#
# On an ordinary machine this is `rustup toolchain install 1.85.1`. Where rustup's
# download is out of reach, but Debian's packages are not, it unpacks those of Debian 13
# into a private folder and exports RUSTC. They want a newer C library than Debian 12
# has, so Debian 13's is unpacked with them, and the compiler runs on that one.
# Cargo is the one on PATH, if rustup has no 1.85. Nothing else on the machine is changed.
#
# Variables:
#   GUEST_RUST_DIR     the private folder (~/.cache/guest-rust-1.85)
#   GUEST_RUST_SETUP   auto (default), rustup (never fall back),
#                      debian (straight to the fallback, for testing it)
set -euo pipefail

RUST=1.85.1
TARGET=wasm32-unknown-unknown
HOST=x86_64-unknown-linux-gnu
ROOT=${GUEST_RUST_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/guest-rust-1.85}
MODE=${GUEST_RUST_SETUP:-auto}
TC=$ROOT/debian
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'setup-guest-rust: %s\n' "$*" >&2; }
die() { printf 'setup-guest-rust: error: %s\n' "$*" >&2; exit 1; }

# Whether compiler $1 is this Rust and has a std for the target.
works() {
    local dir
    [[ $("$1" --version 2>/dev/null) == "rustc $RUST "* ]] || return 1
    dir=$("$1" --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
    compgen -G "$dir/libstd-*.rlib" >/dev/null
}

finish() { # the compiler, the command
    say "using $("$1" --version): $1"
    export RUSTC=$1
    shift
    if (($#)); then exec "$@"; fi
    printf 'export RUSTC=%q\n' "$RUSTC"
    if [[ -n ${RUSTUP_TOOLCHAIN:-} ]]; then printf 'export RUSTUP_TOOLCHAIN=%q\n' "$RUSTUP_TOOLCHAIN"; fi
    exit 0
}

finish_rustup() {
    export RUSTUP_TOOLCHAIN=$RUST # so that cargo is of that version, too
    finish "$(rustup which rustc --toolchain "$RUST")" "$@"
}

case $MODE in auto | rustup | debian) ;; *) die "GUEST_RUST_SETUP=$MODE: want auto, rustup or debian" ;; esac

# 1. rustup has it already; or the fallback was set up earlier.
rustups() { command -v rustup >/dev/null && works "$(rustup which rustc --toolchain "$RUST" 2>/dev/null || echo none)"; }
if [[ $MODE != debian ]] && rustups; then finish_rustup "$@"; fi
if [[ $MODE != rustup ]] && works "$TC/rustc"; then finish "$TC/rustc" "$@"; fi

# 2. The ordinary way. Offline, rustup may hang: hence the limit.
if [[ $MODE != debian ]]; then
    if command -v rustup >/dev/null; then
        say "rustup toolchain install $RUST"
        if RUST_BACKTRACE=0 timeout -k 5 "${WASM_RUSTUP_TIMEOUT:-180}" \
            rustup toolchain install "$RUST" --profile minimal --target "$TARGET" --no-self-update </dev/null >&2 && rustups; then
            finish_rustup "$@"
        fi
        say "rustup could not install $RUST"
    else
        say "no rustup on PATH"
    fi
    [[ $MODE != rustup ]] || die "no Rust $RUST; run: rustup toolchain install $RUST --target $TARGET"
fi

# 3. Debian 13's compiler.
say "falling back to the packages of Debian 13"
[[ $(uname -sm) == 'Linux x86_64' ]] || die "the fallback is for Linux x86_64 only; run: rustup toolchain install $RUST --target $TARGET"
for tool in apt-get dpkg-deb cc; do
    command -v "$tool" >/dev/null || die "the fallback needs $tool; run instead: rustup toolchain install $RUST --target $TARGET"
done
[[ -r $KEYRING ]] || die "no $KEYRING, which Debian 13's packages are checked with; run: apt-get install debian-archive-keyring"

mkdir -p "$ROOT"
exec 9>"$ROOT/lock"
if command -v flock >/dev/null; then flock 9; fi
if works "$TC/rustc"; then finish "$TC/rustc" "$@"; fi # another run made it

work=$(mktemp -d "$ROOT/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/apt/parts" "$work/deb" "$work/tc"
# An apt of its own, for which nothing is installed: so it names every package that is needed.
: >"$work/apt/status"
echo "deb [arch=amd64 signed-by=$KEYRING] ${GUEST_RUST_MIRROR:-http://deb.debian.org/debian} trixie main" >"$work/apt/sources.list"
private=(-o "Dir::State=$work/apt" -o "Dir::State::status=$work/apt/status" -o "Dir::State::lists=$work/apt/lists"
    -o "Dir::Cache=$work/apt" -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o "Dir::Etc::sourceparts=$work/apt/parts"
    -o "Dir::Etc::preferencesparts=$work/apt/parts" -o APT::Architecture=amd64 -o APT::Sandbox::User= -o Acquire::Languages=none)
apt-get "${private[@]}" update -qq >&2 || die "Debian 13's lists of packages could not be had"
packages=$(LC_ALL=C apt-get "${private[@]}" install -s --no-install-recommends rustc libstd-rust-dev-wasm32 lld-19 |
    sed -n 's/^Inst \([^ :]*\).*/\1/p')
# What a compiler's linker needs is the machine's own; so only the libraries, and what is asked for.
wanted=()
for package in $packages; do
    case $package in rustc | libstd-rust-* | lld-19 | lib*) wanted+=("$package") ;; esac
done
[[ " ${wanted[*]} " == *" libstd-rust-dev-wasm32 "* ]] || die "Debian 13 has no libstd-rust-dev-wasm32 that can be installed"
say "downloading ${#wanted[@]} packages"
(cd "$work/deb" && LC_ALL=C apt-get "${private[@]}" download -qq "${wanted[@]}" >&2) || die "the packages could not be downloaded"

say "unpacking"
for deb in "$work"/deb/*.deb; do
    dpkg-deb -x "$deb" "$work/tc"
    rm "$deb"
done
# Run as `$TC/rustc`, on Debian 13's C library. Not by LD_LIBRARY_PATH: the linker that rustc starts is the machine's.
run='exec "$here/usr/lib64/ld-linux-x86-64.so.2" --library-path "$here/usr/lib/x86_64-linux-gnu:$here/usr/lib/llvm-19/lib"'
[[ -e $work/tc/usr/lib64/ld-linux-x86-64.so.2 ]] || run=${run/usr\/lib64/lib64}
rustlib=$work/tc/usr/lib/rustlib
cat >"$work/tc/rustc" <<EOF
#!/bin/sh
# Debian 13's rustc, run from this folder.
here=\$(dirname "\$(readlink -f "\$0")")
$run "\$here/usr/bin/rustc" --sysroot "\$here/usr" "\$@"
EOF
mkdir -p "$rustlib/$HOST/bin"
rm -f "$rustlib/$HOST/bin/rust-lld"
cat >"$rustlib/$HOST/bin/rust-lld" <<EOF
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")/../../../../..
$run "\$here/usr/lib/llvm-19/bin/lld" "\$@"
EOF
chmod +x "$work/tc/rustc" "$rustlib/$HOST/bin/rust-lld"
"$work/tc/rustc" --version >/dev/null || die "Debian 13's rustc does not run here"

# Prove it before it is put in place: a guest, and a program for this machine, as build scripts are.
printf '%s\n' '#[unsafe(no_mangle)] pub extern "C" fn f(n: usize) -> usize { vec![1u8; n].len() }' >"$work/guest.rs"
"$work/tc/rustc" --edition 2024 --crate-type cdylib -O --target "$TARGET" -o "$work/guest.wasm" "$work/guest.rs" >&2 ||
    die "the compiler cannot build a guest"
[[ $(head -c4 "$work/guest.wasm" | od -An -tx1 | tr -d ' \n') == 0061736d ]] || die "the test guest is no wasm module"
echo 'fn main() { println!("{}", std::env::args().count()); }' >"$work/host.rs"
"$work/tc/rustc" -o "$work/host" "$work/host.rs" >&2 || die "the compiler cannot build for this machine"
[[ $("$work/host") == 1 ]] || die "what it builds does not run here"

rm -rf "$TC" "$work/tc/usr/share"
mv "$work/tc" "$TC"
say "ready: $(du -sh "$TC" | cut -f1) in $TC"
finish "$TC/rustc" "$@"
