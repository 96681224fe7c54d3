#!/usr/bin/env bash
# Does what docs/tutorial.md tells its reader to do, and compares what comes of it.
#
#   scripts/check-tutorial.sh COMMAND    COMMAND is the `metashrew` to run it with
#
# A file is the fenced block below the line `<!-- file: PATH -->`. In a `console` block, a line that
# begins with `$ ` is a command, and the lines below it are what it prints; `…` stands for
# anything, and `<!-- not run: WHY -->` exempts a block. Everything happens in a folder beside
# a link to this checkout, as the reader has it.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
tutorial=$checkout/docs/tutorial.md
metashrew=$(realpath "${1:?usage: $0 COMMAND}")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$checkout/target}/tutorial

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/tokens"
ln -s "$checkout" "$work/metashrew"
ln -s "$metashrew" "$work/bin/metashrew"
export PATH="$work/bin:$PATH"
cd "$work/tokens"

# Each file of the project is written as it stands in the page.
files=0
while IFS= read -r path; do
    mkdir -p "$(dirname "$path")"
    awk -v mark="<!-- file: $path -->" '
        $0 == mark { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next }
        inside { print }
    ' "$tutorial" >"$path"
    files=$((files + 1))
done < <(sed -n 's/^<!-- file: \(.*\) -->$/\1/p' "$tutorial")
((files > 0)) || { echo "docs/tutorial.md shows no files" >&2; exit 1; }
cargo fmt --check
# Where cargo puts what it builds: the page says `target`.
ln -s "$CARGO_TARGET_DIR" target

compare() { # a command, what the page shows, what it printed
    local pattern
    # Every character stands for itself, but for `…`.
    pattern=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' <<<"$2")
    # shellcheck disable=SC2053 # a pattern is meant
    if [[ $3 != $pattern ]]; then
        printf 'docs/tutorial.md differs for: %s\n--- shown:\n%s\n--- given:\n%s\n' "$1" "$2" "$3" >&2
        exit 1
    fi
}

commands=0
run() { # a command, what the page shows
    local given
    printf '+ %s\n' "$1"
    given=$(bash -c "$1" 2>&1) || { printf 'it failed:\n%s\n' "$given" >&2; exit 1; }
    compare "$1" "$2" "$given"
    commands=$((commands + 1))
}

command='' shown='' inside=
while IFS= read -r line; do
    case $inside$line in
    '<!-- not run: '*) inside=skip ;;
    'skip```') inside= ;;
    skip*) ;;
    '```console') inside=1 ;;
    '1```')
        [[ -z $command ]] || run "$command" "$shown"
        command='' shown='' inside=
        ;;
    '1$ '*)
        [[ -z $command ]] || run "$command" "$shown"
        command=${line#'$ '} shown=
        ;;
    1*) shown+=${shown:+$'\n'}$line ;;
    esac
done <"$tutorial"
((commands > 0)) || { echo "docs/tutorial.md shows no commands" >&2; exit 1; }
echo "docs/tutorial.md: $files files made, $commands commands run, all as shown"
