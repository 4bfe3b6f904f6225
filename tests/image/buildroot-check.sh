#!/usr/bin/env bash
# Holds the tree `buildroot/` to a checkout of Buildroot, which builds nothing of it:
#
#   tests/image/buildroot-check.sh BUILDROOT [FOLDER]      default: target/buildroot-check
#
# An option that Buildroot has renamed, or whose dependency is not met, is dropped from a configuration without a word; so each option of
# each defconfig is looked for in what Buildroot makes of it. Buildroot is in no package registry, so this is no part of `make check`.
set -euo pipefail
buildroot=$(realpath "${1:?a checkout of Buildroot}")
cd "$(dirname "$0")/../.."
folder=$(realpath --canonicalize-missing "${2:-target/buildroot-check}")
external=$PWD/buildroot
[ -e "$buildroot/support/kconfig" ] || { echo "$buildroot is no checkout of Buildroot"; exit 1; }
mkdir -p "$folder"
failures=0

fail() { echo "buildroot: $*"; failures=$((failures + 1)); }

# Runs Buildroot's make for the output folder of one defconfig; what it says is shown only when it fails.
run() { # run OUTPUT TARGET ...
    local output=$1
    shift
    make --silent --directory "$buildroot" O="$output" BR2_EXTERNAL="$external" "$@" 2>"$output.log" ||
        { cat "$output.log" >&2; return 1; }
}

# A configuration without the lines that tell where it came from.
settings() { grep --extended-regexp '^(# )?BR2_' "$1" | grep --invert-match '^BR2_DEFCONFIG='; }

for defconfig in "$external"/configs/*_defconfig; do
    name=$(basename "$defconfig")
    output=$folder/${name%_defconfig}
    rm -rf "$output" "$output-again"
    mkdir -p "$output" "$output-again"

    run "$output" "$name" >/dev/null || { fail "$name is refused"; continue; }
    dropped=$(grep --invert-match --line-regexp --fixed-strings --file="$output/.config" "$defconfig" || true)
    [ -z "$dropped" ] || fail "$name: Buildroot does not take"$'\n'"$dropped"
    ! grep --quiet '^BR2_LEGACY=y' "$output/.config" || fail "$name uses options that Buildroot has given up"

    run "$output" savedefconfig BR2_DEFCONFIG="$output.saved" >/dev/null
    run "$output-again" defconfig BR2_DEFCONFIG="$output.saved" >/dev/null
    diff <(settings "$output/.config") <(settings "$output-again/.config") || fail "$name: what savedefconfig keeps makes another configuration"

    # What it names in this tree must be there.
    # shellcheck disable=SC2016 # Buildroot's own variable
    while read -r path; do
        [ -e "$external/$path" ] || fail "$name names $path, which is not there"
    done < <(grep --only-matching '$(BR2_EXTERNAL_CGMINER_RS_PATH)/[^" ]*' "$defconfig" | cut --delimiter / --fields 2- | sort --unique)

    run "$output" show-info >"$output.json"
    run "$output" cgminer-rs-show-depends >"$output.depends"
    grep --quiet --word-regexp host-rustc "$output.depends" || fail "$name: the package does not depend on a compiler"
    run "$output" show-vars VARS='CGMINER_RS_CARGO_BUILD_OPTS CGMINER_RS_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS LINUX_SOURCE UBOOT_SOURCE' >"$output.vars"
    python3 - "$output.json" "$output.vars" "$external" <<'LOOK' || fail "$name: see above"
import json, pathlib, sys
packages, variables = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3])
external = pathlib.Path(sys.argv[3])
value = lambda name: variables.get(name, {}).get("expanded", "").replace("\\u0020", " ")
said = []
if "cgminer-rs" not in packages:
    said.append("the package is not in show-info")
if "--features firmware" not in value("CGMINER_RS_CARGO_BUILD_OPTS"):
    said.append("the package is not built with the firmware's features")
if "--exclude=/target" not in value("CGMINER_RS_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS"):
    said.append("the build's own output would be copied into the build")
for license_file in packages["cgminer-rs"]["license_files"]:
    if not (external.parent / license_file).is_file():
        said.append(f"license file {license_file} is not there")
# Its answers are read as JSON, which it knows only where it was built to.
if "rauc" in packages and "json-glib" not in packages:
    said.append("RAUC is built without JSON (BR2_PACKAGE_RAUC_JSON), which the daemon asks it for")
# The versions are ours, so their hashes have to be, too.
for package in ("linux", "uboot"):
    source = value(f"{package.upper()}_SOURCE")
    hashes = external / "patches" / package / f"{package}.hash"
    if package in packages and not any(line.split()[-1:] == [source] for line in hashes.read_text().splitlines()):
        said.append(f"{hashes} has no hash for {source}")
for line in said:
    print(line)
version = packages["linux"]["version"]
print(f"{len(packages)} packages, Linux {version}")
sys.exit(bool(said))
LOOK
    echo "buildroot: $name looked through"
done

# Buildroot's BusyBox is not all of BusyBox: a program that a script of the image calls must not be left out.
mapfile -t scripts < <(git ls-files buildroot | grep --extended-regexp '/sbin/|/S[0-9][0-9][^/]*$')
left_out=$(cat "$buildroot/package/busybox/busybox.config" "$external/board/common/busybox.fragment" |
    sed --quiet --regexp-extended 's/^CONFIG_([A-Z0-9_]+)=.*/\1 y/p; s/^# CONFIG_([A-Z0-9_]+) is not set$/\1 n/p' |
    awk '{ state[$1] = $2 } END { for (name in state) if (state[name] == "n") print tolower(name) }' | sort)
called=$(sed 's/^[[:space:]]*#.*//' "${scripts[@]}" | grep --only-matching --extended-regexp '[a-z][a-z0-9_]+' | sort --unique)
lacking=$(comm -12 <(echo "$left_out") <(echo "$called"))
[ -z "$lacking" ] || fail "scripts of the image call what its BusyBox is built without:"$'\n'"$lacking"

# Buildroot's own style check wants two Python packages.
if [ ! -x "$folder/python/bin/flake8" ]; then
    python3 -m venv "$folder/python"
    "$folder/python/bin/pip" install --quiet --disable-pip-version-check python-magic flake8
fi
mapfile -t files < <(git ls-files buildroot)
PATH=$folder/python/bin:$PATH "$buildroot/utils/check-package" --br2-external "${files[@]}" || fail "check-package has found something"

[ "$failures" = 0 ] || { echo "buildroot: $failures found"; exit 1; }
echo "buildroot: all defconfigs hold against $(make --silent --directory "$buildroot" print-version)"
