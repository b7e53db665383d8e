"""Zero-copy and guards on the simulated memory, interrupted at every access.

A claimed slot is written, and a peeked one read, through simulated pointers, so that the handler
comes in the middle of that too.
"""

import itertools
from functools import partial

import pytest
from ringlane import BULK, HIGH, NORMAL, Channel, IrqGuard, PriorityChannel, SoftGuard
from ringlane_host.explore import ExplorationError, cores, interrupts, replay
from ringlane_host.simulate import ptr8, ptr32

CAPACITY = 2
SIZE = 6
FILLING = ("send", "claim", "abort")
TAKING = ("peek", "recv", "skip", "clear")
MEETINGS = [(f, t) for f in FILLING for t in TAKING if "claim" in f or "abort" in f]
MEETINGS += [("send", "peek")]
KINDS = [PriorityChannel, Channel]


def payload(number):
    return bytes((number * 37 + place * 11 + 1) & 0xFF for place in range(SIZE))


class Party:
    """One context's use of a verb; keeps what it sent or received."""

    def __init__(self, end, verb, number, priority=NORMAL):
        self.end, self.verb, self.number, self.priority = end, verb, number, priority
        self.sent = None  # True, False: rejected; None: it does not send
        self.received = []
        self.dropped = 0  # by skip and clear

    def __call__(self):
        end, verb = self.end, self.verb
        if verb == "send":
            self.sent = end.send(payload(self.number), self.priority)
        elif verb in ("claim", "abort"):
            view = end.claim(self.priority)
            if view is not None:
                for place, byte in enumerate(payload(self.number)):
                    ptr8(view)[place] = byte
                if verb == "abort":
                    end.abort(self.priority)
                    view = None
                    return
                assert end.commit(self.priority, SIZE) is True
            self.sent = view is not None
        elif verb == "recv":
            buf = bytearray(SIZE)
            if end.recv(buf):
                self.received.append(bytes(buf))
        elif verb == "peek":
            m = end.peek()
            if m:
                assert m[0] == SIZE and m[1] == self.priority
                view = end.view
                self.received.append(bytes(ptr8(view)[place] for place in range(SIZE)))
                assert end.release() is True
        elif verb == "skip":
            self.dropped += end.skip()
        elif verb == "clear":
            self.dropped += end.clear()
        else:
            raise LookupError(verb)


def scenario_of(kind, task, handler, level, start):
    """Return a scenario: `level` messages queued, the lane's indices `start` slots on."""
    numbers = itertools.count(1)

    def scenario():
        ch = kind(CAPACITY, SIZE, zero_copy=True)
        for _ in range(start):
            ch.send(payload(0), NORMAL)
            ch.skip()
        queued = []
        for _ in range(level):
            queued.append(next(numbers))
            assert ch.send(payload(queued[-1]), NORMAL)
        parties = [Party(ch, task, next(numbers)), Party(ch, handler, next(numbers))]

        def check():
            left = Party(ch, "peek", 0)
            for _ in range(9):  # contexts that spoil a lane may leave one that never ends
                if len(ch):
                    left()
            got = [each for party in [*parties, left] for each in party.received]
            for party in parties:
                if party.sent:
                    queued.append(party.number)
            missing = sum(party.dropped for party in parties)
            assert got == [payload(number) for number in queued[missing:]], (got, queued)
            refusals = sum(party.sent is False for party in parties)
            assert not refusals or level == CAPACITY
            assert ch.sent == ch.received == start + len(queued), ch
            assert (ch.dropped + ch.rejected) == refusals or "abort" in (task, handler), ch
            assert ch.release() is False and ch.claim(NORMAL) is not None

        return *parties, check

    return scenario


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fill, take", MEETINGS)
@pytest.mark.parametrize("who", ["the sender", "the receiver"])
def test_an_interrupt_at_any_access_of_a_claim_or_a_peek_does_no_harm(kind, fill, take, who):
    task, handler = (fill, take) if who == "the sender" else (take, fill)
    points = 0
    for level in range(CAPACITY + 1):
        for start in (1, 2 * CAPACITY - 1):  # the slots begin anew, and so do the indices
            points += interrupts(
                scenario_of(kind, task, handler, level, start), merge=False
            ).points
    assert points > 6 * 5, points


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task, handler", list(itertools.product(FILLING[:2], repeat=2)))
def test_a_claim_interrupted_by_another_sender_does_no_harm(kind, task, handler):
    points = 0
    for level in range(CAPACITY + 1):
        numbers = itertools.count(1)

        def scenario(level=level, numbers=numbers):
            ch = kind(CAPACITY, SIZE, 2, zero_copy=True)
            other = ch.add_sender()
            queued = [next(numbers) for _ in range(level)]
            for number in queued:
                assert ch.send(payload(number), NORMAL)
            parties = [Party(ch, task, next(numbers)), Party(other, handler, next(numbers))]

            def check():
                assert parties[0].sent is (level < CAPACITY) and parties[1].sent is True
                left = Party(ch, "peek", 0)
                while len(ch):
                    left()
                expected = [payload(party.number) for party in parties if party.sent]
                assert left.received[:level] == [payload(number) for number in queued]
                assert sorted(left.received[level:]) == sorted(expected)

            return *parties, check

        points += interrupts(scenario, merge=False).points
    assert points > 30, points


def of_a_peek(kind, handler):
    """Return a scenario: peek twice and release, while a more urgent message comes."""

    def scenario():
        ch = kind(CAPACITY, SIZE, 2, zero_copy=True)
        urgent = Party(ch.add_sender(), handler, 2, HIGH)
        assert ch.send(payload(1), BULK)
        seen = []

        def call():
            for _ in range(2):  # the same one both times
                m = ch.peek()
                view = ch.view
                seen.append((m[1], bytes(ptr8(view)[place] for place in range(SIZE))))
            assert ch.release() is True

        def check():
            assert seen[0] == seen[1] in ((BULK, payload(1)), (HIGH, payload(2))), seen
            assert urgent.sent is True and len(ch) == 1 == ch.received
            number = 2 if seen[0][0] == BULK else 1
            assert ch.peek() and bytes(ch.view) == payload(number)

        return call, urgent, check

    return scenario


@pytest.mark.parametrize("handler", ["send", "claim"])
def test_a_peek_interrupted_by_a_more_urgent_message_shows_one_message_whole(handler):
    assert interrupts(of_a_peek(PriorityChannel, handler), merge=False).points > 30


def of_a_close(kind):
    """Return a scenario: a claim and its commit, while the channel is closed."""

    def scenario():
        ch = kind(CAPACITY, SIZE, zero_copy=True)
        assert ch.send(payload(1), NORMAL)
        outcomes = []

        def call():
            view = ch.claim(NORMAL)
            outcomes.append(None if view is None else ch.commit(NORMAL, SIZE))

        def check():
            assert outcomes[0] in (None, True, False) and ch.closed
            assert ch.sent == (2 if outcomes[0] else 1)
            assert ch.rejected == (0 if outcomes[0] else 1)
            with pytest.raises(ValueError, match="no claim is open on class 2"):
                ch.commit(NORMAL, SIZE)

        return call, ch.close, check

    return scenario


@pytest.mark.parametrize("kind", KINDS)
def test_a_close_at_any_access_of_a_claim_ends_it(kind):
    assert interrupts(of_a_close(kind), merge=False).points > 10


# What mutants.find() is asked for: the scenario that shows it.
SHOWN_BY = {
    ("zero_copy", "commit"): lambda kind: scenario_of(kind, "claim", "peek", 0, 0),
    (
        "zero_copy",
        "commit",
        '"limit" loaded again in "if limit and (size < 0 or',
        "#2",
    ): of_a_close,
    ("zero_copy", "peek", '_PEEK_TAIL]:" always'): lambda kind: of_a_peek(kind, "send"),
}


@pytest.mark.parametrize("query", SHOWN_BY)
def test_a_mutant_is_caught(broken, query):
    package = broken(*query)
    with pytest.raises(ExplorationError, match="replay"):
        interrupts(SHOWN_BY[query](package.PriorityChannel), merge=False)


# Guards


def of_one_sender(guard, task, handler):
    """Return a scenario in which both contexts use the same verbs of one sender."""

    def scenario():
        ch = Channel(3, 8, send_guard=guard)
        assert ch.send(payload(1), NORMAL)
        parties = [Party(ch, task, 2), Party(ch, handler, 3)]

        def check():
            assert parties[0].sent is True is parties[1].sent
            left = Party(ch, "recv", 0)
            for _ in range(9):  # contexts that spoil a lane may leave one that never ends
                if len(ch):
                    left()
            assert left.received[0] == payload(1)
            assert sorted(left.received[1:]) == [payload(2), payload(3)], left.received
            assert (ch.sent, ch.dropped, ch.rejected, ch.high_water) == (3, 0, 0, 3), ch

        return *parties, check

    return scenario


def of_one_receiver(guard, task, handler):
    """Return a scenario in which two contexts receive from one channel."""

    def scenario():
        ch = Channel(3, SIZE, recv_guard=guard)
        other = ch.add_receiver() if guard is not None else ch
        for number in (1, 2, 3):
            assert ch.send(payload(number), NORMAL)
        parties = [Party(ch, task, 0), Party(other, handler, 0)]

        def check():
            left = Party(ch, "recv", 0)
            for _ in range(9):  # contexts that spoil a lane may leave one that never ends
                if len(ch):
                    left()
            got = [each for party in [*parties, left] for each in party.received]
            missing = sum(party.dropped for party in parties)
            if missing:
                assert got[len(got) - len(left.received) :] == left.received
            assert len(got) + missing == 3 == ch.received == ch.sent, (got, missing)
            assert len(set(got)) == len(got)
            assert set(got) <= {payload(number) for number in (1, 2, 3)}

        return *parties, check

    return scenario


SHARED = [(of_one_sender, "send", "send")]
SHARED += [(of_one_receiver, a, b) for a in ("recv", "skip", "clear") for b in ("recv", "skip")]


@pytest.mark.parametrize("share, task, handler", SHARED)
def test_contexts_may_share_what_an_irq_guard_protects(share, task, handler):
    assert interrupts(share(IrqGuard(), task, handler), merge=False).points >= 2


@pytest.mark.parametrize("share, task, handler", SHARED)
def test_the_same_without_the_guard_goes_wrong(share, task, handler):
    with pytest.raises(ExplorationError, match="replay"):
        interrupts(share(None, task, handler), merge=False)


@pytest.mark.parametrize("stores", ["at once", "late", "reordered"])
@pytest.mark.parametrize("share, task, handler", SHARED)
def test_two_cores_may_share_what_an_irq_guard_protects(share, task, handler, stores):
    assert cores(share(IrqGuard(), task, handler), 1, stores).points
    with pytest.raises(ExplorationError, match="replay"):
        cores(share(None, task, handler), 1, stores)


def counting(guard):
    """Return a scenario whose contexts each add 1 to a word, under the guard twice."""

    def scenario():
        word = ptr32(bytearray(4))

        def add():
            outer = guard.enter()
            inner = guard.enter()
            value = word[0]
            guard.leave(inner)
            word[0] = value + 1
            guard.leave(outer)

        def check():
            assert word[0] == 2, "an update is lost"

        return add, add, check

    return scenario


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("explore", [interrupts, cores, partial(cores, stores="reordered")])
def test_what_is_masked_twice_stays_masked_until_the_outer_end(explore, merge):
    assert explore(counting(IrqGuard()), merge=merge).points
    with pytest.raises(ExplorationError, match="an update is lost") as caught:
        explore(counting(SoftGuard()), merge=merge)
    with pytest.raises(ExplorationError, match="an update is lost"):
        replay(counting(SoftGuard()), caught.value.schedule)


@pytest.mark.parametrize("stores", ["at once", "late"])
def test_three_cores_wait_for_each_other_to_unmask(stores):
    def scenario():
        add, _, check = counting(IrqGuard())()
        return add, add, add, lambda: None

    assert cores(scenario, 1, stores).schedules > 6


def test_a_masked_interrupt_comes_at_once_when_it_is_unmasked_and_never_before():
    seen = set()

    def scenario():
        word, guard, mine = ptr32(bytearray(4)), IrqGuard(), []

        def call():
            word[0] = 1
            state = guard.enter()
            word[0] = 2
            word[0] = 3
            guard.leave(state)
            mine.append("unmasked")
            word[0] = 4

        def handler():
            seen.add((word[0], *mine))

        return call, handler, lambda: None

    assert interrupts(scenario).points == 4
    assert seen == {(0,), (1,), (3,), (3, "unmasked"), (4, "unmasked")}
    assert "call      unmasks interrupts" in replay(scenario, "interrupts: 0")


@pytest.mark.parametrize("explore", [interrupts, cores])
def test_a_context_that_leaves_interrupts_masked_is_a_failure(explore):
    def scenario():
        word = ptr32(bytearray(4))

        def call():
            word[0] = 1
            IrqGuard().enter()

        return call, lambda: word[0], lambda: None

    with pytest.raises(ExplorationError, match="(call|core 0) leaves interrupts masked"):
        explore(scenario)
