"""Holds what pyasic and asic-rs read of a machine to its Snapshot.

    read_by_fleets.py HOST waking|mining

While a library reads, the Snapshot is read again and again: a value that moves must lie within what it was in that time. Of a
machine that wakes little is known; it must be found, and be told to mine only when it does.
"""

import asyncio
import json
import sys
import threading
import time
import urllib.request

MODEL = ("S19j Pro", "S19jPro")
CHIPS, CHAINS, FANS = 126, 3, 4


class Watch:
    """The Snapshot, looked at all the time."""

    def __init__(self, host):
        self.url = f"http://{host}/api/v1/status"
        self.seen, self.stop = [], threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.stop.is_set():
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                self.seen.append(json.load(answer))
            time.sleep(0.1)

    def __enter__(self):
        self.thread.start()
        while not self.seen:
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        time.sleep(0.3)
        self.stop.set()
        self.thread.join()

    def holds(self, what, value, of, slack=0.0):
        """The value is one that the Snapshot had, give or take a part of it, and rounding."""
        told = [of(status) for status in self.seen]
        low, high = min(told), max(told)
        rounding = slack * max(abs(low), abs(high))
        assert low - rounding <= value <= high + rounding, f"{what}: read {value}, was {low} to {high}"


def window(rates, seconds):
    """The rate over that time; none before there was work."""
    return next((each["rate"] for each in rates if each["window_s"] == seconds), None)


def rate_of(chain):
    return lambda status: window(status["chains"][chain]["hash_rate"], 5)


def rate_of_all(status):
    return sum(rate_of(chain)(status) for chain in range(CHAINS))


def board_temperature(chain):
    def of(status):
        readings = [t["reading"]["value"] for t in status["temperatures"] if t["chain"] == chain]
        return sum(readings) / len(readings)
    return of


def same_pool(watch, url, user, accepted, rejected, alive):
    pool = watch.seen[-1]["pools"]["list"][0]
    assert url.rstrip("/") == pool["url"].rstrip("/"), (url, pool["url"])
    assert user == pool["user"] and alive
    shares = lambda status: status["pools"]["list"][0]["shares"]
    watch.holds("accepted", accepted, lambda status: shares(status)["accepted"])
    watch.holds("rejected", rejected, lambda status: shares(status)["rejected"]["total"])


def mines_as_told(watch, is_mining):
    told = {status["machine"]["state"] == "mining" for status in watch.seen}
    assert is_mining in told, (is_mining, [status["machine"]["state"] for status in watch.seen])


async def by_pyasic(host, waking):
    import pyasic

    with Watch(host) as watch:
        miner = await pyasic.get_miner(host)
        assert miner is not None, "pyasic does not recognise the machine"
        data = await miner.get_data()
    assert data.model in MODEL, data.model
    assert data.hostname == watch.seen[0]["machine"]["host"]
    mines_as_told(watch, data.is_mining)
    if waking:
        return f"{type(miner).__name__}, mining: {data.is_mining}"
    assert data.is_mining and not data.errors, data.errors
    assert data.expected_chips == data.total_chips == CHIPS * CHAINS
    watch.holds("hashrate", data.hashrate.rate * 1e12, rate_of_all, 0.03)
    watch.holds("nominal", data.expected_hashrate.rate * 1e12, lambda s: s["hash_rate"]["nominal"], 0.03)
    watch.holds("uptime", data.uptime, lambda s: s["machine"]["uptime_s"], 0.05)
    assert len(data.hashboards) == CHAINS and len(data.fans) == FANS
    for index, board in enumerate(data.hashboards):
        assert board.chips == CHIPS and not board.missing, board
        watch.holds(f"board {index}", board.hashrate.rate * 1e12, rate_of(index), 0.03)
        watch.holds(f"board {index} temperature", board.temp, board_temperature(index), 0.03)
        watch.holds(f"chip {index} temperature", board.chip_temp, lambda s: s["chains"][index]["temperature"]["value"], 0.03)
    for index, fan in enumerate(data.fans):
        watch.holds(f"fan {index}", fan.speed, lambda s: s["fans"][index]["speed"]["value"])
    pool = data.pools[0]
    same_pool(watch, str(pool.url), pool.user, pool.accepted, pool.rejected, pool.alive and pool.active)
    return f"{type(miner).__name__}, {data.hashrate}, {data.total_chips} chips"


async def by_asic_rs(host, waking):
    from pyasic_rs import MinerFactory

    with Watch(host) as watch:
        miner = await MinerFactory().get_miner(host)
        assert miner is not None, "asic-rs does not recognise the machine"
        data = await miner.get_data()
    assert data.device_info.model in MODEL, data.device_info
    assert data.hostname == watch.seen[0]["machine"]["host"]
    mines_as_told(watch, data.is_mining)
    if waking:
        return f"{miner}, mining: {data.is_mining}"
    assert data.firmware_version.startswith("CGMiner-RS"), data.firmware_version
    assert data.is_mining and not data.light_flashing
    assert data.expected_chips == data.total_chips == CHIPS * CHAINS
    watch.holds("hashrate", data.hashrate.value * 1e12, rate_of_all, 0.03)
    watch.holds("nominal", data.expected_hashrate.value * 1e12, lambda s: s["hash_rate"]["nominal"], 0.03)
    assert len(data.hashboards) == CHAINS and len(data.fans) == FANS
    for board in data.hashboards:
        index = board.position
        assert board.working_chips == CHIPS and board.active, board
        watch.holds(f"board {index}", board.hashrate.value * 1e12, rate_of(index), 0.03)
        # Told in whole degrees.
        watch.holds(f"board {index} temperature", board.board_temperature, board_temperature(index), 0.04)
        watch.holds(f"board {index} frequency", board.frequency, lambda s: s["chains"][index]["frequency"], 1e-6)
    for fan in data.fans:
        watch.holds(f"fan {fan.position}", round(fan.rpm), lambda s: s["fans"][fan.position]["speed"]["value"])
    pool = data.pools[0].pools[0]
    same_pool(watch, str(pool.url), pool.user, pool.accepted_shares, pool.rejected_shares, pool.alive and pool.active)
    return f"{miner}, {data.hashrate}, {data.total_chips} chips"


def wait_for_rates(host):
    """Accepted shares come before the first full windows, from which the rates are known."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        with urllib.request.urlopen(f"http://{host}/api/v1/status", timeout=5) as answer:
            status = json.load(answer)
        told = [status["hash_rate"]["nominal"]]
        for chain in status["chains"]:
            told += [chain["nominal"], window(chain["hash_rate"], 5), chain["temperature"]["value"]]
        # Neither unknown nor, in a window that has just begun, nothing.
        if all(told):
            return
        time.sleep(0.5)
    raise SystemExit(f"read_by_fleets.py: no rate was told within three minutes: {told}")


def main():
    host, phase = sys.argv[1:]
    if phase == "mining":
        wait_for_rates(host)
    for name, read in (("pyasic", by_pyasic), ("asic-rs", by_asic_rs)):
        print(f"read_by_fleets.py: {name} reads a machine that is {phase}: {asyncio.run(read(host, phase == 'waking'))}")


main()
