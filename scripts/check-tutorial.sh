#!/usr/bin/env bash
# Does what docs/tutorial.md tells its reader to do, and compares what comes of it.
#
#   scripts/check-tutorial.sh COMMAND    COMMAND is the `metashrew` to run it with
#
# A file is the fenced block below the line `<!-- file: PATH -->`; scripts/console.sh says what is
# a command. Everything happens in a folder beside a link to this checkout, as the reader has it.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
tutorial=$checkout/docs/tutorial.md
# shellcheck source=scripts/console.sh
. scripts/console.sh
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

run_console "$tutorial"
echo "docs/tutorial.md: $files files made, $commands commands run, all as shown"
