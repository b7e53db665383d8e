"""The shipped source on the simulated memory, interrupted at every access."""

import importlib
import itertools
from array import array

import pytest
from ringlane_host.explore import ExplorationError, interrupts

CAPACITY = 2
TASKS = {
    "send": ("send", "recv", "recv_word", "recv_words", "skip", "clear"),
    "send_word": ("send_word", "recv", "recv_word", "recv_words", "skip", "clear"),
    "recv": ("send", "send_word"),
    "recv_word": ("send", "send_word"),
    "recv_words": ("send", "send_word"),
    "skip": ("send", "send_word"),
    "clear": ("send", "send_word"),
}
MEETINGS = [(task, handler) for task, handlers in TASKS.items() for handler in handlers]


def word(number):
    return bytes((number * 37 + place * 11 + 1) & 0xFF for place in range(4))


class Party:
    """One context's use of a verb; keeps what it sent or received."""

    def __init__(self, end, verb, number):
        self.end, self.verb, self.number = end, verb, number
        self.outcome = None
        self.received = []
        self.dropped = 0  # by skip and clear

    def __call__(self):
        end, verb = self.end, self.verb
        if verb == "send":
            self.outcome = end.send(word(self.number), 2)
        elif verb == "send_word":
            self.outcome = end.send_word(int.from_bytes(word(self.number), "little"), 2)
        elif verb == "recv":
            buf = bytearray(4)
            if end.recv(buf):
                self.received.append(bytes(buf))
        elif verb == "recv_word":
            m = end.recv_word()
            if m:
                self.received.append((m[0] & 0xFFFFFFFF).to_bytes(4, "little"))
        elif verb == "recv_words":
            words = array("I", [0] * 4)
            count = end.recv_words(words)
            self.received += [value.to_bytes(4, "little") for value in words[:count]]
        elif verb == "skip":
            self.dropped += end.skip()
        elif verb == "clear":
            self.dropped += end.clear()


def scenario_of(channel, task, handler, level, start):
    """Return a scenario: `level` messages queued, the lane's indices `start` slots on."""
    numbers = itertools.count(1)

    def scenario():
        ch = channel(CAPACITY, 4, 2)
        buf = bytearray(4)
        for _ in range(start):
            ch.send(word(0), 2)
            ch.recv(buf)
        other = ch.add_sender() if task[:4] == handler[:4] == "send" else ch
        queued = []
        for _ in range(level):
            queued.append(next(numbers))
            assert ch.send(word(queued[-1]), 2)
        call = Party(ch, task, next(numbers))
        interrupt = Party(other, handler, next(numbers))

        def check():
            parties = (call, interrupt)
            left = Party(ch, "recv", 0)
            while len(ch):
                left()
            for party in parties:
                if party.outcome:
                    queued.append(party.number)
            got = interrupt.received + call.received + left.received
            if sum(party.dropped for party in parties):
                got = got[-len(left.received) :] if left.received else []
            expected = [word(number) for number in queued]
            senders = [party for party in parties if party.outcome is not None]
            if len(senders) == 2:
                # Two lanes, merged by age: each in its own order.
                assert sorted(got) == sorted(expected), (got, expected)
                mine = [each for each in got if each != word(interrupt.number)]
                assert mine == [each for each in expected if each != word(interrupt.number)]
            else:
                missing = sum(party.dropped for party in parties)
                assert got == expected[missing:], (got, expected)
            refusals = sum(party.outcome is False for party in parties)
            assert ch.dropped == refusals, ch
            assert not refusals or level == CAPACITY
            assert ch.sent == ch.received == start + len(queued), ch

        return call, interrupt, check

    return scenario


@pytest.fixture(params=["PriorityChannel", "Channel"])
def channel(request):
    return getattr(importlib.import_module("ringlane"), request.param)


@pytest.mark.parametrize("task, handler", MEETINGS)
def test_an_interrupt_at_any_access_does_no_harm(channel, task, handler):
    points = 0
    for level in range(CAPACITY + 1):
        for start in range(2 * CAPACITY):
            points += interrupts(
                scenario_of(channel, task, handler, level, start), merge=False
            ).points
    assert points > 12 * 3, points


QUERY_OF = {"recv_words": ("ends", "recv_words")}  # what is not in verbs.py by its name


@pytest.mark.parametrize("form", ["verbs", "verbs_direct"])
@pytest.mark.parametrize("verb", ["send", "send_word", "recv", "recv_word", "recv_words"])
def test_a_mutant_is_caught(broken, verb, form):
    channel = broken(*QUERY_OF.get(verb, (form, verb))).PriorityChannel
    partner = "recv" if verb.startswith("send") else "send"
    with pytest.raises(ExplorationError, match="replay"):
        for level in range(CAPACITY + 1):
            interrupts(scenario_of(channel, verb, partner, level, 0), merge=False)
