"""What zero-copy promises (zero_copy=True), as functions that CPython and MicroPython both run."""

from array import array

from harness import ROOMY, Locked, Ticks, pattern, raises
from ringlane import BULK, HIGH, LOW, NORMAL, REALTIME, Channel, PriorityChannel

KINDS = (PriorityChannel, Channel)


def _made(kind, capacity, slot_size=8, **rest):
    plain = kind(capacity, slot_size, zero_copy=True, **rest)
    return plain, Locked(plain)


def _write(view, data):
    # A slice would allocate; this is what a handler can do.
    for i in range(len(data)):
        view[i] = data[i]


def _send(ch, data, priority):
    view = ch.claim(priority)
    if view is None:
        return False
    _write(view, data)
    assert ch.commit(priority, len(data)) is True
    return True


# Claim, commit, abort


def a_claimed_view_is_exactly_the_slot():
    for kind in KINDS:
        for slot_size in (1, 2, 3, 4, 5, 31, 32, 33):
            _, ch = _made(kind, 3, slot_size)
            buf = bytearray(slot_size)
            for number in range(7):  # three slots, twice round
                view = ch.claim(LOW)
                assert type(view) is memoryview and len(view) == slot_size, len(view)
                data = pattern(slot_size, number)
                _write(view, data)
                assert ch.commit(LOW, slot_size) is True
                assert ch.recv(buf)[0] == slot_size and buf == data, (slot_size, number)


def writing_a_view_changes_its_own_slot_alone():
    for kind in KINDS:
        for capacity in (1, 2, 3, 5):
            plain, ch = _made(kind, capacity, 5)
            buf = bytearray(5)
            sent = received = 0
            rounds = 4 * capacity + 3
            for step in range(rounds):
                while _send(ch, pattern(5, sent), BULK):
                    sent += 1
                assert sent - received == capacity == len(ch)
                for _ in range(step % capacity + 1):
                    assert ch.recv(buf)[0] == 5 and buf == pattern(5, received), (capacity, sent)
                    received += 1
            assert plain.received == received > 2 * capacity
            assert plain.dropped == rounds and plain.rejected == 0


def a_claim_may_hold_any_size_from_nothing_to_the_whole_slot():
    for kind in KINDS:
        _, ch = _made(kind, 2, 9)
        buf = bytearray(9)
        for size in range(10):
            view = ch.claim(HIGH)
            _write(view, pattern(9, size))
            assert ch.commit(HIGH, size) is True
            buf[:] = b"\xa5" * 9
            got = ch.recv(buf)
            assert got[0] == size and got[1] == HIGH
            assert bytes(buf[:size]) == pattern(9, size)[:size]
            assert bytes(buf[size:]) == b"\xa5" * (9 - size)


def the_stamp_is_taken_at_commit():
    for kind in KINDS:
        ticks = Ticks()
        plain, ch = _made(kind, 2, 4, clock=ticks.clock)
        ticks.now = 100
        ch.claim(LOW)
        ticks.now = 250
        ch.commit(LOW, 4)
        ticks.now = 257
        assert ch.recv_word()[2] == 7 and ch.timestamp() == 250
        # A stamp set for another message is not this one's, nor this one's that one's.
        ch.claim(LOW)
        assert ch.send_word_at(1, LOW, 5) is False  # rejected while the slot is claimed
        ch.commit(LOW, 4)
        assert ch.recv_word()[2] == 0 and plain.rejected == 1


def while_a_claim_is_open_the_lane_refuses_and_others_do_not():
    plain, ch = _made(PriorityChannel, 2)
    assert ch.send(b"before", NORMAL) is True
    view = ch.claim(NORMAL)
    _write(view, b"claimed!")
    assert ch.send(b"x", NORMAL) is False and ch.send_word(1, NORMAL) is False
    assert ch.claim(NORMAL) is None and ch.send_at(b"x", NORMAL, 1) is False
    assert (plain.rejected, plain.dropped) == (4, 0)
    assert plain.counters(NORMAL)[4] == 4 and ch.free(NORMAL) == 0 and ch.is_full(NORMAL)
    for priority in (REALTIME, HIGH, LOW, BULK):
        assert ch.send_word(priority, priority) is True, priority
        assert ch.claim(priority) is not None
        ch.abort(priority)
    assert ch.free(LOW) == 1
    # The receiver goes on meanwhile; what is claimed is not queued yet.
    buf = bytearray(8)
    assert [ch.recv_word()[0] for _ in range(2)] == [REALTIME, HIGH]
    assert ch.recv(buf)[0] == 6 and buf[:6] == b"before"
    assert ch.commit(NORMAL, 8) is True
    assert ch.recv(buf)[0] == 8 and buf == b"claimed!"
    assert plain.rejected == 4 and len(ch) == 2


def on_a_channel_one_claim_holds_all_classes():
    plain, ch = _made(Channel, 3)
    view = ch.claim(BULK)
    _write(view, b"label")
    for priority in range(5):
        assert ch.claim(priority) is None and ch.send_word(0, priority) is False
    assert plain.rejected == 10
    assert ch.commit(HIGH, 5) is True  # the class is a label, and that of the commit counts
    buf = bytearray(8)
    got = ch.recv(buf)
    assert got[0] == 5 and got[1] == HIGH and buf[:5] == b"label"


def a_claim_on_a_full_lane_is_none_and_dropped():
    for kind in KINDS:
        for capacity in (1, 2, 3):
            plain, ch = _made(kind, capacity)
            for number in range(capacity):
                assert _send(ch, bytes((number,)), LOW)
            for _ in range(2):
                assert ch.claim(LOW) is None
            assert (plain.dropped, plain.rejected, plain.high_water) == (2, 0, capacity)
            raises(ValueError, "no claim is open on class LOW", ch.commit, LOW, 1)
            buf = bytearray(8)
            assert ch.recv(buf)[0] == 1 and buf[0] == 0
            assert ch.claim(LOW) is not None  # there is room again
            assert ch.commit(LOW, 0) is True and len(ch) == capacity


def an_aborted_claim_leaves_nothing():
    for kind in KINDS:
        plain, ch = _made(kind, 2)
        assert ch.send(b"kept", NORMAL)
        for _ in range(5):
            view = ch.claim(NORMAL)
            _write(view, b"rubbish!")
            assert ch.abort(NORMAL) is None
            assert len(ch) == 1 and ch.free(NORMAL) == 1
        raises(ValueError, "no claim is open on class NORMAL", ch.abort, NORMAL)
        assert ch.send(b"next", NORMAL) is True
        buf = bytearray(8)
        for text in (b"kept", b"next"):
            assert ch.recv(buf)[0] == 4 and buf[:4] == text
        assert ch.recv(buf) is None
        assert (plain.sent, plain.dropped, plain.rejected) == (2, 0, 0)


def a_wrong_commit_names_the_value_and_leaves_the_claim_open():
    for kind in KINDS:
        plain, ch = _made(kind, 2)
        raises(ValueError, "no claim is open on class LOW", ch.commit, LOW, 1)
        raises(ValueError, "no claim is open on class LOW", ch.abort, LOW)
        view = ch.claim(LOW)
        _write(view, b"12345678")
        for size in (-1, 9, 70000, -(1 << 29)):
            raises(ValueError, "size must be 0 to 8, not %d" % size, ch.commit, LOW, size)
        raises(TypeError, "str", ch.commit, LOW, "8")
        raises(TypeError, "NoneType", ch.commit, None, 8)
        for priority in (-1, 5, 255):
            text = "class must be 0 to 4, not %d" % priority
            raises(ValueError, text, ch.claim, priority)
            raises(ValueError, text, ch.commit, priority, 1)
            raises(ValueError, text, ch.abort, priority)
        if kind is PriorityChannel:
            text = "PriorityChannel: no claim is open on class HIGH"
            raises(ValueError, text, ch.commit, HIGH, 1)
            raises(ValueError, text, ch.abort, HIGH)
        assert (plain.sent, plain.dropped, plain.rejected) == (0, 0, 0)
        assert ch.commit(LOW, 8) is True
        buf = bytearray(8)
        assert ch.recv(buf)[0] == 8 and buf == b"12345678" and ch.recv(buf) is None


def a_class_without_capacity_cannot_be_claimed():
    plain, ch = _made(PriorityChannel, (1, 0, 2, 0, 0))
    for priority, name in ((HIGH, "HIGH"), (LOW, "LOW"), (BULK, "BULK")):
        text = "PriorityChannel: class %s has capacity 0" % name
        raises(ValueError, text, ch.claim, priority)
        raises(ValueError, text, ch.commit, priority, 0)
        raises(ValueError, text, ch.abort, priority)
    assert (plain.sent, plain.dropped, plain.rejected) == (0, 0, 0)
    assert _send(ch, b"a", REALTIME) and _send(ch, b"b", NORMAL) and _send(ch, b"c", NORMAL)
    got = []
    while ch.peek():
        got.append(plain.view[0])
        ch.release()
    assert bytes(got) == b"abc"


def a_close_while_a_claim_is_open_refuses_its_commit():
    for kind in KINDS:
        plain, ch = _made(kind, 2)
        assert _send(ch, b"kept", NORMAL)
        ch.claim(NORMAL)
        ch.close()
        assert ch.claim(NORMAL) is None and plain.rejected == 1
        assert ch.commit(NORMAL, 4) is False and plain.rejected == 2
        raises(ValueError, "no claim is open on class NORMAL", ch.commit, NORMAL, 4)
        assert ch.claim(NORMAL) is None and ch.send(b"x", NORMAL) is False
        assert ch.peek()[0] == 4 and bytes(plain.view[:4]) == b"kept" and ch.release() is True
        assert ch.peek() is None and ch.release() is False and len(ch) == 0
        aborted, ch = _made(kind, 2)
        ch.claim(NORMAL)
        ch.close()
        assert ch.abort(NORMAL) is None and aborted.rejected == 0


def two_senders_may_hold_a_claim_on_one_class_at_once():
    for kind in KINDS:
        ticks = Ticks()
        plain, ch = _made(kind, 2, 8, senders=2, clock=ticks.clock)
        second = Locked(plain.add_sender())
        for turn in range(5):
            mine, its = ch.claim(HIGH), second.claim(HIGH)
            _write(mine, pattern(8, 2 * turn))
            _write(its, pattern(8, 2 * turn + 1))
            ticks.now += 10
            assert second.commit(HIGH, 8) is True  # the first to commit is the older
            ticks.now += 10
            assert ch.commit(HIGH, 7) is True
            assert ch.peek()[0] == 8 and plain.view == pattern(8, 2 * turn + 1)
            assert ch.release() is True
            assert ch.peek()[0] == 7 and plain.view == pattern(8, 2 * turn)
            assert ch.release() is True
        ch.claim(HIGH)
        assert second.send(b"free", HIGH) is True and plain.rejected == 0
        raises(ValueError, "no claim is open on class HIGH", second.commit, HIGH, 1)
        ch.abort(HIGH)


def sends_and_claims_take_turns_on_a_lane():
    for kind in KINDS:
        for capacity in (1, 2, 3):
            plain, ch = _made(kind, capacity, 6)
            buf = bytearray(6)
            sent = received = 0
            for step in range(12 * capacity):
                while True:
                    data = pattern(sent % 7, sent)
                    done = _send(ch, data, LOW) if (sent + step) % 2 else ch.send(data, LOW)
                    if not done:
                        break
                    sent += 1
                for _ in range(step % capacity + 1):
                    if received % 2:
                        size, priority, _ = ch.peek()
                        data = bytes(plain.view[:size])
                        assert priority == LOW and ch.release() is True
                    else:
                        size = ch.recv(buf)[0]
                        data = bytes(buf[:size])
                    assert data == pattern(received % 7, received), (capacity, received)
                    received += 1
            assert sent >= 12 * capacity and len(ch) == sent - received
            assert plain.high_water == capacity


# A claim open across calls


class _Sampler:
    """A handler that fills a block of samples, one a call, as from an ADC."""

    def __init__(self, ch, samples):
        self.claim, self.commit = ch.claim, ch.commit
        self.samples = samples
        self.view = None
        self.used = 0
        self.skipped = 0

    def sample(self, value):
        if self.view is None:
            self.view = self.claim(BULK)
            self.used = 0
            if self.view is None:
                self.skipped += 1
                return
        at = 2 * self.used
        self.view[at] = value & 0xFF
        self.view[at + 1] = value >> 8
        self.used += 1
        if self.used == self.samples:
            self.commit(BULK, 2 * self.samples)
            self.view = None


def a_block_is_filled_sample_by_sample_over_many_calls():
    for kind in KINDS:
        plain, ch = _made(kind, 2, 16)
        sampler = _Sampler(plain, 8)
        on_sample = Locked(sampler).sample
        seen = []
        for sample in range(2 * 8 + 5):
            on_sample(sample * 77)
        assert len(ch) == 2 and sampler.skipped == 5 == plain.dropped  # none was read yet
        taken = 0
        for sample in range(100, 100 + 8 * 10):
            if sample % 8 == 3 and ch.peek():
                size, priority, _ = ch.peek()
                assert size == 16 and priority == BULK
                values = [plain.view[i] | plain.view[i + 1] << 8 for i in range(0, 16, 2)]
                seen.append(values)
                assert ch.release()
                taken += 1
            on_sample(sample * 77)
        assert taken > 8
        for values in seen:
            assert [value - values[0] for value in values] == [77 * i for i in range(8)], values
        assert seen[0] == [77 * i for i in range(8)] and seen[1][0] == 8 * 77
        assert sampler.skipped == plain.dropped


def a_transfer_may_write_a_slot_while_nothing_else_runs():
    # As a DMA does: it is given the address, and writes behind everybody's back.
    for kind in KINDS:
        plain, ch = _made(kind, 2, 12)
        pending = None
        received = []
        for block in range(9):
            if pending is not None:
                assert ch.commit(BULK, 12) is True
            pending = ch.claim(BULK)
            for i in range(12):
                pending[i] = (block * 29 + i) & 0xFF
                if i == block and ch.peek():  # in the middle of the transfer
                    received.append(bytes(plain.view))
                    ch.release()
        assert len(received) == 8 and plain.dropped == 0
        for number in range(len(received)):
            expected = bytes((number * 29 + i) & 0xFF for i in range(12))
            assert received[number] == expected, number


# Peek, release


def peek_gives_the_same_message_until_release():
    ticks = Ticks()
    plain, ch = _made(PriorityChannel, 2, 8, clock=ticks.clock)
    ch.send(b"bulk", BULK)
    ticks.now = 30
    first = ch.peek()
    assert tuple(first) == (4, BULK, 30) and ch.timestamp() == 0
    kept = plain.view
    for urgent in (REALTIME, HIGH, NORMAL):
        ch.send_word(urgent, urgent)
        ticks.now += 5
        again = ch.peek()
        assert again is first and tuple(again) == (4, BULK, ticks.now)
        assert plain.view is kept and bytes(kept[:4]) == b"bulk"
    assert len(ch) == 4 and plain.received == 0
    assert ch.release() is True  # that one, whatever came since
    assert len(ch) == 3 and plain.counters(BULK)[0] == 0 and plain.received == 1
    assert ch.release() is False
    assert [ch.recv_word()[1] for _ in range(3)] == [REALTIME, HIGH, NORMAL]
    assert ch.peek() is None and ch.release() is False


def release_without_a_peek_takes_nothing():
    for kind in KINDS:
        plain, ch = _made(kind, 2)
        assert ch.release() is False
        ch.send(b"kept", LOW)
        assert ch.release() is False and len(ch) == 1
        assert ch.peek() and ch.release() is True and ch.release() is False
        ch.send(b"next", LOW)
        assert ch.release() is False and len(ch) == 1 and plain.received == 1


def what_is_taken_between_peek_and_release_is_not_released_again():
    for kind in KINDS:
        plain, ch = _made(kind, 3)
        buf = bytearray(8)
        for take in ("recv", "skip", "clear", "recv_word", "recv_words"):
            first = plain.received
            for text in (b"one.", b"two.", b"tri."):
                assert ch.send(text, LOW)
            assert ch.peek() and bytes(plain.view[:4]) == b"one."
            if take == "recv":
                assert ch.recv(buf)[0] == 4 and buf[:4] == b"one."
            elif take == "recv_words":
                assert ch.recv_words(array("i", [0])) == 1
            else:
                assert getattr(ch, take)()
            left = len(ch)
            assert left == (0 if take == "clear" else 2)
            assert ch.release() is False and len(ch) == left, take
            if left:
                assert ch.peek() and bytes(plain.view[:4]) == b"two.", take
                ch.recv(buf)
                assert ch.peek() and bytes(plain.view[:4]) == b"tri.", take  # a new one, at once
                assert ch.release() is True
            assert ch.peek() is None and plain.received == first + 3


def what_is_taken_of_another_lane_leaves_the_peeked_one():
    plain, ch = _made(PriorityChannel, 2)
    ch.send(b"bulk", BULK)
    assert ch.peek()[1] == BULK
    ch.send_word(1, HIGH)
    ch.send_word(2, HIGH)
    assert ch.recv_word()[1] == HIGH and ch.skip() is True  # both of class HIGH
    assert ch.peek()[1] == BULK and bytes(plain.view[:4]) == b"bulk"
    assert ch.release() is True and len(ch) == 0 and plain.received == 3


def a_view_shows_a_message_of_every_size():
    for kind in KINDS:
        for slot_size in (1, 4, 7, 32):
            plain, ch = _made(kind, 2, slot_size)
            for size in range(slot_size + 1):
                data = pattern(size, size + 3)
                assert ch.send(data, NORMAL) is True
                m = ch.peek()
                assert m[0] == size and m[1] == NORMAL
                view = plain.view
                assert len(view) == slot_size and bytes(view[:size]) == data
                assert ch.release() is True


def peek_merges_several_senders_by_age():
    for kind in KINDS:
        ticks = Ticks()
        plain, ch = _made(kind, 4, 4, senders=3, clock=ticks.clock)
        ends = [ch, Locked(plain.add_sender()), Locked(plain.add_sender())]
        for step in range(9):
            ticks.now = 100 + step
            assert ends[step * 2 % 3].send_word(step, LOW) is True
        for step in range(9):
            assert ch.peek()[2] == 8 - step and plain.view[0] == step
            assert ch.timestamp() == 100 + step
            ch.peek()
            assert ch.release() is True
        assert ch.peek() is None


def the_result_of_peek_is_its_own():
    plain, ch = _made(PriorityChannel, 2)
    buf = bytearray(8)
    ch.send(b"12345", HIGH)
    ch.send(b"123", LOW)
    m = ch.peek()
    got = ch.recv(buf)
    assert got is not m and list(got[:2]) == [5, HIGH] and list(m[:2]) == [5, HIGH]
    assert ch.peek() is m and m[0] == 3 and got[0] == 5
    assert ch.release() and ch.peek() is None and plain.received == 2


# Without views


def a_channel_without_views_has_no_claim():
    for kind in KINDS:
        plain = kind(2, 8, senders=2)
        second = plain.add_sender()
        for name in ("claim", "commit", "abort"):
            raises(AttributeError, "'%s'" % name, getattr, second, name)
        for name in ("claim", "commit", "abort", "peek", "release", "view"):
            raises(
                AttributeError, "made without zero_copy=True: no %s" % name, getattr, plain, name
            )
        raises(AttributeError, "has no attribute 'nothing'", getattr, plain, "nothing")
        assert kind._bytes(kind._check_capacity(plain.capacity), 8, 2, 1) == len(
            plain._block
        )  # views are beside it
        assert len(kind(2, 8, 2, zero_copy=True)._block) == len(plain._block)


def peek_and_claim_take_positional_arguments_only():
    ch = Channel(2, zero_copy=True)
    for call in (lambda: ch.claim(priority=1), lambda: ch.commit(priority=1, size=1)):
        try:
            call()
        except TypeError as error:
            assert "doesn't take keyword arguments" in str(error), error
        else:
            raise AssertionError("no error")
    raises(TypeError, "positional arguments but", ch.claim)
    raises(TypeError, "positional arguments but", ch.commit, 1)
    assert ch.claim(1) is not None


def a_random_program_of_claims_agrees_with_a_plain_model():
    for seed in (1, 2, 3) if ROOMY else (1,):
        _random_program(seed, 500 if ROOMY else 80)


def _random_program(seed, steps):
    ticks = Ticks()
    plain, ch = _made(PriorityChannel, (1, 2, 3, 2, 5), 9, clock=ticks.clock)
    lanes = [[] for _ in range(5)]
    claims = [None] * 5
    capacities = (1, 2, 3, 2, 5)
    buf = bytearray(9)
    peeked = None
    dropped = rejected = taken = committed = 0
    state = seed * 7919
    for step in range(steps):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        pick = state >> 8
        ticks.now = step * 3
        action = pick % 8
        priority = (pick >> 4) % 5
        lane = lanes[priority]
        data = pattern((pick >> 9) % 10, step)
        if action < 2:
            ok = ch.send(data, priority)
            if claims[priority] is not None:
                rejected += 1
            elif len(lane) == capacities[priority]:
                dropped += 1
            else:
                lane.append((step * 3, data))
                assert ok is True
                continue
            assert ok is False
        elif action < 4:
            view = ch.claim(priority)
            if claims[priority] is not None:
                rejected += 1
                assert view is None
            elif len(lane) == capacities[priority]:
                dropped += 1
                assert view is None
            else:
                claims[priority] = view
        elif action == 4:
            if claims[priority] is None:
                raises(ValueError, "no claim", ch.commit, priority, 1)
            elif pick & 4096:
                ch.abort(priority)
                claims[priority] = None
            else:
                _write(claims[priority], data)
                assert ch.commit(priority, len(data)) is True
                lane.append((step * 3, data))
                claims[priority] = None
                committed += 1
        elif action == 5:
            m = ch.peek()
            if peeked is None:
                for peeked in range(5):
                    if lanes[peeked]:
                        break
                else:
                    peeked = None
            if peeked is None:
                assert m is None
            else:
                stamp, data = lanes[peeked][0]
                assert tuple(m) == (len(data), peeked, step * 3 - stamp), (tuple(m), peeked)
                assert bytes(plain.view[: m[0]]) == data
        elif action == 6:
            done = ch.release()
            assert done is (peeked is not None), step
            if done:
                lanes[peeked].pop(0)
                peeked = None
                taken += 1
        else:
            m = ch.recv(buf)
            for urgent in range(5):
                if lanes[urgent]:
                    stamp, data = lanes[urgent].pop(0)
                    assert tuple(m) == (len(data), urgent, step * 3 - stamp)
                    assert bytes(buf[: m[0]]) == data
                    taken += 1
                    if peeked == urgent:
                        peeked = None
                    break
            else:
                assert m is None
        assert len(ch) == sum(len(lane) for lane in lanes) and plain.received == taken
        assert (plain.dropped, plain.rejected) == (dropped, rejected), step
    assert taken > steps // 20 and committed > steps // 50 and dropped + rejected


def high_water_is_right_where_the_lane_wraps():
    ch = Channel(2, 8, zero_copy=True)
    for _ in range(3):
        ch.claim(NORMAL)
        assert ch.commit(NORMAL, 4) and ch.high_water == 1 and ch.skip()
    for _ in range(2):
        ch.claim(NORMAL)
        assert ch.commit(NORMAL, 4)
    assert ch.high_water == 2
