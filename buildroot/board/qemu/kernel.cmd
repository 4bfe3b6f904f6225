# Second script of the boot loader, from the slot that was chosen: starts the kernel that lies beside it, with the first file system that
# distribution kernels need, if there is one.
setenv bootargs "console=ttyAMA0 ${slotargs}"
setenv ramdisk -
if load mmc 0:${part} ${ramdisk_addr_r} /boot/initrd.gz; then
	setenv ramdisk ${ramdisk_addr_r}:0x${filesize}
fi
load mmc 0:${part} ${kernel_addr_r} /boot/Image && booti ${kernel_addr_r} ${ramdisk} ${fdtcontroladdr}
