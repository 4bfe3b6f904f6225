#!/usr/bin/env bash
# Runs the demo as the README says until it ends by itself, asks its status endpoint, and wants accepted shares and no rejected one, but for
# those that a new block overtook on their way. Half of the time goes by before the rail is on: a supply must have been off for 30 s before it
# may be switched on, the emulated one too. A machine that is busy with other things needs longer: a demo that found no share runs again.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
demo=""
trap '[ -z "$demo" ] || kill "$demo" 2>/dev/null || true; rm -f "$log"' EXIT
fail() { cat "$log"; echo "demo-smoke: $1"; exit 1; }

# The shell's own TCP, so that a bare machine needs no HTTP client.
status() {
    exec 3<>"/dev/tcp/${address%:*}/${address#*:}" || return 1
    printf 'GET /api/v1/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&3
    cat <&3
    exec 3>&-
}

# Leaves what the status said last of rejected shares in $rejected and $stale.
run() { # run SECONDS
    local words
    target/release/cgminer-rs demo --seconds "$1" --api 127.0.0.1:0 >"$log" 2>&1 &
    demo=$!

    address=""
    for _ in $(seq 600); do
        address=$(sed -n 's#.*\(127\.0\.0\.1:[0-9]*\)/api/v1/status.*#\1#p' "$log" | head -n 1)
        [ -z "$address" ] || break
        kill -0 "$demo" 2>/dev/null || fail "the demo ended before it said where it listens"
        sleep 0.2
    done
    [ -n "$address" ] || fail "no status address was printed"

    rejected=""
    stale=""
    while kill -0 "$demo" 2>/dev/null; do
        # In its last moments it answers no more.
        words=$(status 2>/dev/null | sed -n 's/^.*"shares":{"submitted":[0-9]*,"accepted":[0-9]*,"rejected":{"total":\([0-9]*\),"stale":\([0-9]*\),.*/\1 \2/p') || true
        [ -z "$words" ] || read -r rejected stale <<<"$words"
        sleep 1
    done
    wait "$demo" || fail "the demo ended with an error"
    demo=""
    [ -n "$rejected" ] || fail "the status endpoint did not answer"
}

cargo build --release --quiet
for seconds in 75 300 900; do
    run "$seconds"
    last=$(grep -E 'accepted [0-9]+' "$log" | tail -n 1) || true
    ! grep -Eq 'accepted [1-9]' <<<"$last" || break
done
tail -n 6 "$log"
grep -Eq 'accepted [1-9]' <<<"$last" || fail "no accepted share"
[ "$rejected" = "$stale" ] || fail "the demo pool, which checks by itself, rejected $rejected shares, $stale of them as stale: $last"
