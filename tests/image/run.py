#!/usr/bin/env python3
"""Boots the image in QEMU, updates it, and cuts its power at seeded moments of the update.

    tests/image/run.py IMAGE [--cuts N] [--seed N] [--jobs N] [--cuts-only]

IMAGE is what tests/image/build.sh made. Ends with the plain line `N passed, N failed`.
"""

import argparse
import os
import pathlib
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# Behind this folder, which has a run.py and scenarios of its own.
sys.path.append(str(pathlib.Path(__file__).parent.parent / "board"))
import cuts  # noqa: E402
import scenarios  # noqa: E402
from bench import Bench  # noqa: E402
from machine import want  # noqa: E402


class Run:
    """Counts and tells what passes and what fails."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def each(self, name, action):
        """Runs one thing; the others are to run all the same when it fails. Returns what it returned."""
        started, result = time.monotonic(), None
        try:
            result = action()
        except Exception as error:  # noqa: BLE001
            self.failed += 1
            print(f"FAIL {name}: {error}", flush=True)
        else:
            self.passed += 1
            told = f": {result}" if isinstance(result, str) else ""
            print(f"ok   {name}{told} ({time.monotonic() - started:.0f} s)", flush=True)
        return result


def cut_all(bench, run, threads, pieces, arguments):
    """All cuts, and whether they were spread as they were meant to be."""
    tally = cuts.Tally()
    print("  pieces of the update: " + ", ".join(
        f"{sum(piece.stage == stage for piece in pieces)} {stage}" for stage in cuts.STAGES), flush=True)
    list(threads.map(lambda cut: run.each("survives_a_cut", lambda: cuts.survive_cut(bench, *cut, tally)),
                     cuts.moments(pieces, arguments.cuts, arguments.seed)))
    print("  cuts by what was on the disk: " + ", ".join(f"{count} {stage}" for stage, count in tally.stages.items()) +
          f"; {tally.again} media took the update after it", flush=True)
    if arguments.cuts >= len(cuts.ORDER):
        # Where it is not so, the cuts fall elsewhere than this test is about.
        run.each("cuts_in_each_stage", lambda: want(all(tally.stages.values()) and tally.again, f"spread badly: {tally}"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=pathlib.Path)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--cuts-only", action="store_true")
    arguments = parser.parse_args()
    image = arguments.image.resolve()
    output = image / "runs"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    bench, run, started = Bench(image, output), Run(), time.monotonic()
    with ThreadPoolExecutor(arguments.jobs) as threads:
        # First what the cuts wait for.
        recorded = threads.submit(run.each, "an_update_is_recorded", lambda: cuts.record(bench)) if arguments.cuts else None
        chosen = () if arguments.cuts_only else scenarios.ALL
        waiting = [threads.submit(run.each, scenario.__name__, lambda scenario=scenario: scenario(bench)) for scenario in chosen]
        pieces = recorded.result() if recorded else None
        if pieces:
            cut_all(bench, run, threads, pieces, arguments)
        for each in waiting:
            each.result()
    if not run.failed:
        for path in (*output.glob("*.disk"), *output.glob("*.memory")):
            path.unlink()
    seconds = sum(os.times()[2:4])
    print(f"  {time.monotonic() - started:.0f} s, and {seconds:.0f} s of processor time in all machines")
    print(f"{run.passed} passed, {run.failed} failed")
    sys.exit(1 if run.failed else 0)


if __name__ == "__main__":
    main()
