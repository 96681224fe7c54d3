# Everything CI runs, by hand. `just --list` shows the recipes.

# All checks, as CI runs them.
ci: fmt clippy doc deny test

# Check the formatting of host and guest code.
fmt:
    cargo fmt --all --check
    cargo fmt --manifest-path guests/Cargo.toml --all --check

# Lint host and guest code; warnings are errors.
clippy:
    cargo clippy --workspace --all-targets --release -- -D warnings
    cargo clippy --manifest-path guests/Cargo.toml --all-targets -- -D warnings

# Build the documentation; warnings are errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --release --no-deps

# Licences, advisories, duplicate dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# Run the tests, set-up included.
test:
    scripts/test.sh
    cargo test --manifest-path guests/Cargo.toml --workspace

# Run README's first command, and make the calls that README shows.
readme:
    scripts/check-readme.sh main-job

# Build the example guests from source into guests/wasm.
guests:
    scripts/build-guests.sh

# Run the benchmarks and print their tables.
bench:
    cargo bench --workspace
