#!/usr/bin/env bash
# Holds what the Buildroot tree gives to Linux and U-Boot to a real one:
#
#   tests/image/kernel-check.sh [FOLDER]      default: target/kernel-source
#
# The device trees of the boards compile against the kernel's own without a warning, and each option of the boards' configurations is
# taken: what has no such name, or an unmet dependency, is dropped without a word. No kernel has modules, since no image would load one.
# The kernel is Debian's 6.12, of whose source only the describing parts are unpacked, and U-Boot Debian's 2025.01; the images use newer ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$(realpath --canonicalize-missing "${1:-target/kernel-source}")
boards=$PWD/buildroot/board

say() { echo "kernel: $*"; }

if ! debian_complete "$folder" tests/image/kernel-check.sh deploy/cross/debian.sh; then
    debian_host
    for program in make gcc bison flex xz dtc arm-linux-gnueabihf-gcc aarch64-linux-gnu-gcc; do
        command -v "$program" >/dev/null && continue
        export DEBIAN_FRONTEND=noninteractive
        apt-get update --quiet >/dev/null
        apt-get install --yes --quiet --no-install-recommends make gcc libc6-dev bison flex xz-utils \
            device-tree-compiler gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu >/dev/null
        break
    done
    rm -rf "$folder"
    mkdir -p "$folder/source"
    say "downloading the source of Linux"
    debian_begin "$folder" trixie
    debian_only "$folder/debs" linux-source-6.12
    debian_unpack "$folder/debs" "$folder/package"
    # shellcheck disable=SC2016 # patterns of tar
    tar --extract --strip-components 1 --directory "$folder/source" --file "$folder"/package/usr/src/linux-source-6.12.tar.xz \
        --wildcards --no-anchored 'Kconfig*' 'linux-source-6.12/Makefile' 'linux-source-6.12/scripts/*' \
        'linux-source-6.12/arch/arm*/configs/*' 'linux-source-6.12/arch/arm*/Makefile' 'linux-source-6.12/arch/arm*/boot/dts/*' \
        'linux-source-6.12/include/dt-bindings/*' 'linux-source-6.12/tools/include/*'
    say "downloading the source of U-Boot"
    debian_source "$folder/debs" u-boot
    mkdir -p "$folder/u-boot"
    # A signature may lie beside it.
    tar --extract --strip-components 1 --directory "$folder/u-boot" \
        --file "$(find "$folder/debs" -name 'u-boot_*.orig.tar.*' ! -name '*.asc')"
    rm -rf "$folder/debs" "$folder/package" "$folder/apt"
    debian_done "$folder" tests/image/kernel-check.sh deploy/cross/debian.sh
fi
source=$folder/source
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
failures=0

# The tree lies where Buildroot copies it: beside the kernel's own of the same maker.
compile() { # compile ARCHITECTURE BOARD TREE
    local trees=$source/arch/$1/boot/dts place tree=$boards/$2/dts/$3
    place=$trees/$(dirname "$3")
    cpp -nostdinc -undef -D__DTS__ -x assembler-with-cpp -I "$source/scripts/dtc/include-prefixes" -I "$place" "$tree" "$work/tree.dts"
    # The kernel's own makefile leaves these out as well: its trees are full of them.
    dtc -I dts -O dtb -i "$place" -W no-unit_address_vs_reg -W no-avoid_unnecessary_addr_size -W no-alias_paths \
        -W no-graph_child_address -W no-simple_bus_reg -W no-unique_unit_address -W no-interrupt_provider -o "$work/tree.dtb" "$work/tree.dts" 2>"$work/said" ||
        true
    if [ -s "$work/said" ] || [ ! -s "$work/tree.dtb" ]; then
        cat "$work/said"
        say "$3 is not clean"
        failures=$((failures + 1))
    else
        say "$3 compiles, $(stat --format %s "$work/tree.dtb") bytes"
    fi
    rm -f "$work/tree.dtb"
}

# Looks for each option of the files in a configuration that was made of them.
look() { # look CONFIGURATION WHO FILE ...
    local made=$1 who=$2 option wanted=0
    shift 2
    while read -r option; do
        wanted=$((wanted + 1))
        case $option in
        '# '*) ! grep --quiet "^$(cut --delimiter ' ' --fields 2 <<<"$option")=" "$made" ;;
        # One of two names, the other one's being that of other releases (board/common/uboot.fragment).
        CONFIG_ENV_REDUNDANT=y) grep --quiet --line-regexp 'CONFIG_\(ENV_REDUNDANT\|SYS_REDUNDAND_ENVIRONMENT\)=y' "$made" ;;
        CONFIG_SYS_REDUNDAND_ENVIRONMENT=y) ;;
        *) grep --quiet --line-regexp --fixed-strings "$option" "$made" ;;
        esac || { say "$who: '$option' is not taken"; failures=$((failures + 1)); }
    done < <(grep --no-filename --extended-regexp '^(CONFIG_|# CONFIG_.* is not set$)' "$@")
    say "$who: $wanted options looked for"
}

linux() { # linux ARCHITECTURE COMPILER CONFIGURATION
    local output=$work/${3//\//-}
    mkdir "$output"
    cat "$boards/$3" "$boards/common/linux.fragment" >"$output/.config"
    make --silent --directory "$source" O="$output" ARCH="$1" CROSS_COMPILE="$2" olddefconfig >"$work/said" 2>&1 ||
        { cat "$work/said"; exit 1; }
    # An option that two of the files set differently is told here.
    if [ -s "$work/said" ] || grep --extended-regexp '=m$' "$output/.config"; then
        cat "$work/said"
        say "$3 is not clean, or makes modules"
        failures=$((failures + 1))
    fi
    look "$output/.config" "$3" "$boards/$3" "$boards/common/linux.fragment"
}

uboot() { # uboot COMPILER DEFCONFIG FRAGMENT ...
    local output=$work/$2 defconfig=$2 make=(make --silent --directory "$folder/u-boot" O="$work/$2" CROSS_COMPILE="$1")
    shift 2
    mkdir "$output"
    "${make[@]}" "$defconfig" >/dev/null 2>"$work/said" || { cat "$work/said"; exit 1; }
    (cd "$folder/u-boot" && scripts/kconfig/merge_config.sh -m -O "$output" "$output/.config" "$@") >/dev/null
    "${make[@]}" olddefconfig >/dev/null 2>&1
    look "$output/.config" "U-Boot's $defconfig" "$@"
}

compile arm am335x ti/omap/am335x-control-board.dts
compile arm64 a113d amlogic/meson-axg-control-board.dts
linux arm arm-linux-gnueabihf- am335x/linux.config
linux arm arm-linux-gnueabihf- qemu/linux-armv7.config
linux arm64 aarch64-linux-gnu- a113d/linux.config
linux arm64 aarch64-linux-gnu- qemu/linux-aarch64.config
uboot arm-linux-gnueabihf- am335x_evm_defconfig "$boards/common/uboot.fragment" "$boards/am335x/uboot.fragment"
[ "$failures" = 0 ] || { say "$failures found"; exit 1; }
