"""What guards promise, as functions that CPython and MicroPython both run."""

import sys
from array import array

from harness import MICROPYTHON, Locked, Ticks, pattern, raises
from ringlane import (
    BULK,
    HIGH,
    LOW,
    NORMAL,
    REALTIME,
    Channel,
    IrqGuard,
    LockGuard,
    PriorityChannel,
    SoftGuard,
)

KINDS = (PriorityChannel, Channel)


class _Recorder:
    """A guard that counts, and notices a leave too many or with a wrong state."""

    def __init__(self):
        self.entered = 0
        self.held = 0
        self.wrong = 0
        self.state = 7  # another each time

    def enter(self):
        self.entered += 1
        self.held += 1
        self.state += 1
        return self.state

    def leave(self, state):
        self.held -= 1
        if state != self.state or self.held:
            self.wrong += 1

    def took(self, times):
        # Whether it was taken so often since the last time, and given back each time.
        entered, self.entered = self.entered, 0
        return entered == times and not self.held and not self.wrong


def _guarded(kind, capacity, slot_size=8, **rest):
    guard, recv_guard = _Recorder(), _Recorder()
    plain = kind(capacity, slot_size, send_guard=guard, recv_guard=recv_guard, **rest)
    return plain, Locked(plain), guard, recv_guard


# Sending


def each_send_takes_the_guard_once_whatever_comes_of_it():
    for kind in KINDS:
        plain, ch, guard, recv_guard = _guarded(kind, 2)
        assert ch.send(b"12345678", LOW) is True and guard.took(1)
        assert ch.send_word(7, LOW) is True and guard.took(1)
        assert ch.send(b"dropped", LOW) is False and guard.took(1)
        assert ch.send_word(7, LOW) is False and guard.took(1)
        assert ch.send_at(b"dropped", LOW, 5) is False and guard.took(1)
        assert ch.send_word_at(7, LOW, 5) is False and guard.took(1)
        assert ch.send(b"too large", LOW) is False and guard.took(1)
        assert (plain.dropped, plain.rejected) == (4, 1)
        plain.close()
        assert ch.send(b"", LOW) is False and guard.took(1)
        assert ch.send_word(7, LOW) is False and guard.took(1)
        assert plain.rejected == 3 and len(plain) == 2
        assert recv_guard.took(0)  # that is for the receivers


def what_raises_never_takes_the_guard():
    trials = 0
    for kind in KINDS:
        plain, ch, guard, _ = _guarded(kind, 2)
        for data in ("text", array("H", [1]), array("f", [1.0]), 5, None, [1], (1,), {}):
            for _ in range(2):
                raises(TypeError, "", ch.send, data, NORMAL)
                raises(TypeError, "", ch.send_at, data, NORMAL, 1)
                trials += 1
        for priority in (-1, 5, 255, -(1 << 29)):
            text = "class must be 0 to 4, not %d" % priority
            raises(ValueError, text, ch.send, b"x", priority)
            raises(ValueError, text, ch.send_word, 1, priority)
            raises(ValueError, text, ch.send_at, b"x", priority, 1)
            raises(ValueError, text, ch.send_word_at, 1, priority, 1)
        for value in ("1", None, b"1", [1]):
            name = type(value).__name__
            raises(TypeError, name, ch.send_word, value, LOW)
            raises(TypeError, name, ch.send_word_at, value, LOW, 1)
            raises(TypeError, name, ch.send_word_at, 1, LOW, value)
            raises(TypeError, name, ch.send_at, b"x", LOW, value)
            raises(TypeError, name, ch.send, b"x", value)
        raises(TypeError, "positional arguments but", plain.send, b"x")
        assert guard.took(0), guard.entered
        assert (plain.sent, plain.dropped, plain.rejected) == (0, 0, 0)
        assert ch.send(b"fine", NORMAL) is True and guard.took(1)
    assert trials == 32
    plain, ch, guard, _ = _guarded(PriorityChannel, (1, 0, 1, 1, 1))
    text = "PriorityChannel: class HIGH has capacity 0"
    raises(ValueError, text, ch.send, b"x", HIGH)
    raises(ValueError, text, ch.send_word, 1, HIGH)
    raises(ValueError, text, ch.send_at, b"x", HIGH, 5)
    raises(ValueError, text, ch.send_word_at, 1, HIGH, 5)
    assert guard.took(0)


def a_failed_send_at_leaves_no_stamp_behind_under_a_guard():
    ticks = Ticks()
    plain, ch, guard, _ = _guarded(PriorityChannel, (1, 0, 0, 0, 0), 4, clock=ticks.clock)
    ticks.now = 70
    raises(TypeError, "not str", ch.send_at, "text", REALTIME, 5)
    raises(ValueError, "class must be 0 to 4, not 9", ch.send_word_at, 1, 9, 5)
    raises(TypeError, "str", ch.send_word_at, "1", REALTIME, 5)
    assert guard.took(0)
    ch.send_word(1, REALTIME)
    assert ch.send_word_at(1, REALTIME, 5) is False
    ticks.now = 75
    assert ch.recv_word()[2] == 5 and ch.timestamp() == 70
    assert ch.send_at(b"1234", REALTIME, 60) is True
    assert ch.recv_word()[2] == 15 and ch.timestamp() == 60 and guard.took(3)


def a_word_of_32_bits_needs_no_memory_under_a_guard():
    for kind in KINDS:
        plain, ch, guard, _ = _guarded(kind, 2, 4)
        for value in (1 << 30, (1 << 31) - 1, -(1 << 31), 0xFFFFFFFF, -(1 << 30) - 1):
            assert ch.send_word(value, HIGH) is True and guard.took(1)
            assert ch.send_word_at(value, HIGH, 5) is True and guard.took(1)
            signed = value - (1 << 32) if value >> 31 == 1 else value
            assert plain.recv_word()[0] == signed == plain.recv_word()[0], value


def each_sender_of_a_channel_is_under_the_guard():
    plain, ch, guard, _ = _guarded(Channel, 3, senders=2)
    second = Locked(plain.add_sender())
    assert second.send_word(2, LOW) is True and guard.took(1)
    assert second.send(b"1234", LOW) is True and ch.send_word(1, LOW) is True and guard.took(2)
    raises(TypeError, "", second.send, "text", LOW)
    assert guard.took(0) and len(plain) == 3


# Receiving


def each_receive_takes_the_guard_once_whatever_comes_of_it():
    for kind in KINDS:
        plain, ch, guard, recv_guard = _guarded(kind, 8)
        other = Locked(plain.add_receiver())
        buf = bytearray(8)
        for end in (ch, other):
            assert end.recv(buf) is None and recv_guard.took(1)
            assert end.recv_word() is None and recv_guard.took(1)
            assert end.recv_words(array("i", [0])) == 0 and recv_guard.took(1)
            assert end.skip() is False and recv_guard.took(1)
            assert end.clear() == 0 and recv_guard.took(1)
            for value in range(8):
                assert plain.send_word(value, LOW)
            assert end.recv(buf)[0] == 4 and recv_guard.took(1)
            assert end.recv_word()[0] == 1 and recv_guard.took(1)
            words = array("i", [0, 0])
            assert end.recv_words(words) == 2 and list(words) == [2, 3] and recv_guard.took(1)
            assert end.skip() is True and recv_guard.took(1)
            assert end.clear() == 3 and recv_guard.took(1)
        assert plain.received == 16 and guard.took(16)


def a_wrong_receive_buffer_never_takes_the_guard():
    for kind in KINDS:
        plain, ch, _, recv_guard = _guarded(kind, 2)
        other = Locked(plain.add_receiver())
        plain.send(b"kept", NORMAL)
        constant = b"constant"
        for end in (ch, other):
            for buf in (constant, memoryview(constant), "text", None, 5, array("H", [0] * 9)):
                for _ in range(2):
                    raises(TypeError, "", end.recv, buf)
            for words in (b"1234", bytearray(8), array("h", [0]), "1234", None, array("d", [0.0])):
                for _ in range(2):
                    raises(TypeError, "", end.recv_words, words)
            # Any message may come, so there must be room for any.
            text = "receive buffer of 7 bytes, under recv_guard slot_size=8"
            raises(ValueError, text, end.recv, bytearray(7))
        assert recv_guard.took(0) and constant == b"constant"
        buf = bytearray(8)
        assert len(plain) == 1 and other.recv(buf)[0] == 4 and buf[:4] == b"kept"
        # As wrong after a right one.
        words = array("i", [0])
        assert other.recv_words(words) == 0
        plain.send(b"kept", NORMAL)
        recv_guard.entered = 0
        for buf in (constant, None):
            raises(TypeError, "", other.recv, buf)
        raises(TypeError, "", other.recv_words, bytearray(4))
        assert recv_guard.took(0) and len(plain) == 1


def a_message_that_is_no_word_gives_the_guard_back_and_stays():
    for kind in KINDS:
        plain, ch, _, recv_guard = _guarded(kind, 2)
        other = Locked(plain.add_receiver())
        plain.send(b"12345", LOW)
        for end in (ch, other):
            for _ in range(2):
                raises(ValueError, "message of 5 bytes is not a word", end.recv_word)
                raises(ValueError, "message of 5 bytes", end.recv_words, array("i", [0, 0]))
            assert recv_guard.took(4) and len(plain) == 1
        buf = bytearray(8)
        assert other.recv(buf)[0] == 5 and buf[:5] == b"12345"


def a_word_that_cannot_be_made_an_int_gives_the_guard_back_and_stays():
    plain, ch, _, recv_guard = _guarded(Channel, 2)
    plain.send_word(0x7FFFFFFF, LOW)
    try:
        m = ch.recv_word()
    except MemoryError:  # on a chip it needs memory, and the heap is locked
        assert recv_guard.took(1) and len(plain) == 1
        m = plain.recv_word()
    assert m[0] == 0x7FFFFFFF and recv_guard.took(1) and len(plain) == 0


def several_receivers_share_what_comes_and_keep_their_results():
    for kind in KINDS:
        ticks = Ticks()
        plain, ch, _, _ = _guarded(kind, 6, clock=ticks.clock)
        ends = [ch, Locked(plain.add_receiver()), Locked(plain.add_receiver())]
        bufs = [bytearray(8) for _ in ends]
        results = []
        for number in range(6):
            ticks.now = 10 * number
            assert plain.send(pattern(number, number), number % 5) is True
        ticks.now = 100
        expected = sorted(range(6), key=lambda number: number % 5 * 10 + number)
        if kind is Channel:
            expected = list(range(6))
        for turn in (0, 1):
            results = [ends[i].recv(bufs[i]) for i in range(3)]
            for i in range(3):
                number = expected[3 * turn + i]
                assert tuple(results[i]) == (number, number % 5, 100 - 10 * number), (kind, i)
                assert bytes(bufs[i][:number]) == pattern(number, number)
                assert ends[i].timestamp() == 10 * number
        assert results[0] is not results[1] and results[1] is not results[2]
        assert [end.recv_word() for end in ends] == [None] * 3
        assert plain.received == 6 == plain.sent
        for number in range(3):
            plain.send_word(number, 4 - number)
        words = [end.recv_word() for end in ends]
        expected = [2, 1, 0] if kind is PriorityChannel else [0, 1, 2]
        assert [tuple(m) for m in words] == [(number, 4 - number, 0) for number in expected]
        assert words[0] is not words[1] and words[1] is not words[2]


def a_receiver_of_the_channel_waits_and_closes_with_it():
    plain, _, _, recv_guard = _guarded(Channel, 2)
    end = plain.add_receiver()
    buf = bytearray(8)
    plain.send(b"1234", LOW)
    assert end.recv_wait(buf, 0)[0] == 4 and buf[:4] == b"1234" and recv_guard.took(1)
    assert end.recv_wait(buf, 0) is None and end.closed is False
    plain.send(b"left", LOW)
    plain.close()
    assert end.closed is True and end.recv_wait(buf)[0] == 4 and end.recv_wait(buf) is False


def statistics_count_what_any_receiver_takes():
    ticks = Ticks()
    plain, ch, _, recv_guard = _guarded(PriorityChannel, 3, clock=ticks.clock, stats=True)
    other = Locked(plain.add_receiver())
    for latency in (5, 700):
        plain.send_word(1, LOW)
        ticks.now += latency
        assert (other if latency == 700 else ch).recv_word()[2] == latency
    assert tuple(plain.stats())[:2] == (2, 352) and plain.stats().max_latency == 700
    assert other.end.stats() == plain.stats() and recv_guard.took(2)
    plain, _, _, _ = _guarded(Channel, 3)
    raises(ValueError, "Channel was made without stats=True", plain.add_receiver().stats)


# The guards


def _guard(kind, refused):
    # One of that kind, or None where the board has not what it needs.
    try:
        return kind()
    except ValueError as error:
        assert refused in str(error), error
        return None


def _irq_guard():
    return _guard(IrqGuard, "this board cannot mask interrupts: use LockGuard()")


def _lock_guard():
    return _guard(LockGuard, "this MicroPython has no _thread: use IrqGuard()")


def a_guard_is_refused_where_the_board_has_not_what_it_needs():
    # MicroPython's port for QEMU has neither.
    unmasked, unlocked = ("linux", "qemu"), ("qemu",)
    assert (_irq_guard() is None) is (MICROPYTHON and sys.platform in unmasked), sys.platform
    assert (_lock_guard() is None) is (MICROPYTHON and sys.platform in unlocked), sys.platform


def _probe(guard):
    # What enter() returns while nobody holds the guard, and that is always the same.
    state = guard.enter()
    guard.leave(state)
    return state


def interrupts_are_as_before_after_every_outcome():
    guard = _irq_guard()
    if guard is None:
        return  # the board cannot mask, which another scenario has shown
    free = _probe(guard)
    inside = guard.enter()
    assert inside == free and _probe(guard) != free  # it can be told
    guard.leave(inside)
    for kind in KINDS:
        plain = kind(2, 4, send_guard=guard, recv_guard=guard)
        ch, other = Locked(plain), Locked(plain.add_receiver())
        buf = bytearray(4)
        outcomes = 0
        for call in (
            lambda ch=ch: ch.send(b"1234", LOW),
            lambda ch=ch: ch.send(b"too large", LOW),
            lambda ch=ch: ch.send("text", LOW),
            lambda ch=ch: ch.send_word("text", LOW),
            lambda ch=ch: ch.send_word(0x7FFFFFFF, 9),
            lambda ch=ch: ch.send_word_at(5, LOW, None),
            lambda ch=ch: ch.send_word_at(5, LOW, 5),
            lambda ch=ch: ch.send(b"dropped", LOW),
            lambda ch=ch: ch.recv(b"1234"),
            lambda ch=ch, buf=buf: ch.recv(buf),
            lambda other=other: other.recv_words(b"1234"),
            lambda other=other: other.recv_words(array("i", [0])),
            lambda other=other: other.recv_word(),
            lambda ch=ch: ch.send(b"123", LOW),
            lambda other=other: other.recv_word(),
            lambda other=other: other.recv_words(array("I", [0])),
            lambda ch=ch: ch.skip(),
            lambda other=other: other.clear(),
            lambda ch=ch: ch.send_word(0x7FFFFFFF, BULK),
            lambda ch=ch: ch.recv_word(),
        ):
            try:
                call()
            except (TypeError, ValueError, MemoryError):
                outcomes += 100
            outcomes += 1
            assert _probe(guard) == free, outcomes
        assert outcomes // 100 >= 8 and outcomes % 100 == 20, outcomes


def a_lock_guard_is_free_after_every_outcome():
    guard = _lock_guard()
    if guard is None:
        return  # there are no threads, as another scenario has shown
    for kind in KINDS:
        plain = kind(1, 4, send_guard=guard, recv_guard=LockGuard())
        ch = Locked(plain)
        free = guard.enter
        for call in (
            lambda ch=ch: ch.send(b"12", LOW),
            lambda ch=ch: ch.send(b"12", LOW),
            lambda ch=ch: ch.send("text", LOW),
            lambda ch=ch: ch.recv_word(),
            lambda ch=ch: ch.send_word(None, LOW),
            lambda ch=ch: ch.recv(bytearray(4)),
            lambda ch=ch: ch.send_word(3, LOW),
            lambda ch=ch: ch.recv_word(),
        ):
            try:
                call()
            except (TypeError, ValueError):
                pass
            assert free(False) is True  # does not wait
            guard.leave(True)
        assert plain.received == 2 and plain.dropped == 1
        assert free(False) is True and free(False) is False  # it can be told
        guard.leave(True)


def what_is_no_guard_is_a_type_error_that_names_it():
    class Half:
        def enter(self):
            pass

    half = Half()
    for kind in KINDS:
        for bad in (5, "IrqGuard", True, half, [1]):
            for name in ("send_guard", "recv_guard"):
                raises(
                    TypeError,
                    "guard must have enter and leave, not %r" % (bad,),
                    lambda kind=kind, name=name, bad=bad: kind(2, **{name: bad}),
                )
        for name in ("send_guard", "recv_guard"):
            raises(
                ValueError,
                "zero_copy=True needs a context each, not",
                lambda kind=kind, name=name: kind(2, zero_copy=True, **{name: SoftGuard()}),
            )


def a_channel_without_recv_guard_has_one_receiver():
    ch = PriorityChannel(2, name="bus", send_guard=SoftGuard())
    raises(ValueError, "PriorityChannel 'bus' has no recv_guard, so one receiver", ch.add_receiver)
    assert ch.send_word(1, LOW) and ch.recv_word()[0] == 1
    plain, _, _, _ = _guarded(Channel, 2)
    ends = [plain.add_receiver() for _ in range(5)]
    assert len({id(end) for end in ends}) == 5


def verbs_under_a_guard_take_positional_arguments_only():
    plain, _, guard, recv_guard = _guarded(PriorityChannel, 2)
    for call in (lambda: plain.send(data=b"x", priority=1), lambda: plain.recv(buf=bytearray(8))):
        try:
            call()
        except TypeError as error:
            assert "doesn't take keyword arguments" in str(error), error
        else:
            raise AssertionError("no error")
    raises(TypeError, "positional arguments but", plain.recv)
    assert guard.took(0) and recv_guard.took(0)
