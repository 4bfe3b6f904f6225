#!/usr/bin/env bash
# Holds /metrics of a mining machine against Prometheus' own linter: `promtool check metrics`, of Debian's package prometheus.
#
#   tests/peers/promtool.sh [PREFIX]        default: target/peers/promtool of this repository
#
# The package is unpacked below PREFIX, not installed, so that no service starts. Counters are scraped twice and
# must not fall.
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=${1:-target/peers/promtool}
. tests/peers/machine.sh

if [ ! -e "$prefix/complete" ]; then
    mkdir -p "$prefix"
    (cd "$prefix" && { apt-get -q download prometheus || { apt-get -q update && apt-get -q download prometheus; }; }) \
        >"$prefix/apt.log" 2>&1 || fail "the package prometheus cannot be had: $(tail -n 3 "$prefix/apt.log")"
    dpkg -x "$prefix"/prometheus_*.deb "$prefix/root"
    rm -f "$prefix"/prometheus_*.deb
    : >"$prefix/complete"
fi
promtool=$prefix/root/usr/bin/promtool
"$promtool" --version >/dev/null 2>&1 || fail "$promtool does not start"

machine_start demo --seconds 1800 --api 127.0.0.1:0
machine_address
machine_mining
page=$prefix/metrics
curl --silent --show-error --fail --max-time 60 "http://$address/metrics" --output "$page" || fail "/metrics did not answer"

# It exits with 3 for what it would name otherwise, and prints the names.
words=$("$promtool" check metrics <"$page" 2>&1) || fail "promtool finds fault with /metrics: $words"
[ -z "$words" ] || fail "promtool finds fault with /metrics: $words"

# How soon a counter moves is the machine's affair.
for _ in $(seq 60); do
    sleep 5
    curl --silent --show-error --fail --max-time 60 "http://$address/metrics" --output "$page.later" || fail "/metrics did not answer"
    moved=0
    python3 - "$page" "$page.later" <<'PYTHON' || moved=$?
import sys

def counters(path):
    counters, kind = {}, {}
    for line in open(path, encoding="utf-8"):
        if line.startswith("# TYPE "):
            _, _, name, what = line.split()
            kind[name] = what
        elif not line.startswith("#"):
            sample, value = line.rsplit(" ", 1)
            if kind[sample.split("{")[0]] == "counter":
                counters[sample] = float(value)
    return counters

before, after = (counters(path) for path in sys.argv[1:])
assert len(before) >= 20, before
grown = 0
for sample, value in before.items():
    assert after[sample] >= value, f"{sample}: {value}, then {after[sample]}"
    grown += after[sample] > value
sys.exit(0 if grown >= 5 else 3)
PYTHON
    [ "$moved" = 3 ] || break
done
[ "$moved" != 3 ] || fail "no counter moves"
[ "$moved" = 0 ] || fail "a counter went back"
echo "promtool.sh: $(grep -c '^# TYPE' "$page") families of /metrics pass promtool check metrics; no counter went back"
