#!/usr/bin/env bash
# Counted limits of the firmware build. Each gate prints its figure, so that a drift is seen before it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

MAX_CRATES=99
MAX_STRIPPED_BYTES=$((8 * 1024 * 1024))
# With TLS. The goal is 1.5 MB without it; docs/performance.md tells what the rest is.
MAX_FIRMWARE_BYTES=$((4096 * 1024))
MAX_FILE_LINES=600

failed=0
gate() { # gate NAME VALUE LIMIT
    echo "gate: $1: $2 (limit $3)"
    [ "$2" -le "$3" ] || { echo "gate: $1 is over its limit"; failed=1; }
}

gate "crates in the firmware build" "$(
    cargo tree --edges normal --no-default-features --features firmware --prefix none --package cgminer-rs |
        sed 's/ (\*)$//' | awk '{print $1, $2}' | sort -u | wc -l
)" "$MAX_CRATES"

gate "lines of the longest source file" "$(
    git ls-files '*.rs' | xargs wc -l | awk '$2 != "total" {print $1}' | sort -n | tail -n 1
)" "$MAX_FILE_LINES"

# Conditions that chain `let` need Rust 1.88; newer functions of the standard library are found by clippy's incompatible_msrv.
# shellcheck disable=SC2016 # The dollars are Perl's.
gate "conditions that Rust 1.85 does not know" "$(
    git ls-files '*.rs' | xargs perl -0777 -ne '
        $found++ while /&& let |^( *)(?:.*\b)?(?:if|while) let .*\n(?:\1    .*\n)*?\1    && /mg;
        END { print $found + 0 }'
)" 0

RUSTFLAGS="$(deploy/firmware/rustflags.sh)" \
    cargo build --release --no-default-features --features firmware --target-dir target/firmware
gate "bytes of the stripped firmware binary" "$(stat --format %s target/firmware/release/cgminer-rs)" "$MAX_FIRMWARE_BYTES"

cargo build --release
gate "bytes of the stripped binary with the emulator" "$(stat --format %s target/release/cgminer-rs)" "$MAX_STRIPPED_BYTES"

exit "$failed"
