#!/usr/bin/env bash
# Lets the libraries that fleet tools are made of, pyasic and asic-rs (as pyasic_rs, both of PyPI), find a mining emulated machine
# with `[fleet]` on, and holds what they read to /api/v1/status of the same moments: tests/peers/read_by_fleets.py.
#
#   tests/peers/pyasic.sh [PREFIX]        default: target/peers/pyasic of this repository
#
# Both ask ports 80 and 4028 and no others, so the machine listens at a loopback address of its own; port 80 needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=${1:-target/peers/pyasic}
. tests/peers/machine.sh

if [ ! -e "$prefix/complete" ]; then
    mkdir -p "$prefix"
    python3 -m pip install --quiet --target "$prefix/python" pyasic==0.79.0 pyasic_rs==0.8.6 >"$prefix/pip.log" 2>&1 ||
        fail "pip install failed: $(tail -n 5 "$prefix/pip.log")"
    : >"$prefix/complete"
fi

host=127.40.28.1
machine_start demo --seconds 300 --api "$host:80" --set "rpc.listen=$host:4028" --set fleet.enabled=true
machine_address
machine_mining
PYTHONPATH=$prefix/python timeout 120 python3 tests/peers/read_by_fleets.py "$host" || fail "a library reads the machine otherwise than it is"
