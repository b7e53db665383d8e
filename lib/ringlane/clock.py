"""Clocks: what stamps messages and measures their latency.

Ticks count up and wrap at the clock's period, a power of two, and a latency is taken modulo it: a
message that waits longer than a period looks younger by whole periods. The default clock counts
microseconds and wraps after 2**30 of them, some 18 minutes; milliseconds() wraps after 12 days.

    board                  default                        cycles()
    RP2040, RP2350 (ARM)   timer register, 1 MHz          SysTick, 24 bits; DWT, 30 bits
    ESP32 family           time.ticks_us                  time.ticks_cpu, 30 bits
    others                 time.ticks_us                  none: ValueError
"""

import sys
import time

import micropython

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
        if not isinstance(name, str):
            raise TypeError("name must be a str, not %r" % (name,))
        if (
            not isinstance(period, int)
            or not 2 <= period <= _TICKS_PERIOD
            or period & (period - 1)
        ):
            raise ValueError("period must be a power of two up to 2**30, not %r" % (period,))
        if not isinstance(hz, int) or isinstance(hz, bool) or hz <= 0:
            raise ValueError("hz must be an int above 0, not %r" % (hz,))
        if (
            not isinstance(register, int)
            or isinstance(register, bool)
            or not 0 <= register <= 0xFFFFFFFF
            or register & 3
        ):
            raise ValueError(
                "register must be an address, a multiple of 4 below 2**32, not %r" % (register,)
            )
        if _kind(ticks) not in _KINDS:
            raise TypeError(
                "ticks must be a builtin or a viper function, of no arguments and no closure, "
                "not %r: Python code would run in the middle of a verb" % (ticks,)
            )
        now = ticks()
        if type(now) is not int:
            raise TypeError("ticks() must return an int, not %r" % (now,))
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


def default():
    """Return this board's microsecond clock."""
    global _default
    if _default is None:
        register = 0
        if sys.platform == "rp2":
            # TIMERAWL of the datasheets: RP2040 4.6, RP2350 12.8 (TIMER0).
            register = 0x400B0028 if _chip() == "RP2350" else 0x40054028
        name = "timer" if register else "ticks_us"
        _default = Clock(name, 1000000, time.ticks_us, register=register)
    return _default


def milliseconds():
    """Return a clock of time.ticks_ms, for long waits: it wraps after 12 days."""
    return Clock("ticks_ms", 1000, time.ticks_ms)


def cycles():
    """Return a clock of CPU cycles, for short latencies: it wraps within seconds.

    On rp2 it is the calling core's own counter, for a channel within one core; this starts it if
    it does not run yet.
    Raises ValueError on a board without one.
    """
    if sys.platform == "rp2":
        import machine

        chip = _chip()
        hz = machine.freq()
        if chip == "RP2040":
            # SysTick: enabled from the CPU clock, and its reload. One that runs so is left alone:
            # another clock counts by it.
            if _load(0xE000E010) & 5 != 5 or _load(0xE000E014) != 0xFFFFFF:
                _store(0xE000E014, 0xFFFFFF)
                _store(0xE000E018, 0)  # the current value
                _store(0xE000E010, 5)
            return Clock("SysTick", hz, _systick, period=1 << 24)
        if "RISC" not in sys.implementation._machine:
            _store(0xE000EDFC, _load(0xE000EDFC) | 1 << 24)  # DEMCR: trace on, so DWT runs
            _store(0xE0001000, _load(0xE0001000) | 1)  # DWT_CTRL: count cycles
            return Clock("DWT", hz, _cyccnt, register=0xE0001004)
    elif sys.platform == "esp32":
        import machine

        return Clock("ticks_cpu", machine.freq(), time.ticks_cpu)
    raise ValueError("no cycle counter known on %s" % sys.platform)


def _chip():
    return "RP2350" if "RP2350" in sys.implementation._machine else "RP2040"


@micropython.viper
def _load(address: int) -> int:
    return ptr32(address)[0]


@micropython.viper
def _store(address: int, value: int):
    ptr32(address)[0] = value


@micropython.viper
def _systick() -> int:
    return 0xFFFFFF - ptr32(int(0xE000E018))[0]  # it counts down


@micropython.viper
def _cyccnt() -> int:
    return ptr32(int(0xE0001004))[0] & 0x3FFFFFFF


def _kind(function):
    # MicroPython has a type for each sort of function; CPython's simulation has an attribute.
    return getattr(function, "simulated_kind", type(function))


# The sorts that run no bytecode: builtins without arguments, and viper functions.
_KINDS = (_kind(time.ticks_us), _kind(_systick))
