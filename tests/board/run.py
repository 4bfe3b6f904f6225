#!/usr/bin/env python3
"""Boots the emulated control board with a daemon built for ARMv7 and holds it to what a board must do.

    run.py BINARY EMULATOR [OUTPUT]

Needs tests/board/setup.sh to have run. Prints what was seen, and ends with an error at the first thing that was not.
"""

import pathlib
import subprocess
import sys
import time

from board import GPIO, RESETS, SUPPLY_ENABLE, Board, patiently
from pool import Pool

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ZERO_BITS = 16
# A share for about every second nonce.
DIFFICULTY = 2.0 ** (ZERO_BITS + 1 - 32)
# From a dangerous temperature at a sensor to the supply's enable line: the sensors are read each second, and an emulated
# processor on a busy host takes its time.
CUT_WITHIN = 10.0
WATCHDOG = 15.0

CONFIG = """
[board]
name = "qemu-ast2600"

[api]
listen = "0.0.0.0:8080"

[keeper]
state_directory = "/data/keeper"

[log]
level = "info"

[[pool]]
url = "stratum+tcp://10.0.2.2:{port}"
user = "board.test"
"""


def say(text):
    print(f"{time.monotonic() - STARTED:7.1f} s  {text}", flush=True)


def check(truth, text):
    if not truth:
        raise AssertionError(text)
    say(f"ok: {text}")


class Scenario:
    def __init__(self, board, pool):
        self.board, self.pool = board, pool

    def boots_and_mines(self):
        ready, _ = self.board.console.expect(r"BOARD-READY ([0-9.]+)", 180)
        say(f"the daemon is started {ready.group(1)} s after the kernel")
        levels = {line: self.board.monitor.get(GPIO, line) for line in [*RESETS, SUPPLY_ENABLE]}
        check(levels == {**dict.fromkeys(RESETS, False), SUPPLY_ENABLE: True}, "at first the supply is off and the chips are held")
        self.board.console.log_in()
        patiently(lambda: self.pool.accepted >= 1, 300, "a first accepted share")
        say(f"first accepted share {self.pool.first_at - self.board.started:.1f} s after power-on of the board")
        patiently(lambda: self.pool.accepted >= 50, 300, "50 accepted shares")
        check(not self.pool.rejected, f"{self.pool.accepted} shares accepted, none rejected")
        status = self.status()
        check(status["machine"]["state"] == "mining", "the status endpoint says that it mines")
        check([chain["phase"] for chain in status["chains"]] == ["hashing"] * 3, "three chains hash")
        check(status["keeper"]["watchdog_armed"] is True, "the watchdog is armed")
        check(not self.board.monitor.get(GPIO, SUPPLY_ENABLE), "seen from outside: the supply is enabled")
        fan = status["fans"][0]
        say(f"the fan: {fan}")
        check(fan["speed"]["value"] > 600, "the fan's speed is counted by the kernel")

    def is_split(self):
        text = self.board.console.run(
            "for p in $(pidof cgminer-rs); do grep -E '^(Name|Uid|VmRSS|CapEff|NoNewPrivs|Seccomp):' /proc/$p/status; done")
        say("processes:\n" + "\n".join("            " + line for line in text.splitlines()))
        check(text.count("Name:") == 2, "keeper and miner are two processes")
        check("Uid:\t200\t200" in text and "CapEff:\t0000000000000000" in text, "the miner is user cgminer without capabilities")

    def a_hot_sensor_cuts_the_power(self):
        self.board.wires.changes.clear()
        hot_at = time.monotonic()
        self.board.warm("board0", 90)
        off_at = patiently(lambda: self.since(hot_at, SUPPLY_ENABLE, True), 30, "the supply to be disabled")
        check(off_at <= CUT_WITHIN, f"the supply is off {off_at:.2f} s after the sensor reads 90 C (limit 80 C)")
        patiently(lambda: not any(self.board.monitor.get(GPIO, line) for line in RESETS), 10, "resets to be held")
        say(f"the keeper: {self.status()['keeper']['last_cause']}")
        time.sleep(5)
        check(self.board.monitor.get(GPIO, SUPPLY_ENABLE) and not any(self.board.monitor.get(GPIO, line) for line in RESETS),
              "it stays off and the resets are held while it is hot")
        self.board.warm("board0", 40)
        before = self.pool.accepted
        patiently(lambda: self.pool.accepted > before + 10, 400, "mining again after it is cool")
        say("it mines again after it is cool")

    def a_killed_keeper_reboots_the_board(self):
        seen = len(self.board.monitor.events)
        keeper = self.board.console.run("cat /run/cgminer-rs.pid")
        killed_at = time.monotonic()
        self.board.console.run(f"kill -9 {keeper}")

        def bitten():
            self.board.monitor.command("query-status")
            return next((at for at, name, _ in self.board.monitor.events[seen:] if name == "WATCHDOG"), None)
        at = patiently(bitten, WATCHDOG + 30, "the watchdog")
        check(True, f"the watchdog bites {at - killed_at:.1f} s after the keeper was killed")
        # A kernel in its first second.
        self.board.console.expect(r"\[ +0\.[0-9]+\]", 60)
        say("ok: the kernel starts again")

    def status(self):
        return patiently(self.board.status, 60, "the status endpoint")

    def since(self, begin, line, level):
        times = [at - begin for at, seen, to in self.board.wires.changes if seen == line and to == level and at >= begin]
        return times[0] if times else None


def main():
    binary, emulator = (pathlib.Path(part).resolve() for part in sys.argv[1:3])
    output = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else ROOT / "target" / "board-test").resolve()
    output.mkdir(parents=True, exist_ok=True)
    pool = Pool(DIFFICULTY, 10)
    config = output / "cgminer-rs.toml"
    config.write_text(CONFIG.format(port=pool.port), encoding="utf-8")
    subprocess.run([HERE / "image.sh", binary, config, output / "image"], check=True)
    board = Board(output / "image", output / "run", emulator, ROOT / "target" / "board", ZERO_BITS, HERE / "machine.toml")
    try:
        scenario = Scenario(board, pool)
        for step in [scenario.boots_and_mines, scenario.is_split,
                     scenario.a_hot_sensor_cuts_the_power, scenario.a_killed_keeper_reboots_the_board]:
            say(f"--- {step.__name__.replace('_', ' ')}")
            step()
        say("all seen")
    except Exception:
        say(f"rejected shares: {pool.rejected[:5]}; accepted {pool.accepted}")
        say(f"status: {board.status()}")
        say("log:\n" + board.console.run("dmesg | tail -n 60"))
        raise
    finally:
        board.stop()


STARTED = time.monotonic()
main()
