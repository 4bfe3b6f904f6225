#!/usr/bin/env bash
# Lets the libraries that fleet tools are made of, pyasic and asic-rs (as pyasic_rs, both of PyPI), find a mining emulated machine
# with `[fleet]` on, and holds what they read to /api/v1/status of the same moments: tests/peers/read_by_fleets.py.
#
#   tests/peers/pyasic.sh [PREFIX]        default: target/peers/pyasic of this repository
#
# Both ask ports 80 and 4028 and no others, so the machine has a network namespace of its own, where a miner without rights may have
# port 80, as it may in the firmware.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" != --inside ]; then
    prefix=${1:-target/peers/pyasic}
    mkdir -p "$prefix"
    command -v ip >/dev/null || { apt-get -q update && apt-get install -yq --no-install-recommends iproute2; } >"$prefix/apt.log" 2>&1
    if [ ! -e "$prefix/complete" ]; then
        python3 -m pip install --quiet --target "$prefix/python" pyasic==0.79.0 pyasic_rs==0.8.6 >"$prefix/pip.log" 2>&1 ||
            { echo "pyasic.sh: pip install failed: $(tail -n 5 "$prefix/pip.log")" >&2; exit 1; }
        : >"$prefix/complete"
    fi
    exec unshare --net "$0" --inside "$prefix"
fi
prefix=$2
. tests/peers/machine.sh
ip link set lo up || fail "the loopback of a network namespace cannot be brought up"
echo 80 >/proc/sys/net/ipv4/ip_unprivileged_port_start

host=127.40.28.1
machine_start demo --seconds 1800 --api "$host:80" --set "rpc.listen=$host:4028" --set fleet.enabled=true
machine_address
read_by_fleets() {
    PYTHONPATH=$prefix/python timeout 400 python3 tests/peers/read_by_fleets.py "$host" "$1" ||
        fail "a library reads a machine that is $1 otherwise than it is"
}
read_by_fleets waking
machine_mining
read_by_fleets mining
