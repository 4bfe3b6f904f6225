#!/usr/bin/env bash
# Builds the release: stripped firmware binaries for x86-64, ARMv7 and ARM64, and their checksums.
#
#   deploy/release.sh [--twice] [OUTPUT]      default: target/release-files
#
# With --twice everything is built in another folder, too, and the two must be the same to the byte. What is built there is what was
# committed.
set -euo pipefail
cd "$(dirname "$0")/.."
twice=
[ "${1:-}" != --twice ] || { twice=yes; shift; }
output=$(realpath --canonicalize-missing "${1:-target/release-files}")
features=(--no-default-features --features firmware)
cargo_home=${CARGO_HOME:-$HOME/.cargo}

say() { echo "release: $*"; }

# Builds all three out of the sources in the working folder, with targets of their own in FOLDER.
build() { # build FOLDER INTO
    local flags
    mkdir -p "$2"
    # No path of the machine that builds may be in what it builds. Cargo leaves these two flags out of the names that it gives, all others
    # decide how functions are ordered; so paths in those are relative, which a linker takes that is started here.
    # Of prefixes that match the last one counts: what the firmware's own flags shorten further stands behind.
    flags="--remap-path-prefix=$PWD=cgminer-rs --remap-path-prefix=$cargo_home=cargo"
    local name triple
    while read -r name triple; do
        say "$name"
        CROSS_STD=own CROSS_TARGET_DIR="$1" RUSTFLAGS="$flags $(deploy/firmware/rustflags.sh "$name" | sed "s#$PWD/##g")" \
            compile "$name" build --release --locked "${features[@]}" --quiet
        install "$1/$triple/release/cgminer-rs" "$2/cgminer-rs-$name"
    done <<'TARGETS'
x86-64 x86_64-unknown-linux-gnu
armv7 armv7-unknown-linux-gnueabihf
arm64 aarch64-unknown-linux-gnu
TARGETS
    (cd "$2" && sha256sum cgminer-rs-* >SHA256SUMS)
}

compile() { # compile TARGET COMMAND ...
    if [ "$1" = x86-64 ]; then
        shift
        # Named, so that the flags are not for build scripts, which are linked elsewhere.
        cargo "$@" --target x86_64-unknown-linux-gnu --target-dir "$CROSS_TARGET_DIR"
    else
        deploy/cross/cargo.sh "$@"
    fi
}

deploy/cross/toolchain.sh
deploy/cross/std.sh
# The folder of other crates has to be there when its name is left out.
cargo fetch --locked --quiet
rm -rf "$output"
second=
if [ -n "$twice" ]; then
    # Another folder, so that a path which found its way into a binary shows. At the same time, since link-time optimisation of one
    # crate keeps one processor busy.
    elsewhere=$(mktemp --directory)
    trap '[ -z "$second" ] || kill "$second" 2>/dev/null; rm -rf "$elsewhere"' EXIT
    git archive HEAD | tar --extract --directory "$elsewhere"
    mkdir "$elsewhere/target"
    # With a toolchain of its own, since cargo names the parts of the standard library after their place in the tree.
    toolchain=$(realpath target/cross)
    cp --archive --reflink=auto "$toolchain" "$elsewhere/target/cross"
    sed --in-place "s#$toolchain/#$elsewhere/target/cross/#g" "$elsewhere"/target/cross/bin/*
    (cd "$elsewhere" && build "$elsewhere/target/release-build" "$elsewhere/files" >/dev/null) &
    second=$!
fi
build target/release-build "$output"
cat "$output/SHA256SUMS"
stat --format '%s bytes  %n' "$output"/cgminer-rs-*

if [ -n "$twice" ]; then
    wait "$second" || { say "the second build failed"; exit 1; }
    second=
    cmp "$output/SHA256SUMS" "$elsewhere/files/SHA256SUMS" || { say "the second build differs from the first"; exit 1; }
    say "built twice, to the same bytes"
fi
