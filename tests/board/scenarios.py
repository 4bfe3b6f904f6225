"""What an emulated control board is held to. Each scenario is a function with a deadline, in the order in which a board goes
through them; a figure that somebody may want to know goes to `figures`."""

import re
import time

from spi_adc import Part, PlayedAdc
from talk import patiently

# From a dangerous temperature at a sensor to the supply's enable line: the sensors are read each second, and an emulated
# processor on a busy host takes its time.
CUT_WITHIN = 10.0
WATCHDOG = 15.0
# The dangerous limit of the board files, for hash boards, and what is beyond it.
HOT = 90
# Below this rail the emulated chips forget everything; it falls by their own draw.
BROWN_OUT = 9000


class Failed(Exception):
    """Something was not as it must be."""


class Bench:
    """A board, its pool, and what was measured."""

    def __init__(self, board, pool, say):
        self.board, self.pool, self.say, self.figures = board, pool, say, {}

    def check(self, truth, text):
        if not truth:
            raise Failed(text)
        self.say(f"ok: {text}")

    def keeper(self):
        return self.board.status()["keeper"]

    def mines_on(self, why, seconds=400):
        """Ten more accepted shares."""
        before = self.pool.accepted
        patiently(lambda: self.pool.accepted >= before + 10, seconds, f"ten more accepted shares {why}")
        self.check(not self.pool.rejected, f"it mines {why}: {self.pool.accepted} shares accepted, none rejected")

    def lights(self):
        return self.board.lines.get("green"), self.board.lines.get("red")


def boots_and_mines(bench):
    """From power-on to accepted shares."""
    board, pool = bench.board, bench.pool
    fans, _ = board.console.expect(r"BOARD-FANS([0-9 ]*)\r?\n", 300)
    bench.check(fans.group(1).split() == board.machine.FANS_AT_START,
                f"fans before the daemon is started, which found {fans.group(1).split()[:1] or 'none'}: {fans.group(1).split()[1:]}")
    ready, _ = board.console.expect(r"BOARD-READY ([0-9.]+)", 300)
    bench.say(f"the daemon is about to be started {ready.group(1)} s after the kernel")
    bench.check(board.is_dark(), "at first the supply is off and the chips are held")
    board.console.log_in()
    patiently(lambda: pool.accepted >= 1, 400, "a first accepted share")
    bench.figures["power-on of the board to first accepted share"] = f"{pool.first_at - board.started:.1f} s"
    patiently(lambda: pool.accepted >= 50, 400, "50 accepted shares")
    bench.check(not pool.rejected, f"{pool.accepted} shares accepted, none rejected")

    def at_work():
        """A host that is busy just now may make the keeper take itself for blind for a while, and the power away."""
        status = board.status()
        hashing = [chain["phase"] for chain in status["chains"]] == ["hashing"] * 3
        return status if status["machine"]["state"] == "mining" and hashing and not board.is_dark() else None
    status = patiently(at_work, 300, "three chains at work")
    bench.check(True, "the status endpoint says that it mines and three chains hash; seen from outside: the supply is enabled")
    bench.check(status["keeper"]["watchdog_armed"] is True, "the watchdog is armed")
    bench.check(status["keeper"]["last_end"] is None, "nothing is told of a run before the first")
    for fan in status["fans"]:
        bench.check((fan["speed"]["value"] or 0) > 150, f"{fan['name']} turns: {fan['speed']['value']} rpm")


def is_two_processes(bench):
    """Keeper and miner, and what they take."""
    text = bench.board.console.run(
        "for p in $(pidof cgminer-rs); do grep -E '^(Name|Uid|VmRSS|VmHWM|RssAnon|CapEff|NoNewPrivs|Seccomp):' /proc/$p/status; done")
    processes = [dict(re.findall(r"(\w+):\s*(.*)", part)) for part in text.split("Name:")[1:]]
    bench.check(len(processes) == 2, "keeper and miner are two processes")
    miner = next((process for process in processes if process["Uid"].startswith("200\t")), None)
    bench.check(miner is not None, "the miner is user cgminer")
    bench.check(int(miner["CapEff"], 16) == 0 and miner["NoNewPrivs"] == "1" and miner["Seccomp"] == "2",
                "it has no capability, gets no new privilege, and is behind a seccomp filter")
    keeper = next(process for process in processes if process is not miner)
    for name, process in [("miner", miner), ("keeper", keeper)]:
        bench.figures[f"resident memory of the {name} while mining"] = (
            f"{process['VmRSS']}, of it its own {process['RssAnon']}")
    pages = [int(process["VmRSS"].split()[0]) for process in (miner, keeper)]
    shared = bench.board.console.run(
        "for p in $(pidof cgminer-rs); do sed -n 's/^Pss: *//p' /proc/$p/smaps_rollup; done")
    proportional = [int(line.split()[0]) for line in shared.splitlines() if line]
    bench.figures["resident memory of both while mining"] = (
        f"{sum(pages)} kB; each shared page counted once: {sum(proportional)} kB")


def reads_the_eeprom(bench):
    """The factory's record of a hash board, through the kernel's I2C."""
    text = bench.board.console.run("cgminer-rs board probe 2>&1", 120)
    boards = [line.strip() for line in text.splitlines() if "BHB" in line]
    for line in boards:
        bench.say(line)
    wanted = bench.board.machine.EEPROMS
    bench.check(len(boards) == wanted, f"hash boards told by their EEPROMs: {len(boards)} of {wanted}")


def reads_an_spi_converter(bench):
    """Two inputs of a converter, through spidev."""
    board = bench.board
    idle = {each["name"]: each["reading"]["value"] for each in board.status()["analog"]}
    bench.check(set(idle.values()) == {None}, "without a converter there, nothing is read")
    # At 1 root is told the kernel's own addresses, at 0 nobody.
    mapped = board.console.run("echo 1 >/proc/sys/kernel/kptr_restrict; grep 'phys=0x000000001e780000\\|phys=0x1e780000' /proc/vmallocinfo")
    registers = [int(address, 16) for address in re.findall(r"^0x([0-9a-f]+)-", mapped, re.M)][:1]
    bench.check(registers, "the kernel tells where it has the lines' registers")
    part = Part({0: 1650, 5: 2200}, 3300)
    played = PlayedAdc(board.debugger, registers, board.spare_lines, part)
    played.start()
    values = {}

    def read():
        for each in board.status()["analog"]:
            if each["reading"]["value"] is not None:
                values.setdefault(each["name"], set()).add(each["reading"]["value"])
        return values.keys() == idle.keys() or played.failure
    try:
        patiently(read, 400, "both inputs to be read")
    finally:
        played.end()
    bench.check(not played.failure, f"{part.conversions} conversions at {played.stops} writes to the lines")
    bench.say(f"seen: {values}")
    # One step of the converter is 0.8 mV.
    bench.check(all(abs(amperes - 82.5) < 0.1 for amperes in values["rail current"]), "1650 mV at an input of 50 A/V are 82.5 A")
    bench.check(all(abs(volts - 13200) < 10 for volts in values["rail voltage"]), "2200 mV at an input of 6 V/V are 13.2 V")


def shows_lights(bench):
    """Green while it works, seen at the pins."""
    patiently(lambda: bench.lights() == (True, False), 60, "the green light alone")
    bench.check(True, "the green light is on and the red one is off, seen from outside")


def obeys_the_locate_button(bench):
    """Somebody presses it, outside; the lights blink in turn."""
    wires = bench.board.wires
    wires.press("button-locate", 0.8)
    patiently(lambda: bench.keeper()["locate"] is True, 30, "the press to be seen")
    seen = set()

    def both():
        seen.add(bench.lights())
        return {(True, False), (False, True)} <= seen
    patiently(both, 30, "lights in turn")
    bench.check(True, "the locate button was pressed: the lights blink in turn")
    # That it was a short press is known when it has ended.
    patiently(lambda: bench.keeper()["claim_s"] is not None, 30, "the claim that a short press allows")
    bench.check(True, "a short press lets a token be claimed")
    wires.press("button-locate", 0.8)
    patiently(lambda: bench.keeper()["locate"] is False, 30, "the second press to be seen")
    bench.check(True, "a second press ends it")


def retires_a_chain_without_a_board(bench):
    """A hash board is pulled."""
    board = bench.board
    pulled = time.monotonic()
    board.wires.plug(1, False)
    held = patiently(lambda: board.since(pulled, "reset1", board.lines.HELD), 120, "the reset line of chain 1 to be held")
    bench.figures["a presence pin drops to that chain's reset line"] = f"{held:.1f} s"
    patiently(lambda: board.status()["chains"][1]["phase"] != "hashing", 120, "the chain to be retired")
    chains = board.status()["chains"]
    bench.say(f"chain 1: {chains[1]['phase']}, {chains[1]['reason']}")
    bench.check([chain["phase"] for chain in (chains[0], chains[2])] == ["hashing"] * 2, "the other chains hash on")
    bench.check(board.lines.get("supply") != board.lines.OFF, "the supply stays on for them")
    bench.mines_on("with two chains")
    board.wires.plug(1, True)
    patiently(lambda: board.status()["chains"][1]["phase"] == "hashing", 400, "the chain to be back")
    bench.check(True, "plugged in again, the chain hashes again")


def cuts_the_power_when_hot(bench):
    """QMP raises a sensor of QEMU's own."""
    _cuts_when_hot(bench, lambda: bench.board.warm("board0", HOT), lambda: bench.board.warm("board0", 40), "sensor -> supply's enable line")


def cuts_the_power_when_hot_outside(bench):
    """The same with a sensor of the emulator, behind USB/IP."""
    heat = lambda: bench.board.control.say('inject { fault = "sensor-jump", sensor = "board 0", celsius = 60.0 }')
    _cuts_when_hot(bench, heat, lambda: bench.board.control.say("clear all"), "sensor outside -> supply's enable line")


def _cuts_when_hot(bench, heat, cool, name):
    board = bench.board
    hot_at = time.monotonic()
    heat()
    off = patiently(lambda: board.since(hot_at, "supply", board.lines.OFF), 30, "the supply to be disabled")
    bench.figures[name] = f"{off:.2f} s"
    bench.check(off <= CUT_WITHIN, f"the supply is off {off:.2f} s after the sensor reads too hot")
    patiently(board.is_dark, 10, "resets to be held")
    bench.say(f"the keeper: {bench.keeper()['last_cause']}")
    patiently(lambda: bench.lights()[1], 30, "the red light")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if not board.is_dark():
            raise Failed("the supply or a chain came back while it was hot")
        time.sleep(0.1)
    bench.check(True, "while it is hot it stays off, the resets are held and the red light is on")
    cool()
    bench.mines_on("again after it is cool")


def reads_a_pmbus_fault(bench):
    """The supply's protection cuts its output, and its STATUS_WORD says so."""
    board = bench.board
    tripped = time.monotonic()
    board.control.say('inject for 20 { fault = "supply-trip" }')
    off = patiently(lambda: board.since(tripped, "supply", board.lines.OFF), 30, "the supply to be disabled")
    patiently(board.is_dark, 10, "resets to be held")
    cause = patiently(lambda: bench.keeper()["last_cause"], 30, "the cause")
    bench.figures["PMBus fault -> supply's enable line"] = f"{off:.2f} s"
    bench.check("supply" in cause, f"PMBus fault read, power taken away {off:.2f} s after it: {cause}")
    bench.mines_on("again after the supply has recovered")


def hears_a_voltage_controller_refuse(bench):
    """A hash board's controller refuses what it is told."""
    board = bench.board
    broken = time.monotonic()
    board.control.say('inject for 15 { fault = "controller-refuses", chain = 2 }')
    off = patiently(lambda: board.since(broken, "supply", board.lines.OFF), 60, "the supply to be disabled")
    cause = patiently(lambda: bench.keeper()["last_cause"], 30, "the cause")
    bench.check("2" in cause, f"power is off {off:.1f} s after a voltage controller began to refuse: {cause}")
    bench.mines_on("again after the controller does as told")


def is_reset_when_the_keeper_is_killed(bench):
    """kill -9 of the keeper: the kernel's watchdog resets the board, which tells so when it is back."""
    board = bench.board
    seen, resets = len(board.monitor.events), board.wires.resets
    keeper = board.console.run("cat /run/cgminer-rs.pid")
    killed = time.monotonic()
    board.console.run(f"kill -9 {keeper}")

    def event(name):
        board.monitor.command("query-status")
        return next((at for at, what, _ in board.monitor.events[seen:] if what == name), None)
    bitten = patiently(lambda: event("WATCHDOG"), WATCHDOG + 45, "the watchdog") - killed
    bench.figures["kill -9 of the keeper -> the watchdog resets the board"] = f"{bitten:.1f} s"
    bench.check(bitten <= WATCHDOG + 15, f"the watchdog bites {bitten:.1f} s after the keeper was killed")
    patiently(lambda: board.wires.resets > resets, 30, "the reset")
    board.machine.warm_up(board)
    # While the kernel starts nobody drives a line, and nothing is powered.
    waiting = time.monotonic()
    while not re.search("BOARD-READY", board.console.text):
        if not board.is_dark():
            raise Failed("power came before the keeper was started")
        if time.monotonic() > waiting + 300:
            raise Failed("the board did not start again")
        time.sleep(0.1)
    rail = board.control.truth()["rail"]["output_mv"]
    bench.check(rail < BROWN_OUT, f"until the daemon is there again, the supply gives nothing: the rail has fallen to {rail:.0f} mV")
    board.console.expect("BOARD-READY", 1)
    board.console.log_in()
    last = patiently(lambda: bench.keeper()["last_end"], 120, "how the last run ended")
    bench.say(f"the keeper: {last}")
    bench.check(last["how"] == board.machine.TOLD_AFTER_RESET and last["unclean_ends"] == 1, f"it is told: {last['text']}")
    events = [event for event in board.get("/api/v1/events") if event["kind"] == "last_end"]
    bench.check(len(events) == 1 and last["text"] in events[0]["message"], "it is an event")
    bench.mines_on("again after the reset")


def comes_back_as_new_after_the_reset_button(bench):
    """The reset button, held: a wanted stop, a restart of the board, and the image's settings."""
    board = bench.board
    board.console.run("echo '# changed' >>/etc/cgminer-rs/cgminer-rs.toml && sync")
    resets, held = board.wires.resets, time.monotonic()
    board.lines.set("button-reset", False)
    stopped = patiently(lambda: board.since(held, "supply", board.lines.OFF), 60, "the supply to be disabled")
    board.lines.set("button-reset", True)
    bench.check(stopped >= 9, f"power is off {stopped:.1f} s after the button went down, not before it was held for ten")
    patiently(lambda: board.wires.resets > resets, 240, "the board to restart itself")
    board.machine.warm_up(board)
    board.console.expect("BOARD-READY", 300)
    board.console.log_in()
    changed = board.console.run("grep -c changed /etc/cgminer-rs/cgminer-rs.toml")
    bench.check(changed == "0", "the settings are the image's again")
    last = patiently(lambda: bench.keeper()["last_end"], 120, "how the last run ended")
    bench.check(last["how"] == "wanted_stop", f"it is told: {last['text']}")
    bench.mines_on("with the first settings")
