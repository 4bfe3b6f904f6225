"""The lines of an emulated control board, seen and driven from outside, and what is soldered to them."""

import threading
import time

TICK = 0.02
PULSES_PER_TURN = 1


class Ast2600Lines:
    """GPIO of the AST2600: QEMU tells and takes every line's level by its name. What is an input in the guest can be set."""

    GPIO = "/machine/soc/gpio"
    NAMES = {
        "reset0": "gpioA0", "reset1": "gpioA1", "reset2": "gpioA2",
        "present0": "gpioA4", "present1": "gpioA5", "present2": "gpioA6",
        "supply": "gpioB0", "red": "gpioB1", "green": "gpioB2", "button-reset": "gpioB3", "button-locate": "gpioB4",
        "spi-clock": "gpioC0", "spi-out": "gpioC1", "spi-in": "gpioC2", "spi-select": "gpioC3", "tach": "gpioD0",
    }
    # Levels while nobody drives a line: the supply is off, the chips are held, buttons are up.
    RESTING = {
        "reset0": False, "reset1": False, "reset2": False, "supply": True, "button-reset": True, "button-locate": True,
        "spi-in": True,
    }
    INPUTS = ("present0", "present1", "present2")
    # At which level chips are held, and the supply is off.
    HELD, OFF = False, True

    def __init__(self, monitor):
        self.monitor = monitor

    def get(self, name):
        return self.monitor.get(self.GPIO, self.NAMES[name])

    def set(self, name, level):
        self.monitor.set(self.GPIO, self.NAMES[name], level)


class Pl061Lines:
    """The PL061 of QEMU's `virt` board. Its lines lead nowhere and can be looked at, not driven: through its data register, by
    the address of which QEMU's own bus gives all eight. QEMU pulls down what nobody drives."""

    ALL = 0x090303FC
    NAMES = {"reset0": 0, "reset1": 1, "reset2": 2, "supply": 4, "green": 5, "red": 6}
    RESTING = {}
    INPUTS = ()
    HELD, OFF = False, False

    def __init__(self, monitor):
        self.monitor = monitor

    def get(self, name):
        return bool(self.monitor.words(self.ALL, 1)[0] >> self.NAMES[name] & 1)


class Wires(threading.Thread):
    """Carries lines between the board and the emulated machine, and is the board's resistors."""

    def __init__(self, lines, control):
        super().__init__(daemon=True)
        self.lines, self.control = lines, control
        self.seen, self.changes, self.over = {}, [], False
        self.present = dict.fromkeys(lines.INPUTS, True)
        self.resets = 0
        self.rest()

    def rest(self):
        """As the lines are while nobody drives them."""
        for line, level in {**self.lines.RESTING, **self.present}.items():
            self.lines.set(line, level)

    def plug(self, chain, present):
        self.present[f"present{chain}"] = present
        self.lines.set(f"present{chain}", present)

    def press(self, button, seconds):
        self.lines.set(button, False)
        time.sleep(seconds)
        self.lines.set(button, True)

    def run(self):
        events, rounds = 0, 0
        while not self.over:
            rounds += 1
            for line in ["reset0", "reset1", "reset2", "supply"]:
                self._follow(line, self.lines.get(line))
            new = [name for _, name, _ in self.lines.monitor.events[events:]]
            events += len(new)
            if "RESET" in new:
                self.rest()
                self.resets += 1
            if rounds % 25 == 0:
                self.look_at_fans()
            time.sleep(TICK)

    def look_at_fans(self):
        """Where the fans hang on a bus, the emulated machine knows all about them."""

    def _follow(self, line, level):
        if self.seen.get(line) == level:
            return
        self.seen[line] = level
        self.changes.append((time.monotonic(), line, level))
        if line == "supply":
            self.control.say("enable off" if level == self.lines.OFF else "enable on")
        else:
            self.control.say(f"reset {line[-1]} {'hold' if level == self.lines.HELD else 'release'}")


class FanWires(Wires):
    """With a fan on the board's own PWM output, whose pulses the board counts."""

    PWM_REGISTERS = 0x10000000
    GPIO_STATUS = 0x1E780018

    def __init__(self, lines, control, tach_lines):
        self.tach_lines, self.rpm = tach_lines, 0.0
        super().__init__(lines, control)
        threading.Thread(target=self._pulse, daemon=True).start()

    def look_at_fans(self):
        *_, whole, driven = self.lines.monitor.words(self.PWM_REGISTERS, 6)
        share = min(driven / whole, 1.0) if whole else 0.0
        self.control.say(f"fan {share * 100:.1f} fan 0")
        self.rpm = dict(self.control.truth()["fans"])["fan 0"]

    def _pulse(self):
        """The tachometer. QEMU's GPIO model loses count when an edge comes before the one before it is acknowledged, and
        the guest then hangs in an interrupt that never ends; so each edge waits for that."""
        due = time.monotonic()
        while not self.over:
            if self.rpm < 60:
                time.sleep(0.1)
                due = time.monotonic()
                continue
            # One that comes late is followed by an early one, so that their number is right; but no rush after a long pause.
            due = max(due + 60 / (self.rpm * PULSES_PER_TURN), time.monotonic() - 0.5)
            if self.tach_lines.monitor.words(self.GPIO_STATUS, 1)[0] == 0:
                self.tach_lines.set("tach", True)
                self.tach_lines.set("tach", False)
            time.sleep(max(0.0, due - time.monotonic()))
