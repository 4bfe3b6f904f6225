# shellcheck shell=bash
# Sourced by scripts that need packages of a Debian release that need not be this machine's: they are taken from the mirror that
# this machine's apt already uses and unpacked into private folders. The host's apt stays as it is.

debian_fail() { echo "$0: $1" >&2; exit 1; }

# Whether FOLDER was made whole by these very files; one that was made by others is removed, to be made anew. What lies outside this
# checkout, as behind a link from target/, may serve another one, and is left to whoever put it there.
debian_complete() { # debian_complete FOLDER FILE ...
    local folder=$1
    shift
    [ -e "$folder/complete" ] || return 1
    [ "$(cat "$folder/complete")" = "$(cat "$@" | sha256sum)" ] && return 0
    case $(realpath "$folder") in
    "$(pwd -P)"/*) rm -rf "$folder" ;;
    *) debian_fail "$folder was made by another version of $1 and is not this checkout's own, so it stays: remove it if nobody else uses \
it, or the link that leads there, and run this again" ;;
    esac
    return 1
}

debian_done() { # debian_done FOLDER FILE ...
    local folder=$1
    shift
    cat "$@" | sha256sum >"$folder/complete"
}

# Stops with a clear word where the scripts cannot work.
debian_host() {
    [ "$(id -u)" = 0 ] || debian_fail "packages are installed by this, so it must be run by root"
    [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || debian_fail "the host must be Debian for amd64"
}

# Prints where this machine's apt has Debian from.
debian_mirror() {
    local mirror
    # Either of apt's two formats.
    # shellcheck disable=SC2016 # apt's own variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        grep --invert-match --max-count 1 'security' || true)
    [ -n "$mirror" ] || debian_fail "no Debian mirror in this machine's apt sources; add one and run 'apt-get update'"
    echo "$mirror"
}

# Makes an apt of our own in FOLDER/apt, in place of one for another release, and reads the release's index.
debian_begin() { # debian_begin FOLDER RELEASE
    rm -rf "$1/apt"
    local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg root=$1/apt
    mirror=$(debian_mirror)
    [ -e "$keyring" ] || debian_fail "$keyring is missing; install debian-archive-keyring"
    mkdir -p "$root"/{etc/parts,etc/preferences.d,state/lists/partial,cache/archives/partial}
    : >"$root/state/status"
    echo "deb [arch=amd64,armhf,arm64 signed-by=$keyring] $mirror $2 main" >"$root/etc/sources.list"
    cat >"$root/apt.conf" <<CONF
Dir::Etc "$root/etc";
Dir::Etc::sourcelist "$root/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "$root/etc/parts";
Dir::Etc::preferencesparts "$root/etc/preferences.d";
Dir::State "$root/state";
Dir::State::status "$root/state/status";
Dir::Cache "$root/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "armhf"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
    DEBIAN_CONFIG=$root/apt.conf
    APT_CONFIG=$DEBIAN_CONFIG apt-get update --quiet >/dev/null
}

# Downloads the upstream source of a package, and holds it to the hash that the release's signed index gives.
debian_source() { # debian_source INTO SOURCE
    mkdir -p "$1"
    sed --in-place '/^deb /{p;s/^deb \[arch=[^ ]*/deb-src [/}' "$(dirname "$DEBIAN_CONFIG")/etc/sources.list"
    APT_CONFIG=$DEBIAN_CONFIG apt-get update --quiet >/dev/null
    # Mirrors that lack the description of a source have the source itself, so this may fail and yet have brought what is wanted.
    (cd "$1" && APT_CONFIG=$DEBIAN_CONFIG apt-get source --quiet --download-only "$2" >/dev/null 2>&1) || true
    local hash name
    read -r hash name < <(APT_CONFIG=$DEBIAN_CONFIG apt-cache showsrc "$2" |
        awk '/^Checksums-Sha256:/ {on = 1; next} /^[^ ]/ {on = 0} on && /\.orig\.tar\.[a-z0-9]+$/ {print $1, $3; exit}')
    echo "$hash  $1/$name" | sha256sum --check --quiet || debian_fail "the source of $2 could not be had whole"
}

# Downloads packages with all that they depend on, as apt would install them on an empty machine.
debian_closure() { # debian_closure INTO PACKAGE ...
    local into=$1
    shift
    mkdir -p "$into/partial"
    APT_CONFIG=$DEBIAN_CONFIG apt-get install --yes --quiet --no-install-recommends --download-only \
        --option Dir::Cache::archives="$into/" "$@" >/dev/null
}

# Downloads just these packages.
debian_only() { # debian_only INTO PACKAGE ...
    local into=$1
    shift
    mkdir -p "$into"
    (cd "$into" && APT_CONFIG=$DEBIAN_CONFIG apt-get download --quiet "$@" >/dev/null)
}

# The package that a metapackage stands for.
debian_meaning() { # debian_meaning METAPACKAGE
    APT_CONFIG=$DEBIAN_CONFIG apt-cache depends "$1" | awk '/Depends:/ {print $2; exit}'
}

debian_unpack() { # debian_unpack FROM ROOT
    local package
    mkdir -p "$2"
    for package in "$1"/*.deb; do
        dpkg-deb --extract "$package" "$2"
    done
}

# Writes a program that runs another one of an unpacked amd64 root through that root's own dynamic loader, so that no library
# path leaks into the programs that it starts.
debian_wrap() { # debian_wrap ROOT PROGRAM WRAPPER [ARGUMENT ...]
    local root=$1 program=$2 wrapper=$3 loader libraries=$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu
    shift 3
    # Older releases keep the loader out of /usr.
    for loader in "$root"/{usr/lib64,lib64,usr/lib/x86_64-linux-gnu}/ld-linux-x86-64.so.2; do
        [ ! -e "$loader" ] || break
    done
    local start="$loader --library-path $libraries --argv0 $program"
    # A program that needs no library comes without a loader.
    [ -e "$loader" ] || start=
    # bash, because Debian's sh keeps no variable with a dash in its name from the program, and cargo's CARGO_BIN_EXE_ ones have it.
    cat >"$wrapper" <<WRAPPER
#!/bin/bash
exec $start $root/usr/bin/$program $* "\$@"
WRAPPER
    chmod +x "$wrapper"
}
