"""What MulticastChannel and AnycastChannel both promise; CPython and MicroPython run it.

Each alone: multicast_scenarios.py, anycast_scenarios.py. test_scenarios.py runs them all.
"""

from array import array

import micropython
from harness import MICROPYTHON, ROOMY, Locked, Ticks, at, objects, pattern, raises
from ringlane import (
    BULK,
    HIGH,
    LEAST_LOADED,
    LOW,
    NORMAL,
    REALTIME,
    ROUND_ROBIN,
    AnycastChannel,
    MulticastChannel,
)

_KINDS = (MulticastChannel, AnycastChannel)
_SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 20, 31, 32) if ROOMY else (0, 1, 7, 17, 32)
_TARGETS = (0, 1, 2, 3) if ROOMY else (0, 2)  # of the first receiver, the next one's is 1 on


def _make(kind, capacity, slot_size=32, max_receivers=3, senders=1, name=None, clock=None):
    rule = None if kind is MulticastChannel else ROUND_ROBIN
    return kind(capacity, rule, slot_size, max_receivers, senders, name, clock)


def _as_bytes(words):
    """The memory of an array as a bytearray of as many bytes as it has items; None on CPython."""
    if not MICROPYTHON:
        return None
    import uctypes

    return uctypes.bytearray_at(uctypes.addressof(words), len(words))


def _one_each(send, receivers, data, priority):
    """Send so that each of these receivers, all that are open, gets `data` once."""
    left = len(receivers)
    while left > 0:
        took = send(data, priority)
        assert 0 < took <= left, took
        left -= took


# Messages


def every_size_arrives_whole_at_every_alignment_at_every_receiver():
    trials = 0
    for kind in _KINDS:
        plain = _make(kind, 2)
        ch = Locked(plain)
        ends = [Locked(plain.add_receiver()) for _ in range(3 if ROOMY else 2)]
        for size in _SIZES:
            for source in range(4):
                data = pattern(size, trials)
                message = at(source, data)
                for target in _TARGETS:
                    _one_each(ch.send, ends, message, LOW)
                    for i in range(len(ends)):
                        offset = (target + i) & 3
                        room = bytearray(b"\xa5" * (offset + size + 4))
                        got = ends[i].recv(memoryview(room)[offset:])
                        assert got[0] == size and got[1] == LOW, got
                        assert bytes(room[offset : offset + size]) == data, (size, source, offset)
                        outside = bytes(room[:offset]) + bytes(room[offset + size :])
                        assert outside == b"\xa5" * (offset + 4), (size, source, offset)
                    trials += 1
    assert trials == 2 * len(_SIZES) * 4 * len(_TARGETS)


def words_keep_all_32_bits_and_are_little_endian():
    for kind in _KINDS:
        plain = _make(kind, 2, slot_size=4)
        end = plain.add_receiver()
        ch, locked = Locked(plain), Locked(end)
        for value in (0, 1, -1, (1 << 30) - 1, -(1 << 30)):
            assert ch.send_word(value, HIGH) == 1
            got = locked.recv_word()
            assert got[0] == value and got[1] == HIGH, (value, got)
        for value in ((1 << 31) - 1, -(1 << 31)):  # beyond +-2**30 reading allocates
            plain.send_word(value, HIGH)
            assert end.recv_word()[0] == value, value
        buf = bytearray(4)
        ch.send_word(0x12345678, LOW)
        assert locked.recv(buf)[0] == 4 and buf == b"\x78\x56\x34\x12"
        words = array("i", [0, 0, 0])
        ch.send_word(5, LOW)
        ch.send_word_at(6, BULK, 1)
        assert locked.recv_words(words) == 2 and list(words) == [5, 6, 0]
        ch.send(b"123", LOW)
        raises(ValueError, "message of 3 bytes is not a word", locked.recv_word)
        assert locked.skip() is True and len(end) == 0


def a_message_comes_first_in_first_out_whatever_its_class_and_carries_it():
    order = (BULK, REALTIME, LOW, NORMAL, HIGH)
    for kind in _KINDS:
        plain = _make(kind, 10, slot_size=4)
        ch = Locked(plain)
        ends = [plain.add_receiver() for _ in range(2)]
        for priority in order:
            _one_each(ch.send, ends, bytes([priority]), priority)
            for _ in range(2 if kind is AnycastChannel else 1):
                ch.send_word(priority, priority)
        buf = bytearray(4)
        for end in ends:
            got = []
            while len(end):
                size, priority, _ = Locked(end).recv(buf)
                assert buf[0] == priority
                got.append((size, priority))
            assert got == [(size, each) for each in order for size in (1, 4)], got


def slots_are_reused_in_order_for_any_capacity():
    for kind in _KINDS:
        for capacity in (1, 2, 3, 5) if ROOMY else (1, 3):
            plain = _make(kind, capacity, slot_size=5)
            end = plain.add_receiver()
            ch, locked = Locked(plain), Locked(end)
            buf = bytearray(5)
            sent = received = dropped = 0
            for step in range(6 * capacity + 7):
                for _ in range(step % (capacity + 2)):
                    if ch.send(pattern(sent % 6, sent), HIGH):
                        sent += 1
                    else:
                        dropped += 1
                for _ in range((step * 5 + 1) % (capacity + 1) + 1):
                    got = locked.recv(buf)
                    if got:
                        assert got[0] == received % 6
                        assert bytes(buf[: got[0]]) == pattern(got[0], received)
                        received += 1
                assert len(locked) == sent - received
            while locked.recv(buf):
                received += 1
            assert sent == received > 2 * capacity and dropped, (sent, received)
            assert (plain.sent, plain.received, plain.dropped) == (sent, sent, dropped)
            assert plain.high_water == capacity and plain.rejected == 0


def one_slot_size_is_the_whole_range():
    for kind in _KINDS:
        for slot_size in (1, 65535 if ROOMY else 2047):
            plain = _make(kind, 1, slot_size, 1)
            end = Locked(plain.add_receiver())
            data = pattern(slot_size)
            buf = bytearray(slot_size)
            assert Locked(plain).send(data, NORMAL) == 1
            assert end.recv(buf)[0] == slot_size and buf == data


def a_message_larger_than_a_slot_is_refused_and_never_cut():
    for kind in _KINDS:
        plain = _make(kind, 2, slot_size=3)
        end = plain.add_receiver()
        ch = Locked(plain)
        assert ch.send(b"1234", NORMAL) == 0 and ch.send_word(1, NORMAL) == 0
        assert (plain.rejected, plain.dropped, len(end)) == (2, 0, 0)
        assert ch.send(b"123", NORMAL) == 1 and len(end) == 1


# Time, and several senders


def a_message_carries_its_stamp_and_its_latency():
    for kind in _KINDS:
        ticks = Ticks()
        plain = _make(kind, 4, clock=ticks.clock)
        ch = Locked(plain)
        ends = [Locked(plain.add_receiver()) for _ in range(2)]
        buf = bytearray(32)
        ticks.now = 1000
        _one_each(ch.send, ends, b"a", NORMAL)
        for i in range(2):  # each has its own latency of the one message
            ticks.now = 1033 + i
            assert ends[i].recv(buf)[2] == 33 + i and ends[i].timestamp() == 1000
        ends[1].end.close()
        ends[1] = ends[0]
        ch.send_at(b"a", NORMAL, 990)
        ch.send_word_at(1, NORMAL, 980)
        ch.send_word(1, NORMAL)  # send_at stamps one message only
        assert ends[0].recv(buf)[2] == 44 and ends[0].timestamp() == 990
        assert ends[0].recv_word()[2] == 54 and ends[0].timestamp() == 980
        assert ends[0].recv_word()[2] == 0 and ends[0].timestamp() == 1034
        raises(TypeError, "not str", ch.send_at, "text", NORMAL, 5)
        raises(ValueError, "class must be 0 to 4, not 9", ch.send_word_at, 1, 9, 5)
        ch.send_at(bytes(33), NORMAL, 5)
        ch.send(b"a", NORMAL)  # and one that failed leaves no stamp behind
        assert ends[0].recv(buf)[2] == 0
        ticks.now = (1 << 30) - 3
        ch.send_word(1, NORMAL)
        ticks.now = 4
        assert ends[0].recv_word()[2] == 7


def several_senders_are_merged_oldest_first_for_each_receiver():
    for kind in _KINDS:
        ticks = Ticks()
        plain = _make(kind, 12, 4, 2, 3, None, ticks.clock)
        senders = [Locked(plain), Locked(plain.add_sender()), Locked(plain.add_sender())]
        ends = [Locked(plain.add_receiver()) for _ in range(2)]
        taken = [[], []]
        for step in range(12):
            ticks.now = (1 << 30) - 60 + 10 * step  # across the clock's wrap
            sender = senders[(step * 5 + step // 3) % 3]
            before = [len(end) for end in ends]
            sender.send_word(step, step % 5)
            for i in range(2):
                if len(ends[i]) > before[i]:
                    taken[i].append(step)
        for i in range(2):
            got = []
            while len(ends[i]):
                value, priority, _ = ends[i].recv_word()
                assert priority == value % 5
                got.append(value)
            assert got == taken[i] and len(got) > 2, (got, taken)
        assert len(taken[0]) + len(taken[1]) == (24 if kind is MulticastChannel else 12)
        # Of equal stamps the first sender's first; one sender's own stay in order.
        ends[1].end.close()
        for number, value in ((2, 20), (1, 10), (2, 21), (0, 0)):
            senders[number].send_word(value, LOW)
        assert [ends[0].recv_word()[0] for _ in range(4)] == [0, 10, 20, 21]
        assert ends[0].recv_word() is None


def each_sender_counts_its_own():
    for kind in _KINDS:
        plain = _make(kind, 1, 4, 2, 2)
        second = plain.add_sender()
        end = plain.add_receiver()
        assert second.send_word(1, LOW) == 1 and second.send_word(2, LOW) == 0
        assert plain.send_word(3, LOW) == 1 and second.send(b"12345", LOW) == 0
        assert (second.dropped, second.rejected, second.high_water) == (1, 1, 1)
        assert (plain.dropped, plain.rejected, plain.high_water, len(plain)) == (1, 1, 1, 2)
        assert len(end) == 2 and "sender 1 of %s" % kind.__name__ in str(second)
        raises(ValueError, "has room for senders=2, all taken", plain.add_sender)


def free_is_what_a_sender_could_queue_now_of_any_class():
    for kind in _KINDS:
        plain = _make(kind, 3, 4, 2, 2)
        second = plain.add_sender()
        plain.add_receiver()
        end = plain.add_receiver()
        total = 6 if kind is AnycastChannel else 3
        for queued in range(3):
            for priority in (None, REALTIME, BULK):
                micropython.heap_lock()
                try:
                    free, full = plain.free(priority), plain.is_full(priority)
                finally:
                    micropython.heap_unlock()
                assert free == total - queued and not full, (kind, priority, free)
            assert second.free(LOW) == second.free() == total
            plain.send_word(1, LOW)
        while plain.send_word(1, LOW):
            pass
        assert plain.free(LOW) == 0 and plain.is_full() and not second.is_full(LOW)
        assert end.skip() is True
        assert plain.free(LOW) == (1 if kind is AnycastChannel else 0)
        raises(ValueError, "class must be 0 to 4, not 5", plain.free, 5)
        raises(ValueError, "class must be 0 to 4, not -1", second.is_full, -1)


# Receivers come and go


def ids_are_reused_and_a_further_receiver_is_an_error():
    for kind in _KINDS:
        plain = _make(kind, 1, 4, 3, name="bus")
        ends = [plain.add_receiver("r%d" % i) for i in range(3)]
        text = "%s 'bus' has room for max_receivers=3, all open" % kind.__name__
        for _ in range(2):
            raises(ValueError, text, plain.add_receiver)
        assert [end.id for end in ends] == [0, 1, 2] and plain.receivers == ends
        assert [end.name for end in ends] == ["r0", "r1", "r2"]
        assert "receiver 1 'r1' of %s 'bus': 0 queued, 0 received" % kind.__name__ == str(ends[1])
        ends[1].close()
        assert [end.id for end in plain.receivers] == [0, 2] and ends[1].closed
        fresh = plain.add_receiver()
        assert fresh.id == 1 and fresh.name is None and not fresh.closed
        assert ", closed" in str(ends[1]) and ", closed" not in str(fresh)
        raises(ValueError, text, plain.add_receiver)


def max_receivers_is_1_to_255_and_5_is_no_matter_of_classes():
    for kind in _KINDS:
        for count in (1, 5, 255 if ROOMY else 9):
            plain = _make(kind, 2, 4, count)
            ends = [plain.add_receiver() for _ in range(count)]
            raises(ValueError, "max_receivers=%d" % count, plain.add_receiver)
            ch = Locked(plain)
            for priority in (BULK, REALTIME):  # both may be queued with all of them
                for number in range(count if kind is AnycastChannel else 1):
                    took = ch.send_word(number, priority)
                    assert took == (count if kind is MulticastChannel else 1)
            assert ch.send_word(0, LOW) == 0
            for end in ends:
                for priority in (BULK, REALTIME):
                    value, got, _ = Locked(end).recv_word()
                    assert got == priority
                    assert value == (end.id if kind is AnycastChannel else 0)
                assert Locked(end).recv_word() is None


def close_gives_what_is_left_unread():
    for kind in _KINDS:
        plain = _make(kind, 4, 4, 2, 2)
        second = plain.add_sender()
        end, other = plain.add_receiver(), plain.add_receiver()
        other.close()
        for value in range(3):
            plain.send_word(value, LOW)
        second.send_word(3, LOW)
        end.skip()
        assert end.close() == 3 and plain.unread == 3
        assert end.close() == 0 and plain.unread == 3  # harmless
        assert end.closed and not plain.closed and len(plain) == 0 and plain.receivers == []
        assert (plain.sent, plain.received) == (4, 1)
        assert plain.send_word(1, LOW) == 0


def a_new_receiver_of_an_id_starts_at_nothing():
    for kind in _KINDS:
        plain = _make(kind, 2, 4, 2)
        end = plain.add_receiver()
        for turn in range(5):
            for value in range(3):  # the third is one too many
                plain.send_word(10 * turn + value, LOW)
            assert end.skip() is True and end.received == (2 if turn else 1)
            assert end.close() == 1
            end = plain.add_receiver()
            assert (end.id, end.received, len(end)) == (0, 0, 0)
            assert Locked(end).recv_word() is None and Locked(end).skip() is False
            plain.send_word(turn, HIGH)
            assert Locked(end).recv_word()[0] == turn and end.received == 1
        assert plain.dropped == 5 and plain.received == 10 and plain.unread == 5


def epochs_wrap_after_255_reopenings():
    for kind in _KINDS:
        plain = _make(kind, 2, 4, 1, 2)
        second = plain.add_sender()
        end = plain.add_receiver()
        before, reopenings = (0, 520) if ROOMY else (252, 7)
        plain._epochs[0] = before  # as if that often already
        for number in range(reopenings):
            plain.send_word(-1, LOW)
            second.send_word(-2, LOW)
            assert end.close() == 2
            end = plain.add_receiver()
            assert end.recv_word() is None
            assert plain.send_word(number, HIGH) == 1
            value, priority, _ = end.recv_word()
            assert (value, priority) == (number, HIGH)
            assert end.recv_word() is None and end.received == 1
            if not number % 2:
                second.send_word(number, LOW)
                assert end.recv_word()[0] == number
        assert plain._epochs[0] == (before + reopenings - 1) % 255 + 1


def a_receiver_used_after_close_raises_for_every_verb():
    for kind in _KINDS:
        rule = None if kind is MulticastChannel else ROUND_ROBIN
        plain = kind(5, rule, 4, 3, 1, "bus", None, True)
        for with_next in (False, True):  # or the id is another's by now
            other, end = plain.add_receiver("other"), plain.add_receiver("old")
            for value in range(4):
                plain.send_word(value, LOW)
            kept = [
                end.recv,
                end.recv_word,
                end.recv_words,
                end.skip,
                end.clear,
                end.timestamp,
            ]
            arguments = [bytearray(4), None, array("i", [0, 0]), None, None, None]
            end.recv_word()
            queued = len(other)
            end.close()
            fresh = plain.add_receiver() if with_next else other
            if with_next:
                assert fresh.id == end.id
                _one_each(plain.send, [other, fresh], b"\x09\0\0\0", LOW)
                queued += 1
            end.received, len(end)  # noqa: B018  no errors
            text = "receiver %d 'old' of %s 'bus' is closed" % (end.id, kind.__name__)
            verbs = kept + [
                end.recv,
                end.recv_word,
                end.recv_words,
                end.skip,
                end.clear,
                end.timestamp,
            ]
            for i in range(len(verbs)):
                argument = arguments[i % 6]
                for _ in range(2):
                    if argument is None:
                        raises(ValueError, text, verbs[i])
                    else:
                        raises(ValueError, text, verbs[i], argument)
            assert end.recv_wait(bytearray(4), 0) is False  # there is nothing to wait for
            if kind is MulticastChannel:
                raises(ValueError, text, end.skip_to_latest)
            assert end.close() == 0
            # Under a locked heap, as in a handler: the error then holds the parts.
            raises(ValueError, "is closed", Locked(end).recv, arguments[0])
            raises(ValueError, "is closed", Locked(end).skip)
            if with_next:
                assert len(fresh) == 1 and fresh.recv_word()[0] == 9 and fresh.received == 1
                fresh.close()
            # Nothing is lost for the others.
            assert len(other) == queued
            step = 1 if kind is MulticastChannel else 2
            for value in range(0, 4, step):
                assert other.recv_word()[0] == value
            other.clear()
            other.close()


def a_closed_receiver_keeps_its_counters():
    for kind in _KINDS:
        plain = _make(kind, 2, 4, 1)
        end = plain.add_receiver()
        for value in range(3):
            plain.send_word(value, LOW)
        end.skip()
        end.close()
        fresh = plain.add_receiver()
        for value in range(4):
            plain.send_word(value, LOW)
        fresh.skip()
        fresh.skip()
        assert (end.received, len(end), fresh.received, len(fresh)) == (1, 0, 2, 0)
        if kind is MulticastChannel:
            assert (end.dropped, end.lag, fresh.dropped) == (1, 0, 2)
        else:
            assert (end.processed, end.pending, end.load_factor) == (1, 0, 0.0)


def a_closed_channel_refuses_and_its_receivers_drain():
    for kind in _KINDS:
        plain = _make(kind, 3, 8, 3, 2, "bus")
        second = Locked(plain.add_sender())
        end = plain.add_receiver()
        ch, locked = Locked(plain), Locked(end)
        ch.send_word(1, LOW)
        second.send_word(2, LOW)
        assert not plain.closed and not end.closed
        ch.close()
        ch.close()  # harmless
        assert plain.closed and end.closed
        assert ch.send_word(3, LOW) == 0 and second.send(b"x", LOW) == 0 and ch.send(b"", 1) == 0
        assert plain.rejected == 3 and plain.dropped == 0
        raises(ValueError, "%s 'bus' is closed" % kind.__name__, plain.check, b"x", LOW)
        raises(ValueError, "%s 'bus' is closed" % kind.__name__, plain.add_receiver)
        assert sorted([locked.recv_word()[0], locked.recv_word()[0]]) == [1, 2]
        buf = bytearray(8)
        assert locked.recv(buf) is None and locked.recv_word() is None
        assert end.recv_wait(buf) is False  # the wait ends
        assert ", closed" in str(plain) and end.close() == 0


def clear_and_skip_count_as_received():
    for kind in _KINDS:
        plain = _make(kind, 3, 4, 2, 2)
        second = plain.add_sender()
        end, other = plain.add_receiver(), plain.add_receiver()
        for _ in range(2):
            for value in range(3):
                plain.send_word(value, LOW)
                second.send_word(value, LOW)
            queued = len(end)
            rest = len(other)
            assert Locked(end).skip() is True and Locked(end).clear() == queued - 1 > 0
            assert end.received == queued and len(end) == 0 and end.recv_word() is None
            assert len(other) == rest > 0
            assert Locked(end).clear() == 0 and Locked(end).skip() is False
            end.close()
            end = plain.add_receiver()
            other.clear()


def a_receive_buffer_too_small_raises_and_the_message_stays_whole():
    for kind in _KINDS:
        plain = _make(kind, 2, 8)
        end = Locked(plain.add_receiver())
        plain.send(b"12345678", LOW)
        small = bytearray(b"\x11" * 7)
        raises(ValueError, "message of 8 bytes, receive buffer of 7", end.recv, small)
        for buf in (b"constant", "text", None, 5, array("H", [0] * 9)):
            raises(TypeError, "", end.recv, buf)
        raises(TypeError, "array of 'i' or 'I', not bytearray", end.recv_words, bytearray(4))
        assert small == b"\x11" * 7 and len(end) == 1 and end.end.received == 0
        buf = bytearray(8)
        assert end.recv(buf)[0] == 8 and buf == b"12345678"


def each_receiver_has_its_own_result():
    for kind in _KINDS:
        plain = _make(kind, 2)
        ends = [plain.add_receiver() for _ in range(2)]
        buf = bytearray(32)
        _one_each(plain.send, ends, b"abc", HIGH)
        _one_each(plain.send, ends, b"x", LOW)
        first = ends[0].recv(buf)
        second = ends[1].recv(buf)
        assert first is not second and first[:2] == second[:2] == [3, HIGH]
        assert ends[1].recv(buf) is second
        assert second[:2] == [1, LOW] and first[:2] == [3, HIGH]


# Bad input


def a_message_that_is_not_bytes_is_a_type_error():
    for kind in _KINDS:
        plain = _make(kind, 2)
        end = plain.add_receiver()
        ch = Locked(plain)
        ch.send(b"kept", NORMAL)
        trials = 0
        for data in ("text", array("H", [1, 2]), array("f", [1.0]), 5, None, [1], {}):
            for _ in range(2):
                raises(TypeError, "", ch.send, data, NORMAL)
                raises(TypeError, "", ch.send_at, data, NORMAL, 1)
                raises(TypeError, type(data).__name__, plain.check, data, NORMAL)
                trials += 1
        assert trials == 14 and plain.rejected == 0 and plain.dropped == 0 and len(plain) == 1
        raises(TypeError, "or array, not str", ch.send, "text", NORMAL)
        raises(TypeError, "items must be bytes, not those of array", ch.send, array("H", [1]), 1)
        for value in ("1", None, b"1"):
            raises(TypeError, type(value).__name__, ch.send_word, value, LOW)
        buf = bytearray(32)
        assert end.recv(buf)[0] == 4 and buf[:4] == b"kept" and len(end) == 0


def a_class_out_of_range_names_itself():
    for kind in _KINDS:
        plain = _make(kind, 2)
        end = plain.add_receiver()
        ch = Locked(plain)
        for priority in (-1, 5, 255):
            text = "%s: class must be 0 to 4, not %d" % (plain._title(), priority)
            raises(ValueError, text, ch.send, b"x", priority)
            raises(ValueError, text, ch.send_word, 1, priority)
            raises(ValueError, text, ch.send_at, b"x", priority, 1)
            raises(ValueError, text, plain.check, b"x", priority)
        raises(TypeError, "str", ch.send, b"x", "HIGH")
        raises(TypeError, "class must be an int, not None", plain.check, b"x", None)
        assert plain.dropped == 0 and plain.rejected == 0 and len(end) == 0
        assert plain.check(bytes(32), LOW) is None
        raises(
            ValueError,
            "message of 33 bytes is larger than a slot of 32",
            plain.check,
            bytes(33),
            LOW,
        )


def _makers(kind):
    # The constructor, and memory(), which takes no rule.
    return (lambda capacity, *rest: kind(capacity, 1, *rest)), kind.memory


def constructors_name_the_bad_value():
    for kind in _KINDS:
        for make in _makers(kind):
            raises(ValueError, "capacity must be 1 to 65535, not 0", make, 0)
            raises(ValueError, "capacity must be 1 to 65535, not 65536", make, 65536)
            raises(TypeError, "capacity must be an int, not None", make, None)
            raises(TypeError, "capacity must be an int, not True", make, True)
            raises(TypeError, "capacity must be an int, not (1, 2)", make, (1, 2))
            raises(ValueError, "slot_size must be 1 to 65535, not 0", make, 4, 0)
            raises(ValueError, "slot_size must be 1 to 65535, not 70000", make, 4, 70000)
            raises(TypeError, "slot_size must be an int, not '8'", make, 4, "8")
            raises(ValueError, "max_receivers must be 1 to 255, not 0", make, 4, 32, 0)
            raises(ValueError, "max_receivers must be 1 to 255, not 256", make, 4, 32, 256)
            raises(TypeError, "max_receivers must be an int, not None", make, 4, 32, None)
            raises(ValueError, "senders must be 1 to 255, not 0", make, 4, 32, 4, 0)
            raises(ValueError, "senders must be 1 to 255, not 256", make, 4, 32, 4, 256)
            raises(TypeError, "senders must be an int, not 'x'", make, 4, 32, 4, "x")
        raises(TypeError, "name must be a str, not 7", kind, 4, 1, 32, 4, 1, 7)
        raises(TypeError, "clock must be a Clock, not 8", kind, 4, 1, 32, 4, 1, None, 8)
        plain = _make(kind, 2)
        raises(TypeError, "name must be a str, not 7", plain.add_receiver, 7)
        assert plain.receivers == [] and plain.add_receiver("ok").id == 0


# State


def memory_is_what_the_block_and_the_objects_take():
    for kind in _KINDS:
        for capacity, slot_size, receivers, senders in (
            (3, 5, 2, 1),
            (8, 32, 4, 1),
            (1, 1, 1, 3),
            (2, 7, 5, 2),
        ):
            plain = _make(kind, capacity, slot_size, receivers, senders)
            took = kind.memory(capacity, slot_size, receivers, senders)
            assert len(plain._block) + objects(kind) == took
            more = kind.memory(capacity + 1, slot_size, receivers, senders)
            assert more - took == receivers * senders * (8 + (slot_size + 3 & ~3))
        assert kind.memory(8) == kind.memory(8, 32, 4, 1)
        if MICROPYTHON:  # CPython has as much as the host
            text = "needs %d bytes, " % kind.memory(60000, 60000)
            raises(MemoryError, text, kind, 60000, 1, 60000)


def printing_a_channel_gives_one_readable_line():
    for kind in _KINDS:
        plain = _make(kind, 1, name="bus")
        plain.add_receiver()
        plain.send_word(1, LOW)
        plain.send_word(2, LOW)
        text = "%s 'bus': 1 queued, 1 sent, 0 received, 1 dropped, 0 rejected" % kind.__name__
        assert str(plain) == text, str(plain)
        assert bool(plain) and bool(plain.add_receiver())


def a_verb_taken_as_a_value_allocates_nothing():
    for kind in _KINDS:
        plain = _make(kind, 1)
        end = plain.add_receiver()
        micropython.heap_lock()
        try:
            send = plain.send
            recv_word = end.recv_word
            count = len(end)
        finally:
            micropython.heap_unlock()
        assert send(b"1234", LOW) == 1 and recv_word()[1] == LOW and count == 0


def each_receiver_has_its_own_statistics():
    for kind in _KINDS:
        ticks = Ticks()
        rule = None if kind is MulticastChannel else LEAST_LOADED
        plain = kind(4, rule, 4, 2, 1, None, ticks.clock, True)
        ends = [plain.add_receiver(), plain.add_receiver()]
        _one_each(plain.send, ends, b"1234", LOW)
        for i in range(2):
            ticks.now = 10 + i
            Locked(ends[i]).recv_word()
            assert ends[i].stats()[:2] == (1, 10 + i), ends[i].stats()
        raises(ValueError, "was made without stats=True", _make(kind, 1).add_receiver().stats)


def a_new_receiver_takes_nothing_for_known():
    for kind in _KINDS:
        ch = _make(kind, 2, 8, 1)
        halves, words = array("H", [1, 2, 3]), array("i", [0])
        bytes_of_halves, bytes_of_words = _as_bytes(halves), _as_bytes(words)
        buf = bytearray(8) if bytes_of_halves is None else bytes_of_halves
        first = ch.add_receiver()
        assert ch.send_word(5, NORMAL) and first.recv_words(words) == 1
        assert ch.send(b"abc", NORMAL) and first.recv(buf)[0] == 3
        first.close()
        second = ch.add_receiver()
        if MICROPYTHON:
            # The same memory and length as other kinds.
            raises(TypeError, "message items must be", second.recv, halves)
            raises(TypeError, "array of 'i' or 'I'", second.recv_words, bytes_of_words)
        assert ch.send(b"xyz", NORMAL)
        assert list(second.recv(buf))[:2] == [3, NORMAL] and bytes(buf[:3]) == b"xyz"


def free_is_of_the_lanes_as_they_are_after_receivers_have_changed():
    for kind in _KINDS:
        ch = _make(kind, 4, 8, 1)
        assert ch.slot_size == 8
        for _ in range(3):
            end = ch.add_receiver()
            ch.send_word(1, NORMAL)
            assert ch.free() == ch.free(NORMAL) == 3 and not ch.is_full()
            end.close()
    ch = MulticastChannel(4, 2, max_receivers=3)
    assert ch.slot_size == 32 == AnycastChannel(4, ROUND_ROBIN).slot_size
    assert ch.free() == 4  # nobody would miss a message
    ch.add_receiver()
    assert ch.free() == 2


def a_place_whose_receiver_has_closed_misses_nothing():
    ch = MulticastChannel(2, None, 8, 2, 1)
    gone, end = ch.add_receiver(), ch.add_receiver()
    assert "receiver 0 of MulticastChannel" in str(gone) and "None" not in str(gone)
    assert ch.send_word(1, NORMAL) == 2 == ch.send_word(2, NORMAL)
    gone.close()
    assert end.clear() == 2
    assert ch.send_word(3, NORMAL) == 1 == ch.send(b"x", NORMAL)
    assert (ch.dropped, ch.unread) == (0, 2)
    # What was queued for it is not its successor's.
    again = ch.add_receiver()
    assert len(again) == 0 and (ch.dropped, ch.unread) == (0, 2)
    again.close()
    assert ch.send_word(4, NORMAL) == 0 == ch.send(b"x", NORMAL)  # the other misses them
    assert end.clear() == 2
    assert ch.send_word(5, NORMAL) == 1 == ch.send(b"x", NORMAL)
    assert (ch.dropped, ch.unread) == (2, 2)


def a_word_that_is_none_leaves_no_stamp_behind():
    for kind in _KINDS:
        ticks = Ticks()
        ch = _make(kind, 2, 8, 1, clock=ticks.clock)
        end = ch.add_receiver()
        ticks.now = 70
        raises(TypeError, "str", ch.send_word_at, "text", NORMAL, 5)
        ch.send_word(1, NORMAL)
        assert end.recv_word()[2] == 0


def another_kind_at_the_address_of_a_known_message_is_looked_at():
    if not MICROPYTHON:
        return
    import uctypes

    for kind in _KINDS:
        ch = _make(kind, 4, 8, 1)
        ch.add_receiver()
        halves = array("H", [1, 2, 3])
        assert ch.send(uctypes.bytearray_at(uctypes.addressof(halves), 6), NORMAL)
        raises(TypeError, "message items must be", ch.send, halves, NORMAL)


def a_receiver_for_which_there_is_no_memory_takes_no_row():
    if not MICROPYTHON:
        return  # CPython cannot lock its heap
    for kind in _KINDS:
        plain = _make(kind, 4, 4, 1, 1)
        plain.add_receiver().close()
        micropython.heap_lock()
        failed = False
        try:
            plain.add_receiver()
        except MemoryError:
            failed = True
        micropython.heap_unlock()
        assert failed and plain.receivers == []
        end = plain.add_receiver()
        assert end.id == 0 and plain.send_word(1, LOW) == 1 and end.recv_word()[0] == 1
