"""What MulticastChannel promises beyond fanout_scenarios.py; CPython and MicroPython run it."""

import micropython
from harness import ROOMY, Locked, Ticks, pattern, raises
from ringlane import BULK, HIGH, LOW, NORMAL, REALTIME, MulticastChannel


def _words(end):
    got = []
    while True:
        m = end.recv_word()
        if not m:
            return got
        got.append(m[0])


def send_tells_how_many_took_it():
    plain = MulticastChannel(2, max_receivers=4)
    ch = Locked(plain)
    assert ch.send(b"nobody", LOW) == 0 and ch.send_word(1, LOW) == 0
    assert (plain.dropped, plain.rejected, plain.sent) == (0, 0, 0)  # nobody missed it
    ends = []
    for count in range(1, 5):
        ends.append(plain.add_receiver())
        for verb, data in ((ch.send, b"data"), (ch.send_word, count)):
            assert verb(data, LOW) == count
        assert ch.send_at(b"full", LOW, 1) == 0 and ch.send_word_at(1, LOW, 1) == 0
        assert plain.dropped == sum(range(1, count + 1)) * 2
        for end in ends:
            assert end.clear() == 2
    for count in (3, 2, 1, 0):
        ends.pop().close()
        assert ch.send(b"x", LOW) == count and ch.send_word(1, LOW) == count
        for end in ends:
            end.clear()


def every_receiver_gets_every_message_from_when_it_opened():
    plain = MulticastChannel(8, slot_size=4, max_receivers=3)
    ends, opened = [], []
    for value in range(8):
        if value in (0, 2, 5):
            ends.append(plain.add_receiver())
            opened.append(value)
        assert plain.send_word(value, LOW) == len(ends)
    for i in range(3):
        assert [ends[i].lag, ends[i].dropped, ends[i].received] == [8 - opened[i], 0, 0]
        assert _words(ends[i]) == list(range(opened[i], 8))
        assert (ends[i].lag, ends[i].received) == (0, 8 - opened[i])
    assert len(ends) == 3 and plain.sent == plain.received == 8 + 6 + 3


def the_receiver_that_lags_alone_drops_and_counts():
    plain = MulticastChannel(3, slot_size=4, max_receivers=3)
    ch = Locked(plain)
    slow, quick, closed = [plain.add_receiver() for _ in range(3)]
    closed.close()
    got = []
    for value in range(10):
        assert ch.send_word(value, LOW) == (2 if value < 3 else 1)
        got += _words(quick)
        assert slow.lag == min(value + 1, 3) and quick.lag == 0
        assert slow.dropped == max(0, value - 2) and quick.dropped == closed.dropped == 0
    assert got == list(range(10)) and quick.received == 10
    assert plain.dropped == 7 and slow.received == 0 and plain.high_water == 3
    assert slow.skip() is True and ch.send_word(10, LOW) == 2  # it may again
    assert _words(slow) == [1, 2, 10] and _words(quick) == [10]
    assert slow.received == 4 and slow.dropped == 7


def max_lag_is_the_channels_or_the_receivers_own():
    plain = MulticastChannel(5, 3, 4, 4)
    assert plain.max_lag == 3 and plain.capacity == 5 and MulticastChannel(5).max_lag == 5
    ends = [plain.add_receiver()]
    ends += [plain.add_receiver(None, lag) for lag in (1, 4, 5)]
    lags = (3, 1, 4, 5)
    for value in range(7):
        took = sum(1 for lag in lags if value < lag)
        assert Locked(plain).send_word(value, LOW) == took
        for i in range(4):
            assert ends[i].lag == min(value + 1, lags[i])
            assert ends[i].dropped == max(0, value + 1 - lags[i])
    for i in range(4):
        assert _words(ends[i]) == list(range(lags[i]))
    # The limit goes with the receiver and not with its id.
    ends[1].close()
    fresh = plain.add_receiver()
    assert fresh.id == 1
    for _ in range(4):
        plain.send_word(1, LOW)
    assert fresh.lag == 3 and fresh.dropped == 1


def max_lag_is_counted_for_each_sender():
    plain = MulticastChannel(3, 2, 4, 1, 2)
    second = plain.add_sender()
    end = plain.add_receiver()
    for _ in range(3):
        plain.send_word(1, LOW)
        second.send_word(2, LOW)
    assert end.lag == 4 and end.dropped == 2 and second.dropped == plain.dropped - 1 == 1


def received_and_dropped_begin_at_0_for_a_receiver_of_a_used_id():
    plain = MulticastChannel(1, slot_size=4, max_receivers=1, senders=2)
    second = plain.add_sender()
    total = 0
    for turn in range(4):
        end = plain.add_receiver()
        assert (end.id, end.lag, end.received, end.dropped) == (0, 0, 0, 0)
        for _ in range(2 + turn):
            plain.send_word(turn, LOW)
            second.send_word(turn, LOW)
        assert (end.lag, end.received, end.dropped) == (2, 0, 2 * (1 + turn))
        assert _words(end) == [turn, turn] and end.received == 2
        total += 2 * (1 + turn)
        assert plain.dropped == total and end.close() == 0


def skip_to_latest_leaves_the_newest():
    for senders in (1, 2):
        ticks = Ticks()
        plain = MulticastChannel(5, None, 4, 2, senders, None, ticks.clock)
        ends = [plain] + [plain.add_sender() for _ in range(senders - 1)]
        receiver, other = plain.add_receiver(), plain.add_receiver()
        end = Locked(receiver)
        for turn in range(2):
            assert end.skip_to_latest() == 0 and receiver.lag == 0
            for value in range(5):
                ticks.now += 10
                ends[value % senders].send_word(value, HIGH)
            assert end.skip_to_latest() == 4 and receiver.lag == 1
            assert end.skip_to_latest() == 0
            assert receiver.received == 5 * turn + 4
            assert _words(receiver) == [4] and receiver.received == 5 * turn + 5
            assert _words(other) == [0, 1, 2, 3, 4]


def the_state_of_a_receiver_allocates_nothing():
    plain = MulticastChannel(1, slot_size=4)
    end = plain.add_receiver()
    plain.send_word(1, LOW)
    plain.send_word(2, LOW)
    micropython.heap_lock()
    try:
        state = 1000 * end.id + 100 * end.lag + 10 * end.dropped + end.received + len(end)
        closed = end.closed
    finally:
        micropython.heap_unlock()
    assert state == 111 and not closed


def a_bad_max_lag_names_itself():
    text = "max_lag must be 1 to 4, not %r"
    for bad in (0, 5, -1):
        raises(ValueError, text % bad, MulticastChannel, 4, bad)
        raises(ValueError, text % bad, MulticastChannel(4, 2).add_receiver, "r", bad)
    for bad in ("2", True, 1.5):
        text = "max_lag must be an int, not %r" % bad
        raises(TypeError, text, MulticastChannel, 4, bad)
        raises(TypeError, text, MulticastChannel(4).add_receiver, "r", bad)
    plain = MulticastChannel(4)
    raises(ValueError, "max_lag must be 1 to 4, not 5", plain.add_receiver, None, 5)
    assert plain.receivers == [] and plain.add_receiver().id == 0


def a_receiver_that_reopens_between_messages_misses_none_of_its_own():
    plain = MulticastChannel(4, slot_size=4, max_receivers=2)
    steady, end = plain.add_receiver(), plain.add_receiver()
    seen = 0
    for value in range(60 if ROOMY else 12):
        if value % 3 == 0:
            end.close()
            end = plain.add_receiver()
            first = value
        plain.send_word(value, REALTIME)
        assert steady.recv_word()[0] == value
        if value % 3 == 1:
            assert _words(end) == [first, first + 1]
            seen += 2
    assert seen and plain.unread == seen // 2 - 1 and plain.dropped == 0


def a_random_program_agrees_with_a_plain_model():
    for seed in range(1, 4 if ROOMY else 2):
        for senders in (1, 2):
            _random_program(seed, senders, 500 if ROOMY else 50)


class _Model:
    def __init__(self, end, max_lag, senders):
        self.end, self.max_lag = end, max_lag
        self.lanes = [[] for _ in range(senders)]  # (stamp, data, class)
        self.received = self.dropped = 0

    def oldest(self):
        waiting = [lane for lane in self.lanes if lane]
        return min(waiting, key=lambda lane: lane[0][0]) if waiting else None

    def queued(self):
        return sum(len(lane) for lane in self.lanes)


def _random_program(seed, senders, steps):
    ticks = Ticks()
    plain = MulticastChannel(3, 2, 9, 3, senders, None, ticks.clock)
    ends = [Locked(plain)] + [Locked(plain.add_sender()) for _ in range(senders - 1)]
    models = [None] * 3
    rejected = dropped = unread = taken = reopened = 0
    buf = bytearray(9)
    state = seed * 7919
    for step in range(steps):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        pick = state >> 8
        ticks.now = step * 3
        place = (pick >> 3) % 3
        model = models[place]
        if pick % 8 < 4:
            number = (pick >> 6) % senders
            data = pattern((pick >> 9) % 11, step)
            priority = (pick >> 14) % 5
            took = ends[number].send(data, priority)
            expected = 0
            if len(data) > 9:
                rejected += 1
            else:
                for each in models:
                    if each:
                        if len(each.lanes[number]) < each.max_lag:
                            each.lanes[number].append((step * 3, data, priority))
                            expected += 1
                        else:
                            each.dropped += 1
                            dropped += 1
            assert took == expected, (took, expected)
        elif model is None:
            # The lowest id that is free.
            place = models.index(None)
            max_lag = (None, 1, 3)[(pick >> 6) % 3]
            end = plain.add_receiver(None, max_lag)
            assert end.id == place
            models[place] = _Model(end, max_lag or 2, senders)
        elif pick % 8 == 7 and pick >> 9 & 1:
            unread += model.queued()
            assert model.end.close() == model.queued()
            assert (model.end.received, model.end.dropped) == (model.received, model.dropped)
            models[place] = None
            reopened += 1
        else:
            end = Locked(model.end)
            lane = model.oldest()
            if lane is None:
                assert end.recv(buf) is None and end.skip() is False
            elif pick >> 10 & 7 == 0:
                count = model.queued() - 1
                assert end.skip_to_latest() == count
                for _ in range(count):
                    model.oldest().pop(0)
                model.received += count
                taken += count
            else:
                stamp, data, priority = lane.pop(0)
                got = end.recv(buf)
                assert tuple(got) == (len(data), priority, step * 3 - stamp), got
                assert bytes(buf[: got[0]]) == data and end.timestamp() == stamp
                model.received += 1
                taken += 1
        queued = 0
        for each in models:
            if each:
                queued += each.queued()
                assert each.end.lag == len(each.end) == each.queued()
                assert (each.end.received, each.end.dropped) == (each.received, each.dropped)
        if step % 10 == 9:
            assert (len(plain), plain.received, plain.unread) == (queued, taken, unread)
            assert (plain.sent, plain.dropped) == (queued + taken + unread, dropped)
            assert plain.rejected == rejected
    assert taken > steps // 8 and dropped and reopened and (rejected or not ROOMY), plain


def classes_are_labels_at_every_receiver():
    plain = MulticastChannel(5, slot_size=4, max_receivers=2)
    ends = [plain.add_receiver(), plain.add_receiver()]
    for priority in (BULK, NORMAL, REALTIME, LOW, HIGH):
        plain.send_word(7, priority)
    for end in ends:
        got = [end.recv_word()[1] for _ in range(5)]
        assert got == [BULK, NORMAL, REALTIME, LOW, HIGH], got
