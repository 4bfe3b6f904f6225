"""Cuts the power at seeded moments of an update.

One machine goes through the update, in pieces of equal processor time. At the begin of each piece it is stopped, and its memory and its disk are
kept, so that each cut needs no start and no update of its own: another machine goes on from there, up to its moment, and is killed; a third one starts
from what is then on the disk. The first machine, too, goes on in a new QEMU at each piece, so that a piece is as long for both.
"""

import random
import re
from dataclasses import dataclass, field

from machine import INSTALL, TRIAL, want

UPDATE = b"cgminer-rs firmware install /data/bundles/new.raucb --reboot\n"
# Seconds of processor time.
PIECE = 2.0
# More than an update ever took.
PIECES = 80
# Where an update is, by what it has said on the console; and of how many out of ten cuts each stage gets.
STAGES = ("writing", "written", "trial")
ORDER = ("writing", "written", "trial", "writing", "written", "writing", "trial", "written", "writing", "trial")
# The first one of so many cuts tears the slot that is written, and must be followed by a whole update, on the same medium.
AGAIN = 20


@dataclass
class Piece:
    """An update's way from here on, for a PIECE of processor time."""

    number: int
    stage: str
    disk: object
    memory: object
    controller: list


@dataclass
class Tally:
    """What has come of cuts, by where the disk says that they fell."""

    stages: dict = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    again: int = 0


def record(bench):
    """Goes through an update once and returns its pieces; the last one begins where the new version is about to answer, or did."""
    disk = bench.disk()
    with bench.machine(disk, "update-0") as machine:
        want(machine.starts() == "A", "slot A boots first")
        machine.console.connection.sendall(UPDATE)
        # The first bytes of the update are waited for, so that the first piece begins with it.
        machine.console.expect("verifying ", INSTALL)
        pieces = [kept(bench, machine, 0, "writing")]
    stage, said = "writing", ""
    for number in range(1, PIECES):
        before = pieces[-1]
        with bench.machine(disk, f"update-{number}", before.memory) as machine:
            machine.go_on(before.controller)
            machine.run_for(PIECE)
            said += machine.console.text
            if re.search(r"booting slot B", said):
                stage = "trial"
            elif "reading slot B back" in said:
                stage = "written"
            if "status: http" in said:
                machine.answers(TRIAL)
                disk.unlink()
                return pieces
            pieces.append(kept(bench, machine, number, stage))
    raise TimeoutError(f"no new version after {PIECES} pieces; said last: {said[-600:]!r}")


def kept(bench, machine, number, stage):
    memory = bench.path("memory")
    controller = machine.keep(memory)
    return Piece(number, stage, bench.disk(machine.disk), memory, controller)


def moments(pieces, cuts, seed):
    """For each cut a piece and a moment in it. Each stage gets its part, by ORDER."""
    chance = random.Random(seed)
    by_stage = {stage: [piece for piece in pieces if piece.stage == stage] for stage in STAGES}
    for stage, found in by_stage.items():
        want(found, f"no piece of the update is {stage}")
    return [(number, chance.choice(by_stage[ORDER[number % len(ORDER)]]), chance.uniform(0, PIECE)) for number in range(cuts)]


def survive_cut(bench, number, piece, moment, tally):
    """Cuts the power at a moment of a piece. The next start must answer, from a slot that is whole. Returns what is to be told."""
    disk = bench.disk(piece.disk)
    with bench.machine(disk, f"cut-{number}", piece.memory) as machine:
        machine.go_on(piece.controller)
        machine.run_for(moment)
        machine.cut()
        said = machine.console.text.strip().splitlines()[-1:]
    whole = bench.whole(disk)
    told = f"cut {number + 1}: piece {piece.number}, {moment:.2f} s, at {said}, whole: {whole}"
    try:
        want(whole.get("A") == "1.0.0", f"{told}: the running slot was touched")
        with bench.machine(disk, f"after-{number}") as machine:
            slot = machine.slot()
            machine.answers()
            want(slot in whole, f"{told}: slot {slot} boots, and is not whole")
            stage = "writing" if "B" not in whole else ("trial" if slot == "B" else "written")
            with bench.lock:
                tally.stages[stage] += 1
            told = f"{told} ({stage}), slot {slot} answers"
            if slot == "A" and number % AGAIN == 0:
                takes_the_update(bench, machine, disk)
                told += ", and takes the update after all"
                with bench.lock:
                    tally.again += 1
    except Exception as error:
        raise AssertionError(f"{told}: {error}") from error
    disk.unlink()
    return told


def takes_the_update(bench, machine, disk):
    machine.shell()
    said, fine = machine.firmware("install /data/bundles/new.raucb")
    want(fine, f"the next update is refused: {said}")
    want(bench.whole(disk) == {"A": "1.0.0", "B": "1.1.0"}, "the next update is not whole")
    machine.console.connection.sendall(b"reboot\n")
    want(machine.slot(INSTALL) == "B", "the next update does not boot")
    machine.answers()
