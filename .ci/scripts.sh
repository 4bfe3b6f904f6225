#!/usr/bin/env bash
# Holds what is no Rust to its own checkers: shell scripts, the systemd unit, the Dockerfile and the compose file.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v shellcheck >/dev/null || missing+=(shellcheck)
command -v systemd-analyze >/dev/null || missing+=(systemd)
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update --quiet >/dev/null
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}" >/dev/null
fi

# By their first line, since scripts of an image have no ending.
mapfile -t scripts < <(git grep --files-with-matches --extended-regexp '^#!/(usr/)?bin/(env )?(ba|busybox )?sh$' | sort)
bash_or_sh=()
for script in "${scripts[@]}"; do
    # What busybox itself runs is ash to shellcheck.
    if head -n 1 "$script" | grep --quiet busybox; then
        shellcheck --shell dash "$script"
    else
        bash_or_sh+=("$script")
    fi
done
shellcheck --external-sources "${bash_or_sh[@]}"
echo "scripts: ${#scripts[@]} held to shellcheck"

# The unit names a program that an installation has and a checkout has not.
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
sed 's#^ExecStart=/usr/bin/cgminer-rs#ExecStart=/bin/true#' deploy/cgminer-rs.service >"$work/cgminer-rs.service"
said=$(systemd-analyze verify --man=no "$work/cgminer-rs.service" 2>&1 | grep cgminer-rs || true)
[ -z "$said" ] || { echo "$said"; exit 1; }
echo "scripts: systemd has nothing to say against the unit"

tests/peers/containers.sh
