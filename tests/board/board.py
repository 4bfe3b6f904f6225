"""An emulated control board and what stands around it: QEMU, its lines and sensors over QMP, and `cgminer-emulator`.

    guest  --UARTs, I2C by USB/IP-->  cgminer-emulator
      `--lines, PWM, tach-->  Wires  --control socket--'
"""

import json
import socket
import subprocess
import time

from talk import Console, Control, Monitor, patiently


class Board:
    """A board that is switched on. `stop` ends every process that it started."""

    def __init__(self, machine, image, run, emulator, tools, zero_bits, outside):
        run.mkdir(parents=True, exist_ok=True)
        self.machine, self.run_folder, self.processes, self.wires = machine, run, [], None
        try:
            self._begin(image, run, emulator, tools, zero_bits, outside)
        except BaseException:
            self.stop()
            raise

    def _begin(self, image, run, emulator, tools, zero_bits, outside):
        usb = free_port()
        self._start(
            [emulator, "--machine", outside, "--directory", run / "machine", "--sockets", "--off",
             "--usbip", f"usb@127.0.0.1:{usb}"], run / "emulator.log")
        for name in ["chain0", "chain1", "chain2", "control"]:
            patiently((run / "machine" / name).exists, 60, f"the emulator's socket {name}")
        self.http = free_port()
        data = run / "data.img"
        with open(data, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", data], check=True)
        machine = self.machine
        arguments = [
            tools / "bin" / machine.PROGRAM, "-display", "none", "-nodefaults",
            "-kernel", image / "kernel", "-initrd", image / "initramfs.gz",
            "-append", f"console={machine.CONSOLE},115200n8 loglevel=4 rdinit=/init data=/dev/card usbip={usb} "
                       f"zero_bits={zero_bits}",
            *machine.arguments(run, image, data), *machine.network(f"hostfwd=tcp:127.0.0.1:{self.http}-:8080"),
        ]
        monitors = [run / f"monitor{index}" for index in range(4)]
        for path in [*monitors, run / "console"]:
            path.unlink(missing_ok=True)
        for path in monitors:
            arguments += ["-qmp", f"unix:{path},server=on,wait=off"]
        self.debugger = run / "debugger"
        self.debugger.unlink(missing_ok=True)
        arguments += ["-gdb", f"unix:{self.debugger},server=on,wait=off"]
        self._start(arguments, run / "qemu.log")
        self.started = time.monotonic()
        self.console = Console(run / "console", run / "console.log")
        self.monitor, lines, tach, spare = (Monitor(path) for path in monitors)
        machine.warm_up(self)
        self.control = Control(run / "machine" / "control")
        self.wires = machine.wires(lines, tach, self.control)
        self.wires.start()
        self.lines, self.spare_lines = (self.wires.lines.__class__(monitor) for monitor in (self.monitor, spare))

    def _start(self, arguments, log):
        with open(log, "w", encoding="utf-8") as file:
            self.processes.append(subprocess.Popen([str(part) for part in arguments], stdout=file, stderr=file))

    def warm(self, sensor, celsius):
        self.monitor.set(f"/machine/peripheral/{sensor}", "temperature", int(celsius * 1000))

    def is_dark(self):
        """Seen from outside: the supply is not enabled and all chips are held."""
        held = [self.lines.get(f"reset{chain}") == self.lines.HELD for chain in range(3)]
        return self.lines.get("supply") == self.lines.OFF and all(held)

    def since(self, begin, line, level):
        """Seconds until a line first went to a level after a moment; none if it did not yet."""
        times = [at - begin for at, seen, to in self.wires.changes if seen == line and to == level and at >= begin]
        return times[0] if times else None

    def get(self, path):
        """What the machine answers at a path of its status endpoint; none while it does not."""
        try:
            with socket.create_connection(("127.0.0.1", self.http), timeout=10) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while data := connection.recv(65536):
                    answer += data
        except OSError:
            return None
        head, _, body = answer.partition(b"\r\n\r\n")
        return json.loads(body) if b" 200 " in head.split(b"\r\n")[0] else None

    def status(self):
        return patiently(lambda: self.get("/api/v1/status"), 60, "the status endpoint")

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
