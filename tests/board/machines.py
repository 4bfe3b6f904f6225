"""The two machines of QEMU that a control board is made of."""

from wires import Ast2600Lines, FanWires, Pl061Lines, Wires


# The converter of spi_adc.py.
ADC = """
[[adc]]
part = "mcp3208"
spi = { device = "spidev0.0", clock_hz = 100000, mode = 0 }
reference_mv = 3300
channels = [
    { channel = 0, name = "rail current", measures = "current", per_volt = 50.0 },
    { channel = 5, name = "rail voltage", measures = "voltage", per_volt = 6.0 },
]
"""


def chains(run):
    """Serial lines of the hash boards, which the emulator serves."""
    for index in range(3):
        yield from ("-chardev", f"socket,id=hb{index},path={run}/machine/chain{index}")


class Ast2600:
    """ARMv7: the AST2600's evaluation board. Sensors, EEPROM and watchdog are QEMU's models of real parts."""

    ARCHITECTURE, PROGRAM, CONSOLE = "armv7", "qemu-system-arm", "ttyS4"
    # What its sensors read until somebody warms them.
    COOL = {"board0": 40, "board1": 41}
    FAN_ON_BOARD, EEPROMS = True, 1
    # Drive of its fan when the kernel was up, and before the daemon ran; period, duty and state of the output without a fan.
    FANS_AT_START = ["60", "255", "40000", "40000", "1"]
    # Its watchdog's driver cannot tell in QEMU whether it was the watchdog.
    TOLD_AFTER_RESET = "reset"

    @classmethod
    def arguments(cls, run, image, data):
        return [
            "-M", "ast2600-evb", "-m", "1G", "-dtb", image / "board.dtb",
            "-chardev", f"socket,id=console,path={run}/console,server=on,wait=off", "-serial", "chardev:console",
            *chains(run), *[part for index in range(3) for part in ("-serial", f"chardev:hb{index}")],
            "-drive", f"if=none,id=card,file={data},format=raw", "-device", "sd-card,drive=card",
            "-device", "tmp105,id=board0,bus=aspeed.i2c.bus.0,address=0x48",
            "-device", "tmp105,id=board1,bus=aspeed.i2c.bus.0,address=0x49",
            "-device", "tmp421,id=board2,bus=aspeed.i2c.bus.0,address=0x4c",
            "-device", "at24c-eeprom,bus=aspeed.i2c.bus.1,address=0x50,rom-size=256",
        ]

    @staticmethod
    def network(forward):
        return ["-nic", f"user,{forward}"]

    @classmethod
    def warm_up(cls, board):
        """Sensors as they read in a machine that works; a reset takes them to 0 C."""
        for sensor, celsius in cls.COOL.items():
            board.warm(sensor, celsius)
        for index, celsius in enumerate([42, 43]):
            board.monitor.set("/machine/peripheral/board2", f"temperature{index}", celsius * 1000)

    @classmethod
    def wires(cls, monitor, tach_monitor, control):
        if cls.FAN_ON_BOARD:
            return FanWires(Ast2600Lines(monitor), control, Ast2600Lines(tach_monitor))
        return Wires(Ast2600Lines(monitor), control)


class Ast2600WithPartsOutside(Ast2600):
    """The same with every I2C part in the emulator, behind a USB adapter: supply, voltage controllers, sensors, EEPROMs, fans."""

    FAN_ON_BOARD, EEPROMS = False, 3
    # Its board file does not name the output on the board, which is left alone.
    FANS_AT_START = ["60", "60", "40000", "40000", "1"]
    # How its board file calls what differs (outside/board.toml.in).
    WORDS = {
        "model": "AST2600 EVB", "bus": "i2c-16", "baud": "3125000", "reset_active": "low", "supply_active": "low",
        **{f"reset{chain}": f'{{ name = "HB{chain}_RST" }}' for chain in range(3)}, "supply": '{ name = "PSU_EN" }',
        "green": '{ kind = "sysfs", name = "green" }', "red": '{ kind = "sysfs", name = "red" }', "adc": ADC,
    }


class Virt:
    """ARM64: QEMU's `virt`, with lines of its PL061, serial lines and a watchdog on PCI, and every I2C part in the emulator."""

    ARCHITECTURE, PROGRAM, CONSOLE = "arm64", "qemu-system-aarch64", "ttyAMA0"
    EEPROMS, FANS_AT_START = 3, []
    # The driver of its watchdog asks the device, which remembers.
    TOLD_AFTER_RESET = "watchdog"
    # Its serial lines have the clock of a PC's, whose fastest is this.
    WORDS = {
        "model": "linux,dummy-virt", "bus": "i2c-0", "baud": "115200", "reset_active": "low", "supply_active": "high",
        **{name: f'{{ chip = "9030000.pl061", offset = {offset} }}' for name, offset in Pl061Lines.NAMES.items()},
        "adc": "",
        **{light: f'{{ kind = "gpio", signal = {{ line = {{ chip = "9030000.pl061", offset = {offset} }}, active = "high" }} }}'
           for light, offset in [("green", 5), ("red", 6)]},
    }

    @staticmethod
    def arguments(run, image, data):
        return [
            "-M", "virt", "-cpu", "cortex-a53", "-m", "512M",
            "-chardev", f"socket,id=console,path={run}/console,server=on,wait=off", "-serial", "chardev:console",
            *chains(run), *[part for index in range(3) for part in ("-device", f"pci-serial,chardev=hb{index}")],
            "-device", "i6300esb", "-action", "watchdog=reset",
            "-drive", f"if=none,id=card,file={data},format=raw", "-device", "virtio-blk-pci,drive=card",
        ]

    @staticmethod
    def network(forward):
        return ["-netdev", f"user,id=net,{forward}", "-device", "virtio-net-pci,netdev=net,romfile="]

    @staticmethod
    def warm_up(board):
        """Its sensors are the emulator's."""

    @staticmethod
    def wires(monitor, _, control):
        return Wires(Pl061Lines(monitor), control)
