"""cycles(): the clock of CPU cycles; see clock.py."""

import sys
import time

import micropython

from .clock import Clock
from .facts import CYCLES


def cycles():
    """Return a clock of CPU cycles, for short latencies: it wraps within seconds.

    On RP2040 and RP2350 it is the calling core's own counter, for a channel within one core; this
    starts it if it does not run yet. Raises ValueError on a board without one.
    """
    if CYCLES == "none":
        raise ValueError("no cycle counter known on %s" % sys.platform)
    import machine

    hz = machine.freq()
    if CYCLES == "ticks_cpu":
        return Clock("ticks_cpu", hz, time.ticks_cpu)
    if CYCLES == "dwt":
        _store(0xE000EDFC, _load(0xE000EDFC) | 1 << 24)  # DEMCR: trace on, so DWT runs
        _store(0xE0001000, _load(0xE0001000) | 1)  # DWT_CTRL: count cycles
        return Clock("DWT", hz, _cyccnt, register=0xE0001004)
    # SysTick: enabled from the CPU clock, and its reload. One that runs so is left alone: another
    # clock counts by it.
    if _load(0xE000E010) & 5 != 5 or _load(0xE000E014) != 0xFFFFFF:
        _store(0xE000E014, 0xFFFFFF)
        _store(0xE000E018, 0)  # the current value
        _store(0xE000E010, 5)
    return Clock("SysTick", hz, _systick, period=1 << 24)


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
