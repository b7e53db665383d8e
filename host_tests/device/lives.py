"""Channels of every pattern made, used, closed and dropped, as often as wanted."""

import gc
import time
from array import array

import micropython
import ringlane
from ringlane import LOW, ROUND_ROBIN

_QUEUE = 8  # entries of the scheduler's
_WARM_UP = 60  # what is imported and cached then, stays


def _queue(kind, name, stats):
    ch = kind(3, 8, senders=2, name=name, stats=stats)
    other = ch.add_sender()
    buf, words = bytearray(8), array("I", [0])
    assert ch.send(b"one", LOW) and other.send_word(2, LOW) and ch.send_word(3, LOW)
    assert ch.recv(buf)[0] == 3 and ch.recv_word() and ch.recv_words(words) == 1
    if stats:
        assert ch.stats().count == 2
    ch.close()
    assert not ch.send(bytearray(8), LOW)


def _views(name):
    ch = ringlane.Channel(2, 8, name=name, zero_copy=True)
    assert ch.claim(LOW) is not None and ch.commit(LOW, 4)
    assert ch.peek() and ch.view is not None and ch.release()
    ch.close()


def _guarded(name):
    ch = ringlane.Channel(
        2, 8, name=name, send_guard=ringlane.SoftGuard(), recv_guard=ringlane.SoftGuard()
    )
    end = ch.add_receiver()
    assert ch.send(b"one", LOW) and end.recv(bytearray(8))[0] == 3
    ch.close()


def _fanout(name, stats, policy):
    if policy is None:
        ch = ringlane.MulticastChannel(2, None, 8, 2, name=name, stats=stats)
    else:
        ch = ringlane.AnycastChannel(2, policy, 8, 2, name=name, stats=stats)
    end, other = ch.add_receiver("first"), ch.add_receiver()
    for _ in range(3):
        assert ch.send_word(1, LOW)
        for each in (end, other):
            each.recv_word()
    assert end.received + other.received >= 3
    other.close()
    ch.add_receiver()
    ch.close()


def _request_reply(name):
    ch = ringlane.RequestReplyChannel(2, 8, name=name)
    buf = bytearray(8)
    id = ch.send_request(b"ask")
    assert ch.recv_request(buf)[1] == id and ch.send_response(id, b"reply")
    assert ch.recv_response(id, buf)[0] == 5 and ch.stats().count == 1
    ch.close()


def live(count, first):
    """Make, use, close and drop so many channels: every other one has a name of its own."""
    for number in range(first, first + count):
        name = None if number % 2 else "channel %d" % number
        kind = number // 2 % 8
        stats = number % 4 < 2
        if kind == 0:
            _queue(ringlane.Channel, name, stats)
        elif kind == 1:
            _queue(ringlane.PriorityChannel, name, stats)
        elif kind == 2:
            _views(name)
        elif kind == 3:
            _guarded(name)
        elif kind == 4:
            _fanout(name, stats, None)
        elif kind < 7:
            _fanout(name, stats, ROUND_ROBIN if kind == 5 else ringlane.RANDOM)
        else:
            _request_reply(name)
        if not number % 16:
            time.sleep_ms(0)  # where the scheduler runs what close() has asked it for


def settled():
    """Return the bytes in use, after as many channels as are needed for all that stays."""
    live(_WARM_UP, 0)
    time.sleep_ms(1)
    for _ in range(3):
        gc.collect()
    return gc.mem_alloc()


def left_of_closed():
    """Return the bytes that the last closed channels have left in use, until others are closed."""
    live(_WARM_UP, 0)
    time.sleep_ms(1)
    gc.collect()
    left = gc.mem_alloc()
    for _ in range(_QUEUE):  # the scheduler's entries of those are gone
        micropython.schedule(_nothing, None)
        time.sleep_ms(1)
    gc.collect()
    return left - gc.mem_alloc()


def _nothing(_):
    pass


def weighed(count):
    """Return, by pattern, the bytes that a channel took, of so many, and what memory() says."""
    found = {}
    for kind, args in (
        (ringlane.PriorityChannel, ()),
        (ringlane.Channel, ()),
        (ringlane.MulticastChannel, ()),
        (ringlane.AnycastChannel, (ROUND_ROBIN,)),
        (ringlane.RequestReplyChannel, ()),
    ):
        kept = [kind(2, *args)]
        gc.collect()
        before = gc.mem_alloc()
        kept += [kind(2, *args) for _ in range(count)]
        gc.collect()
        found[kind.__name__] = (gc.mem_alloc() - before) // count, kind.memory(2)
    return found


def held_after_close(size):
    """Return the bytes that closed channels hold of messages of so many, dropped by all else."""
    held = 0
    for kind in (ringlane.Channel, ringlane.RequestReplyChannel):
        ch = kind(2, 8)
        data = memoryview(bytearray(size))  # of which a sender keeps what it has checked
        send = ch.send_request if kind is ringlane.RequestReplyChannel else _send_low(ch)
        ch.slot_size = size  # so that it is kept as one that fits would be
        send(data)
        del data
        gc.collect()
        before = gc.mem_alloc()
        ch.close()
        gc.collect()
        held += before - gc.mem_alloc() < size
    return held * size


def _send_low(ch):
    return lambda data: ch.send(data, LOW)


def reported():
    """Print a report of what is open after one named channel of two has been closed."""
    kept = ringlane.Channel(1, name="kept")
    gone = [
        ringlane.Channel(1, name="gone"),
        ringlane.MulticastChannel(1, name="gone too"),
        ringlane.AnycastChannel(1, ROUND_ROBIN, name="gone as well"),
        ringlane.RequestReplyChannel(1, name="gone for good"),
    ]
    for each in gone:
        each.close()
    ringlane.report()
    assert not kept.closed
