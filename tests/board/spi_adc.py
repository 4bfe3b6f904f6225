"""An MCP3208 on the board's SPI, played from outside.

QEMU has no SPI converter, and no machine of its has a controller that Linux gives to `/dev/spidevB.C` and a converter could be
put behind. So the kernel drives SPI by GPIO lines (`spi-gpio`), and here is what hangs on them: QEMU's debugger interface stops the
machine after each write to the register of those lines, the part looks at them, sets its own, and the machine goes on. Its clock
stands still meanwhile, so it does not see that this takes a while.
"""

import socket
import threading

CLOCK, TO_PART, FROM_PART, SELECT = "spi-clock", "spi-out", "spi-in", "spi-select"
# From the start bit on: start, single-ended, three bits of the input; then the sample is taken.
SAMPLED = 6
NULL = 7


class Part:
    """The converter's side of a transfer, by its data sheet (Microchip DS21298): it looks at rising edges and speaks at falling ones."""

    def __init__(self, millivolts, reference):
        self.millivolts, self.reference = millivolts, reference
        self.conversions, self.clock, self.selected = 0, False, False
        self.bits = []

    def see(self, selected, clock, data):
        """Levels now; gives the level of its output if it drives one anew."""
        rose, fell = clock and not self.clock, self.clock and not clock
        if selected and not self.selected:
            self.bits = []
        self.clock, self.selected = clock, selected
        if not selected:
            return None
        if rose and (self.bits or data):
            self.bits.append(data)
        if fell and len(self.bits) >= SAMPLED:
            return self._speak(len(self.bits) - SAMPLED)
        return None

    def _speak(self, place):
        if place == 0:
            return False
        if place > 12:
            return False
        channel = self.bits[2] << 2 | self.bits[3] << 1 | self.bits[4]
        steps = min(self.millivolts[channel] * 4096 // self.reference, 4095)
        if place == 12:
            self.conversions += 1
        return bool(steps >> (12 - place) & 1)


class Debugger:
    """As much of GDB's remote protocol as is needed."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(60)
        self.connection.connect(str(path))
        self.buffer = b""

    def send(self, text):
        data = text.encode()
        self.connection.sendall(b"$" + data + b"#" + f"{sum(data) & 0xFF:02x}".encode())

    def receive(self):
        """The next packet."""
        while True:
            begin, end = self.buffer.find(b"$"), self.buffer.find(b"#")
            if 0 <= begin < end and len(self.buffer) >= end + 3:
                packet = self.buffer[begin + 1:end].decode()
                self.buffer = self.buffer[end + 3:]
                self.connection.sendall(b"+")
                return packet
            data = self.connection.recv(4096)
            if not data:
                raise ConnectionError("QEMU's debugger interface went away")
            self.buffer += data

    def ask(self, text):
        self.send(text)
        return self.receive()


class PlayedAdc(threading.Thread):
    """Plays the part until it is told to end. `registers` are the kernel's addresses of the lines' data register."""

    def __init__(self, path, registers, lines, part):
        super().__init__(daemon=True)
        self.registers, self.lines, self.part = registers, lines, part
        self.over, self.failure, self.stops = threading.Event(), None, 0
        self.debugger = Debugger(path)

    def run(self):
        try:
            self._play()
        except Exception as error:
            self.failure = error

    def _play(self):
        ask = self.debugger.ask
        ask("?")
        for register in self.registers:
            answer = ask(f"Z2,{register:x},4")
            if answer != "OK":
                raise RuntimeError(f"no watch on {register:#x}: {answer!r}")
        while not self.over.is_set():
            stopped = ask("c")
            self.stops += 1
            if not stopped.startswith(("T", "S")):
                continue
            # As GDB does it: the instruction is done without the watch, or it would be met again.
            for register in self.registers:
                ask(f"z2,{register:x},4")
            ask("s")
            for register in self.registers:
                ask(f"Z2,{register:x},4")
            level = self.part.see(not self.lines.get(SELECT), self.lines.get(CLOCK), self.lines.get(TO_PART))
            if level is not None:
                self.lines.set(FROM_PART, level)
        for register in self.registers:
            ask(f"z2,{register:x},4")
        # An unconnected line reads high.
        self.lines.set(FROM_PART, True)
        self.debugger.send("D")

    def end(self):
        self.over.set()
        self.join(60)
