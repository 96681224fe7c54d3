# Runs the commands that a document shows, and compares what they print with what is shown. To be sourced.
#
#   run_console FILE    fails unless there are commands, and all end well and print what is shown
#
# In a `console` block, a line that begins with `$ ` is a command, and the lines below it are what it prints; `…` stands
# for anything, and `<!-- not run: WHY -->` exempts a block. Who sources this may define `run_command COMMAND`, which runs
# one and prints what it printed, and may set `unshown=any` if what prints something need not show it.
# shellcheck shell=bash

run_command() { bash -c "$1" 2>&1; }

run_console() { # a document
    local document=$1 name=${1##*/} command='' shown='' inside='' line
    commands=0
    while IFS= read -r line; do
        case $inside$line in
        '<!-- not run: '*) inside=skip ;;
        'skip```') inside='' ;;
        skip*) ;;
        '```console') inside=1 ;;
        '1```')
            [[ -z $command ]] || run_and_compare "$name" "$command" "$shown"
            command='' shown='' inside=''
            ;;
        '1$ '*)
            [[ -z $command ]] || run_and_compare "$name" "$command" "$shown"
            command=${line#'$ '} shown=''
            ;;
        1*) shown+=${shown:+$'\n'}$line ;;
        esac
    done <"$document"
    ((commands > 0)) || { echo "$name shows no commands" >&2; exit 1; }
}

run_and_compare() { # the document's name, a command, what is shown
    local given pattern
    printf '+ %s\n' "$2"
    given=$(run_command "$2") || { printf '%s: it failed:\n%s\n' "$1" "$given" >&2; exit 1; }
    commands=$((commands + 1))
    if [[ -z $3 && ${unshown:-} == any ]]; then return; fi
    # Every character stands for itself, but for `…`.
    pattern=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' <<<"$3")
    # shellcheck disable=SC2053 # a pattern is meant
    if [[ $given != $pattern ]]; then
        printf '%s differs for: %s\n--- shown:\n%s\n--- given:\n%s\n' "$1" "$2" "$3" "$given" >&2
        exit 1
    fi
}
