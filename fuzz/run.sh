#!/usr/bin/env bash
# Runs fuzz targets with the stable compiler: fuzz/run.sh SECONDS [NAME...]. All targets when none is named, two at a time
# (FUZZ_JOBS). An input that panics is kept in fuzz/artifacts and makes the script fail.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?seconds a target}
shift
host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes, without the address sanitizer: the code under test has no unsafe block.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions=yes -Ccodegen-units=1"
export CARGO_PROFILE_RELEASE_OPT_LEVEL=2 CARGO_PROFILE_RELEASE_LTO=off
# With --target the build scripts are left without the coverage that only targets can link.
cargo build --release --target "$host"
programs=${CARGO_TARGET_DIR:-target}/$host/release

[ $# -gt 0 ] || mapfile -t names < <(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -v '^cgminer-rs-fuzz$')
[ $# -eq 0 ] || names=("$@")
mkdir -p artifacts
python3 seeds.py corpus

fuzz() {
    local name=$1 log=artifacts/$1.log
    mkdir -p "corpus/$name"
    # An input that takes a minute hangs, however slow the machine is.
    if "$programs/$name" "corpus/$name" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=60 \
        -artifact_prefix="artifacts/$name-" -print_final_stats=1 >"$log" 2>&1; then
        echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs," \
            "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1) edges, none panicked"
    else
        echo "fuzz: $name FAILED, see fuzz/$log"
        tail -n 20 "$log"
        return 1
    fi
}

export -f fuzz
export programs seconds
# shellcheck disable=SC2016  # the inner shell is who expands it
printf '%s\n' "${names[@]}" | xargs -P "${FUZZ_JOBS:-2}" -I '{}' bash -c 'fuzz "$1"' fuzz '{}'
