# Boots the root of slot A, and that of slot B when A cannot be read.
setenv bootargs_common "console=ttyS0,115200n8 rootfstype=squashfs ro init=/sbin/preinit data=/dev/mmcblk0p4 panic=5"

for part in 2 3; do
	setenv bootargs "${bootargs_common} root=/dev/mmcblk0p${part}"
	if load mmc 0:${part} ${loadaddr} /boot/zImage && load mmc 0:${part} ${fdtaddr} /boot/am335x-boneblack.dtb; then
		bootz ${loadaddr} - ${fdtaddr}
	fi
done
reset
