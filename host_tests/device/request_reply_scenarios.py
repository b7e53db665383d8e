"""What RequestReplyChannel promises, as functions that CPython and MicroPython both run.

test_scenarios.py runs them all, on each kind of machine.
"""

from array import array

import micropython
from harness import MICROPYTHON, ROOMY, Locked, Ticks, at, objects, pattern, raises
from ringlane import RequestReplyChannel
from ringlane.lanes import store
from ringlane.words import load

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 20, 31, 32)
NEVER = 77 << 8  # an id that no test here comes to


def _pair(capacity=4, slot_size=32, name=None, clock=None):
    plain = RequestReplyChannel(capacity, slot_size, name, clock)
    return plain, Locked(plain)


def _next_generation(plain, index, generation):
    # As if the entry had been used so many times: request_reply.py says where its word is.
    entry = load(plain._table, 1) + index * load(plain._table, 2)
    store(plain._table, entry >> 2, 1 << 29 | generation - 1 << 8 | index)


def _served(ch, reply):
    # The server takes the next request and answers it; return its id.
    _, id, _ = ch.recv_request(bytearray(ch.end.slot_size))
    assert ch.send_response(id, reply) is True
    return id


# Messages


def every_size_goes_both_ways_at_every_alignment():
    plain, ch = _pair(2)
    trials = 0
    sizes = SIZES if ROOMY else (1, 5, 16)
    for size in sizes:
        for source in range(4):
            for target in range(4):
                request, reply = pattern(size, trials), pattern(size, trials + 100)
                id = ch.send_request(at(source, request))
                assert id > 0
                room = bytearray(b"\xa5" * (target + size + 4))
                got = ch.recv_request(memoryview(room)[target:])
                assert got[0] == size and got[1] == id, got
                assert bytes(room[target : target + size]) == request, (size, source, target)
                outside = bytes(room[:target]) + bytes(room[target + size :])
                assert outside == b"\xa5" * (target + 4), (size, source, target)
                assert ch.send_response(id, at(source, reply)) is True
                room = bytearray(b"\x5a" * (target + size + 4))
                got = ch.recv_response(id, memoryview(room)[target:])
                assert got[0] == size and got[1] == 0, got
                assert bytes(room[target : target + size]) == reply, (size, source, target)
                outside = bytes(room[:target]) + bytes(room[target + size :])
                assert outside == b"\x5a" * (target + 4), (size, source, target)
                trials += 1
    assert trials == plain.answered == len(sizes) * 16


def request_and_reply_differ_in_size():
    _, ch = _pair(1, 9)
    buf = bytearray(9)
    sizes = range(10) if ROOMY else (0, 4, 9)
    for asked in sizes:
        for answered in sizes:
            id = ch.send_request(pattern(asked, 1))
            assert ch.recv_request(buf)[0] == asked and bytes(buf[:asked]) == pattern(asked, 1)
            ch.send_response(id, pattern(answered, 2))
            assert ch.recv_response(id, buf)[0] == answered
            assert bytes(buf[:answered]) == pattern(answered, 2)


def every_kind_of_bytes_is_a_request_and_a_reply():
    _, ch = _pair(1)
    buf = bytearray(32)
    for data in (
        b"abcdef",
        bytearray(b"abcdef"),
        memoryview(b"abcdef"),
        memoryview(bytearray(b"xabcdefx"))[1:7],
        array("B", b"abcdef"),
        array("b", b"abcdef"),
    ):
        for room in (array("B", bytes(6)), memoryview(bytearray(6)), bytearray(6)):
            id = ch.send_request(data)
            assert ch.recv_request(room)[0] == 6 and bytes(room) == b"abcdef", data
            assert ch.send_response(id, data) is True
            room[0] = 0
            assert ch.recv_response(id, room)[0] == 6 and bytes(room) == b"abcdef", data
    assert ch.recv_request(buf) is None


def the_largest_slot_and_the_most_requests():
    size = 65535 if ROOMY else 300
    _, ch = _pair(1, size)
    buf = bytearray(size)
    id = ch.send_request(pattern(size))
    assert ch.recv_request(buf)[0] == size and buf == pattern(size)
    ch.send_response(id, pattern(size, 1))
    assert ch.recv_response(id, buf)[0] == size and buf == pattern(size, 1)
    capacity = 255 if ROOMY else 12
    plain, ch = _pair(capacity, 1)
    buf = bytearray(1)
    ids = [ch.send_request(bytes([i])) for i in range(capacity)]
    assert len(set(ids)) == capacity == plain.pending and min(ids) > 0
    for i in range(capacity):
        assert ch.recv_request(buf)[1] == ids[i] and buf[0] == i
    for i in range(capacity):
        assert ch.send_response(ids[i], bytes([255 - i])) is True
    for i in range(capacity - 1, -1, -1):
        assert ch.recv_response(ids[i], buf)[0] == 1 and buf[0] == 255 - i


# Order, results, time


def replies_are_taken_in_any_order_and_none_while_pending():
    plain, ch = _pair(3, 4)
    buf = bytearray(4)
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    trials = 0
    for answered in orders if ROOMY else orders[1:3]:
        for taken in orders if ROOMY else orders[3:]:
            ids = [ch.send_request(pattern(4, i)) for i in range(3)]
            for i in range(3):
                assert ch.recv_response(ids[i], buf) is None
                assert ch.recv_request(buf)[1] == ids[i], "requests in the order of sending"
                assert buf == pattern(4, i)
            for i in answered:
                assert ch.recv_response(ids[i], buf) is None
                assert ch.send_response(ids[i], pattern(i, i)) is True
            for i in taken:
                assert ch.recv_response(ids[i], buf)[0] == i and bytes(buf[:i]) == pattern(i, i)
            assert plain.pending == 0 and len(ch) == 0
            trials += 3
    assert trials == plain.answered >= 18


def a_reply_can_be_taken_before_the_next_request_is_read():
    plain, ch = _pair(3, 4)
    buf = bytearray(4)
    first, second = ch.send_request(b"1"), ch.send_request(b"2")
    assert _served(ch, b"one") == first
    assert ch.recv_response(second, buf) is None
    assert ch.recv_response(first, buf)[0] == 3 and buf[:3] == b"one"
    assert len(ch) == 1 and plain.pending == 1
    assert _served(ch, b"two") == second and ch.recv_response(second, buf)[0] == 3


def results_are_size_id_or_status_and_latency():
    ticks = Ticks()
    _, ch = _pair(2, 8, clock=ticks.clock)
    buf = bytearray(8)
    ticks.now = 100
    id = ch.send_request(b"abc")
    ticks.now = 107
    got = ch.recv_request(buf)
    assert list(got) == [3, id, 7] and len(got) == 3, got
    ticks.now = 120
    assert ch.send_status(id, b"12345", 9) is True
    ticks.now = 151
    got = ch.recv_response(id, buf)
    assert list(got) == [5, 9, 51] and len(got) == 3, got


def latency_is_right_across_the_wrap_of_the_clock():
    for period in (1 << 30, 1 << 24, 1 << 10):
        ticks = Ticks(period)
        plain, ch = _pair(2, clock=ticks.clock)
        buf = bytearray(32)
        ticks.now = period - 3
        id = ch.send_request(b"")
        ticks.now = 4
        assert ch.recv_request(buf)[2] == 7
        ch.send_response(id, b"")
        ticks.now = 5
        assert ch.recv_response(id, buf)[2] == 8 == plain.stats().max_latency, period


def the_default_clock_measures_microseconds():
    plain, ch = _pair()
    buf = bytearray(32)
    assert plain.clock.hz == 1000000
    id = ch.send_request(b"x")
    asked = ch.recv_request(buf)[2]
    ch.send_response(id, b"")
    assert 0 <= asked <= ch.recv_response(id, buf)[2] < 100000000


def each_side_has_its_own_list_and_reuses_it():
    ch = RequestReplyChannel(2, 4)
    buf = bytearray(4)
    first, second = ch.send_request(b"a"), ch.send_request(b"bc")
    asked = ch.recv_request(buf)
    ch.send_response(first, b"xyz")
    answer = ch.recv_response(first, buf)
    assert answer is not asked and asked[:2] == [1, first] and answer[:2] == [3, 0]
    assert ch.recv_request(buf) is asked and asked[:2] == [2, second]
    ch.send_response(second, b"")
    assert ch.recv_response(second, buf) is answer and answer[:2] == [0, 0]
    other = RequestReplyChannel(1, 4)
    other.send_request(b"abcd")
    assert other.recv_request(buf) is not asked and asked[:2] == [2, second]


def an_empty_channel_gives_none():
    plain, ch = _pair(2)
    assert ch.recv_request(bytearray(32)) is None and len(ch) == 0 and plain
    assert ch.recv(bytearray(32)) is None


# Ids


def ids_are_above_zero_and_not_used_again_soon():
    _, ch = _pair(3, 4)
    buf = bytearray(4)
    seen = set()
    count = 900 if ROOMY else 20
    outstanding = []
    for step in range(count):
        id = ch.send_request(b"x")
        assert 0 < id < 1 << 29 and id not in seen, id
        seen.add(id)
        outstanding.append(id)
        if len(outstanding) == 3:
            done = outstanding.pop(step * 7 % 3)
            while (m := ch.recv_request(buf)) is not None:
                ch.send_response(m[1], b"")
            if step & 1:
                ch.recv_response(done, buf)
            else:
                ch.cancel(done)
    assert len(seen) == count


def generations_start_anew_after_two_million_and_stay_above_zero():
    plain, ch = _pair(2, 4)
    buf = bytearray(4)
    steps = 700 if ROOMY else 20
    _next_generation(plain, 0, 0x1FFF00 - steps // 2)
    ids = []
    for step in range(steps):
        id = ch.send_request(pattern(4, step))
        assert 0 < id < 1 << 29 and id not in ids and id & 0xFF == 0, id
        ids.append(id)
        assert ch.recv_request(buf)[1] == id and buf == pattern(4, step)
        if step % 3:
            ch.send_response(id, pattern(3, step))
            assert ch.recv_response(id, buf)[0] == 3 and bytes(buf[:3]) == pattern(3, step)
        else:
            assert ch.cancel(id) is True and ch.send_response(id, b"late") is False
        if len(ids) > 1:
            before, after = ids[-2] >> 8, ids[-1] >> 8
            # The eight bits that a request carries go on counting: no two queued share them.
            assert (after - before) & 0xFF == 1, (before, after)
    assert max(ids) >> 8 >= 0x1FFEFF and min(ids) >> 8 < 0x1000, "no wrap"
    _next_generation(plain, 0, 0x1FFFFF)
    last = ch.send_request(b"x")
    assert last >> 8 == 0x1FF  # its eight bits go on counting, too
    assert _served(ch, b"1") == last and ch.recv_response(last, buf)


def a_generation_comes_again_without_the_reply_it_once_had():
    plain, ch = _pair(1, 4)
    buf = bytearray(4)
    for generation in (1, 2, 0xFF, 0x100, 0x1FFEFF):
        _next_generation(plain, 0, generation)
        id = ch.send_request(b"old")
        assert _served(ch, b"old") == id and ch.recv_response(id, buf)
        _next_generation(plain, 0, generation)  # all the requests since were cancelled
        new = ch.send_request(b"new")
        assert new >> 8 & 0xFF == id >> 8 & 0xFF and new != id, generation
        assert ch.recv_response(new, buf) is None, generation
        assert ch.recv_request(buf)[1] == new and ch.send_response(id, b"") is False
        assert ch.send_response(new, b"new") is True
        assert ch.recv_response(new, buf)[0] == 3 and buf[:3] == b"new"


def at_most_capacity_are_outstanding_and_the_next_is_dropped():
    for capacity in (1, 2, 5):
        plain, ch = _pair(capacity, 4)
        buf = bytearray(4)
        ids = []
        for i in range(capacity):
            assert ch.free() == capacity - i and not ch.is_full() and plain.pending == i
            ids.append(ch.send_request(pattern(4, i)))
        assert ch.free() == 0 and ch.is_full() and plain.pending == capacity
        for i in range(3):
            assert ch.send_request(b"more") == 0 and plain.dropped == i + 1
        # Reading makes no room: the ids are still outstanding, and so are those with a reply.
        for i in range(capacity):
            assert ch.recv_request(buf)[1] == ids[i] and buf == pattern(4, i)
            assert ch.send_request(b"more") == 0
        for id in ids:
            ch.send_response(id, b"")
        assert ch.send_request(b"more") == 0 and ch.free() == 0
        ch.recv_response(ids[-1], buf)
        assert ch.free() == 1 and ch.send_request(b"more") > 0
        assert plain.dropped == 4 + capacity and plain.rejected == 0


# Cancelling


def a_cancelled_request_frees_its_entry():
    plain, ch = _pair(1, 4)
    buf = bytearray(4)
    id = ch.send_request(b"1")
    assert ch.cancel(id) is True and plain.pending == 0, "not read"
    assert ch.cancel(id) is False and plain.pending == 0, "twice"
    assert ch.recv_request(buf) is None
    id = ch.send_request(b"2")
    assert ch.recv_request(buf)[1] == id
    assert ch.cancel(id) is True and plain.pending == 0, "read"
    id = ch.send_request(b"3")
    _served(ch, b"yes")
    assert ch.cancel(id) is True and plain.pending == 0, "answered"
    raises(ValueError, "request %d is not outstanding" % id, ch.recv_response, id, buf)
    id = ch.send_request(b"4")
    _served(ch, b"yes")
    assert ch.recv_response(id, buf)[0] == 3 and ch.cancel(id) is False, "taken"
    for unknown in (0, -1, 1, 2, 255, NEVER, 1 << 28, 1 << 29, (1 << 30) - 1, -(1 << 30), id ^ 1):
        assert ch.cancel(unknown) is False, unknown
    assert plain.pending == 0 and plain.free() == 1 and plain.answered == 1
    assert ch.send_request(b"5") > 0 and ch.send_request(b"6") == 0


def a_request_cancelled_before_it_is_read_is_skipped():
    plain, ch = _pair(4, 4)
    buf = bytearray(4)
    for cancelled in range(16) if ROOMY else (0, 5, 10, 15):
        ids = [ch.send_request(pattern(4, i)) for i in range(4)]
        for i in range(4):
            if cancelled >> i & 1:
                assert ch.cancel(ids[i]) is True
        for i in range(4):
            if not cancelled >> i & 1:
                assert ch.recv_request(buf)[1] == ids[i] and buf == pattern(4, i)
                ch.send_response(ids[i], b"")
                ch.recv_response(ids[i], buf)
        assert ch.recv_request(buf) is None and len(ch) == 0 and plain.pending == 0


def a_lane_full_of_cancelled_requests_gives_zero_until_they_are_read():
    for capacity in (1, 3):
        plain, ch = _pair(capacity, 4)
        buf = bytearray(4)
        for _ in range(capacity):
            assert ch.cancel(ch.send_request(b"gone"))
        # No id is outstanding, but there is no room in the lane: each attempt leaves no trace.
        attempts = 300 if ROOMY else 9
        for i in range(attempts):
            assert ch.free() == 0 and ch.is_full() and ch.send_request(b"none") == 0
            assert plain.dropped == i + 1 and plain.pending == 0
        assert ch.recv_request(buf) is None, "a cancelled request came alive"
        assert ch.free() == capacity and plain.rejected == 0
        id = ch.send_request(b"live")
        assert _served(ch, b"yes") == id and ch.recv_response(id, buf)[0] == 3


def requests_that_fail_bring_no_cancelled_one_alive():
    # 256 uses of an entry later the eight bits that a queued request carries are the same again.
    fails = (
        (TypeError, None),
        (TypeError, "text"),
        (TypeError, array("H", [1])),
        (None, b"12345"),  # larger than a slot
    )
    for kind, data in fails if ROOMY else fails[:1]:
        plain, ch = _pair(2, 4)
        buf = bytearray(4)
        old = ch.send_request(b"gone")
        ch.cancel(old)
        attempts = 256 if ROOMY else 9
        for i in range(attempts):
            if kind is None:
                assert ch.send_request(data) == 0 and plain.rejected == i + 1
                continue
            try:
                plain.send_request(data)
            except TypeError:
                continue
            raise AssertionError("no error")
        assert plain.dropped == 0 and plain.pending == 0 and plain.free() == 1
        for uses in range(1, attempts + 3):  # ids that were never given are nobody's
            assert ch.cancel(old + (uses << 8)) is False, uses
        for uses in (1, 2, 255, 256, 257):
            guess = old + (uses << 8)
            assert ch.send_response(guess, b"") is False
            raises(ValueError, "not outstanding", ch.recv_response, guess, buf)
        assert ch.recv_request(buf) is None, "a cancelled request came alive"
        assert plain.pending == 0 and plain.free() == 2
        ids = [ch.send_request(b"new"), ch.send_request(b"new")]
        assert _served(ch, b"") == ids[0] and _served(ch, b"") == ids[1], data


def ids_that_share_their_low_bits_with_a_queued_one_are_told_apart():
    # One entry, used over and over while the lane holds its cancelled requests.
    capacity = 255 if ROOMY else 20
    plain, ch = _pair(capacity, 4)
    buf = bytearray(4)
    for start in (1, 200, 0x1FFE80) if ROOMY else (0x1FFEF8,):
        _next_generation(plain, 0, start)
        for _ in range(capacity - 1):
            assert ch.cancel(ch.send_request(b"gone"))
        live = ch.send_request(b"live")
        for _ in range(3):
            assert ch.send_request(b"none") == 0
        assert ch.recv_request(buf)[1] == live and buf == b"live"
        assert ch.recv_request(buf) is None and ch.cancel(live)


# Replies that nobody waits for


def late_repeated_and_unknown_replies_are_refused_and_counted():
    plain, ch = _pair(3, 8)
    buf = bytearray(8)
    kept = ch.send_request(b"kept")
    assert ch.recv_request(buf)[1] == kept
    late = 0
    used = ch.send_request(b"used")
    _served(ch, b"once")
    wrong = [
        used,  # answered, not yet taken
        0,
        -1,
        -(1 << 30),
        3,  # an entry beyond the last
        kept & ~0xFF | 3,
        kept & ~0xFF | 0xFF,
        kept & 0xFF,  # generation 0
        kept + 256,
        kept + (1 << 16),
        kept + (256 << 8),  # the same eight bits
        1 << 29,
        1 << 29 | kept,
        (1 << 30) - 1,
        NEVER,
    ]
    for id in wrong:
        assert ch.send_response(id, b"wrong") is False, id
        assert ch.send_status(id, b"wrong", 7) is False, id
        late += 2
        assert plain.late == late and plain.rejected == 0 == plain.dropped
    assert list(ch.recv_response(used, buf))[:2] == [4, 0] and buf[:4] == b"once"
    assert ch.send_response(used, b"taken") is False and plain.late == late + 1
    gone = ch.send_request(b"gone")
    assert ch.recv_request(buf)[1] == gone and ch.cancel(gone)
    assert ch.send_response(gone, b"cancelled") is False and plain.late == late + 2
    assert ch.recv_response(kept, buf) is None and ch.send_response(kept, b"right") is True
    assert list(ch.recv_response(kept, buf))[:2] == [5, 0] and buf[:5] == b"right"
    assert plain.answered == 2 and plain.pending == 0


def an_old_reply_is_never_taken_for_a_newer_request():
    plain, ch = _pair(1, 8)
    buf = bytearray(8)
    late = 0
    for taken in (False, True):
        for before in (False, True):
            for uses in (1, 2, 255, 256, 257) if ROOMY else (1, 256):
                old = ch.send_request(b"old")
                assert ch.recv_request(buf)[1] == old
                if taken:
                    ch.send_response(old, b"")
                    ch.recv_response(old, buf)
                else:
                    ch.cancel(old)
                _next_generation(plain, 0, (old >> 8) + uses)  # of the same entry
                new = ch.send_request(b"new")
                assert new & 0xFF == old & 0xFF and new != old
                assert ch.recv_request(buf)[1] == new
                if before:
                    assert ch.send_response(old, b"stale") is False
                    assert ch.recv_response(new, buf) is None
                assert ch.send_response(new, b"right") is True
                if not before:
                    assert ch.send_response(old, b"stale") is False
                late += 1
                assert ch.recv_response(new, buf)[0] == 5 and buf[:5] == b"right"
    assert plain.late == late >= 8


def a_status_goes_with_the_reply():
    _, ch = _pair(1, 4)
    buf = bytearray(4)
    for status in range(256) if ROOMY else (0, 1, 127, 128, 254, 255):
        id = ch.send_request(b"")
        ch.recv_request(buf)
        assert ch.send_status(id, b"ab", status) is True
        assert list(ch.recv_response(id, buf))[:2] == [2, status] and buf[:2] == b"ab"
        id = ch.send_request(b"")
        _served(ch, b"a")
        assert list(ch.recv_response(id, buf))[:2] == [1, 0], "left over"
    for status, low in ((256, 0), (257, 1), (-1, 255), (0x12345, 0x45), (-(1 << 30), 0)):
        id = ch.send_request(b"")
        ch.recv_request(buf)
        assert ch.send_status(id, b"", status) is True
        assert list(ch.recv_response(id, buf))[:2] == [0, low], status


def a_failed_send_status_leaves_no_status_behind():
    _, ch = _pair(1, 4)
    buf = bytearray(4)
    fails = (
        (NEVER, b"x", 9),  # late
        (None, b"12345", 9),  # too large
        (None, None, 9),
        (None, "text", 9),
        (None, array("H", [1]), 9),
        (None, 5, 9),
        ("id", b"x", 9),
        (None, b"x", "9"),
        (None, b"x", None),
    )
    for id, data, status in fails:
        mine = ch.send_request(b"")
        ch.recv_request(buf)
        try:
            sent = ch.send_status(mine if id is None else id, data, status)
        except TypeError:
            sent = None
        assert not sent, (id, data, status)
        assert ch.send_response(mine, b"ok") is True
        assert list(ch.recv_response(mine, buf))[:2] == [2, 0], (id, data, status)


def a_reply_larger_than_a_slot_is_refused_and_the_request_stays():
    for slot_size in (1, 5, 8):
        plain, ch = _pair(1, slot_size)
        buf = bytearray(slot_size)
        id = ch.send_request(b"q")
        assert ch.send_request(b"r") == 0  # a second is dropped, not rejected
        ch.recv_request(buf)
        for i, size in enumerate((slot_size + 1, slot_size + 4, 70)):
            assert ch.send_response(id, bytes(size)) is False and plain.rejected == i + 1
            assert ch.recv_response(id, buf) is None and plain.pending == 1
        assert plain.late == 0
        reply = pattern(slot_size)
        assert ch.send_response(id, reply) is True
        assert ch.recv_response(id, buf)[0] == slot_size and buf == reply


def a_request_larger_than_a_slot_is_refused():
    plain, ch = _pair(2, 4)
    assert ch.send_request(b"12345") == 0 and ch.send_request(bytes(70)) == 0
    assert (plain.rejected, plain.dropped, plain.pending, len(ch)) == (2, 0, 0, 0)
    id = ch.send_request(b"1234")
    assert _served(ch, b"") == id


def a_reply_buffer_too_small_raises_and_the_reply_stays():
    plain, ch = _pair(2, 8)
    buf = bytearray(8)
    id = ch.send_request(b"12345678")
    small = bytearray(b"\x11" * 7)
    for _ in range(2):
        raises(ValueError, "message of 8 bytes, receive buffer of 7", ch.recv_request, small)
    assert small == b"\x11" * 7 and len(ch) == 1
    assert ch.recv_request(buf)[1] == id
    assert ch.recv_response(id, small) is None  # no reply, so none too large
    ch.send_status(id, b"abcdefgh", 3)
    for _ in range(2):
        raises(ValueError, "message of 8 bytes, receive buffer of 7", ch.recv_response, id, small)
    assert small == b"\x11" * 7 and plain.pending == 1 and plain.answered == 0
    assert list(ch.recv_response(id, buf))[:2] == [8, 3] and buf == b"abcdefgh"


# Bad input


def _not_bytes():
    return ("text", array("H", [1, 2]), array("i", [1]), array("f", [1.0]), 5, None, [1], (1,), {})


def what_is_not_bytes_is_a_type_error_and_changes_nothing():
    plain, ch = _pair(2, 4)
    buf = bytearray(4)
    id = ch.send_request(b"kept")
    for data in _not_bytes():
        for _ in range(2):
            raises(TypeError, "", ch.send_request, data)
            raises(TypeError, type(data).__name__, plain.check, data)
    assert (plain.dropped, plain.rejected, plain.pending, len(ch)) == (0, 0, 1, 1)
    raises(TypeError, "or array, not str", ch.send_request, "text")
    raises(TypeError, "items must be bytes, not those of array", ch.send_request, array("H", [1]))
    assert ch.recv_request(buf)[1] == id and buf == b"kept"
    for data in _not_bytes():
        for _ in range(2):
            raises(TypeError, "", ch.send_response, id, data)
            raises(TypeError, "", ch.send_status, id, data, 1)
    raises(TypeError, "or array, not str", ch.send_response, id, "text")
    raises(TypeError, "those of array", ch.send_response, id, array("H", [1]))
    assert plain.late == 0 == plain.rejected and ch.recv_response(id, buf) is None
    assert ch.send_response(id, b"good") is True and ch.recv_response(id, buf)[1] == 0
    for _ in range(2):  # with every id outstanding the same
        ch.send_request(b"")
    for data in _not_bytes():
        raises(TypeError, type(data).__name__, ch.send_request, data)
    assert plain.dropped == 0 and ch.send_request(b"") == 0 and plain.dropped == 1


def a_buffer_that_cannot_be_written_is_a_type_error():
    plain, ch = _pair(1, 4)
    id = ch.send_request(b"kept")
    constant = b"constant"
    wrong = (constant, memoryview(constant), "text", None, 5, array("H", [0] * 9), [0] * 9)
    for buf in wrong:
        for _ in range(2):
            raises(TypeError, "", ch.recv_request, buf)
    raises(TypeError, "receive buffer must be writable, not bytes", ch.recv_request, constant)
    buf = bytearray(4)
    assert ch.recv_request(buf)[1] == id and buf == b"kept"
    ch.send_response(id, b"also")
    for room in wrong:
        for _ in range(2):
            raises(TypeError, "", ch.recv_response, id, room)
    raises(TypeError, "receive buffer must be writable, not bytes", ch.recv_response, id, constant)
    raises(TypeError, "those of array", ch.recv_response, id, array("H", [0] * 4))
    assert constant == b"constant" and plain.answered == 0
    assert ch.recv_response(id, buf)[0] == 4 and buf == b"also"


def a_wrong_array_after_a_right_buffer_is_still_found():
    # Same length, and very likely the same address once the first is gone.
    ch = RequestReplyChannel(1, slot_size=8)
    for _ in range(40 if ROOMY else 3):
        id = ch.send_request(bytearray(8))
        raises(TypeError, "", ch.send_request, array("H", [0] * 8))
        ch.recv_request(bytearray(8))
        raises(TypeError, "", ch.recv_request, array("H", [0] * 8))
        ch.send_response(id, bytearray(8))
        raises(TypeError, "", ch.send_response, id, array("H", [0] * 8))
        raises(TypeError, "", ch.recv_response, id, array("H", [0] * 8))
        ch.recv_response(id, bytearray(8))


def an_id_that_is_not_outstanding_names_itself():
    plain, ch = _pair(2, 4)
    buf = bytearray(4)
    kept = ch.send_request(b"kept")
    taken = ch.send_request(b"take")
    ch.recv_request(buf)
    _served(ch, b"1")
    ch.recv_response(taken, buf)
    cancelled = ch.send_request(b"gone")
    ch.cancel(cancelled)
    wrong = (taken, cancelled, 0, -1, 1, 2, 255, kept + 256, kept | 0xFF, kept | 2, NEVER)
    for id in wrong + (1 << 29, 1 << 29 | kept, (1 << 30) - 1, -(1 << 30)):
        for _ in range(2):
            raises(ValueError, "request %d is not outstanding" % id, ch.recv_response, id, buf)
    for id in (None, "1", b"1", [1]):
        raises(TypeError, type(id).__name__, ch.recv_response, id, buf)
        raises(TypeError, type(id).__name__, ch.send_response, id, b"")
        raises(TypeError, type(id).__name__, ch.send_status, id, b"", 0)
        raises(TypeError, type(id).__name__, ch.cancel, id)
    assert plain.late == 0 and plain.pending == 1
    assert ch.send_response(kept, b"good") is True and ch.recv_response(kept, buf)[0] == 4


def an_id_of_a_free_entry_or_beyond_the_table_is_of_no_request():
    for capacity in (1, 2, 3):
        plain, ch = _pair(capacity, 4)
        buf = bytearray(4)
        freed = ch.send_request(b"x")
        ch.cancel(freed)
        wrong = [freed | 1 << 29]
        for index in (capacity, capacity + 1, 255):
            wrong += [1 << 8 | index, 5 << 8 | index]
        for id in wrong:
            raises(ValueError, "request %d is not outstanding" % id, ch.recv_response, id, buf)
            assert ch.cancel(id) is False and ch.send_response(id, b"x") is False
        assert plain.late == len(wrong) and plain.pending == 0 and plain.free() == capacity - 1


def what_lies_where_a_right_buffer_lay_is_looked_at():
    # The same memory as another kind: of another length, and so not taken for known.
    if not MICROPYTHON:
        return
    import uctypes

    plain, ch = _pair(2, 8)
    halves = array("H", [1, 2, 3])
    right = uctypes.bytearray_at(uctypes.addressof(halves), 6)
    first, second = ch.send_request(b"x"), ch.send_request(b"y")
    for _ in range(2):
        ch.recv_request(bytearray(8))
    assert ch.send_response(first, right) is True
    raises(TypeError, "message items must be", ch.send_response, second, halves)
    assert ch.recv_response(first, right)[0] == 6
    raises(TypeError, "message items must be", ch.recv_response, second, halves)
    assert plain.pending == 1 and plain.late == 0


def constructors_name_the_bad_value():
    kind = RequestReplyChannel
    for call in (kind, kind.memory):
        raises(ValueError, "capacity must be 1 to 255, not 0", call, 0)
        raises(ValueError, "capacity must be 1 to 255, not 256", call, 256)
        raises(ValueError, "capacity must be 1 to 255, not -1", call, -1)
        raises(TypeError, "capacity must be an int, not True", call, True)
        raises(TypeError, "capacity must be an int, not '3'", call, "3")
        raises(TypeError, "capacity must be an int, not (1, 2)", call, (1, 2))
        raises(TypeError, "capacity must be an int, not None", call, None)
        raises(ValueError, "slot_size must be 1 to 65535, not 0", call, 4, 0)
        raises(ValueError, "slot_size must be 1 to 65535, not 70000", call, 4, 70000)
        raises(TypeError, "slot_size must be an int, not '8'", call, 4, "8")
    raises(TypeError, "name must be a str, not 7", kind, 4, 32, 7)
    raises(TypeError, "clock must be a Clock, not 8", kind, 4, 32, None, 8)


def verbs_take_positional_arguments_only():
    ch = RequestReplyChannel(2)
    try:
        ch.send_request(data=b"x")
    except TypeError as error:
        assert "doesn't take keyword arguments" in str(error), error
    else:
        raise AssertionError("no error")
    raises(TypeError, "positional arguments but", ch.send_request)
    raises(TypeError, "positional arguments but", ch.recv_response, 1)
    raises(TypeError, "positional arguments but", ch.recv_request)
    raises(TypeError, "positional arguments but", ch.send_response, 1)
    raises(TypeError, "positional arguments but", ch.send_status, 1, b"")
    raises(TypeError, "positional arguments but", ch.cancel)
    assert ch.pending == 0 and len(ch) == 0 and ch.late == 0


# State


def a_closed_channel_refuses_requests_and_drains():
    plain, ch = _pair(3, 4)
    buf = bytearray(4)
    first, second = ch.send_request(b"1"), ch.send_request(b"2")
    assert plain.closed is False and _served(ch, b"one") == first
    ch.close()
    ch.close()  # harmless
    assert plain.closed is True and ", closed" in str(plain)
    assert ch.send_request(b"3") == 0 and ch.send_request(b"") == 0 and plain.rejected == 2
    raises(ValueError, "RequestReplyChannel is closed", plain.check, b"x")
    assert _served(ch, b"two") == second
    assert ch.recv_request(buf) is None
    assert ch.recv_response(second, buf)[0] == 3 and buf[:3] == b"two"
    assert ch.recv_response(first, buf)[0] == 3 and buf[:3] == b"one"
    assert plain.pending == 0 and plain.late == 0 and plain.dropped == 0


def check_says_the_whole_sentence():
    plain, _ = _pair(1, 8)
    assert plain.check(b"12345678") is None and plain.check(b"") is None
    raises(ValueError, "message of 9 bytes is larger than a slot of 8", plain.check, b"123456789")
    plain.send_request(b"")
    assert plain.check(b"") is None, "full is no error"
    assert plain.rejected == 0 == plain.dropped and len(plain) == 1


def counters_allocate_nothing_one_by_one():
    plain, ch = _pair(3, 4)
    buf = bytearray(4)
    gone = ch.send_request(b"1")
    kept = ch.send_request(b"2")
    ch.recv_request(buf)
    ch.cancel(gone)
    ch.send_response(gone, b"")
    assert ch.send_response(kept, b"") is True
    micropython.heap_lock()
    try:
        state = (len(plain) * 10 + plain.free()) * 10 + plain.pending
        state = (state * 10 + plain.late) * 10 + plain.is_full()
    finally:
        micropython.heap_unlock()
    assert state == 12110, state  # 1 queued, 2 free, 1 pending, 1 late, not full


def printing_a_channel_gives_one_readable_line():
    plain, ch = _pair(2, 4, "rpc")
    buf = bytearray(4)
    id = ch.send_request(b"1")
    assert _served(ch, b"") == id
    ch.recv_response(id, buf)
    ch.send_response(id, b"")
    ch.send_request(b"12345")
    ch.send_request(b"2")
    ch.send_request(b"3")
    ch.send_request(b"4")
    assert (
        str(plain)
        == "RequestReplyChannel 'rpc': 2 pending, 1 answered, 1 dropped, 1 rejected, 1 late"
    ), str(plain)
    plain.close()
    assert str(plain).endswith("1 late, closed")
    assert str(RequestReplyChannel(1)).startswith("RequestReplyChannel: 0 pending")


def memory_is_what_the_channel_takes():
    memory = RequestReplyChannel.memory
    # A request's slot, of 8 bytes and the payload; an entry, of 16 and the payload; its number.
    assert memory(7, 10) - memory(6, 10) == (8 + 12) + (16 + 12) + 1
    assert memory(2, 8) - memory(2, 4) == 2 * 2 * 4
    for args in ((1, 1), (3, 5), (16, 32), (255, 7)):
        block = len(RequestReplyChannel(args[0], args[1])._block)
        assert block + objects(RequestReplyChannel) == memory(args[0], args[1])


def too_much_memory_says_what_was_asked_and_what_is_free():
    if not MICROPYTHON:
        return  # CPython has as much as the host
    raises(
        MemoryError,
        "needs %d bytes, " % RequestReplyChannel.memory(255, 65535),
        RequestReplyChannel,
        255,
        65535,
    )
    raises(MemoryError, " are free", RequestReplyChannel, 255, 65535)


def a_verb_taken_as_a_value_allocates_nothing():
    ch = RequestReplyChannel(2)
    buf = bytearray(32)
    micropython.heap_lock()
    try:
        ask, take, give_up = ch.send_request, ch.recv_response, ch.cancel
        read, answer, answer_status = ch.recv_request, ch.send_response, ch.send_status
    finally:
        micropython.heap_unlock()
    first, second = ask(b"1"), ask(b"2")
    assert read(buf)[1] == first and answer(first, b"") and take(first, buf)[0] == 0
    assert answer_status(second, b"", 1) and give_up(second)


# Statistics


def stats_are_those_of_the_latencies_seen():
    ticks = Ticks()
    plain, ch = _pair(3, 4, clock=ticks.clock)
    buf = bytearray(4)
    assert tuple(plain.stats()) == (0, 0, 0, 0, 0)
    seen = []
    state = 12345
    figures = array("I", [7] * 6)
    for count in (1, 30, 200) if ROOMY else (1, 20):
        while len(seen) < count:
            state = (state * 1103515245 + 12345) & 0x3FFFFFFF
            latency = (state >> 8) >> (state & 15)
            id = ch.send_request(b"")
            other = ch.send_request(b"")
            ch.cancel(other)  # a request given up counts for nothing, and so does a late reply
            _served(ch, b"")
            ch.send_response(other, b"")
            ticks.now = ticks.now + latency & (1 << 30) - 1
            assert ch.recv_response(id, buf)[2] == latency
            assert ch.recv_request(buf) is None
            seen.append(latency)
        seen.sort()
        stats = plain.stats()
        assert stats.count == count == plain.answered
        assert stats.avg_latency == sum(seen) // count and stats.max_latency == seen[-1]
        for percent, figure in ((50, stats.p50_latency), (99, stats.p99_latency)):
            exact = seen[-(-count * percent // 100) - 1]
            assert exact <= figure <= exact + exact // 16, (percent, exact, figure)
        assert ch.stats_into(figures) is None
        assert tuple(figures[:5]) == tuple(stats) and figures[5] == 7
    raises(ValueError, "words must have 5 items, not 4", plain.stats_into, array("I", [0] * 4))
    raises(TypeError, "array of 'i' or 'I', not bytearray", plain.stats_into, bytearray(20))
    ch.reset_stats()
    assert tuple(plain.stats()) == (0, 0, 0, 0, 0) and plain.answered == len(seen)


# All of it


def a_random_program_agrees_with_a_plain_model():
    total = [0] * 6
    for seed in range(1, 5) if ROOMY else (11,):  # a short one in which all of it happens
        for capacity in (1, 3, 6) if ROOMY else (3,):
            seen = _random_program(seed, capacity, 600 if ROOMY else 60)
            total = [total[i] + seen[i] for i in range(6)]
    assert min(total) > 0, total


def _random_program(seed, capacity, steps):
    ticks = Ticks()
    plain, ch = _pair(capacity, 9, clock=ticks.clock)
    for index in range(capacity):
        _next_generation(plain, index, (0xF8, 0x1FFEF8, 1)[index % 3])
    buf = bytearray(9)
    lane = []  # [id, data, sent], cancelled ones too
    open_ = {}  # id: [sent, data and status of the reply, or None]
    over = [NEVER]
    held = []  # what the server has read, and never forgets
    dropped = rejected = late = taken = gone = skipped = 0
    state = seed * 7919 + capacity
    for step in range(steps):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        pick = state >> 8
        ticks.now = step * 3
        what = pick % 11
        number = pick >> 4
        data = pattern((pick >> 9) % 11, step)
        ids = sorted(open_)
        if what < 4:
            id = ch.send_request(data)
            if len(open_) == capacity:
                dropped += 1
                assert id == 0
            elif len(data) > 9:
                rejected += 1
                assert id == 0
            elif len(lane) == capacity:
                dropped += 1
                assert id == 0
            else:
                assert id > 0 and id not in open_ and id not in over
                open_[id] = [step * 3, None]
                lane.append((id, data, step * 3))
        elif what < 6:
            while lane and lane[0][0] not in open_:
                lane.pop(0)
                skipped += 1
            got = ch.recv_request(buf)
            if lane:
                id, sent, stamp = lane.pop(0)
                assert tuple(got) == (len(sent), id, step * 3 - stamp), got
                assert bytes(buf[: len(sent)]) == sent
                held.append(id)
            else:
                assert got is None
        elif what < 8 and held:
            id = held[-1 - number % min(len(held), capacity + 1)]
            if pick & 256:
                status = pick >> 10 & 0xFF
                sent = ch.send_status(id, data, status)
            else:
                status = 0
                sent = ch.send_response(id, data)
            if id not in open_ or open_[id][1] is not None:
                late += 1
                assert sent is False
            elif len(data) > 9:
                rejected += 1
                assert sent is False
            else:
                assert sent is True
                open_[id][1] = (data, status)
        elif what < 10 and ids:
            id = ids[number % len(ids)]
            got = ch.recv_response(id, buf)
            stamp, reply = open_[id]
            if reply is None:
                assert got is None
            else:
                data, status = reply
                assert tuple(got) == (len(data), status, step * 3 - stamp), (got, reply)
                assert bytes(buf[: len(data)]) == data
                del open_[id]
                over.append(id)
                taken += 1
        elif pick & 0x3000 or not ids:
            id = over[-1 - number % len(over)]
            assert ch.cancel(id) is False
            raises(ValueError, "request %d is not" % id, ch.recv_response, id, buf)
        else:
            id = ids[number % len(ids)]
            assert ch.cancel(id) is True
            del open_[id]
            over.append(id)
            gone += 1
        assert (plain.dropped, plain.rejected, plain.late) == (dropped, rejected, late), step
        assert (plain.pending, plain.answered) == (len(open_), taken), step
        assert len(ch) == len(lane) and ch.free() == capacity - max(len(open_), len(lane))
    assert plain.stats().count == taken > steps // 50, taken
    return taken, dropped, rejected, late, gone, skipped
