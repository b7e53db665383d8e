"""Buffers that change between two calls, for every verb that takes one.

What a channel has checked once it knows again: it shrinks, grows, moves, or another of its length
takes its place. Nothing may then be read or written but what is there now.
"""

import gc
from array import array

from harness import Locked, pattern, raises
from ringlane import (
    LOW,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    MulticastChannel,
    PriorityChannel,
    RequestReplyChannel,
)

_SLOT = 16
_LATER = 5  # stamp of a send_at
_WRONG = (  # what makes something of a length that cannot be received into
    bytes,
    lambda size: memoryview(bytes(size)),
    lambda size: array("H", [0] * size),
)


class _Guard:
    """Counts how often it is held, and was taken."""

    def __init__(self):
        self.held = self.taken = 0

    def enter(self):
        self.taken += 1
        self.held += 1
        return self.held

    def leave(self, state):
        self.held -= state


class _Way:
    """One way from `send(data)` to `recv(buf)`, and what must hold after each call.

    `least`: the smallest receive buffer, 0: as large as the message. `counts()`: how many messages
    are queued, and were received and rejected since.
    """

    def __init__(self, title, send, recv, counts, guard=None, least=0):
        self.title = title
        self.send = send
        self.recv = recv
        self.guard = guard
        self.least = least
        self._counts = counts
        self._before = counts()

    def counts(self):
        queued, received, rejected = self._counts()
        return queued, received - self._before[1], rejected - self._before[2]

    def check(self, *counts):
        assert self.guard is None or not self.guard.held, self.title
        assert self.counts() == counts, (self.title, self.counts(), counts)


def _counts_of(ch):
    return lambda: (len(ch), ch.received, ch.rejected)


def _queues():
    # (its title, the channel, further receiver or None, guard)
    for kind in (Channel, PriorityChannel):
        yield kind.__name__, kind(4, _SLOT), None, None
        guard = _Guard()
        ch = kind(4, _SLOT, send_guard=guard, recv_guard=guard)
        yield "guarded " + kind.__name__, ch, None, guard
        yield "guarded receiver of " + kind.__name__, ch, ch.add_receiver(), guard


def _send_of(ch, verb):
    locked = Locked(ch)
    if verb == "send_at":
        return lambda data: locked.send_at(data, LOW, _LATER)
    return lambda data: locked.send(data, LOW)


def _wait_of(end):
    return lambda buf: end.recv_wait(buf, 0)


def _ways():
    for title, ch, end, guard in _queues():
        least = _SLOT if guard else 0
        end = end or ch
        for verb in ("send", "send_at"):
            title_of = "%s %s" % (title, verb)
            yield title_of, _send_of(ch, verb), Locked(end).recv, _counts_of(ch), guard, least
        title += " recv_wait"
        yield title, _send_of(ch, "send"), _wait_of(end), _counts_of(ch), guard, least
    for ch in (MulticastChannel(4, 4, _SLOT, 1), AnycastChannel(4, ROUND_ROBIN, _SLOT, 1)):
        end = Locked(ch.add_receiver())
        for verb in ("send", "send_at"):
            yield type(ch).__name__ + verb, _send_of(ch, verb), end.recv, _counts_of(ch)
    rpc = RequestReplyChannel(4, _SLOT)
    locked = Locked(rpc)

    def recv_request(buf):
        m = locked.recv_request(buf)
        if m:
            assert rpc.cancel(m[1])  # so that the next finds room
        return m

    yield "send_request", locked.send_request, recv_request, _counts_of(rpc)
    for verb in ("send_response", "send_status"):
        yield _reply_way(verb)


def _reply_way(verb):
    rpc = RequestReplyChannel(4, _SLOT)
    locked = Locked(rpc)
    ids = []
    buf = bytearray(_SLOT)

    def send(data):
        id = rpc.send_request(b"?")
        assert rpc.recv_request(buf)[1] == id
        sent = False
        try:
            if verb == "send_status":
                sent = locked.send_status(id, data, 7)
            else:
                sent = locked.send_response(id, data)
        finally:
            if sent:
                ids.append(id)
            else:
                rpc.cancel(id)
        return sent

    def recv(buf):
        m = locked.recv_response(ids[0], buf)
        ids.pop(0)
        return m

    # What is counted as received is the request, so the replies that were taken stand for it.
    return verb, send, recv, lambda: (len(ids), rpc.answered, rpc.rejected)


def _each():
    gc.collect()
    for parts in _ways():
        yield _Way(*parts)


def a_receive_buffer_that_shrank_takes_nothing_beyond_its_end():
    tried = 0
    for way in _each():
        buf = bytearray(_SLOT)
        for size in (_SLOT - 1, 4, 0):
            assert way.send(pattern(_SLOT)) and way.recv(buf)[0] == _SLOT  # it is known now
            received = way.counts()[1]
            assert way.send(pattern(_SLOT, 1))
            buf[:] = bytes(_SLOT)
            buf[size:] = b""  # ... and shrinks
            assert len(buf) == size
            for _ in range(2):
                raises(ValueError, "receive buffer of %d" % size, way.recv, buf)
                way.check(1, received, 0)
                assert buf == bytes(size), way.title
            buf.extend(bytes(_SLOT - size))
            assert way.recv(buf)[0] == _SLOT and buf == pattern(_SLOT, 1), way.title
            way.check(0, received + 1, 0)
            tried += 1
    assert tried > 50


def a_receive_buffer_that_shrank_takes_what_it_has_room_for():
    for way in _each():
        buf = bytearray(2 * _SLOT)
        least = way.least or 5
        assert way.send(pattern(_SLOT)) and way.recv(buf)[0] == _SLOT
        buf[least:] = b""
        assert way.send(pattern(5, 1)) and way.recv(buf)[0] == 5, way.title
        assert len(buf) == least and buf[:5] == pattern(5, 1), way.title
        way.check(0, 2, 0)


def a_buffer_that_shrank_below_a_slot_never_takes_the_guard():
    tried = 0
    for way in _each():
        if not way.guard:
            continue
        buf = bytearray(_SLOT)
        assert way.send(pattern(_SLOT)) and way.recv(buf)[0] == _SLOT
        assert way.send(pattern(2, 1))
        for size in (_SLOT - 1, 2, 0):
            buf[size:] = b""
            taken = way.guard.taken
            text = "receive buffer of %d bytes, under recv_guard slot_size=%d" % (size, _SLOT)
            for _ in range(2):
                raises(ValueError, text, way.recv, buf)
            assert way.guard.taken == taken, way.title
            way.check(1, 1, 0)
        buf.extend(bytes(_SLOT))
        assert way.recv(buf)[0] == 2 and buf[:2] == pattern(2, 1), way.title
        tried += 1
    assert tried == 12


def a_receive_buffer_that_grew_or_moved_is_written_where_it_lies_now():
    for way in _each():
        buf = bytearray(_SLOT)
        assert way.send(pattern(_SLOT)) and way.recv(buf)[0] == _SLOT
        for turn in range(3):
            buf.extend(bytes(2000))  # it moves ...
            buf[_SLOT:] = b""  # ... and is as long as before
            gc.collect()
            others = [bytearray(_SLOT) for _ in range(20)]  # where it may have been
            assert way.send(pattern(_SLOT, turn)) and way.recv(buf)[0] == _SLOT
            assert buf == pattern(_SLOT, turn), way.title
            assert all(each == bytes(_SLOT) for each in others), way.title
        way.check(0, 4, 0)


def another_object_of_the_same_length_is_looked_at():
    for way in _each():
        buf = bytearray(_SLOT)
        assert way.send(pattern(_SLOT)) and way.recv(buf)[0] == _SLOT
        assert way.send(pattern(_SLOT, 1))
        for make in _WRONG:
            other = make(_SLOT)
            before = bytes(other)
            raises(TypeError, "", way.recv, other)
            raises(TypeError, "", way.recv, other)
            assert bytes(other) == before
            way.check(1, 1, 0)
        other = bytearray(_SLOT)
        assert way.recv(other)[0] == _SLOT
        assert other == pattern(_SLOT, 1) and buf == pattern(_SLOT), way.title
        data = bytearray(pattern(_SLOT))
        assert way.send(data) and way.recv(buf)[0] == _SLOT
        for other in ("0123456789abcdef", array("H", [0] * _SLOT), memoryview(array("i", [0]))):
            raises(TypeError, "", way.send, other)
            raises(TypeError, "", way.send, other)
            way.check(0, 3, 0)
        assert way.send(bytearray(pattern(_SLOT, 2))) and way.recv(buf)[0] == _SLOT
        assert buf == pattern(_SLOT, 2), way.title


def a_message_that_changed_is_sent_as_it_is_now():
    for way in _each():
        buf = bytearray(_SLOT)
        data = bytearray(pattern(8))
        assert way.send(data) and way.recv(buf)[0] == 8
        data[3:] = b""
        assert way.send(data) and way.recv(buf)[0] == 3, way.title
        assert buf[:8] == pattern(8), way.title  # not beyond the three
        data[:] = b""
        assert way.send(data) and way.recv(buf)[0] == 0, way.title
        data.extend(pattern(_SLOT, 3))
        gc.collect()
        others = [bytearray(pattern(_SLOT, 4)) for _ in range(20)]
        assert way.send(data) and way.recv(buf)[0] == _SLOT
        assert buf == pattern(_SLOT, 3) and len(others) == 20, way.title
        way.check(0, 4, 0)
        data.extend(b"!")
        for rejected in (1, 2):  # too large, and never cut
            assert not way.send(data), way.title
            way.check(0, 4, rejected)
        data[_SLOT:] = b""
        assert way.send(data) and way.recv(buf)[0] == _SLOT, way.title


def _word_ends():
    # (send_word of value, what recv_words belongs to, the channel, guard)
    for _, ch, end, guard in _queues():
        yield ch, end or ch, guard
    for ch in (MulticastChannel(4, 4, 4, 1), AnycastChannel(4, ROUND_ROBIN, 4, 1)):
        yield ch, ch.add_receiver(), None


def words_are_received_as_far_as_the_array_is_long_now():
    for ch, end, guard in _word_ends():
        locked = Locked(end)
        words = array("I", [0] * 4)
        assert ch.send_word(1, LOW) and locked.recv_words(words) == 1
        for value in range(4):
            assert ch.send_word(value, LOW)
        words[1:] = array("I")
        assert locked.recv_words(words) == 1 and list(words) == [0] and len(end) == 3
        words[0:] = array("I")
        assert locked.recv_words(words) == 0 and len(end) == 3
        words.extend(array("I", [9] * 4))
        gc.collect()
        others = [array("I", [7] * 4) for _ in range(20)]
        assert locked.recv_words(words) == 3 and list(words) == [1, 2, 3, 9]
        assert all(list(each) == [7] * 4 for each in others)
        assert ch.send_word(5, LOW)
        for other in (bytearray(16), array("f", [0.0] * 4), bytes(16), array("H", [0] * 4)):
            raises(TypeError, "words must be an array of 'i' or 'I'", locked.recv_words, other)
        assert len(end) == 1 and (guard is None or not guard.held)
        assert locked.recv_words(array("i", [0])) == 1


def figures_are_written_only_where_there_is_room_now():
    ch = Channel(2, 4, stats=True)
    ch.send_word(1, LOW)
    ch.recv_word()
    words = array("I", [0] * 5)
    ch.stats_into(words)
    assert words[0] == 1
    words[4:] = array("I")
    for _ in range(2):
        raises(ValueError, "", ch.stats_into, words)
    words.extend(array("I", [0] * 20))
    ch.send_word(1, LOW)
    ch.recv_word()
    ch.stats_into(words)
    assert words[0] == 2
