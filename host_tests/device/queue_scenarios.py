"""What PriorityChannel and Channel promise, as functions that CPython and MicroPython both run.

test_scenarios.py runs them all, on each kind of machine.
"""

from array import array

import micropython
import ringlane
from harness import MICROPYTHON, ROOMY, Locked, Ticks, at, objects, pattern, raises
from ringlane import BULK, HIGH, LOW, NORMAL, REALTIME, Channel, PriorityChannel
from ringlane.port import address
from ringlane.words import load

KINDS = (PriorityChannel, Channel)
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 20, 31, 32)


# Messages


def every_size_arrives_whole_at_every_alignment():
    trials = 0
    for kind in KINDS:
        ch = Locked(kind(3, slot_size=32))
        for size in SIZES:
            for source in range(4):
                for target in range(4):
                    data = pattern(size, trials)
                    assert ch.send(at(source, data), NORMAL) is True
                    room = bytearray(b"\xa5" * (target + size + 4))
                    got = ch.recv(memoryview(room)[target:])
                    assert got[0] == size and got[1] == NORMAL, got
                    assert bytes(room[target : target + size]) == data, (size, source, target)
                    outside = bytes(room[:target]) + bytes(room[target + size :])
                    assert outside == b"\xa5" * (target + 4), (size, source, target)
                    trials += 1
    assert trials == 2 * len(SIZES) * 16


def every_kind_of_bytes_is_a_message():
    ch = Locked(PriorityChannel(2))
    buf = bytearray(32)
    for data in (
        b"abcdef",
        bytearray(b"abcdef"),
        memoryview(b"abcdef"),
        memoryview(bytearray(b"xabcdefx"))[1:7],
        array("B", b"abcdef"),
        array("b", b"abcdef"),
        memoryview(array("B", b"abcdef")),
    ):
        for _ in range(2):  # checked, then known
            assert ch.send(data, LOW) is True, data
            assert ch.recv(buf)[0] == 6
            assert buf[:6] == b"abcdef", data
    for room in (array("B", bytes(6)), memoryview(bytearray(6)), bytearray(6)):
        for _ in range(2):
            assert ch.send(b"abcdef", LOW) is True
            assert ch.recv(room)[0] == 6
            assert bytes(room) == b"abcdef", room


def slots_are_reused_in_order_for_any_capacity():
    for kind in KINDS:
        for capacity in (1, 2, 3, 5, 8) if ROOMY else (1, 3):
            ch = Locked(kind(capacity, slot_size=5))
            buf = bytearray(5)
            sent = received = 0
            for step in range(6 * capacity + 7):
                for _ in range(step % (capacity + 2)):
                    if ch.send(pattern(sent % 6, sent), HIGH):
                        sent += 1
                for _ in range((step * 5 + 1) % (capacity + 1) + 1):
                    got = ch.recv(buf)
                    if got:
                        assert got[0] == received % 6 and got[1] == HIGH
                        assert bytes(buf[: got[0]]) == pattern(got[0], received)
                        received += 1
                assert len(ch) == sent - received
            while ch.recv(buf):
                received += 1
            assert sent == received > 2 * capacity, (sent, received)


def an_empty_channel_gives_none():
    for kind in KINDS:
        ch = Locked(kind(2))
        buf = bytearray(32)
        assert ch.recv(buf) is None and ch.recv_word() is None
        assert ch.recv_words(array("i", [0])) == 0
        assert ch.skip() is False and ch.clear() == 0 and len(ch) == 0
        assert kind(2) and not len(kind(2))


def a_full_lane_drops_the_new_message_and_counts_it():
    for kind in KINDS:
        plain = kind(3, slot_size=4)
        ch = Locked(plain)
        for i in range(3):
            assert ch.free(LOW) == 3 - i and not ch.is_full(LOW)
            assert ch.send_word(i, LOW) is True
        assert ch.free(LOW) == 0 and ch.is_full(LOW)
        assert ch.send_word(3, LOW) is False and ch.send(b"four", LOW) is False
        assert plain.dropped == 2 and plain.rejected == 0
        assert [ch.recv_word()[0] for _ in range(3)] == [0, 1, 2]
        assert ch.recv_word() is None
        assert ch.send_word(9, LOW) is True and ch.recv_word()[0] == 9
        assert (plain.sent, plain.received, plain.high_water) == (4, 4, 3)


def a_message_larger_than_a_slot_is_refused_and_never_cut():
    for kind in KINDS:
        plain = kind(2, slot_size=5)
        ch = Locked(plain)
        assert ch.send(b"12345", NORMAL) is True
        assert ch.send(b"123456", NORMAL) is False
        assert ch.send(bytes(70), NORMAL) is False
        assert plain.rejected == 2 and plain.dropped == 0 and len(ch) == 1
        buf = bytearray(5)
        assert ch.recv(buf)[0] == 5 and buf == b"12345"
        narrow = Locked(kind(2, slot_size=3))
        assert narrow.send_word(1, NORMAL) is False and narrow.end.rejected == 1


def one_slot_size_is_the_whole_range():
    for slot_size in (1, 65535 if ROOMY else 4095):
        ch = Locked(Channel(1, slot_size=slot_size))
        data = pattern(slot_size)
        buf = bytearray(slot_size)
        assert ch.send(data, NORMAL) is True
        assert ch.recv(buf)[0] == slot_size and buf == data


# Words


def words_keep_all_32_bits_and_their_sign():
    values = (0, 1, -1, 1 << 29, (1 << 30) - 1, -(1 << 30))
    for kind in KINDS:
        ch = Locked(kind(3, slot_size=4))
        for value in values:
            assert ch.send_word(value, HIGH) is True
            got = ch.recv_word()
            assert got[0] == value and got[1] == HIGH, (value, got)
        plain = ch.end  # beyond +-2**30 reading allocates
        for value in (1 << 30, (1 << 31) - 1, -(1 << 31), -(1 << 30) - 1):
            plain.send_word(value, HIGH)
            assert plain.recv_word()[0] == value, value
        plain.send_word(0xFFFFFFFF, HIGH)
        assert plain.recv_word()[0] == -1


def a_word_is_four_little_endian_bytes():
    ch = Locked(PriorityChannel(2, slot_size=4))
    buf = bytearray(6)
    ch.send_word(0x12345678, LOW)
    assert ch.recv(buf)[0] == 4 and buf == b"\x78\x56\x34\x12\x00\x00"
    ch.send(b"\xff\xff\xff\xff", LOW)
    assert ch.recv_word()[0] == -1


def recv_after_recv_word_gives_its_own_size_and_class():
    ch = Locked(PriorityChannel(4, slot_size=8))
    buf = bytearray(8)
    for _ in range(2):
        ch.send(b"12345678", HIGH)
        ch.send_word(77, NORMAL)
        ch.send(b"12345678", HIGH)
        assert list(ch.recv(buf))[:2] == [8, HIGH]
        assert list(ch.recv(buf))[:2] == [8, HIGH]
        assert list(ch.recv_word())[:2] == [77, NORMAL]
        ch.send(b"12345678", HIGH)
        assert list(ch.recv(buf))[:2] == [8, HIGH]


def recv_word_leaves_a_message_that_is_no_word():
    for kind in KINDS:
        ch = Locked(kind(2, slot_size=8))
        ch.send(b"12345", LOW)
        raises(ValueError, "message of 5 bytes is not a word", ch.recv_word)
        raises(ValueError, "message of 5 bytes", ch.recv_words, array("i", [0, 0]))
        buf = bytearray(8)
        assert len(ch) == 1 and ch.recv(buf)[0] == 5 and buf[:5] == b"12345"


def a_message_of_256_bytes_more_is_no_word():
    ch = Channel(1, slot_size=260)
    assert ch.send(bytes(260), NORMAL) is True
    raises(ValueError, "message of 260 bytes is not a word", ch.recv_word)
    raises(ValueError, "message of 260 bytes", ch.recv_words, array("i", [0, 0]))
    assert len(ch) == 1 and ch.skip()


def a_word_that_finds_no_memory_stays_queued():
    # On a chip an int of more than 30 bits takes memory; its result is made before the slot is
    # given back.
    ticks = Ticks()
    ch = Channel(2, clock=ticks.clock)
    ticks.now = 5
    ch.send_word(1, NORMAL)
    ch.recv_word()
    ticks.now = 9
    ch.send_word(0x7FFFFFFF, NORMAL)
    m = None
    micropython.heap_lock()
    try:
        m = ch.recv_word()
    except MemoryError:
        pass
    finally:
        micropython.heap_unlock()
    if m is None:
        assert len(ch) == 1 and ch.received == 1 and ch.timestamp() == 5
        m = ch.recv_word()
    assert m[0] == 0x7FFFFFFF and ch.timestamp() == 9 and not len(ch)


def recv_words_drains_in_the_order_of_recv():
    ch = Locked(PriorityChannel(4, slot_size=8))
    for value, priority in ((5, BULK), (1, REALTIME), (-3, LOW), (2, REALTIME)):
        ch.send_word(value, priority)
    words = array("i", [0] * 3)
    assert ch.recv_words(words) == 3 and list(words) == [1, 2, -3]
    assert ch.recv_words(words) == 1 and list(words) == [5, 2, -3]
    assert ch.recv_words(words) == 0
    ch.send_word_at(7, HIGH, 77)
    ch.send(b"no", HIGH)
    ch.send_word(8, HIGH)
    assert ch.recv_words(words) == 1 and words[0] == 7 and ch.timestamp() == 77
    raises(ValueError, "message of 2 bytes", ch.recv_words, words)
    assert ch.skip() is True and ch.recv_words(words) == 1 and words[0] == 8
    unsigned = array("I", [0])
    ch.send_word(-1, HIGH)
    assert ch.recv_words(unsigned) == 1 and unsigned[0] == 0xFFFFFFFF
    assert ch.end.received == 8 and ch.end.sent == 8
    ch.send_word(1, HIGH)
    assert ch.recv_words(array("i")) == 0 and len(ch) == 1


# Order


def the_most_urgent_class_comes_first():
    ch = Locked(PriorityChannel(2))
    for value in (0, 1):
        for priority in (LOW, BULK, REALTIME, NORMAL, HIGH):
            assert ch.send_word(10 * priority + value, priority) is True
    got = [ch.recv_word()[0] for _ in range(10)]
    assert got == [0, 1, 10, 11, 20, 21, 30, 31, 40, 41], got
    assert (REALTIME, HIGH, NORMAL, LOW, BULK) == (0, 1, 2, 3, 4)
    assert ringlane.PriorityClass.BULK == 4 and ringlane.PriorityClass.REALTIME == 0


def a_full_class_drops_only_its_own():
    ch = Locked(PriorityChannel((1, 2, 3, 4, 5)))
    for priority in range(5):
        for value in range(7):
            assert ch.send_word(value, priority) is (value <= priority)
    for priority in range(5):
        counters = ch.end.counters(priority)
        assert counters == (priority + 1, priority + 1, 0, 6 - priority, 0, priority + 1)
    assert ch.end.counters() == (15, 15, 0, 20, 0, 5)


def a_channel_is_first_in_first_out_whatever_the_class():
    ch = Locked(Channel(5))
    order = (BULK, REALTIME, LOW, NORMAL, HIGH)
    for priority in order:
        ch.send_word(priority, priority)
    assert tuple(ch.recv_word()[1] for _ in range(5)) == order


def the_classes_have_their_names_and_numbers():
    names = ("REALTIME", "HIGH", "NORMAL", "LOW", "BULK")
    for number in range(5):
        assert getattr(ringlane, names[number]) == number
        assert getattr(ringlane.PriorityClass, names[number]) == number


def a_class_of_capacity_0_is_an_error_that_names_it():
    plain = PriorityChannel((0, 4, 0, 0, 1), name="motor")
    ch = Locked(plain)
    for priority, name in ((REALTIME, "REALTIME"), (NORMAL, "NORMAL"), (LOW, "LOW")):
        text = "motor: class %s has capacity 0" % name
        raises(ValueError, text, ch.send, b"x", priority)
        raises(ValueError, text, ch.send_word, 1, priority)
        raises(ValueError, text, plain.check, b"x", priority)
        raises(ValueError, text, plain.free, priority)
    assert ch.send_word(1, BULK) and ch.send_word(2, HIGH)
    assert ch.recv_word()[1] == HIGH and ch.recv_word()[1] == BULK
    assert plain.dropped == 0 and plain.free() == 1 and plain.free(HIGH) == 4
    plain.close()


def several_senders_are_merged_oldest_first():
    for kind in KINDS:
        ticks = Ticks()
        plain = kind(4, senders=3, clock=ticks.clock)
        ends = [Locked(plain), Locked(plain.add_sender()), Locked(plain.add_sender())]
        ch = ends[0]
        expected = []
        for step in range(12):
            ticks.now = 100 + 10 * step
            assert ends[(step * 5 + step // 3) % 3].send_word(step, NORMAL) is True
            expected.append(step)
        got = [ch.recv_word()[0] for _ in range(12)]
        assert got == expected, got
        assert ch.recv_word() is None
        # Of equal stamps the first sender's first; one sender's own stay in order.
        ends[2].send_word(20, NORMAL)
        ends[1].send_word(10, NORMAL)
        ends[2].send_word(21, NORMAL)
        ch.send_word(0, NORMAL)
        assert [ch.recv_word()[0] for _ in range(4)] == [0, 10, 20, 21]
        # Across the clock's wrap, by recv and by recv_words too.
        words = array("i", [0] * 3)
        buf = bytearray(32)
        for take in ("recv", "recv_words"):
            ends[1].send_word_at(2, NORMAL, 5)
            ends[2].send_word_at(1, NORMAL, (1 << 30) - 5)
            ch.send_word_at(3, NORMAL, 6)
            if take == "recv":
                assert [ch.recv(buf) and buf[0] for _ in range(3)] == [1, 2, 3]
            else:
                assert ch.recv_words(words) == 3 and list(words) == [1, 2, 3]


def a_message_up_to_half_a_period_older_comes_first():
    ticks = Ticks(1 << 16)
    ch = Channel(2, senders=2, clock=ticks.clock)
    second = ch.add_sender()
    for start in (0, 0x5000, 0xE000):  # the last one's is across the wrap
        ticks.now = start
        second.send_word(1, LOW)
        ticks.now = (start + 0x7000) & 0xFFFF
        ch.send_word(2, LOW)
        assert ch.recv_word()[0] == 1 and ch.recv_word()[0] == 2, start


def an_urgent_class_of_a_late_sender_comes_before_an_old_message():
    ticks = Ticks()
    plain = PriorityChannel(2, senders=2, clock=ticks.clock)
    second = plain.add_sender()
    plain.send_word(1, LOW)
    ticks.now = 50
    second.send_word(2, HIGH)
    assert plain.skip() is True
    assert plain.recv_word()[0] == 1


def the_oldest_of_several_senders_is_first_in_seven_eighths_of_a_period():
    period = 1 << 10
    ticks = Ticks(period)
    for first in (0, period // 2, period - 5):  # where the clock wraps in between, and not
        for age in (1, period // 2 - 1, period // 2, period * 7 // 8 - 3):
            plain = Channel(2, senders=2, clock=ticks.clock)
            ends = [Locked(plain), Locked(plain.add_sender())]
            for old in (0, 1):
                ticks.now = first
                assert ends[old].send_word(1, LOW)
                ticks.now = (first + age) & period - 1
                assert ends[1 - old].send_word(2, LOW)
                ticks.now = (first + age + 1) & period - 1
                value, _, latency = ends[0].recv_word()
                assert (value, latency) == (1, age + 1), (first, age, old)
                value, _, latency = ends[0].recv_word()
                assert (value, latency) == (2, 1)
                assert ends[old].send_word_at(2, LOW, (ticks.now + period // 8 - 1) & period - 1)
                assert ends[1 - old].send_word(1, LOW)
                assert ends[0].recv_word()[0] == 1 and ends[0].recv_word()[0] == 2


def each_sender_counts_its_own():
    plain = PriorityChannel(1, slot_size=4, senders=2)
    first, second = plain, plain.add_sender()
    assert second.send_word(1, LOW) and not second.send_word(2, LOW)
    assert first.send_word(3, LOW) and not second.send(b"12345", LOW)
    assert (second.dropped, second.rejected, second.high_water) == (1, 1, 1)
    assert (plain.dropped, plain.rejected, plain.high_water, len(plain)) == (1, 1, 1, 2)
    assert second.free(LOW) == 0 and second.is_full(LOW) and second.free(HIGH) == 1
    assert second.free() == 0 and second.is_full() and not second.is_full(HIGH)
    assert "sender 1 of PriorityChannel" in str(second)
    # What the second alone was rejected, and the most that its lanes have held.
    plain = PriorityChannel(3, slot_size=4, senders=2)
    second = plain.add_sender()
    assert not second.send(b"12345", LOW) and not second.send(b"12345", HIGH)
    for _ in range(3):
        second.send_word(1, HIGH)
    plain.send_word(1, HIGH)
    assert not plain.send(b"12345", LOW)
    assert (second.rejected, second.high_water, second.dropped) == (2, 3, 0)
    assert (plain.rejected, plain.high_water) == (3, 3)
    assert plain.free(HIGH) == 2 and second.free(HIGH) == 0


def counters_are_of_a_class_or_of_all():
    ch = PriorityChannel((3, 1, 2, 0, 1), slot_size=4, senders=2)
    second = ch.add_sender()
    for _ in range(2):
        ch.send_word(1, HIGH)  # the second one is dropped
    for _ in range(2):
        second.send_word(2, REALTIME)
    second.send(b"12345", NORMAL)
    second.send_word(3, NORMAL)
    assert ch.recv_word()[0] == 2
    assert ch.counters(REALTIME) == (1, 2, 1, 0, 0, 2)
    assert ch.counters(HIGH) == (1, 1, 0, 1, 0, 1)
    assert ch.counters(NORMAL) == (1, 1, 0, 0, 1, 1)
    assert ch.counters(BULK) == (0, 0, 0, 0, 0, 0)
    assert ch.counters() == ch.counters(None) == (3, 4, 1, 1, 1, 2)
    for priority in (-1, 5):
        text = "PriorityChannel: class must be 0 to 4, not %d" % priority
        raises(ValueError, text, ch.counters, priority)
    plain = Channel(2)
    raises(ValueError, "Channel does not count by class", plain.counters, HIGH)
    plain.send_word(1, HIGH)
    assert plain.counters() == (1, 1, 0, 0, 0, 1)


# Time


def a_message_carries_its_stamp_and_its_latency():
    for kind in KINDS:
        ticks = Ticks()
        ch = Locked(kind(2, clock=ticks.clock))
        buf = bytearray(32)
        ticks.now = 1000
        ch.send(b"a", NORMAL)
        ticks.now = 1033
        assert ch.recv(buf)[2] == 33 and ch.timestamp() == 1000
        ch.send_word(1, NORMAL)
        ticks.now = 1040
        assert ch.recv_word()[2] == 7 and ch.timestamp() == 1033
        ch.send_at(b"a", NORMAL, 990)
        ch.send_word_at(1, NORMAL, 980)
        assert ch.recv(buf)[2] == 50 and ch.timestamp() == 990
        assert ch.recv_word()[2] == 60 and ch.timestamp() == 980
        ch.send_word(1, NORMAL)  # send_at stamps one message only
        ch.send(b"a", NORMAL)
        assert ch.recv(buf)[2] == 0 and ch.timestamp() == 1040
        assert ch.recv(buf)[2] == 0 and ch.timestamp() == 1040


def latency_is_right_across_the_wrap_of_the_clock():
    for period in (1 << 30, 1 << 24, 1 << 10):
        ticks = Ticks(period)
        ch = Locked(PriorityChannel(2, clock=ticks.clock))
        ticks.now = period - 3
        ch.send_word(1, LOW)
        ticks.now = 4
        assert ch.recv_word()[2] == 7, period
        assert ch.timestamp() == period - 3
        # A 32-bit register counts on where the period wraps.
        ch.send_word_at(1, LOW, -3)
        assert ch.recv_word()[2] == 7 and ch.timestamp() == period - 3


def a_failed_send_at_leaves_no_stamp_behind():
    ticks = Ticks()
    ch = Locked(PriorityChannel((1, 0, 0, 0, 0), slot_size=4, clock=ticks.clock))
    ticks.now = 70
    raises(TypeError, "not str", ch.send_at, "text", REALTIME, 5)
    raises(TypeError, "str", ch.send_word_at, "text", REALTIME, 5)
    ch.send_word(1, REALTIME)
    assert ch.recv_word()[2] == 0  # stamped 70, as it comes
    raises(ValueError, "class must be 0 to 4, not 9", ch.send_word_at, 1, 9, 5)
    raises(ValueError, "class HIGH has capacity 0", ch.send_at, b"x", 1, 5)
    assert ch.send_at(b"12345", REALTIME, 5) is False
    ch.send_word(1, REALTIME)
    assert ch.send_word_at(1, REALTIME, 5) is False
    ticks.now = 75
    assert ch.recv_word()[2] == 5
    ch.send_word(1, REALTIME)
    assert ch.recv_word()[2] == 0


# Receiving side


def skip_and_clear_count_as_received():
    for kind in KINDS:
        plain = kind(3, senders=2)
        ch = Locked(plain)
        second = plain.add_sender()
        for value in range(3):
            ch.send_word(value, NORMAL)
            second.send_word(value, NORMAL)
        assert ch.skip() is True and len(ch) == 5 and plain.received == 1
        assert ch.clear() == 5 and len(ch) == 0 and plain.received == 6
        assert ch.recv_word() is None and ch.send_word(5, NORMAL) and ch.recv_word()[0] == 5


def a_receive_buffer_too_small_raises_and_the_message_stays_whole():
    for kind in KINDS:
        ch = Locked(kind(2, slot_size=8))
        ch.send(b"12345678", LOW)
        ch.send(b"next", LOW)
        small = bytearray(b"\x11" * 7)
        for _ in range(2):
            raises(ValueError, "message of 8 bytes, receive buffer of 7", ch.recv, small)
        assert small == b"\x11" * 7 and len(ch) == 2 and ch.end.received == 0
        buf = bytearray(8)
        assert ch.recv(buf)[0] == 8 and buf == b"12345678"
        assert ch.recv(buf)[0] == 4 and buf[:4] == b"next"


def the_result_is_the_receivers_own_and_reused():
    ch = PriorityChannel(2)
    buf = bytearray(32)
    ch.send(b"a", HIGH)
    ch.send(b"bc", LOW)
    first = ch.recv(buf)
    kept = tuple(first)
    second = ch.recv(buf)
    assert first is second and kept[:2] == (1, HIGH) and tuple(second)[:2] == (2, LOW)
    other = PriorityChannel(2)
    other.send(b"xyz", BULK)
    assert other.recv(buf) is not second and second[0] == 2


def a_closed_channel_drains_and_refuses():
    for kind in KINDS:
        plain = kind(3, senders=2)
        ch = Locked(plain)
        second = Locked(plain.add_sender())
        ch.send_word(1, LOW)
        second.send_word(2, LOW)
        assert plain.closed is False
        ch.close()
        assert plain.closed is True
        assert ch.send_word(3, LOW) is False and second.send(b"x", LOW) is False
        assert ch.send(b"", LOW) is False and plain.rejected == 3
        raises(ValueError, "is closed", plain.check, b"x", LOW)
        ch.close()  # harmless
        assert ch.recv_word()[0] == 1 and ch.recv_word()[0] == 2
        assert ch.recv_word() is None and ch.recv(bytearray(4)) is None
        assert ", closed" in str(plain) and plain.rejected == 3


# Bad input


def _not_bytes():
    return ("text", array("H", [1, 2]), array("i", [1]), array("f", [1.0]), 5, None, [1], (1,), {})


def a_message_that_is_not_bytes_is_a_type_error():
    for kind in KINDS:
        plain = kind(2)
        ch = Locked(plain)
        ch.send(b"kept", NORMAL)
        trials = 0
        for data in _not_bytes():
            for _ in range(2):
                raises(TypeError, "", ch.send, data, NORMAL)
                raises(TypeError, "", ch.send_at, data, NORMAL, 1)
                raises(TypeError, type(data).__name__, plain.check, data, NORMAL)
                trials += 1
        assert trials == 18 and plain.rejected == 0 and plain.dropped == 0 and len(ch) == 1
        raises(TypeError, "or array, not str", ch.send, "text", NORMAL)
        raises(TypeError, "items must be bytes, not those of array", ch.send, array("H", [1]), 1)
        raises(TypeError, "int", ch.send, 5, NORMAL)
        raises(TypeError, "None", ch.send, None, NORMAL)
        buf = bytearray(32)
        assert ch.recv(buf)[0] == 4 and buf[:4] == b"kept"


def a_word_that_is_no_int_is_a_type_error():
    ch = Locked(PriorityChannel(2))
    for value in ("1", None, b"1", [1]):
        raises(TypeError, type(value).__name__, ch.send_word, value, LOW)
        raises(TypeError, type(value).__name__, ch.send_word_at, value, LOW, 1)
    raises(TypeError, "NoneType", ch.send_word_at, 1, LOW, None)
    assert len(ch) == 0 and ch.send_word(1, LOW) and ch.recv_word()[0] == 1


def a_receive_buffer_that_cannot_be_written_is_a_type_error():
    for kind in KINDS:
        ch = Locked(kind(2))
        ch.send(b"kept", NORMAL)
        constant = b"constant"
        for buf in (constant, memoryview(constant), "text", None, 5, array("H", [0] * 9), [0] * 9):
            for _ in range(2):
                raises(TypeError, "", ch.recv, buf)
        raises(TypeError, "receive buffer must be writable, not bytes", ch.recv, constant)
        for words in (b"1234", bytearray(8), array("h", [0]), "1234", None, array("d", [0.0])):
            for _ in range(2):
                raises(TypeError, "", ch.recv_words, words)
        raises(TypeError, "array of 'i' or 'I', not bytearray", ch.recv_words, bytearray(4))
        raises(TypeError, "array of 'i' or 'I', not bytes", ch.recv_words, b"")
        assert constant == b"constant" and len(ch) == 1
        buf = bytearray(4)
        assert ch.recv(buf)[0] == 4 and buf == b"kept"


def what_lies_where_a_right_buffer_lay_is_looked_at():
    # The same memory as other kinds: of another length, and so not taken for known.
    if not MICROPYTHON:
        return
    import uctypes

    halves = array("H", [1, 2, 3])
    right = uctypes.bytearray_at(uctypes.addressof(halves), 6)
    ch = PriorityChannel(2, slot_size=8)
    assert ch.send(right, LOW) is True
    raises(TypeError, "message items must be", ch.send, halves, LOW)
    assert ch.recv(right)[0] == 6 and ch.send(right, LOW) is True
    raises(TypeError, "message items must be", ch.recv, halves)
    assert ch.skip()
    words = array("i", [0])
    ch.send_word(7, LOW)
    assert ch.recv_words(words) == 1
    raises(TypeError, "array", ch.recv_words, uctypes.bytearray_at(uctypes.addressof(words), 4))


def a_wrong_array_at_another_address_is_found():
    ch = PriorityChannel(4, slot_size=8)
    right = array("i", [0] * 4)
    wrong = [bytearray(4) for _ in range(40)]
    ch.send_word(7, LOW)
    assert ch.recv_words(right) == 1
    ch.send_word(7, LOW)
    for each in wrong:
        raises(TypeError, "array of 'i' or 'I', not bytearray", ch.recv_words, each)
    assert ch.recv_words(right) == 1 and right[0] == 7


def a_wrong_array_after_a_right_buffer_is_still_found():
    # Same length, and very likely the same address once the first is gone.
    ch = PriorityChannel(2, slot_size=8)
    for _ in range(50):
        assert ch.send(bytearray(8), LOW) is True and ch.skip()
        raises(TypeError, "", ch.send, array("H", [0] * 8), LOW)
        ch.recv(bytearray(8))
        raises(TypeError, "", ch.recv, array("H", [0] * 8))


def a_class_out_of_range_names_itself():
    for kind in KINDS:
        plain = kind(2)
        ch = Locked(plain)
        ch.send_word(1, LOW)
        for priority in (-1, 5, 255, -(1 << 29)):
            text = "%s: class must be 0 to 4, not %d" % (kind.__name__, priority)
            raises(ValueError, text, ch.send, b"x", priority)
            raises(ValueError, text, ch.send_word, 1, priority)
            raises(ValueError, text, ch.send_at, b"x", priority, 1)
            raises(ValueError, text, plain.check, b"x", priority)
            raises(ValueError, text, plain.free, priority)
        raises(TypeError, "str", ch.send, b"x", "HIGH")
        text = kind.__name__ + ": class must be an int, not 'HIGH'"
        raises(TypeError, text, plain.check, b"x", "HIGH")
        raises(TypeError, "class must be an int, not None", plain.check, b"x", None)
        assert plain.dropped == 0 and plain.rejected == 0 and ch.recv_word()[0] == 1


def check_says_the_whole_sentence():
    plain = PriorityChannel(1, slot_size=8)
    assert plain.check(b"12345678", LOW) is None
    raises(
        ValueError, "message of 9 bytes is larger than a slot of 8", plain.check, b"123456789", 1
    )
    plain.check(b"1", True)  # as send takes it
    raises(TypeError, "class must be an int, not 1.0", plain.check, b"1", 1.0)
    raises(TypeError, "or array, not NoneType", plain.check, None, LOW)
    assert plain.rejected == 0 and len(plain) == 0


class _HalfAGuard:
    def leave(self, state):
        pass


def a_channel_keeps_what_it_was_made_of():
    capacities = (3, 1, 2, 0, 1)
    ch = PriorityChannel(capacities, slot_size=6, senders=2)
    assert ch.capacity is capacities and (ch.slot_size, ch.senders, ch.name) == (6, 2, None)
    assert PriorityChannel([3, 1, 2, 0, 1], slot_size=6).counters(HIGH) == (0,) * 6
    assert Channel(7, name="seven").capacity == 7
    assert Channel(1, zero_copy=True).view is None
    raises(TypeError, "guard must have enter and leave, not ", Channel, 1, 8, 1, None, None, 5)
    raises(TypeError, "enter and leave, not ", Channel, 1, 8, 1, None, None, None, _HalfAGuard())


def constructors_name_the_bad_value():
    for kind in KINDS:
        raises(ValueError, "slot_size must be 1 to 65535, not 0", kind, 4, 0)
        raises(ValueError, "slot_size must be 1 to 65535, not 70000", kind, 4, 70000)
        raises(TypeError, "slot_size must be an int, not '8'", kind, 4, "8")
        raises(ValueError, "capacity must be 1 to 65535, not 0", kind, 0)
        raises(ValueError, "capacity must be 1 to 65535, not -1", kind, -1)
        raises(ValueError, "capacity must be 1 to 65535, not 65536", kind, 65536)
        raises(TypeError, "capacity must be an int, not None", kind, None)
        raises(TypeError, "capacity must be an int, not True", kind, True)
        raises(ValueError, "senders must be 1 to 255, not 0", kind, 4, 32, 0)
        raises(ValueError, "senders must be 1 to 255, not 256", kind, 4, 32, 256)
        raises(TypeError, "name must be a str, not 7", kind, 4, 32, 1, 7)
        raises(TypeError, "clock must be a Clock, not 8", kind, 4, 32, 1, None, 8)
    raises(TypeError, "capacity must be an int, not (1, 2)", Channel, (1, 2))
    for bad in ((1, 2, 3, 4), (1, 2, 3, 4, 5, 6), ()):
        raises(
            ValueError, "capacity must be one int or five, not %r" % (bad,), PriorityChannel, bad
        )
    raises(ValueError, "not (0, 0, 0, 0, 0)", PriorityChannel, (0, 0, 0, 0, 0))
    raises(ValueError, "capacity must be 0 to 65535, not -1", PriorityChannel, (1, 2, 3, 4, -1))
    raises(TypeError, "capacity must be an int, not 'x'", PriorityChannel, (1, 2, 3, 4, "x"))


def a_sender_too_many_is_an_error_that_names_the_limit():
    ch = PriorityChannel(2, senders=2, name="bus")
    ch.add_sender()
    for _ in range(2):
        raises(ValueError, "PriorityChannel 'bus' has room for senders=2", ch.add_sender)
    raises(ValueError, "senders=1", Channel(2).add_sender)
    assert ch.send_word(1, LOW) and ch.recv_word()[0] == 1


def verbs_take_positional_arguments_only():
    ch = PriorityChannel(2)
    try:
        ch.send(data=b"x", priority=1)
    except TypeError as error:
        assert "doesn't take keyword arguments" in str(error), error
    else:
        raise AssertionError("no error")
    raises(TypeError, "positional arguments but", ch.send, b"x")
    raises(TypeError, "positional arguments but", ch.recv)
    assert len(ch) == 0


# State


def memory_is_what_the_block_and_the_objects_take():
    assert PriorityChannel.memory(16) > 16 * 5 * 40
    assert Channel.memory(7, 10, 3) - Channel.memory(6, 10, 3) == 3 * (8 + 12)
    assert (
        PriorityChannel.memory((0, 0, 9, 0, 0), 4) - PriorityChannel.memory((0, 0, 8, 0, 0), 4)
        == 12
    )
    for kind in KINDS:
        for args in ((3, 5, 2), (16, 32, 1), (1, 1, 1)):
            assert len(kind(*args)._block) + objects(kind) == kind.memory(*args)
    raises(ValueError, "slot_size must be 1 to 65535, not 0", Channel.memory, 4, 0)


def too_much_memory_says_what_was_asked_and_what_is_free():
    raises(MemoryError, "needs 21", PriorityChannel, 65535, 65535)
    if not MICROPYTHON:
        return  # CPython has as much as the host
    raises(MemoryError, "needs %d bytes, " % Channel.memory(60000, 60000), Channel, 60000, 60000)
    raises(MemoryError, " are free", PriorityChannel, 60000, 1000)


def a_verb_taken_as_a_value_allocates_nothing():
    ch = PriorityChannel(2)
    micropython.heap_lock()
    try:
        send = ch.send
        recv_word = ch.recv_word
    finally:
        micropython.heap_unlock()
    assert send(b"1234", LOW) is True and recv_word()[1] == LOW


def a_count_past_30_bits_allocates_nothing_either():
    words = array("i", [0x7FFFFFFF, -1, 5])
    shown = [0, 0, 0]
    at = address(words)
    micropython.heap_lock()
    try:
        for i in range(3):
            shown[i] = load(at, i)
    finally:
        micropython.heap_unlock()
    assert shown == [0x3FFFFFFF, 0x3FFFFFFF, 5]


def counters_allocate_nothing_one_by_one():
    ch = PriorityChannel(2, name="counted")
    ch.send_word(1, LOW)
    micropython.heap_lock()
    try:
        state = len(ch) + ch.free(LOW) + ch.free() + ch.is_full(LOW)
    finally:
        micropython.heap_unlock()
    assert state == 1 + 1 + 1


def printing_a_channel_gives_one_readable_line():
    ch = PriorityChannel(1, name="bus")
    ch.send_word(1, LOW)
    ch.send_word(2, LOW)
    assert (
        str(ch) == "PriorityChannel 'bus': 1 queued, 1 sent, 0 received, 1 dropped, 0 rejected"
    ), str(ch)
    assert str(Channel(2)).startswith("Channel: 0 queued")


def a_random_program_agrees_with_a_plain_model():
    for seed in range(1, 4 if ROOMY else 2):
        for senders in (1, 2):
            _random_program(seed, senders, 400 if ROOMY else 60)


def _random_program(seed, senders, steps):
    ticks = Ticks()
    capacities = (1, 0, 3, 2, 5)
    plain = PriorityChannel(capacities, slot_size=9, senders=senders, clock=ticks.clock)
    ends = [Locked(plain)] + [Locked(plain.add_sender()) for _ in range(senders - 1)]
    ch = ends[0]
    lanes = [[[] for _ in range(senders)] for _ in range(5)]  # (stamp, data)
    dropped = rejected = taken = 0
    buf = bytearray(9)
    state = seed * 7919
    for step in range(steps):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        pick = state >> 8
        ticks.now = step * 3
        if pick % 7 < 4:
            number = (pick >> 4) % senders
            priority = (0, 2, 3, 4)[(pick >> 6) % 4]
            data = pattern((pick >> 9) % 11, step)
            lane = lanes[priority][number]
            ok = ends[number].send(data, priority)
            if len(data) > 9:
                rejected += 1
                assert ok is False
            elif len(lane) == capacities[priority]:
                dropped += 1
                assert ok is False
            else:
                lane.append((step * 3, data))
                assert ok is True
        else:
            oldest = None
            for priority in range(5):
                waiting = [lane for lane in lanes[priority] if lane]
                if waiting:
                    oldest = min(waiting, key=lambda lane: lane[0][0])
                    break
            if oldest is None:
                assert ch.recv(buf) is None and ch.skip() is False
                continue
            stamp, data = oldest.pop(0)
            taken += 1
            if pick & 1024:
                assert ch.skip() is True
            else:
                got = ch.recv(buf)
                assert tuple(got) == (len(data), priority, step * 3 - stamp), got
                assert bytes(buf[: got[0]]) == data and ch.timestamp() == stamp
        queued = sum(len(lane) for classes in lanes for lane in classes)
        assert len(ch) == queued and plain.received == taken
        assert (plain.dropped, plain.rejected) == (dropped, rejected)
    assert taken > steps // 8 and dropped + rejected, (taken, dropped, rejected)
