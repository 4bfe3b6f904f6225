"""A machine: one QEMU with one disk, its console and its network, and the pool that it mines at. It can be stopped, kept in a file, and
go on from there as another machine."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from pool import Pool
from talk import Console, Monitor, connect, patiently

ROOT = pathlib.Path(__file__).parent.parent.parent
# Longest that anything here may take on a busy machine; what is seen is a small part of it.
BOOT, INSTALL, TRIAL = 600, 600, 1200
# As build.sh tells the emulated chips.
ZERO_BITS = 8
# The card's controller as the bus of QEMU's `virt` board shows it, words of that by their number, and its register of interrupts.
CONTROLLER = 0x40_1000_8000
COMMAND, BAR, INTERRUPT = 1, 4, 15
INTERRUPTS = 0x30


class Machine:
    """Begins at its boot loader, or, given a `memory` that `keep` has written, where that one was; then it waits for `go_on`."""

    def __init__(self, image, disk, log, memory=None):
        self.disk, self.directory = disk, tempfile.TemporaryDirectory(prefix="image-")
        self.port, self.pool, self.base = free_port(), Pool(2.0 ** (ZERO_BITS + 2 - 32), 10), 0.0
        console, monitor, bus = (f"{self.directory.name}/{name}" for name in ("console", "monitor", "bus"))
        self.process = subprocess.Popen([
            str(ROOT / "target/image-tools/bin/qemu-system-aarch64"), "-M", "virt", "-cpu", "cortex-a53", "-m", "512", "-smp", "1",
            # Time goes on by instructions, 4 ns each, and stands still with the guest when the host has none for it: no deadline inside depends
            # on how busy the host is.
            "-icount", "shift=2",
            "-bios", str(image / "u-boot.bin"), "-nographic", "-monitor", "none",
            "-chardev", f"socket,id=console,path={console},server=on,wait=on", "-serial", "chardev:console",
            "-qmp", f"unix:{monitor},server=on,wait=off",
            # What the card has taken is in the file, where it stays when QEMU is killed; that this host may lose its power, too, is of
            # no concern here, so its own disk is not waited for.
            "-drive", f"id=card,if=none,format=raw,file={disk},cache=unsafe",
            "-device", "sdhci-pci,addr=1", "-device", "sd-card,drive=card",
            "-qtest", f"unix:{bus},server=on,wait=off", "-qtest-log", "none",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:80,"
                       f"guestfwd=tcp:10.0.2.100:3333-tcp:127.0.0.1:{self.pool.port}",
            "-device", "virtio-net-pci,netdev=net,romfile=,mac=52:54:00:12:34:56",
            # A board without a clock of its own begins somewhere in the past.
            "-rtc", "base=1990-01-01T00:00:00",
            *([] if memory is None else ["-S", "-incoming", f"exec:cat {memory}"]),
        ], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.console = Console(console, log)
        self.monitor, self.bus = Monitor(monitor), connect(bus)
        self.bus.settimeout(BOOT)

    def go_on(self, controller):
        """From where the machine was that its memory is of. What `used` tells begins here."""
        patiently(lambda: self.monitor.command("query-status")["status"] != "inmigrate", BOOT, "the memory read")
        # QEMU keeps the registers of this controller, but not the place that the bus has given it.
        for word in (BAR, INTERRUPT, COMMAND):
            self.bus.sendall(f"writel {CONTROLLER + 4 * word:#x} {controller[word]:#x}\n".encode())
            want(self.bus.recv(64).startswith(b"OK"), "the card's controller does not come back")
        self.base = self.used()
        self.monitor.command("cont")

    def keep(self, memory):
        """Stops for good, and writes what another machine needs to go on, but for the disk. Returns the card's controller's place."""
        self.stop_between_interrupts()
        controller = self.monitor.words(CONTROLLER, 16)
        self.monitor.command("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.monitor.command("migrate", uri=f"exec:cat >{memory}")

        def written():
            status = self.monitor.command("query-migrate").get("status")
            if status == "failed":
                raise RuntimeError(f"{memory} could not be written")
            return status == "completed"
        patiently(written, BOOT, "the memory written")
        return controller

    def stop_between_interrupts(self):
        """Nor does QEMU keep that the card's controller is pulling its line."""
        def stopped():
            self.monitor.command("stop")
            place = self.monitor.words(CONTROLLER + 4 * BAR, 1)[0] & ~0xF
            if place and self.monitor.words(place + INTERRUPTS, 1)[0]:
                self.monitor.command("cont")
                return False
            return True
        patiently(stopped, BOOT, "a moment without an interrupt of the card's controller")

    def used(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") - self.base

    def run_for(self, seconds, deadline=INSTALL + TRIAL):
        """Waits until this much processor time was used. It falls at the same place however busy the host is."""
        end = time.monotonic() + deadline
        while self.used() < seconds:
            if time.monotonic() > end:
                raise TimeoutError(f"{seconds} s of processor time were not used within {deadline} s")
            time.sleep(0.01)

    def status(self):
        """Of the daemon, over the network; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/status", timeout=15) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def ask(self, path, token=None, bundle=None):
        """Status and answer of the HTTP interface; with a bundle it is sent there."""
        headers = {"Content-Type": "application/octet-stream"} if bundle else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = bundle.read_bytes() if bundle else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=INSTALL) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def slot(self, seconds=BOOT):
        """Waits for the boot loader's choice of a slot."""
        return self.console.expect(r"booting slot ([AB])", seconds)[0].group(1)

    def answers(self, seconds=BOOT):
        patiently(self.status, seconds, "an answer of the status endpoint")

    def starts(self):
        """Waits for the boot loader's choice, an answer and a shell; returns the slot."""
        slot = self.slot()
        self.answers()
        self.shell()
        return slot

    def shell(self):
        self.console.connection.sendall(b"\n")
        self.console.expect(r"[#$] ", BOOT)
        self.console.connection.sendall(b"stty -echo; PS1=; dmesg -n 1; echo LOGGED''-IN\n")
        self.console.expect(r"LOGGED-IN\r?\n", BOOT)

    def firmware(self, arguments, seconds=INSTALL):
        """What `cgminer-rs firmware` says, and whether it succeeded."""
        said = self.console.run(f"cgminer-rs firmware {arguments} 2>&1; echo EXIT $?", seconds)
        return said, said.rstrip().endswith("EXIT 0")

    def cut(self):
        """As a mains failure: nothing is told, nothing is flushed."""
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
        self.directory.cleanup()


def want(truth, what):
    if not truth:
        raise AssertionError(what)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
