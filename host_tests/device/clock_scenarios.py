"""What clocks promise, as functions that CPython and MicroPython both run.

test_scenarios.py runs them all, on each kind of machine; test_clock.py has the other chips.
"""

import sys

import ringlane
from harness import raises
from ringlane import LOW, Channel, Clock, PriorityChannel

RP2040 = sys.platform == "rp2"  # the emulated one


def microseconds_are_rounded_down():
    clock = Clock("c", 125000000, lambda: 0, 1 << 24)
    assert clock.us(125) == 1 and clock.us(0) == 0 and clock.us(249) == 1
    assert Clock("slow", 1000, lambda: 0).us(3) == 3000


def a_difference_is_right_across_the_wrap():
    clock = Clock("c", 1000000, lambda: 0, 1 << 24)
    half = 1 << 23
    assert clock.diff(5, 3) == 2 and clock.diff(3, 5) == -2
    assert clock.diff(1, (1 << 24) - 1) == 2 and clock.diff((1 << 24) - 1, 1) == -2
    assert clock.diff(half - 1, 0) == half - 1 and clock.diff(half, 0) == -half


def a_period_is_a_power_of_two_up_to_2_to_the_30():
    assert Clock("c", 1, len).period == 1 << 30
    for period in (2, 1 << 16, 1 << 30):
        assert Clock("c", 1, len, period).period == period
    text = "period must be a power of two up to 2**30, not "
    for period in (1, 0, -2, 1000, 1 << 31, 4.0, None):
        raises(ValueError, text + repr(period), Clock, "c", 1, len, period)


def a_clock_names_what_it_cannot_be_made_of():
    for hz in (0, -1, 1.5, None):
        raises(ValueError, "hz must be an int above 0, not %r" % (hz,), Clock, "c", hz, len)
    raises(TypeError, "ticks must be callable, not 7", Clock, "c", 1, 7)
    assert "Clock c, 125000000 Hz, wraps at 16777216" == str(Clock("c", 125000000, len, 1 << 24))


def the_default_clock_measures_microseconds():
    ch = PriorityChannel(1)
    assert ch.clock.hz == 1000000 and ch.clock.period == 1 << 30
    assert ch.clock.name == ("timer" if RP2040 else "ticks_us")
    ch.send_word(1, LOW)
    assert 0 <= ch.recv_word()[2] < 10000000
    assert ch.clock is PriorityChannel(1).clock


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
