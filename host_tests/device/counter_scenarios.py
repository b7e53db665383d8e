"""Counters: of every channel, sender and receiver, in any context, and modulo 2**30."""

import micropython
from harness import Locked, raises
from micropython import const
from ringlane import (
    HIGH,
    LOW,
    NORMAL,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    MulticastChannel,
    PriorityChannel,
    RequestReplyChannel,
)
from ringlane.lanes import store

_COUNTERS = ("sent", "received", "dropped", "rejected", "high_water")

#: words(cog.inFile) :#
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_DROPPED = const(11)  # messages that found no room. Owner: producer
_REJECTED = const(12)  # messages too large, after close() or while claimed. Owner: producer
# stamped.

_MODULO = 1 << 30
# Words of a lane, as a counter that is never reset comes to have: near 2**30, 2**31 and 2**32.
_NEAR = (_MODULO - 1, _MODULO, 2 * _MODULO - 1, 2 * _MODULO, 4 * _MODULO - 1)


def _channels():
    yield Channel(2, 4)
    yield PriorityChannel(2, 4, 2)
    yield MulticastChannel(2, 2, 4, 2, 2)
    yield AnycastChannel(2, ROUND_ROBIN, 4, 2, 2)
    yield RequestReplyChannel(2, 4)


def _ends():
    # Each channel, its second sender and its receivers, with what they count.
    for ch in _channels():
        yield ch, _COUNTERS
        if hasattr(ch, "add_sender") and ch.senders > 1:
            yield ch.add_sender(), ("dropped", "rejected", "high_water")
        if hasattr(ch, "add_receiver") and hasattr(ch, "max_receivers"):
            names = "received", "lag", "dropped"
            if isinstance(ch, AnycastChannel):
                names = "received", "pending", "processed"
            yield ch.add_receiver(), names


def _read(end, names, figures):
    # Under a locked heap; a function, as a new name outside of one would allocate.
    micropython.heap_lock()
    try:
        for i in range(len(names)):
            figures[i] = getattr(end, names[i])
    finally:
        micropython.heap_unlock()


def every_counter_allocates_nothing():
    count = 0
    for end, names in _ends():
        figures = [None] * len(names)
        _read(end, names, figures)
        assert figures == [0] * len(names), (end, figures)
        count += len(names)
    assert count > 30


def a_counter_past_30_bits_goes_on_modulo_2_to_the_30():
    for ch in _channels():
        for word in _NEAR:
            for number in range(ch.senders):
                for row in range(ch._rows):
                    for field in (_HEAD, _TAIL, _DROPPED, _REJECTED):
                        store(ch._base, ch._header(number, row) + field, word)
            lanes = ch.senders * ch._rows
            figures = [None] * 5
            _read(ch, _COUNTERS, figures)
            total = lanes * word & _MODULO - 1
            assert figures == [total, total, total, total, 0], (ch, word, figures)
            assert all(type(each) is int and 0 <= each < _MODULO for each in figures)


def a_counter_that_passes_2_to_the_30_starts_from_0():
    plain = Channel(1, 4)
    ch = Locked(plain)
    for field in (_HEAD, _TAIL, _DROPPED, _REJECTED):
        store(plain._base, plain._header(0, 0) + field, _MODULO - 1)
    assert ch.send_word(1, LOW) and not ch.send_word(2, LOW) and not ch.send(b"large", LOW)
    assert ch.recv_word()[0] == 1
    assert (plain.dropped, plain.rejected, plain.received, plain.sent) == (0, 0, 0, 0)
    assert ch.send_word(3, LOW) and plain.sent == 1


def a_reopened_receiver_counts_from_0_where_its_predecessor_passed_2_to_the_30():
    for ch in (MulticastChannel(1, 1, 4, 1), AnycastChannel(1, ROUND_ROBIN, 4, 1)):
        first = ch.add_receiver()
        for field in (_DROPPED, _HEAD, _TAIL):
            store(ch._base, ch._header(0, 0) + field, _MODULO - 2)
        first.close()
        second = ch.add_receiver()
        for number in range(4):
            assert ch.send_word(number, LOW) == 1 and ch.send_word(9, LOW) == 0
            assert second.recv_word()[0] == number
        assert second.received == 4 and getattr(second, "dropped", 4) == 4
        second.close()
        assert second.received == 4 and getattr(second, "dropped", 4) == 4  # also from then on


def free_and_is_full_speak_of_every_class_in_use():
    ch = PriorityChannel((0, 2, 1, 0, 0), 4)
    assert ch.free() == 1 and ch.free(HIGH) == 2 and not ch.is_full()
    sent = 0
    while ch.free():
        sent += ch.send_word(1, NORMAL)
    assert sent == 1 and ch.is_full() and not ch.is_full(HIGH) and ch.dropped == 0
    try:
        assert PriorityChannel((0, 0, 0, 0, 65535), 1).free() == 65535
    except MemoryError:
        pass  # 786 KB in one piece, which hosts have


def a_closed_channel_has_no_room():
    for ch in _channels():
        if hasattr(ch, "max_receivers"):
            ch.add_receiver()
        assert ch.free() > 0 and not ch.is_full()
        ch.close()
        assert ch.free() == 0 and ch.is_full()
        if not isinstance(ch, RequestReplyChannel):
            assert ch.free(LOW) == 0 and ch.is_full(LOW)


def room_is_asked_for_by_class():
    for ch in (Channel(2), PriorityChannel(2), MulticastChannel(2)):
        raises(TypeError, "class must be an int, not 1.5", ch.free, 1.5)
        raises(TypeError, "class must be an int, not 'x'", ch.is_full, "x")
        for priority in (5, 8, -1, -(1 << 29), 1 << 32, (1 << 32) + HIGH):
            raises(ValueError, "class must be 0 to 4, not %d" % priority, ch.free, priority)
        assert ch.free(True) == ch.free(HIGH) == 2
    raises(ValueError, "class LOW has capacity 0", PriorityChannel((1, 0, 0, 0, 0)).free, LOW)


def what_receivers_left_unread_is_counted():
    for ch in (MulticastChannel(3, 3, 4, 2), AnycastChannel(3, ROUND_ROBIN, 4, 2)):
        ends = [ch.add_receiver(), ch.add_receiver()]
        sent = 0
        for number in range(4):
            sent += ch.send_word(number, LOW)
        ends[0].recv_word()
        left = len(ends[0])
        assert ends[0].close() == left > 0 and ends[0].close() == 0
        assert ch.unread == left and ch.sent == sent == ch.received + len(ch) + ch.unread
        assert "%d left unread" % left in str(ch)
