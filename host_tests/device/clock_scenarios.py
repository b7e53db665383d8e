"""What clocks promise, as functions that CPython and MicroPython both run.

test_scenarios.py runs them all, on each kind of machine; test_clock.py has the other chips.
"""

import sys
import time
from array import array

import micropython
import ringlane
from harness import raises
from ringlane import LOW, Channel, Clock, PriorityChannel

RP2040 = sys.platform == "rp2"  # the emulated one

_calls = array("I", [0])


@micropython.viper
def _counted() -> int:
    calls = ptr32(_calls)
    calls[0] += 1
    return calls[0]


@micropython.viper
def _still() -> int:
    return 0


@micropython.viper
def _of_one(value: int) -> int:
    return value


@micropython.viper
def _none():
    pass


@micropython.viper
def _true() -> bool:
    return True


@micropython.native
def _native():
    return 0


def _python():
    return 0


def _closure(start):
    @micropython.viper
    def ticks() -> int:
        return int(start)

    return ticks


class _Counter:
    def ticks(self):
        return 0

    def __call__(self):
        return 0


def microseconds_are_rounded_down():
    clock = Clock("c", 125000000, _still, 1 << 24)
    assert clock.us(125) == 1 and clock.us(0) == 0 and clock.us(249) == 1
    assert Clock("slow", 1000, _still).us(3) == 3000


def a_difference_is_right_across_the_wrap():
    clock = Clock("c", 1000000, _still, 1 << 24)
    half = 1 << 23
    assert clock.diff(5, 3) == 2 and clock.diff(3, 5) == -2
    assert clock.diff(1, (1 << 24) - 1) == 2 and clock.diff((1 << 24) - 1, 1) == -2
    assert clock.diff(half - 1, 0) == half - 1 and clock.diff(half, 0) == -half


def a_period_is_a_power_of_two_up_to_2_to_the_30():
    assert Clock("c", 1, _still).period == 1 << 30
    for period in (2, 1 << 16, 1 << 30):
        assert Clock("c", 1, _still, period).period == period
    text = "period must be a power of two up to 2**30, not "
    for period in (1, 0, -2, 1000, 1 << 31, 4.0, None, True):
        raises(ValueError, text + repr(period), Clock, "c", 1, _still, period)


def a_clock_names_what_it_cannot_be_made_of():
    for hz in (0, -1, 1.5, None, True, "1"):
        raises(ValueError, "hz must be an int above 0, not %r" % (hz,), Clock, "c", hz, _still)
    for name in (None, 7, b"c"):
        raises(TypeError, "name must be a str, not %r" % (name,), Clock, name, 1, _still)
    text = "register must be an address, a multiple of 4 below 2**32, not "
    for register in (-4, 1, 2, 0x40054027, 1 << 32, 4.0, None, False, "4"):
        raises(ValueError, text + repr(register), Clock, "c", 1, _still, 1 << 30, register)
    for register in (0, 4, 0x40054028, 0xFFFFFFFC):
        assert Clock("c", 1, _still, 1 << 30, register).register == register
    clock = Clock("c", 125000000, _still, 1 << 24)
    assert "Clock c, 125000000 Hz, wraps at 16777216" == str(clock)


def a_clock_takes_what_runs_no_python_code_and_nothing_else():
    for ticks in (_still, _counted, time.ticks_us, time.ticks_ms):
        assert Clock("c", 1, ticks).ticks is ticks
    text = "ticks must be a builtin or a viper function, of no arguments and no closure, not "
    for ticks in (7, None, "ticks", _python, lambda: 0, _native, _closure(3), _Counter().ticks):
        raises(TypeError, text, Clock, "c", 1, ticks)
    for ticks in (_Counter.ticks, _Counter(), _Counter, len, print, [].append):
        raises(TypeError, text, Clock, "c", 1, ticks)
    raises(TypeError, text + "7: Python code would run in the middle of a verb", Clock, "c", 1, 7)
    raises(TypeError, "positional arguments", Clock, "c", 1, _of_one)


def a_clock_reads_its_ticks_once_to_see_that_they_are_an_int():
    before = _calls[0]
    clock = Clock("c", 1, _counted)
    assert _calls[0] == before + 1
    ch = Channel(1, clock=clock)
    assert _calls[0] == before + 1
    ch.send_word(1, LOW)
    assert ch.recv_word()[2] == 1 and _calls[0] == before + 3
    raises(TypeError, "ticks() must return an int, not None", Clock, "c", 1, _none)
    raises(TypeError, "ticks() must return an int, not True", Clock, "c", 1, _true)


def the_default_clock_measures_microseconds():
    ch = PriorityChannel(1)
    assert ch.clock.hz == 1000000 and ch.clock.period == 1 << 30
    assert ch.clock.name == ("timer" if RP2040 else "ticks_us")
    ch.send_word(1, LOW)
    assert 0 <= ch.recv_word()[2] < 10000000
    assert ch.clock is PriorityChannel(1).clock


def milliseconds_are_for_long_waits():
    clock = ringlane.milliseconds()
    assert (clock.name, clock.hz, clock.period, clock.register) == ("ticks_ms", 1000, 1 << 30, 0)
    assert clock.us(7) == 7000
    ch = Channel(1, clock=clock)
    ch.send_word(1, LOW)
    time.sleep_ms(20)
    assert 19 <= ch.recv_word()[2] < 10000
    week = 7 * 24 * 3600 * 1000
    ch.send_word_at(1, LOW, (time.ticks_ms() - week) & (1 << 30) - 1)
    assert week <= ch.recv_word()[2] < week + 10000


def cycles_are_counted_where_the_board_counts_them():
    if not RP2040:
        raises(ValueError, "no cycle counter known on " + sys.platform, ringlane.cycles)
        return
    counter = ringlane.cycles()
    assert (counter.name, counter.hz, counter.period) == ("SysTick", 125000000, 1 << 24)
    first = counter.ticks()
    second = counter.ticks()
    assert 0 < counter.diff(second, first) < 100000
    ch = Channel(1, clock=counter)
    ch.send_word(1, LOW)
    assert 0 < ch.recv_word()[2] < 1000000


def a_second_clock_of_cycles_leaves_the_count_of_the_first():
    if not RP2040:
        return
    first = ringlane.cycles()
    while not 4000000 < first.ticks() < 8000000:
        pass
    before = first.ticks()
    second = ringlane.cycles()
    after = second.ticks()
    # A collection may come between; one that was set back would be 8 million or more ahead.
    assert 0 < second.diff(after, before) < 6000000
