#!/usr/bin/env python3
"""Boots emulated control boards with the daemon and holds them to what a board must do.

    run.py --armv7 BINARY --arm64 BINARY --emulator BINARY [--output FOLDER] [--board NAME] [--only SCENARIO ...]

Needs tests/board/setup.sh to have run. Prints what was seen and measured, and ends with an error at the first thing that was not.
"""

import argparse
import pathlib
import string
import subprocess
import time

import scenarios
from board import Board
from machines import Ast2600, Ast2600WithPartsOutside, Virt
from pool import Pool

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ZERO_BITS = 16
# A share for about every second nonce.
DIFFICULTY = 2.0 ** (ZERO_BITS + 1 - 32)

CONFIG = """
[board]
{board}

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

# Name, machine, what is outside of it, and what it is held to, in this order.
BOARDS = [
    ("armv7", Ast2600, HERE / "machine.toml", [
        scenarios.boots_and_mines, scenarios.is_two_processes, scenarios.reads_the_eeprom, scenarios.shows_lights,
        scenarios.obeys_the_locate_button, scenarios.retires_a_chain_without_a_board, scenarios.cuts_the_power_when_hot,
        scenarios.is_reset_when_the_keeper_is_killed, scenarios.comes_back_as_new_after_the_reset_button,
    ]),
    ("arm64", Virt, HERE / "outside" / "machine.toml", [
        scenarios.boots_and_mines, scenarios.is_two_processes, scenarios.reads_the_eeprom, scenarios.shows_lights,
        scenarios.cuts_the_power_when_hot_outside, scenarios.is_reset_when_the_keeper_is_killed,
    ]),
    ("armv7-parts-outside", Ast2600WithPartsOutside, HERE / "outside" / "machine.toml", [
        scenarios.boots_and_mines, scenarios.reads_the_eeprom, scenarios.reads_a_pmbus_fault,
        scenarios.hears_a_voltage_controller_refuse, scenarios.cuts_the_power_when_hot_outside,
        scenarios.reads_an_spi_converter,
    ]),
]


def say(text):
    print(f"{time.monotonic() - STARTED:7.1f} s  {text}", flush=True)


def settings(machine, folder, port):
    """What becomes /etc/cgminer-rs."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.toml"):
        old.unlink()
    board = 'name = "qemu-ast2600"'
    if hasattr(machine, "WORDS"):
        template = string.Template((HERE / "outside" / "board.toml.in").read_text(encoding="utf-8").replace("$ signs", "dollar signs"))
        (folder / "board.toml").write_text(template.substitute(machine.WORDS), encoding="utf-8")
        board = 'file = "/etc/cgminer-rs/board.toml"'
    (folder / "cgminer-rs.toml").write_text(CONFIG.format(board=board, port=port), encoding="utf-8")
    return folder


def hold(name, machine, outside, steps, options):
    """Takes one board through its scenarios, and tells the figures."""
    output = options.output / name
    pool = Pool(DIFFICULTY, 10)
    folder = settings(machine, output / "settings", pool.port)
    binary = getattr(options, machine.ARCHITECTURE)
    subprocess.run([HERE / "image.sh", machine.ARCHITECTURE, binary, folder, output / "image"], check=True)
    board = Board(machine, output / "image", output / "run", options.emulator, ROOT / "target" / "board", ZERO_BITS, outside)
    bench = scenarios.Bench(board, pool, say)
    try:
        for step in steps:
            began = time.monotonic()
            say(f"--- {name}: {step.__name__.replace('_', ' ')}")
            step(bench)
            say(f"passed in {time.monotonic() - began:.0f} s")
    except Exception:
        say(f"rejected shares: {pool.rejected[:5]}; accepted {pool.accepted}")
        say(f"status: {board.get('/api/v1/status')}")
        try:
            say("log:\n" + board.console.run("dmesg | tail -n 80"))
        except Exception as error:
            say(f"no log: {error}")
        raise
    finally:
        board.stop()
        say(f"figures of {name}:")
        for what, value in bench.figures.items():
            say(f"    {what}: {value}")


def main():
    parser = argparse.ArgumentParser()
    for name in ["armv7", "arm64", "emulator"]:
        parser.add_argument(f"--{name}", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--output", type=lambda text: pathlib.Path(text).resolve(), default=ROOT / "target" / "board-test")
    parser.add_argument("--board", help="this one alone")
    parser.add_argument("--only", action="append", help="this scenario alone, after the first one, by its function's name")
    options = parser.parse_args()
    passed, boards = 0, 0
    for name, machine, outside, steps in BOARDS:
        if options.board not in (None, name):
            continue
        first, *others = steps
        steps = [first, *(step for step in others if not options.only or step.__name__ in options.only)]
        hold(name, machine, outside, steps, options)
        passed, boards = passed + len(steps), boards + 1
    say(f"all seen: {passed} scenarios on {boards} boards")


STARTED = time.monotonic()
main()
