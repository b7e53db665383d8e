"""Clocks: what stamps messages and measures their latency.

Ticks count up and wrap at the clock's period, a power of two, and a latency is taken modulo it: a
message that waits longer than a period looks younger by whole periods. The default clock counts
microseconds and wraps after 2**30 of them, some 18 minutes; milliseconds() wraps after 12 days.

    board                  default                        cycles()
    RP2040, RP2350 (ARM)   timer register, 1 MHz          SysTick, 24 bits; DWT, 30 bits
    ESP32 family           time.ticks_us                  time.ticks_cpu, 30 bits
    others                 time.ticks_us                  none: ValueError
"""

import time

from .port import REGISTER, later

_TICKS_PERIOD = 1 << 30
_default = None


class Clock:
    """Clock(name, hz, ticks, period=2**30, register=0)

    `ticks()` returns the count, an int, without allocating: a builtin like time.ticks_us, or a
    function of yours under @micropython.viper that takes no arguments, closes over nothing and
    calls nothing written in Python. Verbs call it half-way, where Python code would let handlers
    and Ctrl-C in. `hz`: counts a second. `period`: where it wraps, a power of two up to 2**30.
    `register`: the address of a 32-bit register that counts the same, read in place of the call;
    0: none.
    """

    def __init__(self, name, hz, ticks, period=_TICKS_PERIOD, register=0):
        later("ringlane.cold").check_clock(name, hz, ticks, period, register)
        self._set(name, hz, ticks, period, register)

    def _set(self, name, hz, ticks, period, register):
        self.name = name
        self.hz = hz
        self.ticks = ticks
        self.period = period
        self.register = register

    def us(self, ticks):
        """Return `ticks` in microseconds, rounded down. May allocate (above 2**30)."""
        return ticks * 1000000 // self.hz

    def diff(self, a, b):
        """Return the ticks from `b` to `a`, -period//2..period//2-1: below 0 if `a` came first."""
        half = self.period >> 1
        return ((a - b + half) & (self.period - 1)) - half

    def __repr__(self):
        return "Clock %s, %d Hz, wraps at %d" % (self.name, self.hz, self.period)


class _Default(Clock):
    # Of whose figures nothing has to be checked.
    def __init__(self, name, register):
        self._set(name, 1000000, time.ticks_us, _TICKS_PERIOD, register)


def default():
    """Return this board's microsecond clock."""
    global _default
    if _default is None:
        _default = _Default("timer" if REGISTER else "ticks_us", REGISTER)
    return _default


def register_of(clock):
    """Return the register and the period of a channel's clock; raise TypeError if it is none."""
    if not isinstance(clock, Clock):
        raise TypeError("clock must be a Clock, not %r" % (clock,))
    return clock.register, clock.period


def milliseconds():
    """Return a clock of time.ticks_ms, for long waits: it wraps after 12 days."""
    return Clock("ticks_ms", 1000, time.ticks_ms)
