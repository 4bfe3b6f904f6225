#!/usr/bin/env python3
"""Boots the image in QEMU, updates it, and cuts its power at seeded moments of the update.

    tests/image/run.py IMAGE [--cuts N] [--seed N] [--jobs N] [--cuts-only]

IMAGE is what tests/image/build.sh made. Ends with the plain line `N passed, N failed`.

A machine that starts after a cut, as it was before, takes the next update and the next cut. When a cut falls is counted in processor time that
QEMU has used since the update began, so that it falls at the same place however busy the host is.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "board"))
from board import Console, patiently  # noqa: E402
from pool import Pool  # noqa: E402

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
# Longest that anything here may take on a busy machine; what is seen is a small part of it.
BOOT, INSTALL, TRIAL = 300, 300, 600
SLOT_START, SLOT_SIZE = 8 << 20, 80 << 20
# As build.sh tells the emulated chips.
ZERO_BITS = 8


class Machine:
    """One QEMU with one disk."""

    def __init__(self, image, disk, pool, log):
        self.disk, self.directory = disk, tempfile.TemporaryDirectory(prefix="image-")
        self.port = free_port()
        console = f"{self.directory.name}/console"
        tools = ROOT / "target/image-tools"
        self.process = subprocess.Popen([
            str(tools / "bin/qemu-system-aarch64"), "-M", "virt", "-cpu", "cortex-a53", "-m", "512", "-smp", "1",
            "-bios", str(image / "u-boot.bin"), "-nographic", "-monitor", "none",
            "-chardev", f"socket,id=console,path={console},server=on,wait=on", "-serial", "chardev:console",
            "-drive", f"id=card,if=none,format=raw,file={disk},cache=writethrough",
            "-device", "sdhci-pci", "-device", "sd-card,drive=card",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:80,"
                       f"guestfwd=tcp:10.0.2.100:3333-tcp:127.0.0.1:{pool}",
            "-device", "virtio-net-pci,netdev=net,romfile=,mac=52:54:00:12:34:56",
            # A board without a clock of its own begins somewhere in the past.
            "-rtc", "base=1990-01-01T00:00:00",
        ], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.console = Console(console, log)

    def used(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self):
        """Of the daemon, over the network; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/status", timeout=5) as answer:
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
        self.console.expect(r"LOGGED-IN\r?\n", 60)

    def firmware(self, arguments, seconds=INSTALL):
        """What `cgminer-rs firmware` says, and whether it succeeded."""
        said = self.console.run(f"cgminer-rs firmware {arguments} 2>&1; echo EXIT $?", seconds)
        return said, said.rstrip().endswith("EXIT 0")

    def cut(self):
        """As a mains failure: nothing is told, nothing is flushed."""
        self.process.kill()
        self.process.wait()

    def close(self):
        self.cut()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """What all scenarios share."""

    def __init__(self, image, output):
        self.image, self.output = image, output
        self.pool = Pool(2.0 ** (ZERO_BITS + 2 - 32), 10)
        self.roots = {path.name: digest(path) for path in image.glob("root-*.squashfs")}
        self.count, self.lock = 0, threading.Lock()

    def disk(self, base=None):
        """A fresh copy of a disk."""
        with self.lock:
            self.count += 1
            path = self.output / f"disk-{self.count}.img"
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", base or self.image / "disk.img", path], check=True)
        return path

    def machine(self, disk, name):
        return Machine(self.image, disk, self.pool.port, self.output / f"{name}.log")

    def whole(self, disk):
        """Which known root lies whole in each slot; read from outside."""
        found = {}
        with open(disk, "rb") as medium:
            for slot, start in (("A", SLOT_START), ("B", SLOT_START + SLOT_SIZE)):
                for name, (size, wanted) in self.roots.items():
                    medium.seek(start)
                    if hashlib.sha256(medium.read(size)).hexdigest() == wanted:
                        found[slot] = name.removeprefix("root-").removesuffix(".squashfs")
        return found


def digest(path):
    data = path.read_bytes()
    return len(data), hashlib.sha256(data).hexdigest()


def want(truth, what):
    if not truth:
        raise AssertionError(what)


def boots_and_answers(bench):
    """A fresh disk boots slot A to the status endpoint, confirms itself, and mines."""
    with bench.machine(bench.disk(), "boots") as machine:
        started = time.monotonic()
        want(machine.slot() == "A", "slot A boots first")
        machine.answers()
        print(f"  status endpoint {time.monotonic() - started:.0f} s after the boot loader", flush=True)
        machine.shell()
        patiently(lambda: "BOOT_A_LEFT=3" in machine.console.run("fw_printenv"), BOOT, "slot A confirmed")
        said, fine = machine.firmware("status")
        want(fine and "1.0.0" in said and "no update yet" in said, said)
        want(machine.console.run("grep -c ' / squashfs ro' /proc/mounts") == "1", "the root is read-only")
        want("overlay" in machine.console.run("grep ' /etc ' /proc/mounts"), "settings lie on the data partition")
        name = machine.console.run("hostname; cat /etc/hostname").split()
        want(name == ["miner-123456"] * 2, f"the name comes of the network address: {name}")
        want("10.0.2.15" in machine.console.run("cat /etc/network/interfaces"), "the network is as on the boot partition")
        now = machine.console.run('[ "$(date +%s)" -ge "$(cat /etc/build-time)" ] && echo later')
        want(now == "later", "without a clock it is not earlier than the image")
        patiently(lambda: bench.pool.accepted > 0, TRIAL, "an accepted share")
        want(bench.pool.rejected == [], "no share is rejected")


def refuses_what_is_not_to_be_installed(bench):
    """A foreign signature, a damaged bundle and an older version are refused, and nothing is written."""
    disk = bench.disk()
    before = bench.whole(disk)
    with bench.machine(disk, "refuses") as machine:
        machine.starts()
        machine.console.run("cp /data/bundles/new.raucb /tmp/damaged.raucb && "
                            "printf damaged | dd of=/tmp/damaged.raucb bs=1 seek=1000000 conv=notrunc 2>/dev/null")
        for bundle, why in (("/data/bundles/foreign.raucb", "signature"), ("/data/bundles/old.raucb", "older"),
                            ("/data/nothing.raucb", "nothing.raucb")):
            said, fine = machine.firmware(f"install {bundle}")
            want(not fine and why in said, f"{bundle}: {said}")
        said, fine = machine.firmware("install /tmp/damaged.raucb")
        want(not fine, f"a damaged bundle: {said}")
        want("BOOT_ORDER=B" not in machine.console.run("fw_printenv"), "the order of slots stays")
    want(bench.whole(disk).get("A") == before["A"], "the running slot is untouched")


def updates_and_confirms(bench):
    """An update boots the other slot, mines there, is confirmed, and stays over one more power cut."""
    disk = bench.disk()
    with bench.machine(disk, "updates") as machine:
        machine.starts()
        said, fine = machine.firmware("install /data/bundles/new.raucb")
        want(fine and "%" in said, said)
        machine.console.connection.sendall(b"reboot\n")
        want(machine.starts() == "B", "the new version boots")
        said, fine = machine.firmware("install /data/bundles/new.raucb --again")
        want(not fine and "on trial" in said, f"the only good slot is kept: {said}")
        patiently(lambda: "confirmed" in machine.firmware("status")[0], TRIAL, "the new version confirmed")
        said, _ = machine.firmware("status")
        want("1.1.0" in said, said)
    want(bench.whole(disk) == {"A": "1.0.0", "B": "1.1.0"}, "both slots are whole")
    with bench.machine(disk, "updated") as machine:
        want(machine.slot() == "B", "a confirmed version stays")
        machine.answers()


def updates_over_the_network(bench):
    """Whoever has the admin's token sends a bundle over HTTP; a foreign one is refused by the image itself."""
    with bench.machine(bench.disk(), "network") as machine:
        machine.starts()
        token = re.search(r"cgminer-[0-9a-f]{64}", machine.console.run("cgminer-rs token claim")).group()
        job = lambda: machine.ask("firmware", token)[1]["job"] or {}  # noqa: E731
        status, told = machine.ask("firmware", token)
        want(status == 200 and told["available"] and told["image"]["version"] == "1.0.0", told)
        status, told = machine.ask("firmware/install", None, bench.image / "keys/ours.pem")
        want(status == 401, f"without a token: {status} {told}")
        status, told = machine.ask("firmware/install", token, bench.image / "foreign.raucb")
        want(status == 200, told)
        patiently(lambda: job().get("state") == "failed", INSTALL, "the foreign bundle refused")
        want("signature" in job()["line"], job())
        status, told = machine.ask("firmware/install?reboot=true", token, bench.image / "new.raucb")
        want(status == 200, told)
        want(machine.slot(INSTALL) == "B", "what was sent boots")
        machine.answers()
        status, told = machine.ask("firmware", token)
        want(status == 200 and told["image"]["version"] == "1.1.0", told)


def rolls_back(bench):
    """A version whose daemon does not run is tried three times, and then the version before boots and says so."""
    with bench.machine(bench.disk(), "rolls-back") as machine:
        machine.starts()
        said, fine = machine.firmware("install /data/bundles/broken.raucb --reboot")
        want(fine or "installed" in said, said)
        tried = 0
        while machine.slot(TRIAL) == "B":
            tried += 1
            want(tried <= 3, "three tries are enough")
        want(tried == 3, f"tried {tried} times")
        machine.answers()
        machine.shell()
        patiently(lambda: "rolled back" in machine.firmware("status")[0], TRIAL, "the roll-back is told")


UPDATE = b"cgminer-rs firmware install /data/bundles/new.raucb --reboot\n"


def survive_cuts(bench, name, cuts):
    """Cuts the power at each moment of an update. Each time the next start must answer, from a slot that is whole.

    Yields a line and the error, if there was one, for each of `cuts`, which are pairs of number and moment.
    """
    disk = machine = None
    for number, moment in cuts:
        told = f"cut {number}: {moment:5.1f} s into the update"
        try:
            if machine is None:
                disk = bench.disk()
                machine = bench.machine(disk, f"{name}-before-{number}")
                want(machine.starts() == "A", "slot A boots first")
            start = machine.used()
            machine.console.connection.sendall(UPDATE)
            patiently(lambda: machine.used() - start >= moment, INSTALL + TRIAL, "the moment of the cut")
            told += f", at {machine.console.text.strip().splitlines()[-1:]}"
            machine.cut()
            whole = bench.whole(disk)
            want(whole, "no slot is whole")
            machine.close()
            machine = bench.machine(disk, f"{name}-after-{number}")
            slot = machine.starts()
            want(slot in whole, f"slot {slot} boots, and is not whole; {whole}")
            stage = "writing" if "B" not in whole else ("trial" if slot == "B" else "written")
            yield f"{told} ({stage}), slot {slot} answers; whole: {whole}", None
            # Where the new version is there already, writing it again would tear nothing.
            fresh = "B" in whole
        except Exception as error:  # noqa: BLE001 - whatever it was, the moment must be told
            yield f"{told}: FAILED: {error}", error
            fresh = True
        if fresh and machine is not None:
            machine.close()
            machine = None
            disk.unlink()
    if machine is not None:
        machine.close()


def measured_update(bench):
    """Processor time that an update takes from its command to the boot loader, and to the new version's answer."""
    with bench.machine(bench.disk(), "measured") as machine:
        machine.starts()
        start = machine.used()
        machine.console.connection.sendall(UPDATE)
        want(machine.slot(INSTALL) == "B", "the update boots")
        booted = machine.used() - start
        machine.answers()
        return booted, machine.used() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=pathlib.Path)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cuts-only", action="store_true")
    arguments = parser.parse_args()
    image = arguments.image.resolve()
    output = image / "runs"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    bench, passed, failed = Bench(image, output), 0, 0
    scenarios = (boots_and_answers, refuses_what_is_not_to_be_installed, updates_and_confirms,
                 updates_over_the_network, rolls_back)
    for scenario in () if arguments.cuts_only else scenarios:
        started = time.monotonic()
        try:
            scenario(bench)
            passed += 1
            print(f"ok   {scenario.__name__} ({time.monotonic() - started:.0f} s)", flush=True)
        except Exception as error:  # noqa: BLE001 - the other scenarios are to run all the same
            failed += 1
            print(f"FAIL {scenario.__name__}: {error}", flush=True)
    if arguments.cuts and not failed:
        booted, answered = measured_update(bench)
        print(f"  an update takes {booted:.0f} s to the boot loader and {answered:.0f} s to the new version's answer, of QEMU's "
              "processor time", flush=True)
        chance = random.Random(arguments.seed)
        # Writing and switching over are where an update can be torn, so most cuts fall there.
        moments = [chance.uniform(0, booted * 1.05) if chance.random() < 0.8 else chance.uniform(booted, answered * 1.1)
                   for _ in range(arguments.cuts)]
        numbered = list(enumerate(moments, 1))
        outcomes = []

        def survive(job):
            for line, error in survive_cuts(bench, f"job-{job}", numbered[job::arguments.jobs]):
                print(("ok   " if error is None else "FAIL ") + line, flush=True)
                outcomes.append(error is None)

        with ThreadPoolExecutor(arguments.jobs) as threads:
            list(threads.map(survive, range(arguments.jobs)))
        passed, failed = passed + outcomes.count(True), failed + outcomes.count(False)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
