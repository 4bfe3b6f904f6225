# For the scripts beside this one, which source it: a program of this repository under test, on the loopback alone.
#
#   machine_start NAME ARGUMENT...   starts `cgminer-rs ARGUMENT...`; its words go to a log; it is ended with the script
#   machine_address                  sets $address to where its HTTP interface is, as the program says it
#   machine_mining                   waits until shares were accepted
#
# PROGRAM names the binary; by default the release build, made if need be.

PROGRAM=${PROGRAM:-target/release/cgminer-rs}
machine_log=$(mktemp)
machine=""

fail() {
    tail -n 30 "$machine_log" >&2
    echo "$(basename "$0"): $*" >&2
    exit 1
}

machine_end() {
    [ -z "$machine" ] || kill "$machine" 2>/dev/null || true
    [ -z "$machine" ] || wait "$machine" 2>/dev/null || true
    machine=""
    rm -f "$machine_log"
}
trap machine_end EXIT

machine_start() {
    [ "$PROGRAM" != target/release/cgminer-rs ] || cargo build --release --quiet
    "$PROGRAM" "$@" >"$machine_log" 2>&1 &
    machine=$!
}

# It looks like http://127.0.0.1:8080/api/v1/status in the demo's lines.
machine_address() {
    address=""
    for _ in $(seq 600); do
        address=$(sed -n 's#.*http://\([0-9.]*:[0-9]*\)/.*#\1#p' "$machine_log" | head -n 1)
        [ -z "$address" ] || return 0
        kill -0 "$machine" 2>/dev/null || fail "the machine ended before it said where it listens"
        sleep 0.2
    done
    fail "the machine did not say within two minutes where it listens"
}

# An emulated supply, too, must have been off for half a minute before it is switched on.
machine_mining() {
    for _ in $(seq 600); do
        curl --silent --max-time 5 "http://$address/api/v1/status" |
            python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["shares"]["accepted"] < 20)' 2>/dev/null && return 0
        kill -0 "$machine" 2>/dev/null || fail "the machine ended before it mined"
        sleep 1
    done
    fail "no shares were accepted within ten minutes"
}
