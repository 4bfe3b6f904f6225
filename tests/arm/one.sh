#!/usr/bin/env bash
# Runs one test program for tests/arm/run.sh, but for what tests/arm/left-out.txt names.
set -euo pipefail
program=$1
shift
name=$(basename "$program")
name=${name%-*}
list=$(dirname "$0")/left-out.txt

skips=()
while read -r targets of test reason; do
    case "$targets" in '' | '#'*) continue ;; esac
    [ "$targets" = "$ARM_TARGET" ] || [ "$targets" = both ] || continue
    [ "$of" = "$name" ] || continue
    echo "left out: $name: $test: $reason"
    [ "$test" != all ] || exit 0
    skips+=(--skip "$test")
done <"$list"
exec "$program" "${skips[@]}" "$@"
