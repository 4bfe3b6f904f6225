#!/usr/bin/env bash
# Prints the RUSTFLAGS of a firmware build for this machine's own processor (x86-64, linked by rustc's lld):
# equal functions are kept once, relocations are packed (needs glibc 2.36 or musl 1.2.4 to load), unwind tables go.
set -euo pipefail
script=$(realpath "$(dirname "$0")")/discard-unwind-tables.ld
echo "-Clink-arg=-Wl,--icf=all -Clink-arg=-Wl,-z,pack-relative-relocs \
-Clink-arg=-Wl,-T,$script -Clink-arg=-Wl,--no-eh-frame-hdr -Clink-arg=-s"
