#!/usr/bin/env bash
# Fetches what a bootable image for QEMU's `virt` board needs: QEMU, Debian's kernel and programs for ARM64, and the source of U-Boot, which is
# built here with the options that the boards' U-Boot has.
#
#   tests/image/setup.sh [FOLDER]      default: target/image-tools
#
# Everything is unpacked into FOLDER; nothing but tools is installed on the host.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$(realpath --canonicalize-missing "${1:-target/image-tools}")
fragment=buildroot/board/common/uboot.fragment

made_of=(tests/image/setup.sh deploy/cross/debian.sh "$fragment")
debian_complete "$folder" "${made_of[@]}" && exit 0
debian_host

say() { echo "image: $*"; }

say "installing what builds and packs an image"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet >/dev/null
apt-get install --yes --quiet --no-install-recommends \
    gcc-aarch64-linux-gnu make gcc libc6-dev bison flex bc libssl-dev libgnutls28-dev u-boot-tools rauc squashfs-tools openssl \
    dosfstools mtools fdisk e2fsprogs kmod cpio bzip2 xz-utils busybox python3 >/dev/null

rm -rf "$folder"
mkdir -p "$folder/bin"
say "downloading QEMU, the kernel, programs for ARM64 and U-Boot's source"
# QEMU 7.2 and no later one: since 8.0 it asks at each byte of a card, in a coroutine of its own, whether there is a card, and a start
# takes half as long again.
debian_begin "$folder" bookworm
debian_closure "$folder/debs/host" qemu-system-arm
debian_begin "$folder" trixie
debian_only "$folder/debs/kernel" "$(debian_meaning linux-image-arm64:arm64)"
debian_closure "$folder/debs/closure" rauc:arm64 dbus-daemon:arm64 libubootenv-tool:arm64 busybox-static:arm64 libgcc-s1:arm64
debian_only "$folder/debs/target" rauc-service
# What the packages' installation scripts would need runs nowhere here.
mv "$folder"/debs/closure/*_arm64.deb "$folder/debs/target/"
debian_source "$folder/source" u-boot

say "unpacking"
debian_unpack "$folder/debs/host" "$folder/root"
debian_unpack "$folder/debs/kernel" "$folder/kernel"
debian_unpack "$folder/debs/target" "$folder/target"
debian_wrap "$folder/root" qemu-system-aarch64 "$folder/bin/qemu-system-aarch64" -L "$folder/root/usr/share/qemu"
"$folder/bin/qemu-system-aarch64" --version | head -n 1

say "building U-Boot"
mkdir -p "$folder/u-boot"
# A signature may lie beside it.
source=$(find "$folder/source" -name 'u-boot_*.orig.tar.*' ! -name '*.asc')
tar --extract --strip-components 1 --directory "$folder/u-boot" --file "$source"
(
    cd "$folder/u-boot"
    export CROSS_COMPILE=aarch64-linux-gnu-
    # What starts from a card needs none of the rest, which takes half of the time.
    for option in USE_PREBOOT EFI_LOADER NET USB VIDEO TPM SCSI AHCI NVME DFU MTD SEMIHOSTING FIT TOOLS_MKEFICAPSULE TOOLS_LIBCRYPTO; do
        echo "# CONFIG_$option is not set"
    done >virt.fragment
    printf '%s\n' CONFIG_MMC=y CONFIG_MMC_PCI=y CONFIG_MMC_SDHCI=y CONFIG_MMC_SDHCI_SDMA=y CONFIG_NO_NET=y >>virt.fragment
    scripts/kconfig/merge_config.sh -m configs/qemu_arm64_defconfig "$OLDPWD/$fragment" virt.fragment >/dev/null
    make --silent olddefconfig
    # What the fragment asks for must not have been dropped for an unmet dependency.
    for option in CONFIG_ENV_IS_IN_MMC=y CONFIG_CMD_SQUASHFS=y CONFIG_LZ4=y CONFIG_MMC_PCI=y CONFIG_MMC_SDHCI_SDMA=y \
        CONFIG_ENV_OFFSET_REDUND=0xA0000 CONFIG_CMD_NVEDIT_LOAD=y CONFIG_LEGACY_IMAGE_FORMAT=y; do
        grep --quiet --line-regexp "$option" .config || { echo "U-Boot does not take $option"; exit 1; }
    done
    make --silent --jobs "$(nproc)" u-boot.bin
)
cp "$folder/u-boot/u-boot.bin" "$folder/u-boot.bin"

rm -rf "$folder/debs" "$folder/apt" "$folder/source" "$folder/u-boot"
debian_done "$folder" "${made_of[@]}"
say "ready in $folder ($(du --summarize --human-readable "$folder" | cut -f1))"
