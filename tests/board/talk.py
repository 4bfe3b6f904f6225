"""How the test talks to what it starts: QEMU's machine protocol, the emulator's control socket, and the board's console."""

import json
import re
import socket
import threading
import time
import tomllib


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
    return patiently(attempt, 120, f"a connection to {path}")


class Monitor:
    """QEMU's machine protocol on one connection; for any thread."""

    # Longest that QEMU may stay silent while it owes an answer.
    SILENCE = 300

    def __init__(self, path):
        connection = connect(path)
        connection.settimeout(self.SILENCE)
        # Two, for a text stream of Python's forgets what it has read ahead when it is written to.
        self.reader, self.writer = connection.makefile("r"), connection.makefile("w")
        self.lock, self.events = threading.Lock(), []
        # An event of the very moment of connecting comes before the greeting.
        self._read_until("QMP", "greets")
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        with self.lock:
            self.writer.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            self.writer.flush()
            return self._read_until("return", f"{name} {arguments}")

    def _read_until(self, key, what):
        """Reads on to the answer that has this key, which it returns. Events are kept."""
        while line := self.reader.readline():
            answer = json.loads(line)
            if "event" in answer:
                self.events.append((time.monotonic(), answer["event"], answer.get("data")))
            elif key in answer:
                return answer[key]
            else:
                raise RuntimeError(f"{what}: {answer.get('error', line)}")
        raise RuntimeError(f"{what}: QEMU has hung up")

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
        self.expect(r"BOARD# ", 300)
        self.connection.sendall(b"stty -echo; PS1=; echo LOGGED''-IN\n")
        self.expect(r"LOGGED-IN\r?\n", 300)

    def run(self, command, seconds=60):
        """Output of a command in the board's shell."""
        self.commands += 1
        end = f"DONE-{self.commands}"
        self.connection.sendall(f"{command}; echo {end[:4]}''{end[4:]}\n".encode())
        return self.expect(end + r"\r?\n", seconds)[1].replace("\r", "").strip("\n")
