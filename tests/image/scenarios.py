"""What an image must do: start, refuse, update, take what is sent, and go back."""

import re
import time

from machine import BOOT, INSTALL, TRIAL, want
from talk import patiently


def boots_and_answers(bench):
    """A fresh disk boots slot A to the status endpoint, confirms itself, and mines."""
    with bench.machine(bench.disk(), "boots") as machine:
        started = time.monotonic()
        want(machine.slot() == "A", "slot A boots first")
        machine.answers()
        print(f"  status endpoint {time.monotonic() - started:.0f} s after the boot loader", flush=True)
        machine.shell()
        patiently(lambda: "BOOT_A_LEFT=3" in machine.console.run("sleep 1; fw_printenv"), BOOT, "slot A confirmed")
        said, fine = machine.firmware("status")
        want(fine and "1.0.0" in said and "no update yet" in said, said)
        want(machine.console.run("grep -c ' / squashfs ro' /proc/mounts") == "1", "the root is read-only")
        want("overlay" in machine.console.run("grep ' /etc ' /proc/mounts"), "settings lie on the data partition")
        name = machine.console.run("hostname; cat /etc/hostname").split()
        want(name == ["miner-123456"] * 2, f"the name comes of the network address: {name}")
        want("10.0.2.15" in machine.console.run("cat /etc/network/interfaces"), "the network is as on the boot partition")
        now = machine.console.run('[ "$(date +%s)" -ge "$(cat /etc/build-time)" ] && echo later')
        want(now == "later", "without a clock it is not earlier than the image")
        patiently(lambda: machine.pool.accepted > 0, TRIAL, "an accepted share")
        want(machine.pool.rejected == [], "no share is rejected")


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
        # A lighter question than for the firmware's status, since the guest has no time to spare.
        patiently(lambda: "BOOT_B_LEFT=3" in machine.console.run("sleep 2; fw_printenv"), TRIAL, "the new version confirmed")
        patiently(lambda: "confirmed" in machine.firmware("status")[0], BOOT, "the confirmation told")
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

        def firmware():
            """On a busy host the image may ask for patience."""
            status, told = machine.ask("firmware", token)
            want(status == 200 or told["error"]["code"] == "not_done", told)
            return told if status == 200 else None

        def job():
            return patiently(firmware, INSTALL, "an answer about the firmware")["job"] or {}

        told = patiently(firmware, INSTALL, "an answer about the firmware")
        want(told["available"] and told["image"]["version"] == "1.0.0", told)
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
        told = patiently(firmware, INSTALL, "an answer about the firmware")
        want(told["image"]["version"] == "1.1.0", told)


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
        patiently(lambda: "rolled back" in machine.firmware("status")[0], BOOT, "the roll-back is told")


ALL = (rolls_back, updates_and_confirms, updates_over_the_network, refuses_what_is_not_to_be_installed, boots_and_answers)
