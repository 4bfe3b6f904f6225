#!/usr/bin/env bash
# Makes two targets at a time, and fails when either does. The first one's words are seen as they come, the second one's when it has ended.
#
#   .ci/side-by-side.sh FIRST SECOND
set -euo pipefail
cd "$(dirname "$0")/.."

words=$(mktemp)
trap 'rm -f "$words"; [ -z "$(jobs -p)" ] || kill "$(jobs -p)" 2>/dev/null' EXIT
# The first one goes before: its deadlines are real time, and those in an emulated machine are not.
nice -n 5 "${MAKE:-make}" "$2" >"$words" 2>&1 &
first=0 second=0
"${MAKE:-make}" "$1" || first=$?
wait %1 || second=$?
cat "$words"
echo "side by side: $1 ended with $first, $2 with $second"
[ "$first" -eq 0 ] && [ "$second" -eq 0 ]
