#!/usr/bin/env bash
# Holds the flight recorder's frames against defmt's own decoder, the crate defmt-decoder: one event of each kind, and those of a machine
# that is at work, must be told in the very words of `cgminer-rs flight decode`.
#
#   tests/peers/defmt.sh [PREFIX]        default: target/peers/defmt of this repository
#
# The decoder is built below PREFIX.
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=${1:-target/peers/defmt}
. tests/peers/machine.sh

mkdir -p "$prefix"
cargo build --quiet --manifest-path tests/peers/defmt/Cargo.toml --target-dir "$prefix" || fail "the decoder cannot be built"
work=$(mktemp -d)
# The miner has a user of its own.
chmod 755 "$work"

# Both tell: number, time in microseconds since 1970, words.
compare() { # compare FILE EVENTS
    "$prefix/debug/cgminer-rs-defmt" "$1" >"$work/theirs" || fail "defmt's decoder does not understand $1"
    "$PROGRAM" flight decode "$1" >"$work/ours" || fail "our own decoder does not understand $1"
    python3 - "$work/theirs" "$work/ours" "$2" <<'PYTHON' || fail "the decoders differ about $1"
import datetime, sys

def ours(line):
    number, time, words = line.split(None, 2)
    moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return int(number), moment, words

def theirs(line):
    number, seconds, words = line.split(" ", 2)
    whole, _, parts = seconds.partition(".")
    moment = datetime.datetime.fromtimestamp(int(whole), datetime.timezone.utc)
    return int(number), moment + datetime.timedelta(microseconds=int(parts.ljust(6, "0"))), words

theirs, ours = ([read(line.rstrip("\n")) for line in open(path, encoding="utf-8")]
                for path, read in zip(sys.argv[1:], (theirs, ours)))
assert len(ours) == len(theirs) >= int(sys.argv[3]), (len(ours), len(theirs))
for one, other in zip(ours, theirs):
    assert (one[0], one[2]) == (other[0], other[2]), (one, other)
    # Ours is told in fewer digits.
    assert abs(one[1] - other[1]) < datetime.timedelta(milliseconds=2), (one, other)
PYTHON
    echo "defmt.sh: $(wc -l <"$work/theirs") events are the same in defmt-decoder's words as in ours"
}

TEST_FLIGHT_LEFT=$work/each.ring cargo test --quiet --test flight_recorder -- --exact each_kind_of_event_is_told_in_words >/dev/null ||
    fail "the record of each kind of event cannot be made"

# The demo's own directories are below this one, and go away with it.
mkdir -m 755 "$work/demo"
TMPDIR=$work/demo machine_start demo --seconds 1800 --api 127.0.0.1:0 --set log.flight_recorder=256
machine_address
machine_mining
compare "$work/each.ring" 17
find "$work/demo" -name flight.ring >"$work/found"
[ -s "$work/found" ] || fail "the demo keeps no flight record"
while read -r ring; do
    cp "$ring" "$work/copy.ring"
    compare "$work/copy.ring" 3
done <"$work/found"
rm -rf "$work"
