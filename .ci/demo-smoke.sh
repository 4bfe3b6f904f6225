#!/usr/bin/env bash
# Runs the demo as the README says, asks its status endpoint, and wants accepted shares and no rejected one. Half of the time goes by before
# the rail is on: a supply must have been off for 30 s before it may be switched on, the emulated one too.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
demo=""
trap '[ -z "$demo" ] || kill "$demo" 2>/dev/null || true; rm -f "$log"' EXIT
fail() { cat "$log"; echo "demo-smoke: $1"; exit 1; }

cargo build --release --quiet
target/release/cgminer-rs demo --seconds 75 --api 127.0.0.1:0 >"$log" 2>&1 &
demo=$!

address=""
for _ in $(seq 100); do
    address=$(sed -n 's#.*\(127\.0\.0\.1:[0-9]*\)/api/v1/status.*#\1#p' "$log" | head -n 1)
    [ -z "$address" ] || break
    sleep 0.2
done
[ -n "$address" ] || fail "no status address was printed"

# The shell's own TCP, so that a bare machine needs no HTTP client.
exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
printf 'GET /api/v1/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&3
head -n 1 <&3 | grep -q ' 200 ' || fail "the status endpoint did not answer 200"
exec 3>&-

wait "$demo" || fail "the demo ended with an error"
demo=""
tail -n 6 "$log"
last=$(grep -E 'accepted [0-9]+' "$log" | tail -n 1)
grep -Eq 'accepted [1-9]' <<<"$last" || fail "no accepted share"
grep -Eq 'rejected 0([^0-9]|$)' <<<"$last" || fail "the demo pool, which checks by itself, rejected shares: $last"
