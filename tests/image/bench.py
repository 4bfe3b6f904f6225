"""What all runs share: the image, fresh copies of its disk, and a look at a disk from outside."""

import hashlib
import subprocess
import threading

from machine import Machine

SLOT_START, SLOT_SIZE = 8 << 20, 80 << 20


class Bench:
    def __init__(self, image, output):
        self.image, self.output = image, output
        self.roots = {path.name: digest(path) for path in image.glob("root-*.squashfs")}
        self.count, self.lock = 0, threading.Lock()

    def path(self, kind):
        """Of a file that is not there yet."""
        with self.lock:
            self.count += 1
            return self.output / f"{self.count}.{kind}"

    def disk(self, base=None):
        """A fresh copy of a disk."""
        path = self.path("disk")
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", base or self.image / "disk.img", path], check=True)
        return path

    def machine(self, disk, name, memory=None):
        return Machine(self.image, disk, self.output / f"{name}.log", memory)

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
