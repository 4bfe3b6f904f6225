"""A Stratum v1 pool on this machine that checks every share by itself, with Python's own SHA-256."""

import hashlib
import json
import socket
import struct
import threading
import time

DIFFICULTY_ONE = 0xFFFF << 208
VERSION_MASK = 0x1FFFE000


def double_sha256(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


class Pool:
    """Serves miners in threads. `accepted` and `rejected` count; `first_at` is the time of the first good share."""

    def __init__(self, difficulty, job_every):
        self.difficulty, self.job_every = difficulty, job_every
        self.accepted, self.rejected, self.first_at = 0, [], None
        self.jobs, self.seen, self.lock = {}, set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        session = Session(self, connection)
        try:
            for line in connection.makefile("rb"):
                session.hear(json.loads(line))
        except OSError:
            pass
        session.over = True


class Session:
    """One miner."""

    def __init__(self, pool, connection):
        self.pool, self.connection, self.over = pool, connection, False
        self.extranonce1 = struct.pack(">I", int(time.monotonic() * 1000) & 0xFFFFFFFF)
        self.sending = threading.Lock()

    def send(self, **message):
        with self.sending:
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, request):
        method, number, params = request.get("method"), request.get("id"), request.get("params")
        if method == "mining.configure":
            result = {"version-rolling": True, "version-rolling.mask": f"{VERSION_MASK:08x}"}
            self.send(id=number, result=result, error=None)
        elif method == "mining.subscribe":
            result = [[["mining.notify", "1"]], self.extranonce1.hex(), 8]
            self.send(id=number, result=result, error=None)
        elif method == "mining.authorize":
            self.send(id=number, result=True, error=None)
            self.send(id=None, method="mining.set_difficulty", params=[self.pool.difficulty])
            threading.Thread(target=self._notify, daemon=True).start()
        elif method == "mining.submit":
            wrong = self._judge(params)
            with self.pool.lock:
                if wrong is None:
                    self.pool.accepted += 1
                    self.pool.first_at = self.pool.first_at or time.monotonic()
                else:
                    self.pool.rejected.append(wrong)
            error = None if wrong is None else [23, wrong, None]
            self.send(id=number, result=wrong is None, error=error)
        else:
            self.send(id=number, result=None, error=[20, f"unknown method {method}", None])

    def _notify(self):
        """A job at once and then regularly; its identity changes the coinbase, so no two jobs are alike."""
        number = 0
        while not self.over:
            number += 1
            job = {
                "id": f"{number:x}",
                "previous": hashlib.sha256(b"block before").digest(),
                "prefix": b"\x01" * 40 + struct.pack("<I", number),
                "suffix": b"\x02" * 60,
                "branches": [hashlib.sha256(bytes([index])).digest() for index in range(4)],
                "version": 0x20000000,
                "nbits": 0x1705AE3A,
                "ntime": int(time.time()),
            }
            self.pool.jobs[(self.extranonce1, job["id"])] = job
            try:
                self.send(id=None, method="mining.notify", params=[
                    job["id"], job["previous"].hex(), job["prefix"].hex(), job["suffix"].hex(),
                    [branch.hex() for branch in job["branches"]], f"{job['version']:08x}",
                    f"{job['nbits']:08x}", f"{job['ntime']:08x}", number == 1,
                ])
            except OSError:
                return
            time.sleep(self.pool.job_every)

    def _judge(self, params):
        """What is wrong with a share, if anything is."""
        _, name, extranonce2, ntime, nonce, *bits = params
        job = self.pool.jobs.get((self.extranonce1, name))
        if job is None:
            return "job not found"
        rolled = int(bits[0], 16) if bits else 0
        if rolled & ~VERSION_MASK:
            return "version outside the mask"
        version = job["version"] & ~VERSION_MASK | rolled
        if not job["ntime"] <= int(ntime, 16) <= job["ntime"] + 7200:
            return "time out of range"
        extranonce2 = bytes.fromhex(extranonce2)
        if len(extranonce2) != 8:
            return "extranonce2 of a wrong size"
        root = double_sha256(job["prefix"] + self.extranonce1 + extranonce2 + job["suffix"])
        for branch in job["branches"]:
            root = double_sha256(root + branch)
        # The previous hash travels with the bytes of each of its words swapped.
        words = struct.unpack(">8I", job["previous"])
        header = struct.pack("<I", version) + struct.pack("<8I", *words) + root
        header += struct.pack("<III", int(ntime, 16), job["nbits"], int(nonce, 16))
        if int.from_bytes(double_sha256(header), "little") > int(DIFFICULTY_ONE / self.pool.difficulty):
            return "above target"
        share = (self.extranonce1, *params[1:])
        with self.pool.lock:
            if share in self.pool.seen:
                return "duplicate"
            self.pool.seen.add(share)
        return None
