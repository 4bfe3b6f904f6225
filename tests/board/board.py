"""The emulated control board and what stands around it: QEMU, its lines and sensors over QMP, and `cgminer-emulator`.

    guest  --UARTs, I2C by USB/IP-->  cgminer-emulator
      `--lines, PWM, tach-->  Wires (here)  --control socket--'
"""

import json
import re
import socket
import subprocess
import threading
import time
import tomllib

GPIO = "/machine/soc/gpio"
# Lines of the device tree, as QEMU names them.
RESETS = ["gpioA0", "gpioA1", "gpioA2"]
PRESENCE = ["gpioA4", "gpioA5", "gpioA6"]
SUPPLY_ENABLE, LED_RED, LED_GREEN, BUTTON_RESET, BUTTON_LOCATE, TACH = (
    "gpioB0", "gpioB1", "gpioB2", "gpioB3", "gpioB4", "gpioD0",
)
GPIO_STATUS = 0x1E780018
PWM_REGISTERS = 0x10000000
TICK = 0.02
PULSES_PER_TURN = 2


def patiently(action, seconds, what):
    """Tries until it gives something else than None or False."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = action()
        except OSError:
            result = None
        if result is not None and result is not False:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def connect(path):
    def attempt():
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return connection
    return patiently(attempt, 20, f"a connection to {path}")


class Monitor:
    """QEMU's machine protocol on one connection; for any thread."""

    def __init__(self, path):
        self.stream = connect(path).makefile("rw")
        self.lock, self.events = threading.Lock(), []
        self.stream.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        with self.lock:
            self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            self.stream.flush()
            while True:
                answer = json.loads(self.stream.readline())
                if "event" in answer:
                    self.events.append((time.monotonic(), answer["event"], answer.get("data")))
                elif "error" in answer:
                    raise RuntimeError(f"{name} {arguments}: {answer['error']}")
                else:
                    return answer["return"]

    def get(self, path, name):
        return self.command("qom-get", path=path, property=name)

    def set(self, path, name, value):
        self.command("qom-set", path=path, property=name, value=value)

    def words(self, address, count):
        """Words of the guest's memory."""
        text = self.command("human-monitor-command", **{"command-line": f"xp /{count}wx {address:#x}"})
        return [int(word, 16) for line in text.splitlines() for word in line.split(":")[1].split()]


class Control:
    """The emulator's control socket."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        self.stream = connect(path).makefile("rw")

    def say(self, line):
        with self.lock:
            self.stream.write(line + "\n")
            self.stream.flush()
            answer = self.stream.readline()
        if not answer.startswith("ok"):
            raise RuntimeError(f"the emulator answers {line!r} by {answer!r}")

    def truth(self):
        """The machine as it really is. On a connection of its own, whose end is the end of the answer."""
        with connect(self.path) as connection:
            connection.sendall(b"status\n")
            connection.shutdown(socket.SHUT_WR)
            return tomllib.loads(connection.makefile("r").read())


class Console:
    """The board's serial console: a log, and a shell."""

    def __init__(self, path, log):
        self.connection, self.text, self.commands = connect(path), "", 0
        self.log, self.changed = open(log, "w", encoding="utf-8"), threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while data := self.connection.recv(4096):
            with self.changed:
                text = data.decode("utf-8", "replace")
                self.text += text
                self.log.write(text)
                self.log.flush()
                self.changed.notify_all()

    def expect(self, pattern, seconds):
        """Waits for a pattern, and forgets what came before it and the match."""
        end = time.monotonic() + seconds
        with self.changed:
            while (match := re.search(pattern, self.text)) is None:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{pattern!r} not on the console; its end: {self.text[-600:]!r}")
                self.changed.wait(left)
            before, self.text = self.text[:match.start()], self.text[match.end():]
            return match, before

    def log_in(self):
        self.expect(r"BOARD# ", 60)
        self.connection.sendall(b"stty -echo; PS1=; echo LOGGED''-IN\n")
        self.expect(r"LOGGED-IN\r?\n", 30)

    def run(self, command, seconds=60):
        """Output of a command in the board's shell."""
        self.commands += 1
        end = f"DONE-{self.commands}"
        self.connection.sendall(f"{command}; echo {end[:4]}''{end[4:]}\n".encode())
        return self.expect(end + r"\r?\n", seconds)[1].replace("\r", "").strip("\n")


class Wires(threading.Thread):
    """Carries lines, the fan's drive and its pulses between the board and the emulated machine, and is the board's
    resistors: while nobody drives a line, the supply is off, the chips are held, boards are plugged in, buttons are up."""

    def __init__(self, monitor, tach_monitor, control):
        super().__init__(daemon=True)
        self.monitor, self.tach_monitor, self.control = monitor, tach_monitor, control
        self.seen, self.changes, self.rpm, self.present = {}, [], 0.0, [True, True, True]
        self.over = False
        self.rest()
        threading.Thread(target=self._pulse, daemon=True).start()

    def rest(self):
        for line in RESETS:
            self.monitor.set(GPIO, line, False)
        for line, present in zip(PRESENCE, self.present):
            self.monitor.set(GPIO, line, present)
        for line in [SUPPLY_ENABLE, BUTTON_RESET, BUTTON_LOCATE]:
            self.monitor.set(GPIO, line, True)

    def plug(self, chain, present):
        self.present[chain] = present
        self.monitor.set(GPIO, PRESENCE[chain], present)

    def run(self):
        events, round_number = 0, 0
        while not self.over:
            round_number += 1
            for line in [*RESETS, SUPPLY_ENABLE]:
                self._follow(line, self.monitor.get(GPIO, line))
            new = [name for _, name, _ in self.monitor.events[events:]]
            events += len(new)
            if "RESET" in new:
                self.rest()
            if round_number % 25 == 0:
                *_, whole, driven = self.monitor.words(PWM_REGISTERS, 6)
                share = min(driven / whole, 1.0) if whole else 0.0
                self.control.say(f"fan {share * 100:.1f} fan 0")
                self.rpm = dict(self.control.truth()["fans"])["fan 0"]
            time.sleep(TICK)

    def _follow(self, line, level):
        if self.seen.get(line) == level:
            return
        self.seen[line] = level
        self.changes.append((time.monotonic(), line, level))
        if line == SUPPLY_ENABLE:
            self.control.say("enable off" if level else "enable on")
        else:
            self.control.say(f"reset {RESETS.index(line)} {'release' if level else 'hold'}")

    def _pulse(self):
        """The tachometer. QEMU's GPIO model loses count when an edge comes before the one before it is acknowledged, and
        the guest then hangs in an interrupt that never ends; so each edge waits for that."""
        while not self.over:
            if self.rpm < 60:
                time.sleep(0.1)
                continue
            due = time.monotonic() + 60 / (self.rpm * PULSES_PER_TURN)
            if self.tach_monitor.words(GPIO_STATUS, 1)[0] == 0:
                self.tach_monitor.set(GPIO, TACH, True)
                self.tach_monitor.set(GPIO, TACH, False)
            time.sleep(max(0.0, due - time.monotonic()))


class Board:
    """A board that is switched on. `stop` ends every process that it started."""

    def __init__(self, image, run, emulator, tools, zero_bits, machine):
        run.mkdir(parents=True, exist_ok=True)
        self.run, self.processes, self.wires = run, [], None
        try:
            self._begin(image, run, emulator, tools, zero_bits, machine)
        except BaseException:
            self.stop()
            raise

    def _begin(self, image, run, emulator, tools, zero_bits, machine):
        usb = free_port()
        self._start(
            [emulator, "--machine", machine, "--directory", run / "machine", "--sockets", "--off",
             "--usbip", f"usb@127.0.0.1:{usb}"], run / "emulator.log")
        for index in range(3):
            patiently((run / "machine" / f"chain{index}").exists, 20, "the emulator's serial lines")
        self.http = free_port()
        data = run / "data.img"
        with open(data, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", data], check=True)
        server = "server=on,wait=off"
        arguments = [
            tools / "bin" / "qemu-system-arm", "-M", "ast2600-evb", "-m", "1G", "-display", "none", "-nodefaults",
            "-kernel", image / "kernel", "-dtb", image / "board.dtb", "-initrd", image / "initramfs.gz",
            "-append", f"console=ttyS4,115200n8 loglevel=4 usbip={usb} zero_bits={zero_bits}",
            "-chardev", f"socket,id=console,path={run}/console,{server}", "-serial", "chardev:console",
            *[part for index in range(3) for part in (
                "-chardev", f"socket,id=hb{index},path={run}/machine/chain{index}", "-serial", f"chardev:hb{index}")],
            "-nic", f"user,hostfwd=tcp:127.0.0.1:{self.http}-:8080",
            "-drive", f"if=none,id=card,file={data},format=raw", "-device", "sd-card,drive=card",
            "-device", "tmp105,id=board0,bus=aspeed.i2c.bus.0,address=0x48",
            "-device", "tmp105,id=board1,bus=aspeed.i2c.bus.0,address=0x49",
            "-device", "tmp421,id=board2,bus=aspeed.i2c.bus.0,address=0x4c",
            "-device", "at24c-eeprom,bus=aspeed.i2c.bus.1,address=0x50,rom-size=256",
        ]
        monitors = [run / f"monitor{index}" for index in range(3)]
        for path in [*monitors, run / "console"]:
            path.unlink(missing_ok=True)
        for path in monitors:
            arguments += ["-qmp", f"unix:{path},{server}"]
        self._start(arguments, run / "qemu.log")
        self.started = time.monotonic()
        self.console = Console(run / "console", run / "console.log")
        self.monitor, lines, tach = (Monitor(path) for path in monitors)
        for sensor, celsius in [("board0", 40), ("board1", 41)]:
            self.warm(sensor, celsius)
        for index, celsius in enumerate([42, 43]):
            self.monitor.set("/machine/peripheral/board2", f"temperature{index}", celsius * 1000)
        self.control = Control(run / "machine" / "control")
        self.wires = Wires(lines, tach, self.control)
        self.wires.start()

    def _start(self, arguments, log):
        with open(log, "w", encoding="utf-8") as file:
            self.processes.append(subprocess.Popen([str(part) for part in arguments], stdout=file, stderr=file))

    def warm(self, sensor, celsius):
        self.monitor.set(f"/machine/peripheral/{sensor}", "temperature", int(celsius * 1000))

    def status(self):
        """The machine's own word; none while it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.http), timeout=10) as connection:
                connection.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                answer = b""
                while data := connection.recv(65536):
                    answer += data
        except OSError:
            return None
        head, _, body = answer.partition(b"\r\n\r\n")
        return json.loads(body) if b" 200 " in head.split(b"\r\n")[0] else None

    def stop(self):
        if self.wires:
            self.wires.over = True
            # Its threads have looked at the lines for the last time.
            time.sleep(1)
        for process in reversed(self.processes):
            process.terminate()
            process.wait(20)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
