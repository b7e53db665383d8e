"""Guards on the simulated memory, interrupted at every access."""

from functools import partial

import pytest
from ringlane import NORMAL, Channel, IrqGuard, SoftGuard
from ringlane_host.explore import ExplorationError, cores, interrupts, replay
from ringlane_host.simulate import ptr32

SIZE = 6


def payload(number):
    return bytes((number * 37 + place * 11 + 1) & 0xFF for place in range(SIZE))


class Party:
    """One context's use of a verb; keeps what it sent or received."""

    def __init__(self, end, verb, number):
        self.end, self.verb, self.number = end, verb, number
        self.sent = None  # True, False: rejected; None: it does not send
        self.received = []
        self.dropped = 0  # by skip and clear

    def __call__(self):
        end, verb = self.end, self.verb
        if verb == "send":
            self.sent = end.send(payload(self.number), NORMAL)
        elif verb == "recv":
            buf = bytearray(SIZE)
            if end.recv(buf):
                self.received.append(bytes(buf))
        else:
            self.dropped += getattr(end, verb)()


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


def test_guards_on_both_sides_order_the_stores_of_two_cores():
    def between(guard):
        def scenario():
            ch = Channel(3, SIZE, send_guard=guard, recv_guard=guard)
            sender, receiver, left = (Party(ch, verb, 1) for verb in ("send", "recv", "recv"))

            def check():
                left()
                assert receiver.received + left.received == [payload(1)]
                assert (ch.sent, ch.received) == (1, 1), ch

            return sender, receiver, check

        return scenario

    assert cores(between(IrqGuard()), 1, "reordered").points
    with pytest.raises(ExplorationError, match="replay"):
        cores(between(None), 1, "reordered")


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
