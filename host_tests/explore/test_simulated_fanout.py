"""Multicast and anycast on the simulated memory: what interleavings.py does not come to."""

from array import array

import pytest
import ringlane
from engine_words import WORD
from interleavings import message
from ringlane import anycast
from ringlane_host.explore import interrupts
from ringlane_host.simulate import memory

CAPACITY = 2


def make():
    return ringlane.MulticastChannel(CAPACITY, None, 4, 2, 2)


def drain(end):
    """Return every message left, in order."""
    got = []
    buf = bytearray(4)
    while end.recv(buf):
        got.append(bytes(buf))
    return got


class Reopening:
    """A multicast in which the first receiver of two closes, and its place is taken by another.

    `late`: the sender looked at the place's room after that, so the message is the new one's.
    """

    def __init__(self, verb, level, epoch, times):
        self.ch = ch = make()
        self.ends = [ch.add_receiver(), ch.add_receiver()]
        if epoch:  # as if reopened that often already
            ch._epochs[0] = epoch - 1
            self.ends[0].close()
            self.ends[0] = ch.add_receiver()
            assert ch._epochs[0] == epoch
        while len(self.ends[0]) < level:
            assert ch.send(message(1, 4), 2)
        self.ends[1].clear()
        self.verb = verb
        self.times = times
        self.took = self.fresh = None
        self.late = self.busy = False
        self.unread = 0
        self.room_at = memory.address_of(ch._block)[0] + 4 * (ch._header(0, 0) + WORD["ROOM"])

    def call(self):
        interrupt = memory.hook

        def watch(kind, address, width):
            interrupt(kind, address, width)
            if address == self.room_at and not self.busy:
                self.late = self.fresh is not None

        memory.hook = watch
        if self.verb == "send":
            self.took = self.ch.send(message(2, 4), 3)
        else:
            self.took = self.ch.send_word(int.from_bytes(message(2, 4), "little"), 3)

    def handler(self):
        self.busy = True
        end = self.ends[0]
        for _ in range(self.times):
            self.unread += end.close()
            end = self.ch.add_receiver()
            assert end.id == 0 and end.received == 0 == len(end)
        self.fresh = end
        self.busy = False


def look_at(end, verb, expected):
    """Use a receiver's verb, which must see these messages and no other; return how many it took.

    recv, recv_words and skip until there are no more.
    """
    if verb == "recv":
        assert drain(end) == expected
    elif verb == "recv_word":
        got = []
        while m := end.recv_word():
            got.append((m[0] & 0xFFFFFFFF).to_bytes(4, "little"))
        assert got == expected
    elif verb == "recv_words":
        words = array("I", [0] * 4)
        count = end.recv_words(words)
        assert [each.to_bytes(4, "little") for each in words[:count]] == expected
    elif verb == "skip":
        assert sum(iter(end.skip, False)) == len(expected)
    elif verb == "skip_to_latest":
        assert end.skip_to_latest() == max(0, len(expected) - 1)
        assert drain(end) == expected[-1:]
    elif verb == "ready":
        assert bool(end._next_lane()) is bool(expected)
        assert drain(end) == expected
    elif verb == "clear":
        assert end.clear() == len(expected)
    else:
        assert end.close() == len(expected)
        return 0
    return len(expected)


def reopening(verb, level, epoch, times, look, then_one, seen):
    """Return a scenario: the verb, then one more message, then the look."""

    def scenario():
        case = Reopening(verb, level, epoch, times)
        ch = case.ch

        def check():
            fresh = case.fresh
            assert drain(case.ends[1]) == [message(2, 4)], "the other receiver's own"
            expected = [message(2, 4)] if case.late else []
            stale = len(fresh) - len(expected)
            assert 0 <= stale <= (not case.late)
            seen.update(["stale"] * stale, ["late"] * case.late)
            # What a full receiver missed counts for the next one, if it closes just then.
            assert fresh.dropped <= (level == CAPACITY and not case.late)
            assert case.took == 2 or level == CAPACITY and case.took == 1
            assert case.unread in (level, level + (not case.late and not stale))
            if then_one:
                assert ch.send(message(3, 4), 1) == 2
                expected.append(message(3, 4))
                assert fresh.lag == len(expected) + stale
            count = look_at(fresh, look, expected)
            assert fresh.received == count and fresh.lag == 0

        return case.call, case.handler, check

    return scenario


LOOKS = ("recv", "recv_word", "recv_words", "skip", "clear", "skip_to_latest", "ready", "close")


@pytest.mark.parametrize("then_one", (False, True))
@pytest.mark.parametrize("look", LOOKS)
def test_an_old_message_never_reaches_a_new_receiver_by_any_verb(look, then_one):
    seen = set()
    points = interrupts(reopening("send", 0, 0, 1, look, then_one, seen), merge=False).points
    assert points > 20 and seen == {"late", "stale"}, seen


@pytest.mark.parametrize("epoch", (0, 1, 127, 254, 255))
@pytest.mark.parametrize("verb", ("send", "send_word"))
def test_an_old_message_never_reaches_a_new_receiver_of_any_epoch(verb, epoch):
    for level, times in ((0, 1), (1, 1), (CAPACITY, 1), (0, 2), (1, 3)):
        seen = set()
        scenario = reopening(verb, level, epoch, times, "recv", True, seen)
        points = interrupts(scenario, merge=False).points
        assert points > 20 and seen == {"late", "stale"}, (level, seen)


@pytest.mark.parametrize("verb", ("send", "send_word"))
def test_what_is_dropped_at_any_access_of_a_close_is_some_receivers(verb):
    # Sends that find every lane full, while a receiver closes and the next one opens.
    seen = set()

    def scenario():
        ch = make()
        second = ch.add_sender()
        ends = [ch.add_receiver(), ch.add_receiver()]
        for number in range(CAPACITY):
            assert second.send(message(number, 4), 1) == 2
        fresh = []

        def call():
            assert ends[0].close() == CAPACITY
            fresh.append(ch.add_receiver())

        def handler():
            for number in range(CAPACITY, 2 * CAPACITY + 1):
                if verb == "send":
                    second.send(message(number, 4), 1)
                else:
                    second.send_word(number, 1)

        def check():
            counts = [end.dropped for end in (*ends, *fresh)]
            assert counts[1] == CAPACITY + 1 and sum(counts) == ch.dropped, (counts, ch)
            assert counts[0] in (0, CAPACITY + 1) and counts[2] == (len(fresh[0]) == CAPACITY)
            assert not (counts[0] and counts[2])
            seen.add((counts[0], counts[2]))

        return call, handler, check

    assert interrupts(scenario, merge=False).points > 20
    assert seen == {(CAPACITY + 1, 0), (0, 0), (0, 1)}, seen


# The chip's register


def test_affinity_follows_the_cpu_id_register_of_an_rp2(monkeypatch):
    register = memory.device(0xD0000000, 4)
    clock = ringlane.milliseconds()
    monkeypatch.setattr(anycast, "CPU_ID", 0xD0000000)
    ch = ringlane.AnycastChannel(8, ringlane.AFFINITY_FIRST, 4, 3, 2, clock=clock)
    monkeypatch.undo()
    fixed = ch.add_sender(core=0)
    ends = [ch.add_receiver(core=core) for core in (0, 1, 1)]
    for core, places in ((0, [0, 0, 0]), (1, [1, 2, 1]), (0, [0, 0, 0])):
        register[0] = core
        for place in places:
            assert ch.send(message(1, 4), 0) == 1
            assert [len(end) for end in ends] == [i == place for i in range(3)]
            ends[place].clear()
        assert fixed.send(message(1, 4), 0) == 1 and ends[0].clear() == 1
