"""Multicast and anycast on the simulated memory, interrupted at every access."""

from array import array

import pytest
import ringlane
from engine_words import WORD
from interleavings import message
from ringlane import anycast
from ringlane_host.explore import ExplorationError, interrupts
from ringlane_host.simulate import memory

CAPACITY = 2
POLICIES = ("ROUND_ROBIN", "LEAST_LOADED", "RANDOM", "AFFINITY_FIRST")
RULES = ("multicast", *POLICIES)


def make(package, rule, receivers=2, senders=2, stats=False):
    if rule == "multicast":
        return package.MulticastChannel(CAPACITY, None, 4, receivers, senders, stats=stats)
    policy = getattr(package, rule)
    return package.AnycastChannel(CAPACITY, policy, 4, receivers, senders, stats=stats)


def drain(end):
    """Return every message left, in order."""
    got = []
    buf = bytearray(4)
    while end.recv(buf):
        got.append(bytes(buf))
    return got


class Reopening:
    """A send in which the first receiver of two closes, and its place is taken by another.

    `late`: the sender looked at the place's room after that, so the message is the new one's.
    """

    def __init__(self, package, rule, level=0, epoch=0, verb="send", times=1):
        self.ch = ch = make(package, rule)
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


def reopening(package, verb, level, epoch, times, look, then_one, seen):
    """Return a scenario of multicast: the verb, then one more message, then the look."""

    def scenario():
        case = Reopening(package, "multicast", level, epoch, verb, times)
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
    points = interrupts(
        reopening(ringlane, "send", 0, 0, 1, look, then_one, seen), merge=False
    ).points
    assert points > 20 and seen == {"late", "stale"}, seen


@pytest.mark.parametrize("epoch", (0, 1, 127, 254, 255))
@pytest.mark.parametrize("verb", ("send", "send_word"))
def test_an_old_message_never_reaches_a_new_receiver_of_any_epoch(verb, epoch):
    for level, times in ((0, 1), (1, 1), (CAPACITY, 1), (0, 2), (1, 3)):
        seen = set()
        points = interrupts(
            reopening(ringlane, verb, level, epoch, times, "recv", True, seen), merge=False
        ).points
        assert points > 20 and seen == {"late", "stale"}, (level, seen)


def anycast_reopening(package, rule, verb, seen):
    def scenario():
        case = Reopening(package, rule, 0, 0, verb)
        case.ends[1].clear()

        def check():
            got = [drain(case.fresh), drain(case.ends[1])]
            found = sum(got, [])
            assert case.took == 1 and found in ([], [message(2, 4)]), (case.took, got)
            assert not got[0] or case.late, "an old message reached a new receiver"
            if not found:  # its receiver closed with it, or just before it came
                assert case.unread <= 1
                seen.add("unread" if case.unread else "on its way")
            else:
                assert case.unread == 0
                seen.add("the new" if got[0] else "the other")
            for number in (3, 4):
                assert case.ch.send(message(number, 4), 0) == 1
            found = drain(case.fresh) + drain(case.ends[1])
            assert sorted(found) == sorted([message(3, 4), message(4, 4)])
            assert case.ch.dropped == 0

        return case.call, case.handler, check

    return scenario


@pytest.mark.parametrize("verb", ("send", "send_word"))
@pytest.mark.parametrize("rule", POLICIES)
def test_anycast_never_gives_a_new_receiver_an_old_message(rule, verb):
    seen = set()
    points = interrupts(anycast_reopening(ringlane, rule, verb, seen), merge=False).points
    assert points > 20
    if rule == "RANDOM":
        assert seen & {"the other", "the new"}
    else:  # all aim at the first, which is empty as the other is
        assert seen == {"the new", "on its way", "unread"}, seen


def opening(package, rule, seen):
    """Return a scenario: a third receiver opens at each access of a send."""

    def scenario():
        ch = make(package, rule, receivers=3)
        ends = [ch.add_receiver(), ch.add_receiver()]
        if rule != "multicast":
            while ch.send(message(1, 4), 2):  # full, so that the third is the only one
                pass
        took = []

        def handler():
            ends.append(ch.add_receiver())

        def check():
            got = [drain(end).count(message(2, 4)) for end in ends]
            assert took == [sum(got)], (took, got)
            if rule == "multicast":
                assert got[:2] == [1, 1] and ch.dropped == 0
            else:
                assert got[:2] == [0, 0] and ch.dropped == 2 - took[0]
            seen.add(got[2])
            assert ch.send(message(3, 4), 2) == (3 if rule == "multicast" else 1)

        return lambda: took.append(ch.send(message(2, 4), 3)), handler, check

    return scenario


@pytest.mark.parametrize("rule", RULES)
def test_a_receiver_may_open_at_any_access_of_a_send(rule):
    seen = set()
    assert interrupts(opening(ringlane, rule, seen), merge=False).points > 20
    assert seen == {0, 1}


def sent_meanwhile(package, rule, verb, seen):
    """Return a scenario: a send at each access of a receiver's close and the next's opening."""

    def scenario():
        ch = make(package, rule)
        second = ch.add_sender()
        ends = [ch.add_receiver(), ch.add_receiver()]
        ch.send_word_at(1, 0, 0)
        if rule != "multicast":
            ch.send_word_at(1, 0, 0)
        for end in ends:
            end.clear()
        outcome = []
        fresh = []
        unread = []

        def call():
            unread.append(ends[0].close())
            fresh.append(ch.add_receiver())

        def handler():
            # By a sender that is not the first, and twice: in anycast, to both if both are open.
            for number in (2, 3):
                data = message(number, 4)
                if verb == "send":
                    outcome.append(second.send(data, 1))
                else:
                    outcome.append(second.send_word(int.from_bytes(data, "little"), 1))

        def check():
            assert fresh[0].id == 0
            mine, others = drain(fresh[0]), drain(ends[1])
            # Nothing is lost but what close() told of.
            assert len(mine) + len(others) + unread[0] == sum(outcome), (mine, others, unread)
            if rule == "multicast":
                assert others == [message(2, 4), message(3, 4)]
                assert mine in ([], others) and set(outcome) <= {1, 2}
                assert unread[0] in (0, 2) and not (mine and unread[0])
            else:
                assert outcome == [1, 1]
                assert len(set(mine + others)) == len(mine + others)
            kind = "new" if mine else "unread" if unread[0] else "neither"
            seen.add(kind)
            assert fresh[0].received == len(mine) and ch.dropped == 0
            assert ch.sent == sum(outcome) + 2 and ch.unread == unread[0]

        return call, handler, check

    return scenario


@pytest.mark.parametrize("verb", ("send", "send_word"))
@pytest.mark.parametrize("rule", RULES)
def test_a_handler_may_send_at_any_access_of_a_close_and_an_opening(rule, verb):
    seen = set()
    assert interrupts(sent_meanwhile(ringlane, rule, verb, seen), merge=False).points > 20
    if rule == "RANDOM":
        assert "neither" in seen
    else:
        assert seen == {"unread", "neither", "new"}, seen


def dropped_meanwhile(package, verb, seen):
    """Return a scenario: sends that find every lane full at each access of a close and opening."""

    def scenario():
        ch = make(package, "multicast")
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

    return scenario


@pytest.mark.parametrize("verb", ("send", "send_word"))
def test_what_is_dropped_at_any_access_of_a_close_is_some_receivers(verb):
    seen = set()
    assert interrupts(dropped_meanwhile(ringlane, verb, seen), merge=False).points > 20
    assert seen == {(CAPACITY + 1, 0), (0, 0), (0, 1)}, seen


@pytest.mark.parametrize("rule", RULES)
def test_a_channel_may_close_at_any_access_of_a_send(rule):
    seen = set()

    def scenario():
        ch = make(ringlane, rule)
        ends = [ch.add_receiver(), ch.add_receiver()]
        took = []

        def check():
            got = sum((drain(end) for end in ends), [])
            assert took == [len(got)] and set(got) <= {message(2, 4)}
            assert took[0] in (0, 2 if rule == "multicast" else 1)
            assert ch.rejected == (not got) and ch.dropped == 0
            assert ch.send(message(3, 4), 2) == 0 and all(end.recv_word() is None for end in ends)
            seen.update(took)

        return lambda: took.append(ch.send(message(2, 4), 3)), ch.close, check

    assert interrupts(scenario, merge=False).points > 20
    assert len(seen) == 2


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


# Mutants


def closing(package):
    """Return a scenario: a receiver closes at each access of a send, another opens after it."""

    def scenario():
        case = Reopening(package, "multicast")

        def check():
            fresh = case.ch.add_receiver()
            assert fresh.id == 0 and len(fresh) == 0 and not fresh._next_lane()
            assert case.ch.send(message(3, 4), 0) == 2 and drain(fresh) == [message(3, 4)]

        return case.call, case.ends[0].close, check

    return scenario


def test_a_receiver_may_close_at_any_access_of_a_send():
    assert interrupts(closing(ringlane), merge=False).points > 20


def while_sent(package):
    """Return a scenario: a receiver opens and closes at each access of a multicast."""
    return sent_meanwhile(package, "multicast", "send", set())


# What mutants.find() is asked for: the scenario that shows it.
_OPEN = "FanoutReceiver.__init__"
SHOWN_BY = {
    ("oldest", "next_lane", '"if lane[_REST] & _STALE and', "never"): (
        lambda package: reopening(package, "send", 0, 0, 1, "recv", False, set())
    ),
    ("fanout", _OPEN, '"_empty(self)" left out'): closing,
    ("fanout", _OPEN, '"for header in self._headers:" before "_empty(self)'): while_sent,
    ("fanout", "FanoutReceiver.close", "_ROOM, self._told)", "left out"): while_sent,
}


@pytest.mark.parametrize("query", SHOWN_BY)
def test_a_mutant_is_caught(broken, query):
    with pytest.raises(ExplorationError, match="replay"):
        interrupts(SHOWN_BY[query](broken(*query)), merge=False)


@pytest.mark.parametrize("query", SHOWN_BY)
def test_without_the_mutant_nothing_is_found(query):
    assert interrupts(SHOWN_BY[query](ringlane), merge=False).points > 0
