#!/usr/bin/env python3
"""Installs the daemon in a Debian as docs/firmware.md says, starts that Debian's systemd in a container, and goes through what an owner does.

    tests/systemd/run.py ROOT BINARY

ROOT is a fresh file system with systemd, which is changed. The machine is emulated: a drop-in adds that to the unit, and nothing else. Ends with the plain
line `N passed, N failed`.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tests/board"))
from pool import Pool  # noqa: E402
from talk import patiently  # noqa: E402

# Longest that anything may take on a busy machine; half a minute is the supply's.
PATIENCE = 600
# As many zero bits as the emulated chips demand, so that each nonce is a share.
ZERO_BITS = 12
UNIT = "cgminer-rs.service"

# An emulated machine leaves the state of a real one alone, and would keep its own with its sockets, which systemd takes away at each stop.
CONFIGURATION = """
[board]
name = "l7"

[keeper]
state_directory = "/var/lib/cgminer-rs/emulated"

[api]
listen = "127.0.0.1:{port}"

[[pool]]
url = "stratum+tcp://127.0.0.1:{pool}"
user = "account.worker"
"""


class Container:
    """A Debian whose systemd runs in namespaces of its own; the network is the host's."""

    def __init__(self, root, log):
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--directory", root, "--boot"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.leader = patiently(self._leader, PATIENCE, "a container")
        patiently(lambda: self.run("systemctl is-system-running").strip() in ("running", "degraded"), PATIENCE, "a started systemd")

    def _leader(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children[0] if children else None

    def run(self, command):
        """What a shell of root's inside says."""
        ended = subprocess.run(["nsenter", "--target", self.leader, "--all", "--", "/bin/sh", "-c", command],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
        return ended.stdout

    def journal(self):
        return self.run(f"journalctl --no-pager --output cat --unit {UNIT}")

    def property(self, name):
        return self.run(f"systemctl show --value --property {name} {UNIT}").strip()

    def end(self):
        self.run("systemctl poweroff")
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()


def processes(container):
    """Of the unit: what each is to the kernel, keyed by whether it is the miner."""
    found = {}
    main = container.property("MainPID")
    group = container.property("ControlGroup")
    for line in container.run("grep -H . /proc/[0-9]*/cgroup").splitlines():
        pid = line.split("/")[2]
        if not line.endswith(group) or pid == "self":
            continue
        status = container.run(f"cat /proc/{pid}/status")
        words = container.run(f"tr '\\0' ' ' </proc/{pid}/cmdline")
        fields = dict(re.findall(r"^(\w+):\s+(\S+)", status, re.M))
        found["keeper" if pid == main else "miner" if "miner-process" in words else words] = fields
    return found


def want(truth, what):
    if not truth:
        raise AssertionError(what)


class Owner:
    """Who installs the daemon and uses it."""

    def __init__(self, container, pool, port):
        self.container, self.pool, self.port = container, pool, port

    def get(self, path, token=None, method="GET", body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def state(self):
        return self.get("status")["machine"]["state"]


def it_runs(owner):
    """systemd calls the unit active, and it has not been started twice."""
    patiently(lambda: owner.state(), PATIENCE, "an answer of the status endpoint")
    want(owner.container.property("ActiveState") == "active", owner.container.journal())
    want(owner.container.property("NRestarts") == "0", owner.container.journal())


def it_is_two_processes_of_few_rights(owner):
    """The keeper has the unit's capabilities and no more; the miner is another user and has none."""
    found = processes(owner.container)
    want(set(found) == {"keeper", "miner"}, found)
    unit = (REPOSITORY / "deploy" / UNIT).read_text()
    number = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}
    named = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M).group(1).split()
    wanted = sum(1 << number[name.removeprefix("CAP_")] for name in named)
    want(int(found["keeper"]["CapEff"], 16) == wanted, found["keeper"])
    want(found["keeper"]["Uid"] == "0" and found["keeper"]["NoNewPrivs"] == "1" and found["keeper"]["Seccomp"] == "2", found["keeper"])
    user = owner.container.run("id -u cgminer").strip()
    want(found["miner"]["Uid"] == user and int(found["miner"]["CapEff"], 16) == 0, found["miner"])


def it_mines(owner):
    """The pool accepts shares, and rejects none."""
    patiently(lambda: owner.pool.accepted > 0, PATIENCE, "an accepted share")
    want(owner.state() == "mining" and owner.pool.rejected == [], owner.container.journal())


def a_change_over_http_is_written_down(owner):
    """The owner claims the first token in a shell, turns the fans, and finds that in the file below /etc."""
    token = re.search(r"cgminer-[0-9a-f]{64}", owner.container.run("cgminer-rs token claim")).group()
    owner.get("fans", token, "PATCH", {"mode": "fixed", "duty": 87})
    written = owner.container.run("cat /etc/cgminer-rs/cgminer-rs.toml")
    want("87" in written, written)
    want(owner.container.run("stat --format %U:%a /etc/cgminer-rs/cgminer-rs.toml").strip() == "root:640", "the file's owner and mode")


def a_killed_keeper_is_started_again(owner):
    """Nothing mines without its keeper; systemd starts both anew, and how the last run ended is told."""
    owner.container.run(f"systemctl kill --kill-whom=main --signal=KILL {UNIT}")
    patiently(lambda: owner.container.property("NRestarts") == "1", PATIENCE, "a second start")
    patiently(lambda: set(processes(owner.container)) == {"keeper", "miner"}, PATIENCE, "two processes")
    told = patiently(lambda: owner.get("status")["keeper"]["last_end"], PATIENCE, "how the last run ended")
    want(told["how"] not in ("wanted_stop", None), told)
    before = owner.pool.accepted
    patiently(lambda: owner.pool.accepted > before, PATIENCE, "an accepted share of the second run")


def a_stop_takes_the_power_and_ends_well(owner):
    """`systemctl stop` waits for the rail to be off; nothing is left, and systemd calls it a success."""
    owner.container.run(f"systemctl stop {UNIT}")
    want(owner.container.property("ActiveState") == "inactive" and owner.container.property("Result") == "success", owner.container.journal())
    want("the keeper has stopped: rail off" in owner.container.journal(), owner.container.journal())
    want(owner.container.run("ls -A /run/cgminer-rs /run/cgminer-rs-keeper 2>/dev/null") == "", "run directories go with the daemon")
    owner.container.run(f"systemctl start {UNIT}")
    told = patiently(lambda: owner.get("status")["keeper"]["last_end"], PATIENCE, "how the last run ended")
    want(told["how"] == "wanted_stop", told)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def install(root, binary, pool, port):
    """By the commands of docs/firmware.md, run where they would find a checkout and a built program."""
    work = root / "root/checkout"
    (work / "deploy").mkdir(parents=True)
    shutil.copy(REPOSITORY / "deploy" / UNIT, work / "deploy")
    shutil.copy(binary, work / "cgminer-rs")
    (work / "cgminer-rs.toml").write_text(CONFIGURATION.format(port=port, pool=pool))
    drop_in = root / f"etc/systemd/system/{UNIT}.d"
    drop_in.mkdir(parents=True)
    start = re.search(r"^ExecStart=(.*)$", (REPOSITORY / "deploy" / UNIT).read_text(), re.M).group(1)
    (drop_in / "emulated.conf").write_text(f"[Service]\nExecStart=\nExecStart={start} --emulated\n")
    text = (REPOSITORY / "docs/firmware.md").read_text()
    commands = re.search(r"^## systemd\n.*?((?:^    [^\n]+\n)+)", text, re.M | re.S).group(1)
    # There is no systemd yet that could start something; it begins the unit itself when it boots.
    commands = commands.replace("enable --now", "enable")
    subprocess.run(["chroot", root, "/bin/sh", "-ec", f"cd /root/checkout\n{commands}"], check=True)


def main():
    root, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    pool, port = Pool(2.0 ** (ZERO_BITS + 2 - 32), 10), free_port()
    install(root, binary, pool.port, port)
    passed = failed = 0
    with open(root.parent / "console.log", "wb") as log:
        container = Container(root, log)
        try:
            owner = Owner(container, pool, port)
            for step in (it_runs, it_is_two_processes_of_few_rights, it_mines, a_change_over_http_is_written_down,
                         a_killed_keeper_is_started_again, a_stop_takes_the_power_and_ends_well):
                started = time.monotonic()
                try:
                    step(owner)
                    passed += 1
                    print(f"ok   {step.__name__} ({time.monotonic() - started:.0f} s)", flush=True)
                except Exception as error:  # noqa: BLE001 - the other steps are to run all the same
                    failed += 1
                    print(f"FAIL {step.__name__}: {error}", flush=True)
        finally:
            container.end()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
