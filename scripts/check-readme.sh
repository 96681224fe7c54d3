#!/usr/bin/env bash
# Runs the commands of README.md as they stand there.
#
#   scripts/check-readme.sh main-job      starts the main job, makes every call that
#                                         README shows and compares the answers
#   scripts/check-readme.sh tests         runs the test command
#   scripts/check-readme.sh install       installs the command
#   scripts/check-readme.sh no-compiler   runs both where there is no C compiler, and
#                                         looks for the remedy in what they say
#
# The examples in docs/ and in guests/README.md are run by the tests (`docs::`).
#
# A command is the fenced block below the line `<!-- ci: NAME -->`. A call is a
# line that begins with `$ ` in a `console` block; the lines below it are its answer.
set -euo pipefail
cd "$(dirname "$0")/.."

block() { # the fenced block called $1
    awk -v mark="<!-- ci: $1 -->" '
        $0 == mark { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next }
        inside { print }
    ' README.md
}

named_block() {
    local command
    command=$(block "$1")
    [[ -n $command ]] || { echo "README.md has no command \`$1\`" >&2; exit 1; }
    printf '%s\n' "$command"
}

main_job() {
    local command log server
    command=$(named_block main-job)
    [[ ! -e db ]] || { echo "there is a database at ./db already, which README's command would go on with; move it away" >&2; exit 1; }
    log=$(mktemp)
    echo "+ $command"
    setsid bash -c "$command" >"$log" 2>&1 &
    server=$!
    trap 'kill -- -'"$server"' 2>/dev/null || true; rm -rf db' EXIT
    wait_until_indexed "$server" "$log"
    cat "$log"
    echo "README.md: the main job served its last block after ${SECONDS}s, all set-up included"
    compare_calls
    kill -TERM -- "-$server"
    wait "$server" || { echo "the main job did not stop cleanly on SIGTERM" >&2; cat "$log" >&2; exit 1; }
    echo "README.md: every answer is as shown"
}

wait_until_indexed() { # server's process, its log
    local height='{"jsonrpc":"2.0","id":1,"method":"metashrew_height","params":[]}'
    for ((i = 0; i < 3600; i++)); do
        if curl -s -m 2 http://127.0.0.1:8080 -H 'content-type: application/json' -d "$height" | grep -q '"255"'; then
            return
        fi
        kill -0 "$1" 2>/dev/null || { echo "the main job ended early:" >&2; cat "$2" >&2; exit 1; }
        sleep 0.5
    done
    echo "the main job did not index its blocks in 30 minutes:" >&2
    cat "$2" >&2
    exit 1
}

compare_calls() {
    local calls=0 call expected actual
    while IFS=$'\t' read -r call expected; do
        actual=$(bash -c "$call" | tr '\n' ' ' | sed 's/ *$//')
        if [[ $actual != "$expected" ]]; then
            printf 'README.md differs for: %s\n  shown: %s\n  given: %s\n' "$call" "$expected" "$actual" >&2
            exit 1
        fi
        calls=$((calls + 1))
    done < <(awk '
        /^```console/ { inside = 1; next }
        /^```/ { if (inside && call != "") print call "\t" answer; call = answer = ""; inside = 0; next }
        inside && /^\$ / { if (call != "") print call "\t" answer; call = substr($0, 3); answer = ""; next }
        inside { answer = answer == "" ? $0 : answer " " $0 }
    ' README.md)
    ((calls > 0)) || { echo "README.md shows no calls" >&2; exit 1; }
    echo "README.md: $calls calls made"
}

# Every program on PATH but compilers: what a machine has that nobody has compiled on.
path_without_compiler() {
    local folder program
    while IFS= read -r -d : folder; do
        for program in "$folder"/*; do
            case ${program##*/} in
            cc | c89* | c99* | *gcc* | *g++* | c++ | cpp* | clang*) ;;
            *) [[ ! -x $program || -d $program ]] || ln -s "$program" "$1/" 2>/dev/null || true ;;
            esac
        done
    done <<<"$PATH:"
}

# Installs the command into a folder of its own, and looks whether it is whole and stripped.
install_it() {
    local command bytes sections
    command=$(named_block install)
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    echo "+ $command"
    CARGO_INSTALL_ROOT="$scratch" bash -c "$command"
    "$scratch/bin/metashrew" inspect guests/wasm/addresses.wasm >/dev/null
    bytes=$(stat -c %s "$scratch/bin/metashrew")
    # On its own, so that it fails where readelf is missing or cannot read the file.
    sections=$(LC_ALL=C readelf -S -W "$scratch/bin/metashrew")
    [[ $sections == *" .text "* ]] || { echo "readelf names no section \`.text\` of the installed command" >&2; exit 1; }
    if grep -E '\.(debug_info|debug_line|symtab)' <<<"$sections"; then
        echo "the installed command ($bytes bytes) is not stripped" >&2
        exit 1
    fi
    echo "README.md: the installed command works, and has $bytes bytes"
}

no_compiler() {
    local name command said status
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    mkdir "$scratch/bin"
    path_without_compiler "$scratch/bin"
    for name in main-job tests; do
        command=$(named_block "$name")
        echo "+ $command   # without a C compiler"
        status=0
        # The tests' node needs a compiler of its own, which is not the point here.
        said=$(env -u CC PATH="$scratch/bin" CARGO_TARGET_DIR="$scratch/target" BITCOIND_EXE=/bin/true bash -c "$command" 2>&1) || status=$?
        if ((status == 0)) || [[ $said != *"apt-get install gcc libc6-dev"* ]]; then
            printf 'it ended with %d and names no remedy:\n%s\n' "$status" "$said" >&2
            exit 1
        fi
    done
    echo "README.md: without a C compiler, both commands name the remedy"
}

case ${1:-} in
main-job) main_job ;;
tests)
    command=$(named_block tests)
    echo "+ $command"
    bash -c "$command"
    echo "README.md: the tests passed after ${SECONDS}s, all set-up included"
    ;;
install) install_it ;;
no-compiler) no_compiler ;;
*)
    echo "usage: $0 main-job|tests|install|no-compiler" >&2
    exit 2
    ;;
esac
