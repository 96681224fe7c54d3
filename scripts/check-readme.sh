#!/usr/bin/env bash
# Runs the commands of README.md as they stand there.
#
#   scripts/check-readme.sh main-job   starts the main job, makes every curl call
#                                      that README shows and compares the answers
#   scripts/check-readme.sh tests      runs the test command
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

main_job() {
    local command log server
    command=$(block main-job)
    [[ -n $command ]] || { echo "README.md has no main job" >&2; exit 1; }
    [[ ! -e db ]] || { echo "there is a database at ./db already, which README's command would go on with; move it away" >&2; exit 1; }
    log=$(mktemp)
    echo "+ $command"
    setsid bash -c "$command" >"$log" 2>&1 &
    server=$!
    trap 'kill -- -'"$server"' 2>/dev/null || true; rm -rf db' EXIT
    wait_until_indexed "$server" "$log"
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

case ${1:-} in
main-job) main_job ;;
tests)
    command=$(block tests)
    [[ -n $command ]] || { echo "README.md has no test command" >&2; exit 1; }
    echo "+ $command"
    exec bash -c "$command"
    ;;
*)
    echo "usage: $0 main-job|tests" >&2
    exit 2
    ;;
esac
