"""What AnycastChannel promises beyond fanout_scenarios.py; CPython and MicroPython run it."""

import sys

import micropython
from harness import ROOMY, Locked, Ticks, pattern, raises
from micropython import const
from ringlane import (
    AFFINITY_FIRST,
    HIGH,
    LEAST_LOADED,
    LOW,
    NORMAL,
    RANDOM,
    ROUND_ROBIN,
    AnycastChannel,
    AnycastPolicy,
)

_POLICIES = (ROUND_ROBIN, LEAST_LOADED, RANDOM, AFFINITY_FIRST)

#: words(cog.inFile) :#
_CORE = const(21)  # anycast: the sender's core, or the address of the register that tells it
# stamped.


def _taker(ends):
    """Return the id of the one receiver that has a message, and take it."""
    found = [end for end in ends if len(end)]
    assert len(found) == 1, found
    found[0].skip()
    return found[0].id


def _shares(send, ends, count):
    """Return how many of so many messages each got, received at once."""
    shares = [0] * len(ends)
    for value in range(count):
        before = [end.pending for end in ends]
        assert send(value, LOW) == 1
        for i in range(len(ends)):
            if ends[i].pending > before[i]:
                shares[i] += 1
                ends[i].skip()
    assert sum(shares) == count
    return shares


def _chi_square_bound(freedom):
    # What chi-square exceeds once in 10,000 times (Wilson and Hilferty's approximation).
    share = 2 / (9 * freedom)
    return freedom * (1 - share + 3.719 * share**0.5) ** 3


def _check_uniform(counts):
    expected = sum(counts) / len(counts)
    deviation = sum((count - expected) ** 2 / expected for count in counts)
    assert deviation < _chi_square_bound(len(counts) - 1), (deviation, counts)


def exactly_one_receiver_gets_each_message():
    for policy in _POLICIES:
        plain = AnycastChannel(4, policy, 4, 3)
        ch = Locked(plain)
        ends = [plain.add_receiver() for _ in range(3)]
        seen = []
        for value in range(12):
            if value % 2:
                assert ch.send_word(value, value % 5) == 1
            else:
                assert ch.send(bytes([value, 0, 0, 0]), value % 5) == 1
        for end in ends:
            assert end.pending == 4  # as many as there is room for: none stays unused
            own = []
            for _ in range(4):
                value, priority, _ = Locked(end).recv_word()
                assert priority == value % 5
                own.append(value)
            assert own == sorted(own)
            seen += own
        assert sorted(seen) == list(range(12)), (policy, seen)


def send_gives_0_only_when_all_are_full_and_counts_it():
    for policy in _POLICIES:
        plain = AnycastChannel(2, policy, 4, 4)
        ch = Locked(plain)
        assert ch.send_word(1, LOW) == 0 and plain.dropped == 1  # nobody is there
        ends = [plain.add_receiver() for _ in range(3)]
        for _ in range(6):
            assert ch.send_word(1, LOW) == 1 and plain.dropped == 1
        for verb, data in ((ch.send, b"x"), (ch.send_word, 5)):
            assert verb(data, LOW) == 0
        assert ch.send_at(b"x", LOW, 3) == 0 and ch.send_word_at(1, LOW, 3) == 0
        assert plain.dropped == 5 and plain.sent == 6
        for end in ends[1:]:  # the one with room gets it, wherever it is
            end.skip()
            assert ch.send_word(9, LOW) == 1 and ch.send_word(9, LOW) == 0
            assert end.pending == 2
        assert plain.dropped == 7 and not hasattr(ends[0], "dropped")


def round_robin_gives_each_its_turn():
    plain = AnycastChannel(3, ROUND_ROBIN, 4, 4)
    ch = Locked(plain)
    ends = [plain.add_receiver() for _ in range(4)]
    assert [ch.send_word(i, LOW) and _taker(ends) for i in range(9)] == [0, 1, 2, 3] * 2 + [0]
    # A closed one is passed over, and the rest share evenly.
    ends[2].close()
    del ends[2]
    assert [ch.send_word(i, LOW) and _taker(ends) for i in range(6)] == [1, 3, 0] * 2
    rounds = 100 if ROOMY else 5
    assert _shares(ch.send_word, ends, 3 * rounds) == [rounds] * 3
    # A full one too, and it has its turn again when it has room.
    for _ in range(9):
        ch.send_word(0, LOW)
    assert [end.pending for end in ends] == [3, 3, 3]
    ends[0].clear()
    ends[2].clear()
    assert _shares(ch.send_word, ends, 2 * rounds) == [rounds, 0, rounds]
    ends[1].clear()
    assert _shares(ch.send_word, ends, 3 * rounds) == [rounds] * 3
    # And one that opens joins in.
    ends.insert(2, plain.add_receiver())
    assert ends[2].id == 2
    assert _shares(ch.send_word, ends, 4 * rounds) == [rounds] * 4


def round_robin_goes_on_after_the_one_that_took_it():
    plain = AnycastChannel(1, ROUND_ROBIN, 4, 3)
    ends = [plain.add_receiver() for _ in range(3)]
    order = []
    for value in range(3):
        plain.send_word(value, LOW)
    for place in (1, 0, 2, 2, 1):  # the only one with room
        ends[place].skip()
        plain.send_word(value, LOW)
        order.append([end.id for end in ends if end.processed])
        assert len(ends[place]) == 1
    assert order[0] == [1] and order[-1] == [0, 1, 2]
    for end in ends:
        end.clear()
    # The last went to 1.
    assert [plain.send_word(i, LOW) and _taker(ends) for i in range(3)] == [2, 0, 1]


def each_sender_keeps_its_own_turn():
    plain = AnycastChannel(2, ROUND_ROBIN, 4, 3, 2)
    second = plain.add_sender()
    ends = [plain.add_receiver() for _ in range(3)]
    got = [plain.send_word(i, LOW) and _taker(ends) for i in range(2)]
    got += [second.send_word(i, LOW) and _taker(ends) for i in range(4)]
    got += [plain.send_word(i, LOW) and _taker(ends) for i in range(2)]
    assert got == [0, 1, 0, 1, 2, 0, 2, 0], got


def least_loaded_picks_the_fewest_queued_and_equal_ones_in_turn():
    plain = AnycastChannel(4, LEAST_LOADED, 4, 3)
    ch = Locked(plain)
    ends = [plain.add_receiver() for _ in range(3)]
    # All empty: in turn.
    assert [ch.send_word(i, LOW) and _taker(ends) for i in range(6)] == [0, 1, 2] * 2
    for _ in range(6):
        ch.send_word(0, LOW)
    assert [end.pending for end in ends] == [2, 2, 2]
    ends[1].clear()
    ends[2].skip()
    trail = []
    for value in range(6):
        before = [end.pending for end in ends]
        assert ch.send_word(value, LOW) == 1
        after = [end.pending for end in ends]
        chosen = [i for i in range(3) if after[i] > before[i]]
        assert len(chosen) == 1 and before[chosen[0]] == min(before), (before, after)
        trail += chosen
    # 2, 0, 1 queued: 1; then 1 and 2 in turn; then all three from the next on.
    assert trail == [1, 2, 1, 2, 0, 1], trail


def least_loaded_counts_what_every_sender_has_queued():
    plain = AnycastChannel(4, LEAST_LOADED, 4, 3, 3)
    second, third = plain.add_sender(), plain.add_sender()
    ends = [plain.add_receiver() for _ in range(3)]
    ends[1].close()
    for sender in (second, third):  # 0, 2, 0, 2: all in turn
        assert sender.send_word(0, LOW) == 1
        assert sender.send_word(0, LOW) == 1
    assert [end.pending for end in ends] == [2, 0, 2]
    ends[0].skip()
    # The first sender has nothing queued anywhere, and still sees the others' load.
    assert plain.send_word(1, LOW) == 1 and [end.pending for end in ends] == [2, 0, 2]
    ends[2].clear()
    fresh = plain.add_receiver()
    assert fresh.id == 1
    for expected in ([2, 1, 0], [2, 1, 1], [2, 2, 1], [2, 2, 2]):
        assert Locked(plain).send_word(1, LOW) == 1
        assert [ends[0].pending, fresh.pending, ends[2].pending] == expected


def random_makes_each_of_those_with_room_as_likely():
    for count in (2, 3, 7) if ROOMY else (3,):
        plain = AnycastChannel(2, RANDOM, 4, count)
        ends = [plain.add_receiver() for _ in range(count)]
        pairs = [0] * (count * count)  # and whatever came before
        last = 0
        for value in range(3000 if ROOMY else 90):
            assert plain.send_word(value, LOW) == 1
            chosen = _taker(ends)
            pairs[last * count + chosen] += 1
            last = chosen
        _check_uniform(pairs)
        _check_uniform([sum(pairs[i::count]) for i in range(count)])


def random_passes_a_full_one_over_and_no_neighbour_gets_its_share():
    for full in (1, 5) if ROOMY else (1,):
        plain = AnycastChannel(1, RANDOM, 4, 6, 2)
        second = plain.add_sender()
        ends = [plain.add_receiver() for _ in range(6)]
        ends[4].close()  # nor a closed one's
        for sender in (plain, second):
            while sender.send_word(0, LOW):
                pass
        for end in ends:
            if end.id not in (full, 4):
                end.clear()
        open_ends = [end for end in ends if end.id != 4]
        shares = []
        for sender in (plain, second):
            counts = _shares(Locked(sender).send_word, open_ends, 1500 if ROOMY else 30)
            assert counts.pop([end.id for end in open_ends].index(full)) == 0
            _check_uniform(counts)
            shares.append(counts)
        assert shares[0] != shares[1]  # each sender draws its own numbers


def the_bound_for_chance_catches_a_doubled_share():
    for counts in ([800, 400, 400, 400], [520, 460, 510, 510, 900]):
        try:
            _check_uniform(counts)
        except AssertionError:
            continue
        raise RuntimeError("passed: %r" % counts)
    _check_uniform([505, 480, 520, 495])


def affinity_first_prefers_the_senders_core():
    plain = AnycastChannel(2, AFFINITY_FIRST, 4, 5, 3)
    of_1 = plain.add_sender(core=1)
    of_63 = plain.add_sender(63)
    ends = [plain.add_receiver("w", core) for core in (0, 1, 0, 1, 63)]
    for sender, places in ((plain, [0, 2]), (of_1, [1, 3]), (of_63, [4, 4])):
        send = Locked(sender).send_word
        # In turn among those of its core, ...
        got = [send(i, LOW) and _taker(ends) for i in range(4)]
        assert got == places * 2, got
        # ... then, once they are full, in turn among the others.
        room = 4 if places[0] != places[1] else 2
        for _ in range(room):
            assert send(1, LOW) == 1
        assert sum(ends[place].pending for place in set(places)) == room
        others = [end for end in ends if end.id not in places]
        shares = _shares(send, others, 4 * len(others))
        assert shares == [4] * len(others), shares
        assert sum(ends[place].pending for place in set(places)) == room
        # And the first that has room again is the next.
        ends[places[1]].skip()
        assert send(2, LOW) == 1 and len(ends[places[1]]) == 2
        for _ in range(2 * len(others)):
            assert send(3, LOW) == 1
        assert send(4, LOW) == 0
        for end in ends:
            end.clear()


def a_sender_without_a_core_finds_itself_on_core_0():
    plain = AnycastChannel(1, AFFINITY_FIRST, 4, 3, 2)
    second = plain.add_sender()  # core=None as the first
    ends = [plain.add_receiver("w", core) for core in (1, 0, 1)]
    for sender in (plain, second):
        assert [sender.send_word(i, LOW) and _taker(ends) for i in range(3)] == [1, 1, 1]
    if sys.platform == "rp2":
        from machine import mem32

        assert mem32[0xD0000000] == 0
        # Not by default: each sender looks there, the first two words of 32 a register's address.
        for sender in range(2):
            word = (plain._sender_at(sender) >> 2) + _CORE
            assert _is_cpuid(plain._block, word), sender


@micropython.viper
def _is_cpuid(block, word: int) -> bool:
    return ptr32(block)[word] == int(0xD0000000)  # noqa: F821


def the_state_of_a_receiver():
    plain = AnycastChannel(4, ROUND_ROBIN, 4, 1, 2)
    second = plain.add_sender()
    end = plain.add_receiver()
    assert (end.id, end.pending, end.processed, end.load_factor) == (0, 0, 0, 0.0)
    for value in range(4):
        plain.send_word(value, LOW)
        assert end.load_factor == (value + 1) / 8
    for value in range(4):
        second.send_word(value, LOW)
    assert end.load_factor == 1.0 and end.pending == 8
    end.skip()
    end.recv_word()
    micropython.heap_lock()
    try:
        state = 100 * end.pending + 10 * end.processed + end.id + len(end)
    finally:
        micropython.heap_unlock()
    assert state == 626 and end.load_factor == 0.75


def a_policy_is_one_of_four():
    for bad in (0, 5, -1):
        raises(ValueError, "policy must be 1 to 4, not %d" % bad, AnycastChannel, 4, bad)
    for bad in ("x", None, True, 1.0):
        raises(TypeError, "policy must be an int, not %r" % (bad,), AnycastChannel, 4, bad)
    named = AnycastPolicy
    both = (named.ROUND_ROBIN, named.LEAST_LOADED, named.RANDOM, named.AFFINITY_FIRST)
    assert both == _POLICIES == (1, 2, 3, 4)
    assert AnycastChannel(1, named.RANDOM).policy == RANDOM


def a_core_is_0_to_63():
    plain = AnycastChannel(2, AFFINITY_FIRST, 4, 2, 2)
    for bad in (-1, 64):
        raises(ValueError, "core must be 0 to 63, not %d" % bad, plain.add_receiver, "w", bad)
        raises(ValueError, "core must be 0 to 63, not %d" % bad, plain.add_sender, bad)
    for bad in ("0", True):
        raises(TypeError, "core must be an int, not %r" % (bad,), plain.add_receiver, "w", bad)
        raises(TypeError, "core must be an int, not %r" % (bad,), plain.add_sender, bad)
    raises(TypeError, "core must be an int, not None", plain.add_receiver, "w", None)
    assert plain.receivers == []
    plain.add_sender(63)  # none was taken
    raises(ValueError, "has room for senders=2, all taken", plain.add_sender, 1)


def a_random_program_agrees_with_a_plain_model():
    for policy in _POLICIES:
        for seed in range(1, 3 if ROOMY else 2):
            for senders in (1, 3) if ROOMY else (2,):
                _random_program(policy, seed, senders, 300 if ROOMY else 40)


class _Model:
    def __init__(self, end, core, senders):
        self.end, self.core = end, core
        self.lanes = [[] for _ in range(senders)]  # (stamp, data, class)
        self.received = 0

    def queued(self):
        return sum(len(lane) for lane in self.lanes)


def _allowed(models, policy, number, turn, core):
    """Return the places that may be chosen."""
    count = len(models)
    with_room = []
    for i in range(count):
        place = (turn + i) % count
        if models[place] and len(models[place].lanes[number]) < 2:
            with_room.append(place)
    if policy == RANDOM or not with_room:
        return with_room
    if policy == LEAST_LOADED:
        least = min(models[place].queued() for place in with_room)
        with_room = [place for place in with_room if models[place].queued() == least]
    elif policy == AFFINITY_FIRST:
        near = [place for place in with_room if models[place].core == core]
        with_room = near or with_room
    return with_room[:1]


def _random_program(policy, seed, senders, steps):
    ticks = Ticks()
    plain = AnycastChannel(2, policy, 9, 4, senders, None, ticks.clock)
    ends = [plain] + [plain.add_sender(i % 2) for i in range(1, senders)]
    models = [None] * 4
    turns = [0] * senders
    rejected = dropped = unread = taken = reopened = 0
    buf = bytearray(9)
    state = seed * 7919 + policy
    for step in range(steps):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        pick = state >> 8
        ticks.now = step * 3
        place = (pick >> 3) % 4
        model = models[place]
        if pick % 8 < 5:
            number = (pick >> 6) % senders
            data = pattern((pick >> 9) % 11, step)
            priority = (pick >> 14) % 5
            before = [each.end.pending if each else 0 for each in models]
            took = Locked(ends[number]).send(data, priority)
            got = [i for i in range(4) if models[i] and models[i].end.pending > before[i]]
            allowed = _allowed(models, policy, number, turns[number], number % 2)
            if len(data) > 9:
                rejected += 1
                assert took == 0 and not got
            elif not allowed:
                dropped += 1
                assert took == 0 and not got
            else:
                assert took == 1 and len(got) == 1 and got[0] in allowed, (got, allowed)
                models[got[0]].lanes[number].append((step * 3, data, priority))
                turns[number] = (got[0] + 1) % 4
        elif model is None:
            place = models.index(None)
            core = pick >> 6 & 1
            end = plain.add_receiver(None, core)
            assert end.id == place
            models[place] = _Model(end, core, senders)
        elif pick >> 9 & 7 == 0:
            unread += model.queued()
            assert model.end.close() == model.queued()
            assert model.end.processed == model.received
            models[place] = None
            reopened += 1
        else:
            end = Locked(model.end)
            waiting = [lane for lane in model.lanes if lane]
            if not waiting:
                assert end.recv(buf) is None
            else:
                stamp, data, priority = min(waiting, key=lambda lane: lane[0][0]).pop(0)
                got = end.recv(buf)
                assert tuple(got) == (len(data), priority, step * 3 - stamp), got
                assert bytes(buf[: got[0]]) == data and end.timestamp() == stamp
                model.received += 1
                taken += 1
        queued = 0
        for each in models:
            if each:
                queued += each.queued()
                assert each.end.pending == each.queued()
                assert each.end.processed == each.received
                assert each.end.load_factor == each.queued() / (2 * senders)
        if step % 10 == 9:
            assert (len(plain), plain.received, plain.unread) == (queued, taken, unread)
            assert (plain.sent, plain.dropped) == (queued + taken + unread, dropped)
            assert plain.rejected == rejected
    assert taken > steps // 10 and (not ROOMY or dropped and rejected and reopened), plain


def classes_are_labels_with_every_policy():
    for policy in _POLICIES:
        plain = AnycastChannel(3, policy, 4, 2)
        end = plain.add_receiver()
        for priority in (LOW, HIGH, NORMAL):
            assert Locked(plain).send_word(priority, priority) == 1
        got = [list(end.recv_word()[:2]) for _ in range(3)]
        assert got == [[LOW, LOW], [HIGH, HIGH], [NORMAL, NORMAL]], got


def a_receiver_is_on_the_first_core_unless_told():
    ch = AnycastChannel(4, AFFINITY_FIRST, 4, 3)
    other, first = ch.add_receiver(core=1), ch.add_receiver()
    for _ in range(3):
        assert ch.send_word(1, NORMAL) == 1
    assert (len(first), len(other)) == (3, 0)
