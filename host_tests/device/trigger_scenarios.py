"""What trigger promises, as functions that CPython and MicroPython both run."""

from array import array

import micropython
from harness import Ticks, raises
from ringlane import (
    BULK,
    HIGH,
    LOW,
    NORMAL,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    MulticastChannel,
    PriorityChannel,
    SoftGuard,
    milliseconds,
)
from ringlane.port import address

KINDS = (PriorityChannel, Channel)


def _fire(trigger, times=1):
    # As a hard handler is called: with no memory to be had.
    if hasattr(micropython, "heap_lock"):
        micropython.heap_lock()
    try:
        for _ in range(times):
            trigger(None)
    finally:
        if hasattr(micropython, "heap_unlock"):
            micropython.heap_unlock()


def it_sends_how_often_it_was_called():
    for kind in KINDS:
        ch = kind(4, slot_size=4)
        trigger, other = ch.trigger(HIGH), ch.trigger(HIGH)
        _fire(trigger, 3)
        _fire(other)
        assert [ch.recv_word()[:2] for _ in range(4)] == [[each, HIGH] for each in (1, 2, 3, 1)]
        assert ch.recv_word() is None and ch.sent == 4


def it_sends_the_clock():
    for kind in KINDS:
        ticks = Ticks()
        ch = kind(4, slot_size=4, clock=ticks.clock)
        trigger = ch.trigger(LOW, ch.clock)
        for now in (5, 77, 3000):
            ticks.now = now
            _fire(trigger)
            value, priority, latency = ch.recv_word()
            assert (value, priority, latency, ch.timestamp()) == (now, LOW, 0, now)


def it_sends_a_register():
    ch = PriorityChannel(2, slot_size=4)
    register = array("I", [0])
    at = address(register)
    if not 0 < at < 1 << 32:  # where no register has such an address either
        raises(ValueError, "address must be 4 to 4294967295", ch.trigger, HIGH, 1 << 40)
        return
    trigger = ch.trigger(BULK, at)
    words = array("I", [0])
    for value in (1, 0x3FFFFFFF, 0x80000000, 0xFFFFFFFF):
        register[0] = value
        _fire(trigger)
        assert ch.recv_words(words) == 1 and words[0] == value


def what_finds_no_room_is_counted():
    for kind in KINDS:
        ch = kind(2, slot_size=4, zero_copy=True)
        trigger = ch.trigger(LOW)
        _fire(trigger, 5)
        assert (ch.sent, ch.dropped, ch.rejected, ch.high_water) == (2, 3, 0, 2)
        assert ch.clear() == 2 and ch.claim(LOW) is not None
        _fire(trigger)
        ch.abort(LOW)
        _fire(trigger)
        assert ch.recv_word()[0] == 7  # its count goes on
        ch.close()
        _fire(trigger)
        assert (ch.sent, ch.dropped, ch.rejected) == (3, 3, 2)
    small = Channel(2, slot_size=3)
    _fire(small.trigger(LOW))
    assert small.rejected == 1 and len(small) == 0


def each_sender_has_its_own():
    for kind in KINDS:
        ch = kind(2, slot_size=4, senders=2)
        second = ch.add_sender()
        mine, others = ch.trigger(NORMAL), second.trigger(NORMAL)
        _fire(others, 3)
        _fire(mine)
        assert (second.dropped, ch.dropped, len(ch)) == (1, 1, 3)
        assert sorted(ch.recv_word()[0] for _ in range(3)) == [1, 1, 2]


def what_it_cannot_do_is_an_error():
    ch = PriorityChannel((1, 0, 1, 1, 1), slot_size=4)
    for priority in (5, -1):
        raises(ValueError, "class must be 0 to 4, not %d" % priority, ch.trigger, priority)
    raises(ValueError, "class HIGH has capacity 0", ch.trigger, HIGH)
    raises(TypeError, "class must be an int", ch.trigger, "x")
    raises(TypeError, "address must be an int, not 'x'", ch.trigger, LOW, "x")
    raises(ValueError, "address must be a multiple of 4, not 6", ch.trigger, LOW, 6)
    raises(ValueError, "address must be 4 to 4294967295, not 0", ch.trigger, LOW, 0)
    raises(ValueError, "the clock of PriorityChannel is Clock", ch.trigger, LOW, milliseconds())
    for other in (
        Channel(1, send_guard=SoftGuard()),
        MulticastChannel(1),
        AnycastChannel(1, ROUND_ROBIN),
    ):
        raises(ValueError, "has no trigger", other.trigger, LOW)
    assert ch.sent == 0
