"""What MicroPython's asyncio, select and sys have beyond CPython's, for firmware that waits.

Tasks of a firmware run in host tests as they are: asyncio gets `sleep_ms`, `wait_for_ms` and
`core._io_queue`, through which ringlane's waiters wait. What is waited for is looked at again and
again, with a short sleep of the host between, as MicroPython's unix port does.
"""

import asyncio
import sys
import time
import traceback
import types

from .simulated import clock

_PAUSE_US = 50
_POLL = 3  # MP_STREAM_POLL


def _pause():
    time.sleep(_PAUSE_US / 1_000_000)  # the host's time, also where the simulated clock stands


class _IOQueue:
    """Where a task that yields next is taken up in the loop's next round, to look again."""

    def queue_read(self, stream):
        _pause()

    queue_write = queue_read


class poll:
    """select.poll() for objects with MicroPython's ioctl(), one at least."""

    def __init__(self):
        self._streams = []

    def register(self, stream, events):
        self._streams.append((stream, events))

    def ipoll(self, timeout_ms=-1):
        """Wait until a stream is ready; return a list of (stream, events).

        With a simulated clock that stands still, its time passes instead of the host's.
        """
        end = None if timeout_ms < 0 else clock.now_us() + 1000 * timeout_ms
        while True:
            ready = [(s, events) for s, events in self._streams if s.ioctl(_POLL, events)]
            if ready or (end is not None and clock.now_us() >= end):
                return ready
            clock.sleep_us(_PAUSE_US)


async def _sleep_ms(ms):
    await asyncio.sleep(max(0, ms) / 1000)


async def _wait_for_ms(awaitable, ms):
    return await asyncio.wait_for(awaitable, ms / 1000)


def _print_exception(error, file=sys.stdout):
    traceback.print_exception(error, file=file)


def _install():
    core = types.ModuleType("asyncio.core", "The part of MicroPython's that waiting needs.")
    core._io_queue = _IOQueue()  # type: ignore[attr-defined]
    for name, value in (
        ("core", core),
        ("sleep_ms", _sleep_ms),
        ("wait_for_ms", _wait_for_ms),
    ):
        if not hasattr(asyncio, name):
            setattr(asyncio, name, value)
    if not hasattr(sys, "print_exception"):
        sys.print_exception = _print_exception  # type: ignore[attr-defined]


_install()

__all__ = ["poll"]
