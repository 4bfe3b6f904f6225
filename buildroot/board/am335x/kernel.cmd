# Second script of the boot loader, from the slot that was chosen: starts the kernel that lies beside it.
setenv bootargs "console=ttyS0,115200n8 ${slotargs}"
load mmc 0:${part} ${loadaddr} /boot/zImage && load mmc 0:${part} ${fdtaddr} /boot/am335x-control-board.dtb && bootz ${loadaddr} - ${fdtaddr}
