"""The clock under time.ticks_us() and its kin on CPython: the host's, or one that a test sets."""

import time

_TICKS_PERIOD = 1 << 30


class Clock:
    """What time's ticks functions read: the host's time, or a simulated one once set."""

    def __init__(self):
        self._us = None

    def now_us(self):
        """Return microseconds since some start."""
        return time.perf_counter_ns() // 1000 if self._us is None else self._us

    def set(self, us):
        """Stop the clock at `us` microseconds."""
        self._us = us

    def advance(self, us):
        """Let `us` microseconds pass; stops the clock."""
        self._us = self.now_us() + us

    def run(self):
        """Go back to the host's time."""
        self._us = None

    def sleep_us(self, us):
        """Wait, or let simulated time pass."""
        if self._us is not None:
            self._us += max(0, us)
        elif us > 0:
            time.sleep(us / 1000000)


clock = Clock()


def ticks_us():
    return clock.now_us() & _TICKS_PERIOD - 1


def ticks_ms():
    return clock.now_us() // 1000 & _TICKS_PERIOD - 1


ticks_us.simulated_kind = ticks_ms.simulated_kind = "builtin"  # for Clock, too


def ticks_add(ticks, delta):
    if not -_TICKS_PERIOD // 2 < delta < _TICKS_PERIOD // 2:
        raise OverflowError("ticks interval overflow")
    return ticks + delta & _TICKS_PERIOD - 1


def ticks_diff(end, start):
    half = _TICKS_PERIOD // 2
    return (end - start + half & _TICKS_PERIOD - 1) - half
