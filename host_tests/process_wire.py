"""A wire to a MicroPython process: a board for a session, without a port."""

import os
import select
import subprocess
from pathlib import Path

DEVICE = Path(__file__).resolve().parent / "device"
PACKAGES = DEVICE.parents[1] / "lib"
HEAP = "heapsize=2M"


class ProcessWire:
    """The console of a MicroPython process; `noise` spoils the bytes of both ways."""

    def __init__(self, interpreter, program, noise=None):
        self.name = "a MicroPython process"
        self.careful_s = 0.0
        self.noise = noise or (lambda data: data)
        self.process = subprocess.Popen(
            [interpreter, "-X", HEAP, "-c", program],
            env=dict(os.environ, MICROPYPATH=f"{PACKAGES}:{DEVICE}:.frozen"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def read(self, timeout):
        out = self.process.stdout.fileno()
        if not select.select([out], [], [], timeout)[0]:
            return b""
        return self.noise(os.read(out, 4096))

    def write(self, data):
        os.write(self.process.stdin.fileno(), self.noise(data))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.communicate()
