#!/usr/bin/env bash
# The test suites as ARM programs under qemu-user:
#
#   tests/arm/run.sh armv7|arm64 [ARGUMENT FOR cargo test ...]      default: the workspace
#
# What qemu-user cannot do is left out, each test by its name in tests/arm/left-out.txt, and told with its reason.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:?armv7 or arm64}
shift
# Who asks for programs by their kind gets those, too, that have no tests of their own: what counts instructions is the room `work`,
# which is tested where it lives.
[ $# -gt 0 ] || set -- --workspace --exclude cgminer-instructions

# No test reads debug information, which would be most of a gigabyte.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
# Emulation pays for each instruction: optimised programs take a fraction of the time, and hours of virtual time become bearable.
# What panics in a development build panics here, too: an overflow of 32 bits is what is looked for.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=true CARGO_PROFILE_DEV_OVERFLOW_CHECKS=true
# A property that a processor breaks is broken for many inputs; 256 of each would take an emulated one half an hour.
export PROPTEST_CASES=${PROPTEST_CASES:-32}
# Programs are built outside the namespace. Documentation has no tests; benchmarks would take hours.
deploy/cross/cargo.sh "$target" test --lib --bins --tests --no-run --quiet "$@"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ARM_TARGET=$target CROSS_RUNNER=$PWD/tests/arm/one.sh deploy/cross/as-native.sh "$target" \
    deploy/cross/cargo.sh "$target" test --lib --bins --tests --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

awk -v target="$target" '
    /^test result:/ { passed += $4; failed += $6; ignored += $8 }
    # The library and the program have one name.
    /^left out: / && !told[$0]++ { out++ }
    END { printf "%s: %d passed, %d failed, %d ignored, %d left out\n", target, passed, failed, ignored, out }' "$log"
exit "$status"
