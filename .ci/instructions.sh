#!/usr/bin/env bash
# Counts the instructions that a step of work costs on a control board, and holds them to limits. qemu-user runs the ARMv7 program one
# instruction at a time and tells each; two runs differ by just the steps that the longer one does more.
#
#   .ci/instructions.sh            makes the cross toolchain at the first use
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/cross/toolchain.sh
toolchain=$(realpath "${CROSS_TOOLCHAIN:-target/cross}")
# As the firmware is compiled, link-time optimisation included, but for the standard library, which is Debian's here.
RUSTFLAGS="$(deploy/firmware/rustflags.sh armv7)" CROSS_TARGET_DIR=target/cross-instructions \
    deploy/cross/cargo.sh armv7 build --release --quiet --package cgminer-instructions
program=target/cross-instructions/armv7-unknown-linux-gnueabihf/release/cgminer-instructions

# Instructions of a whole run.
whole() { # whole STEP TIMES
    "$toolchain/bin/qemu-arm" -L /usr/arm-linux-gnueabihf -one-insn-per-tb -d exec,nochain -- "$program" "$1" "$2" 2>&1 >/dev/null |
        grep --count '^Trace'
}

failed=0
gate() { # gate STEP LIMIT WORDS
    local few many each
    few=$(whole "$1" 10)
    many=$(whole "$1" 30)
    each=$(((many - few) / 20))
    echo "gate: instructions on ARMv7, $3: $each (limit $2)"
    if [ "$each" -gt "$2" ] || [ "$each" -le 0 ]; then
        echo "gate: $3 is over its limit, or was not counted"
        failed=1
    fi
}

# The goals are 110000, 11000 and 5500; these limits stand closer to what is reached.
gate job 90000 "job with a new extranonce2 and 4 midstates"
gate group 10200 "version-rolled group of 4 midstates"
gate nonce 5000 "nonce check, midstate kept"
gate nonce-rolled 7300 "nonce check, version rolled by the chip"
exit "$failed"
