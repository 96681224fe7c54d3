#!/bin/sh
# Runs the compiler for cargo. For the module, a package's folder is called `/PACKAGE-VERSION`:
# a panic then tells `/serde_json-1.0.0/src/de.rs`, on whichever machine the module was built.
target=wasm32-unknown-unknown
case " $* " in
*" --target $target "*) ;;
*) exec "$@" ;;
esac
if [ -n "${CARGO_MANIFEST_DIR:-}" ]; then
    set -- "$@" "--remap-path-prefix=$CARGO_MANIFEST_DIR=/$CARGO_PKG_NAME-$CARGO_PKG_VERSION"
fi
"$@" && exit
code=$?
# The compiler's own hint is for those who have rustup.
if ! command -v rustup >/dev/null && ! ls "$("$1" --print target-libdir --target "$target")"/libcore-* >/dev/null 2>&1; then
    echo "hint: without rustup: Debian's Rust (from Debian 13 on) gets the target by \`apt-get install libstd-rust-dev-wasm32\`; elsewhere, install Rust by rustup, https://rustup.rs" >&2
fi
exit $code
