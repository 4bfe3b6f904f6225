# Second script of the boot loader, from the slot that was chosen: starts the kernel that lies beside it.
# The kernel's driver stops the watchdog that the boot loader has started, unless it is told to go on feeding it.
setenv bootargs "console=ttyS0,115200n8 omap_wdt.early_enable=1 ${slotargs}"
load mmc 0:${part} ${loadaddr} /boot/zImage && load mmc 0:${part} ${fdtaddr} /boot/am335x-control-board.dtb && bootz ${loadaddr} - ${fdtaddr}
