#!/usr/bin/env python3
"""Makes the device tree of the emulated control board out of Debian's for the AST2600 evaluation board.

    device_tree.py BASE.dts > BOARD.dts

Debian's tree has no symbols, so it is edited as text. QEMU models no pin multiplexer and no PWM; what is done about both
is said at each step.
"""

import re
import sys

# Serial ports of the hash boards. Without the clock a speed of 3.125 Mbaud falls back to 115200, silently.
UARTS = ["1e783000", "1e78d000", "1e78e000", "1e78f000"]
# One network card of four is modelled with a network behind it.
SPARE_CARDS = ["1e680000", "1e670000", "1e690000"]
LINES = [
    "HB0_RST", "HB1_RST", "HB2_RST", "HB3_RST", "HB0_PLUG", "HB1_PLUG", "HB2_PLUG", "HB3_PLUG",
    "PSU_EN", "LED_RED", "LED_GREEN", "BTN_RESET", "BTN_IP",
]
TACH = 24
EXTRA = """
    pwmclk: pwmclk { compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <10000000>; };
    /* The registers of a Raspberry Pi's PWM over the on-chip memory: a driver that works, and a place to look at. */
    pwm0: pwm@10000000 {
        compatible = "brcm,bcm2835-pwm"; reg = <0x10000000 0x28>; clocks = <&pwmclk>; #pwm-cells = <3>;
    };
    fan0: fan {
        compatible = "pwm-fan"; pwms = <&pwm0 0 40000 0>; cooling-levels = <0 64 128 255>;
        pulses-per-revolution = <1>; interrupt-parent = <GPIO>; interrupts = <TACH 1>;
    };
    /* No controller of QEMU's has a converter behind it: spi_adc.py plays one on these lines. */
    spi-lines {
        compatible = "spi-gpio"; #address-cells = <1>; #size-cells = <0>; num-chipselects = <1>;
        sck-gpios = <GPIO 16 0>; mosi-gpios = <GPIO 17 0>; miso-gpios = <GPIO 18 0>; cs-gpios = <GPIO 19 1>;
        converter@0 { compatible = "rohm,dh2228fv"; reg = <0>; spi-max-frequency = <1000000>; };
    };
    leds {
        compatible = "gpio-leds";
        red { label = "red"; gpios = <GPIO 9 0>; };
        green { label = "green"; gpios = <GPIO 10 0>; linux,default-trigger = "none"; };
    };
};
"""


def once(pattern, replacement, text):
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.S)
    if count != 1:
        sys.exit(f"device_tree.py: {pattern!r} is not in this device tree; adapt it to this kernel's")
    return changed


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        tree = file.read()
    gpio = re.search(r"gpio@1e780000 \{.*?phandle = <(0x[0-9a-f]+)>", tree, re.S)
    if gpio is None:
        sys.exit("device_tree.py: no GPIO controller at 1e780000; this is not an AST2600's device tree")
    for address in UARTS:
        enabled = r'\1"okay"; clock-frequency = <100000000>;'
        tree = once(rf'(serial@{address} \{{.*?status = )"(?:disabled|okay)";', enabled, tree)
    # A sensor that QEMU does not model.
    tree = once(r"\n\t*temp@2e \{.*?\};\n", "\n", tree)
    # Lines that belong to another function are refused as GPIO. Without any function all are free; gpio-ranges must stay.
    tree = re.sub(r"\n\t*pinctrl-(0|names) = [^;]*;", "", tree)
    # Voltages of the SD card, which nothing here has.
    tree = re.sub(r"\n\t*vq?mmc-supply = [^;]*;", "", tree)
    names = ", ".join(f'"{name}"' for name in LINES)
    tree = tree.replace("gpio@1e780000 {", "gpio@1e780000 {\n\t\t\t\tgpio-line-names = " + names + ";", 1)
    for address in SPARE_CARDS:
        tree = once(rf'(ethernet@{address} \{{.*?status = )"okay"', r'\1"disabled"', tree)
    end = tree.rstrip().rfind("};")
    print(tree[:end] + EXTRA.replace("GPIO", gpio.group(1)).replace("TACH", str(TACH)))


main()
