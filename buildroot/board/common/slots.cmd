# First script of the boot loader: which of the two slots boots. It lies on the boot partition and no update touches it, so it knows
# nothing of kernels; a slot's own /boot/kernel.scr does.
#
# The updater (RAUC) and this script speak by three variables of the redundant environment:
#
#   BOOT_ORDER     slots in the order in which they are tried
#   BOOT_x_LEFT    tries that slot x has left; each boot takes one, and a boot that was confirmed gives all three back
#
# A slot that is being written has no try left, and one that is on trial falls back by itself when it is never confirmed.

# Once more: a medium behind a bus that is found late was not there when the boot loader looked first, and the defaults that it took instead
# must not be written over what is known. Only a medium that was never booted has no environment.
# What the boot loader found out by itself since it started is kept: loading sets every variable anew.
tree=${fdtcontroladdr}
env load || echo "no environment yet: the defaults it is"
setenv fdtcontroladdr ${tree}

test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3

setenv slot
for try in ${BOOT_ORDER}; do
	if test -n "${slot}"; then
		true
	elif test "${try}" = "A" && test 0x${BOOT_A_LEFT} -gt 0; then
		setenv slot A
		setenv part 2
		setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
	elif test "${try}" = "B" && test 0x${BOOT_B_LEFT} -gt 0; then
		setenv slot B
		setenv part 3
		setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
	fi
done

if test -z "${slot}"; then
	# Both were cut off three times before they were confirmed, as by a bad power line. The order still tells which one
	# was meant, and a slot that was never written whole is not in it.
	echo "no tries left: beginning anew"
	for try in ${BOOT_ORDER}; do
		setenv BOOT_${try}_LEFT 3
	done
	saveenv
	reset
fi

saveenv
echo "booting slot ${slot}"
# A card is found in the background: the kernel waits for it, and the watchdog for the kernel.
setenv slotargs "root=/dev/mmcblk0p${part} rootfstype=squashfs rootwait ro init=/sbin/preinit rauc.slot=${slot} data=/dev/mmcblk0p4 panic=5"
if load mmc 0:${part} ${scriptaddr} /boot/kernel.scr; then
	source ${scriptaddr}
fi
# Nothing comes back from a kernel that started.
reset
