# Sourced by ./metashrew and scripts/test.sh: cargo, and what to do where it fails for
# want of something that cargo does not name the remedy of.

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

# Whether there is a C compiler with what belongs to it: rustc links with it, and some
# dependencies are C.
has_c_compiler() {
    local work works=1
    work=$(mktemp -d)
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$work/main.c"
    "${CC:-cc}" -o "$work/main" "$work/main.c" >/dev/null 2>&1 && works=0
    rm -rf "$work"
    return $works
}

# Runs cargo with the arguments.
compile() {
    if ! command -v cargo >/dev/null; then
        say "error: there is no cargo on PATH"
        say "hint: install Rust 1.95 or later: https://rustup.rs"
        exit 1
    fi
    local status=0
    cargo "$@" || status=$?
    ((status)) || return 0
    # Asked only now: where somebody has told cargo of another linker, it may do without `cc`.
    if ! has_c_compiler; then
        say "error: there is no C compiler that works, and Rust needs one to link"
        say "hint: on Debian or Ubuntu, run: apt-get install gcc libc6-dev"
        say "hint: elsewhere, install what brings \`cc\` and the C library's headers; then run this again"
    fi
    exit "$status"
}
