#!/usr/bin/env bash
# Builds a guest from a checkout against this SDK, runs it, and compares its state.
#
#   scripts/check-guest.sh PATH [OPTION...] [-- START-OPTION...]
#
# PATH is the folder with the guest's Cargo.toml, or that of its workspace. It is copied;
# in the copy, every dependency on a crate of the SDK (metashrew-core, -support…) is this SDK's.
# The rest is the guest's own: toolchain file, .cargo/config.toml, profile, lockfile.
# START-OPTIONs go to `metashrew start`; without them it is the first 255 blocks.
#
#   --package NAME        the guest, where PATH has several
#   --features LIST       features to build it with
#   --golden FILE         compare the state with this one; a difference fails
#   --write-golden FILE   write the state to this file
#   --metashrew PATH      the command to run it with (./metashrew of this project)
#
# A golden file has a line `KEY VALUE` in hex for each key, in the order of the keys, as
# `metashrew keys` lists them: the same from whatever SDK the guest was built with.
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "$0")")")

say() { printf 'check-guest: %s\n' "$*" >&2; }
die() { printf 'check-guest: error: %s\n' "$*" >&2; exit 1; }
usage() { sed -n 's/^# \{0,1\}//; 2,20p' "$0" >&2; exit 2; }

(($#)) || usage
case $1 in -h | --help) usage ;; esac
[[ -f $1/Cargo.toml ]] || die "no Cargo.toml in \`$1\`"
guest=$(readlink -f "$1")
shift
build=() golden='' written='' metashrew=$project/metashrew
while (($#)); do
    case $1 in
    --package | --features) build+=("$1" "${2:?a value for $1}") ;;
    --golden) golden=$(readlink -f "${2:?a file}") && [[ -f $golden ]] || die "no file \`$2\`" ;;
    --write-golden) written=$(readlink -f "${2:?a file}") ;;
    --metashrew) metashrew=$(readlink -f "${2:?a path}") ;;
    --) shift && break ;;
    *) usage ;;
    esac
    shift 2
done
if (($#)); then start=("$@"); else
    start=(--blocks "$project/examples/mainnet-blocks-1-255.dat.bz2" --exit-at 255)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/guest"
tar -C "$guest" --exclude=./target --exclude=./.git -cf - . | tar -C "$work/guest" -xf -

# A dependency is one line, or a section of its own; `workspace = true` stays as it is.
cat >"$work/sdk.awk" <<'EOF'
function is_ours(name) { return name ~ /^metashrew-(abi|core|macros|support|test)$/ && !system("test -d '" sdk "/" name "'") }
/^[ \t]*\[/ {
    section = ""
    if (match($0, /dependencies\.metashrew-[a-z]+\]/)) {
        section = substr($0, RSTART + 13, RLENGTH - 14)
        if (!is_ours(section)) section = ""
    }
    print
    if (section != "") print "path = \"" sdk "/" section "\""
    next
}
section != "" && /^[ \t]*(git|path|tag|branch|rev|version|registry)[ \t]*=/ { next }
/^[ \t]*metashrew-[a-z]+[ \t]*=/ {
    name = $0; sub(/^[ \t]*/, "", name); sub(/[ \t]*=.*/, "", name)
    if (is_ours(name) && $0 !~ /workspace[ \t]*=[ \t]*true/) {
        rest = $0; sub(/^[^=]*=[ \t]*/, "", rest)
        if (rest ~ /^"/) rest = "{ }"
        gsub(/(git|path|tag|branch|rev|version|registry)[ \t]*=[ \t]*"[^"]*"[ \t]*,?[ \t]*/, "", rest)
        sub(/^\{[ \t]*/, "{ path = \"" sdk "/" name "\", ", rest)
        sub(/,[ \t]*\}/, " }", rest)
        print name " = " rest
        next
    }
}
{ print }
EOF
while IFS= read -r -d '' manifest; do
    awk -v sdk="$project/crates" -f "$work/sdk.awk" "$manifest" >"$work/manifest"
    cat "$work/manifest" >"$manifest"
done < <(find "$work/guest" -name Cargo.toml -not -path '*/target/*' -print0)
grep -rqF "$project/crates/metashrew-" --include=Cargo.toml "$work/guest" ||
    die "no manifest in \`$guest\` depends on metashrew-core or metashrew-support"

say "building with $(cd "$work/guest" && "${RUSTC:-rustc}" --version)"
modules=$(
    cd "$work/guest"
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$project/target}/check-guest
    "$project/scripts/setup-wasm.sh" cargo build --release --target wasm32-unknown-unknown "${build[@]}" \
        --message-format json-render-diagnostics >"$work/messages" || {
        command -v clang >/dev/null || say "hint: if a C compiler is missing: docs/existing-guests.md"
        exit 1
    }
    grep -o '"[^"]*/release/[^"/]*\.wasm"' "$work/messages" | tr -d '"' | sort -u
) || die "the guest does not build"
[[ $(wc -l <<<"$modules") == 1 ]] || die "several modules were built, choose one by --package: $(xargs -n1 basename <<<"$modules" | tr '\n' ' ')"
say "built $(basename "$modules"), $(stat -c %s "$modules") bytes"

imports=$("$metashrew" inspect "$modules" | grep 'not provided' || true)
[[ -z $imports ]] || die "the module imports what no host has:"$'\n'"$imports"

"$metashrew" start --indexer "$modules" --db "$work/db" "${start[@]}"
"$metashrew" keys --db "$work/db" |
    sed -E 's/^\{"key":"([^"]*)","value":"([^"]*)".*$/\1 \2/' >"$work/state"
say "the state has $(wc -l <"$work/state") keys"
if [[ -n $written ]]; then
    cp "$work/state" "$written"
    say "written to $written"
fi
if [[ -n $golden ]]; then
    if ! cmp -s "$golden" "$work/state"; then
        say "the state differs; < is $golden, > is this guest's"
        diff "$golden" "$work/state" | head -n 20 >&2 || true
        exit 1
    fi
    say "the same state as in $golden"
fi
