#!/usr/bin/env bash
# Holds a running daemon to docs/openapi.json, by schemathesis (PyPI), once for each role: no answer may be a server error, of a kind or in a
# form that the document does not tell.
#
#   tests/peers/schemathesis.sh [PREFIX]        default: target/peers/schemathesis of this repository
#
# EXAMPLES bounds how many requests are made up for each operation (default 8), SECONDS_EACH the time of a role (default 40). The live stream has
# no end and is left out; so is trying a pool for who may, for each try may last 12 seconds. Made-up requests name made-up pools, so all of it
# runs in a network namespace of its own that leads nowhere; that needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" != --inside ]; then
    prefix=${1:-target/peers/schemathesis}
    mkdir -p "$prefix"
    prefix=$(realpath "$prefix")
    if [ ! -e "$prefix/complete" ]; then
        python3 -m pip install --quiet --target "$prefix/python" schemathesis==4.32.5 >"$prefix/pip.log" 2>&1 ||
            { echo "schemathesis.sh: pip install failed: $(tail -n 5 "$prefix/pip.log")" >&2; exit 1; }
        command -v ip >/dev/null || { apt-get -q update && apt-get install -yq --no-install-recommends iproute2; } >"$prefix/apt.log" 2>&1
        : >"$prefix/complete"
    fi
    exec unshare --net "$0" --inside "$prefix"
fi
prefix=$2
. tests/peers/machine.sh
ip link set lo up || fail "the loopback of a network namespace cannot be brought up"

port=28080
address=127.0.0.1:$port
export PYTHONPATH=$prefix/python
trap 'machine_end; rm -rf "$scratch"' EXIT
for role in none viewer operator admin; do
    scratch=$(mktemp -d)
    token=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
    hash=$(printf %s "$token" | sha256sum | cut -d " " -f 1)
    named="$role"
    [ "$role" != none ] || named="admin"
    cat >"$scratch/cgminer-rs.toml" <<CONFIG
[api]
listen = "$address"
requests_per_second = 10000

[[token]]
name = "the-one-who-asks"
role = "$named"
sha256 = "$hash"

[[pool]]
url = "stratum+tcp://127.0.0.1:9"
user = "u"
CONFIG
    # A method that is used nowhere here (OPTIONS, TRACE) is answered with 501, as RFC 9110 has it; that is no fault.
    cat >"$scratch/schemathesis.toml" <<CONFIG
[phases.coverage]
unexpected-methods = ["GET", "PUT", "POST", "PATCH", "DELETE"]
CONFIG
    machine_start run --single --emulated --config "$scratch/cgminer-rs.toml" --run-directory "$scratch/run"
    answers=""
    for _ in $(seq 600); do
        curl --silent --max-time 20 "http://$address/api/v1/version" >/dev/null && answers=yes && break
        kill -0 "$machine" 2>/dev/null || fail "the machine ended before it answered"
        sleep 0.2
    done
    [ -n "$answers" ] || fail "the machine did not answer within two minutes"
    asks=(--header "Authorization: Bearer $token")
    leaves=(--exclude-path /api/v1/live)
    [ "$role" != none ] || asks=()
    case $role in operator | admin) leaves+=(--exclude-path /api/v1/pools/test) ;; esac
    (cd "$scratch" && python3 -c "from schemathesis.cli import schemathesis; schemathesis()" run "$OLDPWD/docs/openapi.json" --url "http://$address" "${asks[@]}" "${leaves[@]}" \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
        --request-timeout 120 --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-8}" --max-time "${SECONDS_EACH:-40}" \
        --generation-deterministic --generation-with-security-parameters false --suppress-health-check all --warnings off --no-color >"$prefix/$role.log" 2>&1) ||
        { tail -n 80 "$prefix/$role.log" >&2; fail "role $role: the daemon answers otherwise than docs/openapi.json says"; }
    kill -0 "$machine" 2>/dev/null || fail "role $role: the machine did not live through it"
    echo "schemathesis.sh: role $role: $(grep -E "generated|passed" "$prefix/$role.log" | tail -n 1 | tr -s ' ')"
    kill "$machine" 2>/dev/null || true
    wait "$machine" 2>/dev/null || true
    machine=""
    rm -rf "$scratch"
done
