"""What micropython.schedule() does on CPython: soft handlers run where a board would run them."""

import collections
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .address_space import Memory

_DEPTH = 8  # MICROPY_SCHEDULER_DEPTH of rp2 and esp32
OWN_FILES = {
    str(Path(__file__).with_name(f"{name}.py"))
    for name in ("address_space", "ticks", "micropython", "scheduler", "viper")
}

# Ids of codes: of what runs as viper, and of what calls memory.hook. viper.py adds its own.
viper_codes: set[int] = set()
access_codes = {id(Memory.fence.__code__)}


class Scheduler:
    """What micropython.schedule() queued: it runs at the next bytecode boundary, as on a board.

    That is at once in plain Python code, and also in such that a viper function calls; not in the
    viper function itself, in a hard handler, which memory.hook calls, or in another scheduled
    function. While something is queued and waits for the next plain function, a profile function
    watches for its call; at other times nothing does.
    """

    def __init__(self):
        self.queue: collections.deque[tuple[Callable[..., Any], Any]] = collections.deque()
        self._busy = False
        self._before = threading.local()  # `profile`: what a watched thread had before

    def schedule(self, function, arg):
        if len(self.queue) >= _DEPTH:
            raise RuntimeError("schedule queue full")
        self.queue.append((function, arg))
        self.run(sys._getframe(1))

    def run(self, frame):
        """Run what is queued if `frame`, which runs, is at a boundary; else when one is."""
        if self._busy:
            return
        if not _at_boundary(frame):
            if not hasattr(self._before, "profile"):
                self._before.profile = sys.getprofile()
                sys.setprofile(self._watch)
            return
        self._busy = True
        try:
            while self.queue:
                function, arg = self.queue.popleft()
                function(arg)
        finally:
            self._busy = False
            if not self.queue:
                self._stop_watching()

    def _watch(self, frame, event, _):
        if event == "call" and self.queue and frame.f_code.co_filename not in OWN_FILES:
            self.run(frame)
        if not self.queue:  # another thread has run it
            self._stop_watching()

    def _stop_watching(self):
        if hasattr(self._before, "profile"):
            sys.setprofile(self._before.profile)
            del self._before.profile


def _at_boundary(frame):
    # Whether `frame` runs bytecode, and no hard handler.
    if id(frame.f_code) in viper_codes:
        return False
    while frame is not None:
        if id(frame.f_code) in access_codes:
            return False
        frame = frame.f_back
    return True


scheduler = Scheduler()
