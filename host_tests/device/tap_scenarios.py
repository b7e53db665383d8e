"""What a tap promises, as functions that CPython and MicroPython both run."""

from array import array
from struct import unpack_from

from harness import Locked, Ticks, at, pattern, raises
from ringlane import (
    BULK,
    HIGH,
    LOW,
    NORMAL,
    REALTIME,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    FlightRecorder,
    MulticastChannel,
    PriorityChannel,
    Recorder,
    RequestReplyChannel,
    SoftGuard,
    channels,
)
from ringlane.tap import DROPPED, MISSED, QUEUED, RECEIVED, REJECTED, TAKEN

KINDS = (PriorityChannel, Channel)


def _short(recorder):
    # The events without what most of them have in common.
    return [
        (each.outcome, each.priority, each.size, each.number, each.time, each.figure)
        for each in recorder.events()
    ]


def every_outcome_of_send_and_recv_is_an_event():
    ticks = Ticks()
    for kind in KINDS:
        recorder = Recorder(events=16)
        ticks.now = 100
        ch = kind(2, slot_size=8, name="tapped", clock=ticks.clock, tap=recorder)
        locked, buf = Locked(ch), bytearray(8)
        assert locked.send(b"abc", HIGH) and locked.send_word(5, HIGH)
        assert not locked.send(b"late", HIGH) and not locked.send_word(6, HIGH)
        assert not locked.send(bytes(9), HIGH)
        ticks.now = 130
        assert locked.recv(buf)[:] == [3, HIGH, 30] and locked.recv_word()[:] == [5, HIGH, 30]
        assert locked.recv(buf) is None and locked.recv_word() is None
        ch.close()
        assert not locked.send(b"x", HIGH)
        receiver, sender = _short(recorder)[:2], _short(recorder)
        assert receiver == [
            (RECEIVED, HIGH, 3, 0, 130, 30),
            (RECEIVED, HIGH, 4, 1, 130, 30),
        ], receiver
        assert sender == [], sender  # events() has taken them all at once


def what_a_sender_notes():
    ticks = Ticks()
    for kind in KINDS:
        recorder = Recorder(events=16)
        ticks.now = 100
        ch = kind(2, slot_size=8, name="tapped", clock=ticks.clock, tap=recorder)
        locked = Locked(ch)
        locked.send(b"abc", HIGH)
        locked.send_word_at(5, HIGH, 90)
        locked.send(b"late", HIGH)
        locked.send_word(6, HIGH)
        locked.send(bytes(9), HIGH)
        ch.close()
        locked.send(b"x", HIGH)
        assert _short(recorder) == [
            (QUEUED, HIGH, 3, 0, 100, 1),
            (QUEUED, HIGH, 4, 1, 90, 2),
            (DROPPED, HIGH, 4, 2, 100, 2),
            (DROPPED, HIGH, 4, 2, 100, 2),
            (REJECTED, HIGH, 9, 2, 100, 2),
            (REJECTED, HIGH, 1, 2, 100, 2),
        ]
        assert (ch.dropped, ch.rejected) == (2, 2)


def classes_and_senders_are_told_apart():
    recorder = Recorder(events=16)
    ch = PriorityChannel((1, 1, 0, 0, 2), slot_size=4, senders=2, tap=recorder)
    second = ch.add_sender()
    ends = (Locked(ch), Locked(second))
    for number in range(2):
        assert ends[number].send_word(number, BULK)
        assert ends[number].send_word(number, REALTIME)
    assert not ends[1].send_word(9, REALTIME)
    while Locked(ch).recv_word():
        pass
    seen = [(e.outcome, e.sender, e.priority, e.number) for e in recorder.events()]
    assert seen == [
        (RECEIVED, 0, REALTIME, 0),
        (RECEIVED, 1, REALTIME, 0),
        (RECEIVED, 0, BULK, 0),
        (RECEIVED, 1, BULK, 0),
        (QUEUED, 0, BULK, 0),
        (QUEUED, 0, REALTIME, 0),
        (QUEUED, 1, BULK, 0),
        (QUEUED, 1, REALTIME, 0),
        (DROPPED, 1, REALTIME, 1),
    ], seen


def the_heads_of_messages_are_kept():
    for kind in KINDS:
        for head in (0, 4, 8, 64):
            recorder = Recorder(events=64, head=head)
            ch = kind(1, slot_size=10, tap=recorder)
            locked, buf = Locked(ch), bytearray(12)
            messages = [pattern(size, size) for size in (0, 1, 3, 4, 5, 8, 10)]
            for data in messages:
                for offset in (0, 1, 2, 3):
                    assert locked.send(at(offset, data), NORMAL)
                    assert not locked.send(at(offset, data), NORMAL)
                    assert locked.recv(at(offset, buf)) is not None
            locked.send_word(-2, NORMAL)
            locked.send_word(0x12345678, NORMAL)
            locked.recv_word()
            kept = [data[:head] for data in messages for _ in range(4)]
            events = recorder.events()
            for outcome in (QUEUED, DROPPED, RECEIVED):
                heads = [each.head for each in events if each.outcome == outcome]
                assert heads[:-1] == kept, (outcome, head)
                word = b"\x78\x56\x34\x12" if outcome == DROPPED else b"\xfe\xff\xff\xff"
                assert heads[-1] == word[:head], (outcome, head)


def what_is_taken_unseen_is_counted():
    recorder = Recorder(events=16)
    ch = PriorityChannel(4, slot_size=4, tap=recorder)
    one = Channel(4, slot_size=4, tap=recorder)
    for end in (Locked(ch), Locked(one)):
        for number in range(3):
            end.send_word(number, LOW)
        end.send_word(3, HIGH)
        assert end.skip()
        assert end.recv_words(array("i", [0, 0])) == 2
        assert end.recv_words(array("i", [])) == 0
        assert end.clear() == 1
        assert end.clear() == 0 and not end.skip()
    taken = [e[1:8] for e in recorder.events() if e.outcome == TAKEN]
    shown = [(priority, number, figure) for _, _, priority, _, number, _, figure in taken]
    assert shown == [
        (HIGH, 0, 1),
        (LOW, 1, 2),
        (LOW, 2, 1),
        (None, 0, 1),
        (None, 2, 2),
        (None, 3, 1),
    ], shown


def the_oldest_are_overwritten_and_counted():
    recorder = Recorder(events=4)
    ch = Channel(1, slot_size=4, tap=recorder)
    locked = Locked(ch)
    for count in (3, 4, 5, 11, 4 * 64 + 1):
        first = ch.sent
        for number in range(count):
            locked.send_word(number, NORMAL)
            ch.recv_word()
        kept = min(count, 4)
        numbers = [e.number for e in recorder.events() if e.outcome == QUEUED]
        assert numbers == list(range(first + count - kept, first + count)), numbers
    # Of both ends.
    assert recorder.overwritten == 2 * (0 + 0 + 1 + 7 + 4 * 64 - 3), recorder.overwritten


def a_ring_is_taken_in_pieces_without_a_gap():
    recorder = Recorder(events=4, head=4)
    ch = Channel(64, slot_size=4, tap=recorder)
    sender = recorder.rings[1]
    assert (sender.channel, sender.sender, sender.stride, sender.head) == (ch, 0, 20, 4)
    locked, raw = Locked(ch), bytearray(3 + 2 * 20)
    take = Locked(sender).take
    seen, missed = [], 0
    for count in (1, 2, 3, 4, 5, 9):
        for _ in range(count):
            locked.send_word(ch.sent, NORMAL)
            locked.send_word(ch.sent, NORMAL)
        assert sender.waiting == 2 * count
        while True:
            taken = take(raw, 3)
            if not taken:
                break
            first = sender.taken - taken
            for each in range(taken):
                words = unpack_from("<5I", raw, 3 + 20 * each)
                assert words[1] == words[4] == first + each, words
                seen.append(words[1])
        ch.clear()
        missed += max(0, 2 * count - 4)
        assert sender.overwritten == missed and len(seen) + missed == ch.sent
    assert take(bytearray(22), 3) == 0 and take(bytearray(2), 3) == 0


def a_wrong_call_raises_as_without_and_is_no_event():
    for kind in KINDS:
        recorder = Recorder(events=4)
        ch = kind(2, slot_size=4, tap=recorder)
        raises(TypeError, "not str", ch.send, "abc", NORMAL)
        raises(ValueError, "class must be 0 to 4, not 7", ch.send, b"abc", 7)
        raises(ValueError, "class must be 0 to 4, not -1", ch.send_word, 1, -1)
        raises(TypeError, "", ch.send_word, None, 1)
        ch.send(b"abcd", NORMAL)
        raises(ValueError, "receive buffer of 2", ch.recv, bytearray(2))
        assert len(recorder.events()) == 1 and len(ch) == 1


def under_a_guard_and_with_stats_it_sees_the_same():
    ticks = Ticks()
    recorder = Recorder(events=8)
    ch = Channel(
        1, slot_size=4, send_guard=SoftGuard(), stats=True, tap=recorder, clock=ticks.clock
    )
    assert ch.send_word(1, LOW) and not ch.send_word(2, LOW) and ch.send_word_at(3, LOW, 7) == 0
    ticks.now = 5
    ch.recv_word()
    assert [(e.outcome, e.figure) for e in recorder.events()] == [
        (RECEIVED, 5),
        (QUEUED, 1),
        (DROPPED, 1),
        (DROPPED, 1),
    ]
    assert ch.stats()[:2] == (1, 5)


def a_multicast_send_is_one_event_and_each_receiver_has_its_own():
    ticks = Ticks()
    recorder = Recorder(events=16, head=4)
    bus = MulticastChannel(
        2, slot_size=4, max_receivers=3, senders=2, clock=ticks.clock, tap=recorder
    )
    second = bus.add_sender()
    locked, other, buf = Locked(bus), Locked(second), bytearray(4)
    assert locked.send_word(1, HIGH) == 0  # nobody is there, which is no loss
    near, far = bus.add_receiver(), bus.add_receiver(max_lag=1)
    ticks.now = 100
    assert locked.send(b"ab", LOW) == 2
    assert other.send_word_at(7, BULK, 90) == 2
    assert locked.send_word(2, LOW) == 1  # far lags
    assert locked.send(b"cdefgh"[:4], LOW) == 0 == locked.send_word(-3, LOW)
    assert locked.send(b"large", LOW) == 0
    ticks.now = 110
    assert Locked(far).recv_word()[0] == 7 and Locked(near).skip() and Locked(near).recv(buf)
    assert Locked(near).recv_words(array("i", [0])) == 1 and near.dropped + far.dropped == 5
    assert Locked(far).recv(buf)[:] == [2, LOW, 10] and not Locked(far).recv(buf)
    assert locked.send_word(5, HIGH) == 2 and locked.send_word(6, HIGH) == 1
    assert (near.close(), far.close()) == (2, 1)
    assert locked.send_word(8, HIGH) == 0
    bus.close()
    assert other.send_word(4, LOW) == 0
    sent, missed = [], []
    received = {0: [], 1: []}
    for e in recorder.events():
        seen = e.outcome, e.sender, e.priority, e.number, e.time, e.figure, e.head
        if e.receiver is None:
            sent.append(seen)
        elif e.outcome == MISSED:
            missed.append((e.receiver,) + seen[1:6])
        else:
            received[e.receiver].append(seen)
    assert sent == [
        (QUEUED, 0, HIGH, 0, 0, 0, b"\1\0\0\0"),
        (QUEUED, 0, LOW, 1, 100, 1, b"ab"),
        (QUEUED, 0, LOW, 2, 100, 2, b"\2\0\0\0"),
        (DROPPED, 0, LOW, 3, 100, 2, b"cdef"),
        (DROPPED, 0, LOW, 3, 100, 2, b"\xfd\xff\xff\xff"),
        (REJECTED, 0, LOW, 3, 100, 2, b"larg"),
        (QUEUED, 0, HIGH, 3, 110, 1, b"\5\0\0\0"),
        (QUEUED, 0, HIGH, 4, 110, 2, b"\6\0\0\0"),
        (QUEUED, 0, HIGH, 5, 110, 0, b"\x08\0\0\0"),
        (QUEUED, 1, BULK, 0, 90, 1, b"\7\0\0\0"),
        (REJECTED, 1, LOW, 1, 110, 0, b"\4\0\0\0"),
    ], sent
    assert received[0] == [
        (TAKEN, 1, None, 0, 110, 1, b""),
        (RECEIVED, 0, LOW, 0, 110, 10, b"ab"),
        (TAKEN, 0, None, 1, 110, 1, b""),
        (TAKEN, 0, None, 3, 110, 2, b""),
    ], received[0]
    assert received[1] == [
        (RECEIVED, 1, BULK, 0, 110, 20, b"\7\0\0\0"),
        (RECEIVED, 0, LOW, 0, 110, 10, b"ab"),
        (TAKEN, 0, None, 1, 110, 1, b""),
    ], received[1]
    # With what each took next.
    missed_by_far = [(1, 0, None, 0, 110, 3), (1, 0, None, 2, 110, 1)]
    assert missed == [(0, 0, None, 0, 110, 2)] + missed_by_far, missed


def an_anycast_send_is_an_event_of_the_one_that_got_it():
    recorder = Recorder(events=16, head=4)
    jobs = AnycastChannel(2, ROUND_ROBIN, slot_size=4, max_receivers=2, tap=recorder)
    locked = Locked(jobs)
    assert locked.send_word(0, LOW) == 0  # no receiver: dropped, as the channel counts it
    workers = jobs.add_receiver(), jobs.add_receiver()
    assert [locked.send_word(number, LOW) for number in range(1, 6)] == [1, 1, 1, 1, 0]
    assert [worker.recv_word()[0] for worker in workers] == [1, 2]
    assert workers[0].close() == 1 and Locked(workers[1]).clear() == 1
    events = recorder.events()
    assert [(e.outcome, e.number, e.figure) for e in events if e.receiver is None] == [
        (DROPPED, 0, 0),
        (QUEUED, 0, 1),
        (QUEUED, 1, 1),
        (QUEUED, 2, 2),
        (QUEUED, 3, 2),
        (DROPPED, 4, 2),
    ], events
    # What a receiver leaves unread is taken from its lane, too.
    taken = [
        (e.receiver, e.outcome, e.number, e.head[:1]) for e in events if e.receiver is not None
    ]
    assert taken == [
        (0, RECEIVED, 0, b"\1"),
        (0, TAKEN, 1, b""),
        (1, RECEIVED, 0, b"\2"),
        (1, TAKEN, 1, b""),
    ], taken


class _Commands(Channel):
    """A user's own, with names that other patterns have."""

    max_receivers = max_lag = policy = 1
    asked = 0

    def send_request(self, code):
        return self.send_word(code, LOW)

    def recv_words(self, words):
        self.asked = 1
        return Channel.recv_words(self, words)


def a_class_of_ones_own_may_have_any_public_name():
    recorder = Recorder(events=8)
    ch = _Commands(2, slot_size=4, senders=2, tap=recorder)
    assert ch.send_request(7) and ch.add_sender().send_word(8, LOW)
    assert ch.recv_words(array("i", [0, 0])) == 2 and ch.asked
    events = [(e.outcome, e.sender, e.size, e.figure) for e in recorder.events()]
    assert sorted(events) == [
        (QUEUED, 0, 4, 1),
        (QUEUED, 1, 4, 1),
        (TAKEN, 0, 0, 1),
        (TAKEN, 1, 0, 1),
    ]


def a_receiver_goes_on_in_the_ring_of_the_one_before():
    for kind in (MulticastChannel, AnycastChannel):
        recorder = Recorder(events=16)
        option = 1 if kind is MulticastChannel else ROUND_ROBIN  # max_lag, or the policy
        bus = kind(1, option, slot_size=4, max_receivers=2, tap=recorder, stats=True)
        numbers = []
        for turn in range(4):
            assert len(recorder.rings) == 1 + min(turn, 1)
            end = bus.add_receiver()
            bus.send_word(turn, LOW)
            bus.send_word(turn, LOW)  # full
            if turn % 2:
                assert end.recv_word()[0] == turn and end.stats().count == 1
            end.close()
            raises(ValueError, "is closed", end.recv_word)
            raises(ValueError, "is closed", end.skip)
            numbers += [(e.outcome, e.number) for e in recorder.events() if e.receiver == 0]
        taken = [(TAKEN, 0), (RECEIVED, 1), (TAKEN, 2), (RECEIVED, 3)]
        assert [each for each in numbers if each[0] != MISSED] == taken, numbers
        missed = [(MISSED, turn + 1) for turn in range(4)]
        assert [each for each in numbers if each[0] == MISSED] == (
            missed if kind is MulticastChannel else []
        )


def requests_and_replies_are_events_of_four_ends():
    ticks = Ticks()
    recorder = Recorder(events=8, head=4)
    rpc = RequestReplyChannel(2, slot_size=4, clock=ticks.clock, tap=recorder)
    locked, buf = Locked(rpc), bytearray(4)
    first, second = locked.send_request(b"a"), locked.send_request(b"bcd")
    assert locked.send_request(b"full") == 0
    ticks.now = 10
    assert locked.recv_request(buf)[:] == [1, first, 10] and rpc.recv(buf)[1] == second
    assert locked.recv_response(first, buf) is None
    assert locked.send_status(second, b"no", 7) and locked.send_response(first, b"yes!")
    assert not locked.send_response(first, b"") and not locked.send_response(99, b"?")
    ticks.now = 30
    assert locked.recv_response(second, buf)[:] == [2, 7, 30] and locked.cancel(first)
    raises(ValueError, "is not outstanding", rpc.recv_response, first, buf)
    third = rpc.send_request(b"")
    assert not locked.send_response(third, b"large") and locked.send_request(b"large") == 0
    rpc.close()
    assert rpc.send_request(b"") == 0 and (rpc.dropped, rpc.rejected, rpc.late) == (1, 3, 2)
    seen = {}
    for e in recorder.events():
        assert e.priority is None
        end = seen.setdefault((e.outcome < RECEIVED, e.sender, e.receiver), [])
        end.append((e.outcome, e.size, e.number, e.time, e.figure, e.head))
    assert seen == {
        (True, 0, None): [
            (QUEUED, 1, first, 0, 1, b"a"),
            (QUEUED, 3, second, 0, 2, b"bcd"),
            (DROPPED, 4, 0, 0, 2, b"full"),
            (QUEUED, 0, third, 30, 1, b""),
            (REJECTED, 5, 0, 30, 1, b"larg"),
            (REJECTED, 0, 0, 30, 1, b""),
        ],
        (False, 0, 0): [
            (RECEIVED, 1, first, 10, 10, b"a"),
            (RECEIVED, 3, second, 10, 10, b"bcd"),
        ],
        (True, 1, None): [
            (QUEUED, 2, second, 10, 2, b"no"),
            (QUEUED, 4, first, 10, 2, b"yes!"),
            (DROPPED, 0, first, 10, 2, b""),
            (DROPPED, 1, 99, 10, 2, b"?"),
            (REJECTED, 5, third, 30, 1, b"larg"),
        ],
        (False, 1, 1): [(RECEIVED, 2, second, 30, 30, b"no")],
    }, seen


def bad_recorders_are_named():
    for events in (0, 1, 3, 32768, -4):
        raises(ValueError, "not %d" % events, Recorder, events)
    raises(TypeError, "events must be an int, not '4'", Recorder, "4")
    for head in (-4, 3, 132):
        raises(ValueError, "not %d" % head, Recorder, 4, head)
    raises(TypeError, "tap must be a Recorder, not 3", lambda: Channel(4, tap=3))
    raises(TypeError, "tap must be a Recorder, not 3", lambda: MulticastChannel(4, tap=3))
    raises(TypeError, "tap must be a Recorder, not 3", lambda: RequestReplyChannel(4, tap=3))
    tap = Recorder(4)
    raises(ValueError, "zero_copy", lambda: Channel(4, tap=tap, zero_copy=True))
    raises(ValueError, "recv_guard", lambda: Channel(4, tap=tap, recv_guard=SoftGuard()))
    raises(ValueError, "no trigger", lambda: Channel(4, tap=tap).trigger(LOW))
    small = FlightRecorder(events=32, size=768, file="none.bin")
    bus = MulticastChannel(4, slot_size=4, tap=small)
    for _ in range(2):  # its id is free again
        raises(ValueError, "are free", bus.add_receiver)
    assert bus.receivers == [] and bus.send_word(1, LOW) == 0
    assert tap.events() == [] and len(tap.rings) == 2


def channels_lists_the_open_ones():
    for each in channels():
        each.close()
    assert channels() == []
    made = [Channel(1, name="b"), PriorityChannel(1, name="a"), Channel(1)]
    assert channels() == [made[1], made[0]]
    newer = Channel(1, name="b")
    made[1].close()
    assert channels() == [newer]
    newer.close()
