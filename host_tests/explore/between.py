"""What may meet between bytecodes: verbs of a task and of a soft handler, or of two threads.

    explore("Channel", "t send | h send_word", "soft")  # a Row; ExplorationError if it did harm
    replay(scenario_of("Channel", "t send | h send_word", "full", "new"), "soft: 0*4 1*7 0")

Tasks and soft handlers of a core, and threads under a GIL, share the ends of a channel as they
are, but for the results of receiving, which belong to one of them: another has an end of its own,
under SoftGuard. A meeting is written as in interleavings.py, by what each context calls one after
the other; `t` and `h` are who shares, `s` and `k` of a RequestReplyChannel its two sides. Of two
that meet each is the call and each the handler.

Every context keeps what came of its own verbs, as what they keep together would be interrupted
too; the check adds it up. Buffers are new at each call, so that the verbs check them, or known.
"""

import functools
import itertools
from array import array
from typing import NamedTuple

import ringlane
import ringlane.waiting  # noqa: F401  before anything is explored
from conftest import SOAK
from engine_words import start_at
from interleavings import message, tasks_by_hand
from ringlane import NORMAL, REALTIME
from ringlane.latency import _BUCKETS
from ringlane_host.explore import ExplorationError, apart, gil, name_words, soft
from ringlane_host.simulate import ptr8, viper

apart(message)
CAPACITY = 2
_SLOT = 24
_SIZE = 5
_LONG_AGO = 1 << 20  # where stamps of events are, before any clock of a run
_LOOKS = 6  # at a task, by hand: as often as it may find nothing

# (messages queued before, the index that they begin at)
STATES = {"empty": (0, 0), "one": (1, 2 * CAPACITY - 1), "full": (CAPACITY, 0)}
BUFFERS = "new", "known"


class Message(NamedTuple):
    """What was sent: its class, and its stamp if it was told."""

    data: bytes
    priority: int
    stamp: int | None


class Party:
    """A context, and what came of its verbs."""

    def __init__(self, world, name, fresh):
        self.world = world
        self.name = name
        self.fresh = fresh
        self.numbers = itertools.count(100 * (1 + "thzskxy".index(name)))
        self.sent: list[Message] = []
        self.took: list[int] = []  # beside it, what send returned
        self.unsent: list[bytes] = []
        self.got: list[tuple[bytes, int, int, int]] = []  # message, class, stamp, latency
        self.skipped = 0
        self.waits: tuple | None = None  # what for, and the task
        self.out = bytearray(_SIZE)
        self.into = bytearray(_SLOT)
        self.words = array("i", [0] * 4)

    @apart
    def next_message(self, size=_SIZE):
        """Return a message in a buffer: the party's own, or a new one."""
        data = message(next(self.numbers), size)
        if self.fresh or len(self.out) != size:
            return bytearray(data)
        self.out[:] = data
        return self.out

    @apart
    def buffer(self):
        return bytearray(_SLOT) if self.fresh else self.into

    @apart
    def array(self):
        return array("i", [0] * 4) if self.fresh else self.words

    @apart
    def word(self):
        """Return a message of a word, and the word."""
        data = message(next(self.numbers), 4)
        return data, int.from_bytes(data, "little")

    @apart
    def note(self, got, data, size, priority, stamp, latency):
        """Take note of a message that came, the start of `data`, or a word."""
        if isinstance(data, int):
            data = (data & 0xFFFFFFFF).to_bytes(4, "little")
        got.append((bytes(data[:size]), priority, stamp, latency))

    @apart
    def queued(self, took, data, priority, stamp=None):
        if took:
            self.sent.append(Message(bytes(data), priority, stamp))
            self.took.append(took)
        else:
            self.unsent.append(bytes(data))


class World:
    """A channel and the contexts that use it; its verbs are methods called with a Party."""

    def __init__(self, rule, meeting, state, buffers):
        self.rule = rule
        self.contexts = [context.split() for context in meeting.split(" | ")]
        self.verbs = {verb for _, *verbs in self.contexts for verb in verbs}
        self.parties = {
            name: Party(self, name, buffers == "new") for name in self.names(self.contexts)
        }
        self.set_up(state)

    @staticmethod
    def names(contexts):
        return {name: None for name, *_ in contexts}

    @apart
    def verbs_of(self, name):
        return {verb for each, *verbs in self.contexts if each == name for verb in verbs}

    def calls(self):
        return [
            functools.partial(
                self.run, self.parties[name], [getattr(self, verb) for verb in verbs]
            )
            for name, *verbs in self.contexts
        ]

    @staticmethod
    @apart
    def run(party, verbs):
        for verb in verbs:
            verb(party)

    def start_at(self, index):
        """Let every lane, which is empty, go on at this index."""
        self.since = start_at(self.ch, index)

    @apart
    def each_sent(self):
        return [sent for party in self.parties.values() for sent in party.sent]


class Sends(World):
    """The verbs of a sender."""

    def send(self, party):
        data = party.next_message()
        party.queued(self.sender.send(data, NORMAL), data, NORMAL)

    def send_urgent(self, party):
        data = party.next_message()
        party.queued(self.sender.send(data, REALTIME), data, REALTIME)

    def send_large(self, party):
        data = party.next_message(_SLOT + 1)
        party.queued(self.sender.send(data, NORMAL), data, NORMAL)

    def send_at(self, party):
        data = party.next_message()
        stamp = _LONG_AGO + data[0]
        party.queued(self.sender.send_at(data, NORMAL, stamp), data, NORMAL, stamp)

    def send_word(self, party):
        data, value = party.word()
        party.queued(self.sender.send_word(value, NORMAL), data, NORMAL)

    def send_word_at(self, party):
        data, value = party.word()
        stamp = _LONG_AGO + data[0]
        party.queued(self.sender.send_word_at(value, NORMAL, stamp), data, NORMAL, stamp)

    def refused_send(self, party):
        """What is no message, or of no class, leaves nothing behind."""
        for bad in ((bytearray(_SIZE), 5), ("text", NORMAL), (None, NORMAL)):
            try:
                self.sender.send_at(*bad, _LONG_AGO)
            except (TypeError, ValueError):
                continue
            raise AssertionError(f"sent {bad}")

    def check_at_set_up(self, party):
        self.sender.check(party.next_message(), NORMAL)

    def check_stamps(self, got):
        """Each message has the class and the stamp that it was sent with."""
        sent = {each.data: each for each in self.each_sent()}
        for data, priority, stamp, latency in got:
            assert data in sent, f"torn: {data}"
            assert priority == sent[data].priority
            told = sent[data].stamp
            if told is None:
                assert 0 <= stamp < _LONG_AGO, "the stamp of another"
                assert latency < _LONG_AGO
            elif stamp is not None:
                assert stamp == told, "its stamp went elsewhere"

    def in_order(self, found):
        """What one context sent comes in its order, to each who receives, within a class."""
        for party in self.parties.values():
            for priority in {each.priority for each in party.sent}:
                lane = [each.data for each in party.sent if each.priority == priority]
                assert [each for each in found if each in lane] == [
                    each for each in lane if each in found
                ], "reordered"


class Receives(World):
    """The verbs of a receiver: `self.ends` has each party's."""

    def recv(self, party):
        end, buf = self.ends[party.name], party.buffer()
        m = end.recv(buf)
        if m:
            size, priority, latency = m
            party.note(party.got, buf, size, priority, end.timestamp(), latency)

    def recv_word(self, party):
        end = self.ends[party.name]
        m = end.recv_word()
        if m:
            value, priority, latency = m
            party.note(party.got, value, 4, priority, end.timestamp(), latency)

    def recv_words(self, party):
        words = party.array()
        for value in words[: self.ends[party.name].recv_words(words)]:
            party.note(party.got, value, 4, NORMAL, 0, 0)

    def skip(self, party):
        party.skipped += self.ends[party.name].skip()

    def clear(self, party):
        party.skipped += self.ends[party.name].clear()


_TAKES_A_RESULT = {"recv", "recv_word", "recv_words", "skip", "clear", "stats", "arecv"}


class QueueWorld(Sends, Receives):
    """Channel or PriorityChannel, whose sender t and h share; those who receive share it too."""

    def set_up(self, state):
        level, start = STATES[state]
        self.level = level
        rule, _, guard = self.rule.partition(" ")
        receivers = [name for name in self.parties if self.verbs_of(name) & _TAKES_A_RESULT]
        options = {}
        if any(verb.startswith(("claim", "peek")) for verb in self.verbs):
            options["zero_copy"] = True
        elif guard.endswith("Guard"):
            options["send_guard"] = getattr(ringlane, guard)()
        if len(receivers) > 1:
            options["recv_guard"] = ringlane.SoftGuard()
        if self.verbs & {"stats", "stats_into", "reset_stats"}:
            options["stats"] = True
        self.ch = name_words(getattr(ringlane, rule)(CAPACITY, _SLOT, **options))
        self.start_at(start)
        self.sender = self.ch
        self.ends = dict.fromkeys(self.parties, self.ch)
        for name in receivers[1:]:
            self.ends[name] = self.ch.add_receiver()
        party = self.parties["t"]
        word = any("word" in verb for verb in self.verbs)
        for _ in range(level):
            (self.send_word if word else self.send)(party)
        assert len(party.sent) == level

    def claim_commit(self, party):
        data = message(next(party.numbers), _SIZE)
        view = self.ch.claim(NORMAL)
        if view is None:
            party.unsent.append(data)
            return
        _write(view, data)
        party.queued(self.ch.commit(NORMAL, _SIZE), data, NORMAL)

    def claim_abort(self, party):
        if self.ch.claim(NORMAL) is None:
            party.unsent.append(b"")
        else:
            self.ch.abort(NORMAL)

    def peek_release(self, party):
        m = self.ch.peek()
        if m:
            size, priority, latency = m
            party.note(party.got, self.ch.view, size, priority, self.ch.timestamp(), latency)
            assert self.ch.release() is True

    def look(self, party):
        """The figures that anybody may ask for, bounded by what may be true meanwhile."""
        ch = self.ch
        others = sum(len(verbs) for name, *verbs in self.contexts if name != party.name)
        least, most = len(party.sent), len(party.sent) + others + self.level
        assert 0 <= len(ch) <= 2 * CAPACITY
        assert 0 <= ch.free(NORMAL) <= CAPACITY and ch.is_full(NORMAL) in (False, True)
        assert 0 <= ch.free() <= CAPACITY
        assert least <= self.since(ch.sent) <= most, (least, ch, most)
        assert (
            0 <= self.since(ch.received) <= most and 0 <= ch.dropped <= others and not ch.rejected
        )
        assert 0 <= ch.high_water <= CAPACITY
        queued, sent, received, dropped, rejected, high_water = ch.counters()
        sent, received = self.since(sent), self.since(received)
        assert least <= sent <= most and 0 <= queued <= 2 * CAPACITY, (least, sent, most)
        assert queued <= sent and received <= sent, (queued, sent, received)
        assert repr(ch)

    def free_then_send(self, party):
        """With nobody else to send, what free() promises there is room for."""
        for _ in range(self.ch.free(NORMAL)):
            sent = len(party.sent)
            self.send(party)
            assert len(party.sent) > sent, "free() promised too much"

    def close(self, party):
        self.ch.close()

    # Statistics

    def stats(self, party):
        figures = self.ch.stats()
        self.check_figures(figures)

    def stats_into(self, party):
        figures = array("I", [0] * 5)
        self.ch.stats_into(figures)
        self.check_figures(figures)

    def reset_stats(self, party):
        self.ch.reset_stats()

    @staticmethod
    def check_figures(figures):
        count, average, p50, p99, most = figures
        assert p50 <= p99 <= most and average <= most and 0 <= count <= 4, tuple(figures)
        assert count or not most, "a maximum of nothing"

    # Waiting

    def asend(self, party):
        data = party.next_message()
        party.waits = data, self.ch.asend(data, NORMAL)
        self.advance(party)

    def arecv(self, party):
        buf = party.buffer()
        party.waits = buf, self.ends[party.name].arecv(buf)
        self.advance(party)

    def ready_recv(self, party):
        party.waits = None, self.ch.ready().__await__()
        self.advance(party)

    def select_recv(self, party):
        party.waits = None, ringlane.select(self.ch, ringlane.Channel(1))
        self.advance(party)

    def advance(self, party, looks=_LOOKS):
        """Go on with the task that waits, as its event loop would."""
        waited_for, task = party.waits
        for _ in range(looks):
            try:
                task.send(None)
            except StopIteration as stop:
                self.awaited(party, waited_for, stop.value)
                return

    def awaited(self, party, waited_for, outcome):
        party.waits = None
        if "asend" in self.verbs_of(party.name):
            if "close" in self.verbs and outcome is False:
                party.unsent.append(bytes(waited_for))
            else:
                assert outcome is True, outcome
                party.queued(outcome, waited_for, NORMAL)
        elif "arecv" in self.verbs_of(party.name):
            if outcome:
                size, priority, latency = outcome
                end = self.ends[party.name]
                party.note(party.got, waited_for, size, priority, end.timestamp(), latency)
            else:
                assert self.ch.closed and outcome is False, outcome
        else:
            if "select_recv" in self.verbs_of(party.name):
                assert outcome is self.ch or self.ch.closed
            else:
                assert outcome is True or self.ch.closed
            self.recv(party)
            assert party.got or self.ch.closed, "woken for nothing"

    def settle(self):
        """Let the tasks that wait have what they wait for; they are not kept waiting then."""
        for party in self.parties.values():
            if party.waits is None:
                continue
            self.advance(party)
            if party.waits is None:
                continue
            party.waits[1].close()
            assert not self.ch.closed, "asleep, and closed"
            if "asend" in self.verbs_of(party.name):
                assert not self.ch.free(NORMAL), "asleep, with room"
            else:
                assert not len(self.ch), "asleep, with a message"

    def check(self):
        self.settle()
        ch = self.ch
        parties = [*self.parties.values()]
        if self.verbs & {"reset_stats", "stats", "stats_into"}:
            self.check_stats()
        rest = Party(self, "z", False)  # whose end is no longer another's
        self.ends["z"] = ch
        while len(ch):
            count = len(rest.got)
            self.recv(rest)
            assert len(rest.got) > count, "queued, and not to be had"
        got = [each for party in (*parties, rest) for each in party.got]
        skipped = sum(party.skipped for party in parties)
        sent = self.each_sent()
        found = [each[0] for each in got]
        if "recv_words" not in self.verbs:
            self.check_stamps(got)
        assert set(found) <= {each.data for each in sent}, f"torn: {found}"
        assert len(set(found)) == len(found), "doubled"
        assert len(found) + skipped == len(sent), f"lost: {sent}, {got}"
        for party in (*parties, rest):
            self.in_order([each[0] for each in party.got])
        unsent = sum(len(party.unsent) for party in parties)
        assert self.since(ch.sent) == self.since(ch.received) == len(sent) and not len(ch), ch
        assert ch.dropped + ch.rejected == unsent, (ch, unsent)
        assert self.level <= ch.high_water <= CAPACITY
        if not self.verbs & {"claim_commit", "claim_abort", "send_large", "close"}:
            assert not ch.rejected, ch
            assert not unsent or len(sent) + unsent > CAPACITY, "dropped, with room"
        if not ch.closed:
            # And it goes on, with a stamp of its own.
            for _ in range(CAPACITY):
                assert ch.send_word(7, NORMAL), "no room, and empty"
            assert not ch.send_word(7, NORMAL)
            for _ in range(CAPACITY):
                value, priority, latency = ch.recv_word()
                assert (value, priority) == (7, NORMAL)
                assert ch.timestamp() < _LONG_AGO and latency < _LONG_AGO, "another's stamp"

    def check_stats(self):
        histogram = self.ch._stats
        words = histogram._words
        figures = self.ch.stats()
        self.check_figures(figures)
        counted = sum(words[_BUCKETS:])
        assert figures[0] == counted, "count and buckets differ"
        taken = sum(len(party.got) for party in self.parties.values())
        assert figures[0] <= taken
        if "reset_stats" not in self.verbs:
            assert figures[0] == taken


@viper
def _write(view, data):
    to = ptr8(view)
    source = ptr8(data)
    for place in range(int(len(data))):
        to[place] = source[place]


class Life:
    """A receiver of several, from its opening to its end."""

    def __init__(self, end, before, first):
        self.end = end
        self.first = first  # there all along
        self.before = before  # what had been sent
        self.got = []
        self.skipped = 0
        self.unread = 0
        self.counted = None  # (received, dropped) once closed


class FanoutWorld(Sends):
    """MulticastChannel or AnycastChannel: t and h share the sender, each has a receiver."""

    _CAPACITY = CAPACITY + 1

    def set_up(self, state):
        level, start = STATES[state]
        self.level = level
        self.multicast = self.rule == "MulticastChannel"
        if self.multicast:
            self.ch = ringlane.MulticastChannel(self._CAPACITY, CAPACITY, _SLOT, 4)
        else:
            policy = getattr(ringlane, self.rule)
            self.ch = ringlane.AnycastChannel(CAPACITY, policy, _SLOT, 4)
        name_words(self.ch)
        self.start_at(start and 2 * self.ch.capacity - 1)
        self.sender = self.ch
        self.lives = {}
        self.ended = {name: [] for name in self.parties}
        self.ends = {}
        for party in self.parties.values():
            self.open(party, True)
        party = self.parties["t"]
        for _ in range(level if self.multicast else level * len(self.parties)):
            (self.send_word if self.wordy else self.send)(party)
        assert not party.unsent

    @property
    def wordy(self):
        return any("word" in verb for verb in self.verbs)

    def open(self, party, first=False):
        before = {each.data for each in self.each_sent()}
        options = {} if self.multicast else {"core": 0}
        life = Life(self.ch.add_receiver(party.name, **options), before, first)
        assert life.end.name == party.name
        self.lives[party.name if party.name not in self.lives else f"{party.name}'s other"] = life

    def leave(self, party):
        life = self.lives.pop(party.name)
        life.unread = life.end.close()
        life.counted = life.end.received
        self.ended[party.name].append(life)

    def recv(self, party):
        self.take(self.lives[party.name], party)

    def take(self, life, party):
        buf = party.buffer()
        m = life.end.recv(buf)
        if m:
            size, priority, latency = m
            party.note(life.got, buf, size, priority, life.end.timestamp(), latency)
        return m

    def recv_word(self, party):
        life = self.lives[party.name]
        m = life.end.recv_word()
        if m:
            value, priority, latency = m
            party.note(life.got, value, 4, priority, life.end.timestamp(), latency)

    def recv_words(self, party):
        life, words = self.lives[party.name], party.array()
        for value in words[: life.end.recv_words(words)]:
            party.note(life.got, value, 4, NORMAL, 0, 0)

    def skip(self, party):
        life = self.lives[party.name]
        life.skipped += life.end.skip()

    def clear(self, party):
        life = self.lives[party.name]
        life.skipped += life.end.clear()

    def skip_to_latest(self, party):
        life = self.lives[party.name]
        queued = len(life.end)
        life.skipped += life.end.skip_to_latest()
        assert not queued or len(life.end), "the newest was dropped"

    def look(self, party):
        ch, end = self.ch, self.lives[party.name].end
        assert 0 <= len(end) <= ch.capacity and 0 <= len(ch) <= 4 * ch.capacity
        assert 0 <= ch.free() <= ch.capacity * 4
        assert 0 <= end.received <= self.since(ch.sent), (end.received, ch)
        assert 0 <= self.since(ch.received) <= self.since(ch.sent) <= 16
        assert 0 <= ch.dropped <= 8 and not ch.rejected and 0 <= ch.high_water <= ch.capacity
        assert end in ch.receivers
        if self.multicast:
            assert 0 <= end.lag <= ch.capacity and 0 <= end.dropped <= 8
        else:
            assert 0 <= end.pending <= ch.capacity and 0 <= end.load_factor <= 1
            assert 0 <= end.processed <= 8
        assert repr(ch) and repr(end)

    def check(self):
        ch = self.ch
        assert len(ch.receivers) == len(self.lives)
        ids = [end.id for end in ch.receivers]
        assert sorted(ids) == ids and len(set(ids)) == len(ids), "two receivers in one place"
        assert {id(end) for end in ch.receivers} == {id(each.end) for each in self.lives.values()}
        for name, life in self.lives.items():
            while len(life.end):
                assert self.take(life, self.parties[name[0]]), "queued, and not to be had"
        lives = [*itertools.chain(*self.ended.values()), *self.lives.values()]
        sent = self.each_sent()
        for life in lives:
            found = [each[0] for each in life.got]
            assert len(set(found)) == len(found), "doubled"
            assert not set(found) & life.before, "from before it opened"
            self.in_order(found)
            if "recv_words" not in self.verbs:
                self.check_stamps(life.got)
            received = life.end.received if life.counted is None else life.counted
            assert received == len(found) + life.skipped, (received, found, life.skipped)
            assert life.end.received == received, "its counts are another's"
        took = sum(sum(party.took) for party in self.parties.values())
        told = sum(len(each.got) + each.skipped + each.unread for each in lives)
        assert took == told, f"lost: {took} taken, {told} told"
        assert self.since(ch.sent) == took, (ch, took)
        assert ch.unread == sum(each.unread for each in lives)
        unsent = [data for party in self.parties.values() for data in party.unsent]
        if self.multicast:
            for life in lives:
                # Those there all along know what they missed.
                if life.first and life.counted is None:
                    missed = len(sent) + len(unsent) - len(life.got) - life.skipped
                    if not self.verbs & {"send_large", "close"}:
                        assert life.end.dropped == missed, (life.end.dropped, missed)
        else:
            assert ch.dropped + ch.rejected == len(unsent), (ch, unsent)
        if not ch.closed:
            count = ch.send_word(7, NORMAL)
            assert count == (len(self.lives) if self.multicast else bool(self.lives))
            stamps = []
            for life in self.lives.values():
                m = life.end.recv_word()
                if m:
                    assert (m[0], m[1]) == (7, NORMAL)
                    stamps.append(life.end.timestamp())
            assert len(stamps) == count and all(each < _LONG_AGO for each in stamps)

    def close(self, party):
        self.ch.close()


class RequestReplyWorld(World):
    """RequestReplyChannel: t and h are clients that share the client's side, or servers; s is who
    serves them in between, k who has asked."""

    _SLOT = 8

    def set_up(self, state):
        self.ch = ch = name_words(ringlane.RequestReplyChannel(CAPACITY, self._SLOT))
        level, start = STATES[state]
        self.level = level
        self.start_at(start)
        self.asked = {name: {} for name in (*self.parties, "k")}  # id: request
        self.unsent = dict.fromkeys(self.asked, 0)
        self.cancelled = {name: [] for name in self.asked}
        self.taken = {name: [] for name in self.asked}  # (id, (status, reply))
        self.read = {name: [] for name in self.asked}  # (id, request)
        self.answered = {name: [] for name in self.asked}  # (id, whether it was sent, status)
        k = self.parties.get("k") or Party(self, "k", False)
        self.parties.setdefault("k", k)
        for _ in range(level):
            self.ask(k)
        # Whoever answers has read a request each.
        for name in self.parties:
            if name in "ths" and self.verbs_of(name) & {"answer", "answer_status"}:
                if level:
                    self.serve_read(self.parties[name])
        self.held = {name: list(self.read[name]) for name in self.asked}
        if "take" in self.verbs or "take_all" in self.verbs:
            while m := ch.recv_request(bytearray(self._SLOT)):
                assert ch.send_status(m[1], self.reply(self.asked["k"][m[1]]), 9)
                self.read["k"].append((m[1], self.asked["k"][m[1]]))
                self.answered["k"].append((m[1], True, 9))

    @staticmethod
    def reply(request):
        return bytes(byte ^ 0x5A for byte in request[:3])

    def ask(self, party):
        request, _ = party.word()
        id = self.ch.send_request(bytearray(request) if party.fresh else request)
        self.has_asked(party, id, request)
        return id

    @apart
    def has_asked(self, party, id, request):
        if id:
            self.asked[party.name][id] = request
        else:
            self.unsent[party.name] += 1

    def ask_large(self, party):
        assert not self.ch.send_request(bytearray(self._SLOT + 1))
        self.unsent[party.name] += 1

    def give_up(self, party):
        """Cancel a request of one's own, made here or before."""
        for id in tuple(self.asked["k" if self.level else party.name]):
            if self.ch.cancel(id):
                self.has(self.cancelled, party, id)
                return

    @apart
    def has(self, done, party, what):
        done[party.name].append(what)

    def ask_and_give_up(self, party):
        id = self.ask(party)
        if id:
            assert self.ch.cancel(id) is True, "cancelled by another"
            self.has(self.cancelled, party, id)
            assert self.ch.cancel(id) is False

    def take(self, party):
        buf = party.buffer()
        for id in tuple(self.asked["k"]):
            try:
                m = self.ch.recv_response(id, buf)
            except ValueError:
                continue  # another has given it up, or taken it
            if m:
                size, status, latency = m
                self.has(self.taken, party, (id, (status, bytes(buf[:size]))))
                return

    def call(self, party):
        """A call that somebody serves in between, or that times out."""
        request, _ = party.word()
        buf = party.buffer()
        try:
            size, status, latency = self.ch.call_wait(bytearray(request), buf, 2)
        except OSError:
            return
        assert bytes(buf[:size]) == self.reply(request), "another's reply"
        assert status == request[0] & 0x7F, "another's status"

    def serve_read(self, party):
        buf = party.buffer()
        m = self.ch.recv_request(buf)
        if m:
            size, id, latency = m
            self.has(self.read, party, (id, bytes(buf[:size])))
        return m

    def serve_one(self, party):
        m = self.serve_read(party)
        if m:
            id, request = self.read[party.name][-1]
            status = request[0] & 0x7F
            sent = self.ch.send_status(id, bytearray(self.reply(request)), status)
            self.has(self.answered, party, (id, sent, status))
        return m

    def answer(self, party):
        for id, request in self.held[party.name]:
            sent = self.ch.send_response(id, bytearray(self.reply(request)))
            self.has(self.answered, party, (id, sent, 0))

    def answer_status(self, party):
        for id, request in self.held[party.name]:
            sent = self.ch.send_status(id, bytearray(self.reply(request)), 77)
            self.has(self.answered, party, (id, sent, 77))

    def answer_nobody(self, party):
        """A reply to nobody, with a status that nobody may get; of a call that raises too."""
        assert self.ch.send_status(0, b"", 55) is False
        self.has(self.answered, party, (0, False, 55))
        try:
            self.ch.send_status(1, "text", 56)
        except TypeError:
            return
        raise AssertionError("answered a str")

    def look(self, party):
        ch = self.ch
        assert 0 <= ch.pending <= CAPACITY and 0 <= ch.free() <= CAPACITY
        assert 0 <= ch.dropped <= 4 and 0 <= ch.rejected <= 4 and ch.late >= 0
        assert 0 <= len(ch) <= CAPACITY and ch.answered >= 0 and repr(ch)

    def stats(self, party):
        QueueWorld.check_figures(self.ch.stats())

    def reset_stats(self, party):
        self.ch.reset_stats()

    def check(self):
        ch = self.ch
        asked = {}
        for each in self.asked.values():
            assert not set(each) & set(asked), "one id for two requests"
            asked |= each
        cancelled = [id for each in self.cancelled.values() for id in each]
        assert len(set(cancelled)) == len(cancelled)
        # What is left is served, taken, and then every entry is free.
        rest = Party(self, "k", True)
        while self.serve_one(rest):
            pass
        for name, held in self.held.items():
            answered = {id for id, *_ in self.answered[name]}
            for id, request in held:
                if id not in answered:
                    self.answered[name].append((id, ch.send_response(id, self.reply(request)), 0))
        takes = [item for each in self.taken.values() for item in each]
        taken = dict(takes)
        assert len(taken) == len(takes), "a reply was taken twice"
        reads = [each for name in self.read for each in self.read[name]]
        ids = [id for id, _ in reads]
        assert len(set(ids)) == len(ids), "a request was read twice"
        for id, request in reads:
            if id in asked:
                assert request == asked[id], "torn, or another's"
            else:
                assert "call" in self.verbs, f"nobody's request: {id}"
        assert set(asked) <= set(ids) | set(cancelled), "lost"
        statuses = {
            id: status for each in self.answered.values() for id, sent, status in each if sent
        }
        buf = bytearray(self._SLOT)
        for id, request in asked.items():
            if id in cancelled:
                continue
            if id not in taken:
                m = ch.recv_response(id, buf)
                assert m, f"answered, and pending: {id}"
                taken[id] = m[1], bytes(buf[: m[0]])
            status, reply = taken[id]
            assert reply == self.reply(request), "torn, or another's"
            assert status == statuses[id], (id, status, statuses)
        assert ch.stats()[0] == sum(ch._stats._words[_BUCKETS:]), "count and buckets differ"
        assert ch.pending == 0 and len(ch) == 0 and ch.free() == CAPACITY, f"leaked: {ch!r}"
        late = sum(not sent for each in self.answered.values() for _, sent, _ in each)
        assert ch.late == late, (ch.late, late)
        assert ch.dropped + ch.rejected == sum(self.unsent.values()), ch
        again = [ch.send_request(b"") for _ in range(CAPACITY + 1)]
        assert 0 not in again[:-1] and not again[-1] and not set(again) & set(asked)
        m = ch.recv_request(buf)
        assert m and ch.send_response(m[1], b"")
        assert ch.recv_response(m[1], buf)[1] == 0, "the status of an earlier call"


_SENDS = ("send", "send_word", "send_at", "send_word_at", "send_large", "refused_send")
_TAKES = ("recv", "recv_word", "recv_words", "skip", "clear")


def _pairs(*verbs, others=None):
    if others is None:
        return [f"t {a} | h {b}" for a, b in itertools.combinations_with_replacement(verbs, 2)]
    return [f"t {a} | h {b}" for a, b in itertools.product(verbs, others)]


QUEUE = [
    *_pairs(*_SENDS),
    *_pairs(*_TAKES),
    *_pairs(*_TAKES, others=("send_word",)),
    "t recv | h send",
    "t send send | h send",
    "t recv recv | h recv",
    *_pairs("look", "check_at_set_up", others=("send", "send_word_at", "recv", "clear")),
    "t free_then_send | h recv",
    "t close | h send",
    "t close | h recv",
]
PRIORITY = [
    *_pairs("send", "send_urgent", "send_word_at", others=("send", "send_urgent")),
    *_pairs("recv", "skip", "clear", others=("send_urgent", "recv")),
    "t look | h send_urgent recv",
]
VIEWS = [
    *_pairs("claim_commit", "claim_abort", "send", "send_at", others=("claim_commit", "send")),
    *_pairs("peek_release", others=("send", "claim_commit", "claim_abort", "look")),
    "t claim_abort | h claim_abort",
    "t claim_commit | h look",
    "t claim_commit | h close",
]
STATS = _pairs(
    "reset_stats", "stats", "stats_into", "recv_word", "recv", others=("recv_word", "recv")
)
WAITS = [
    *_pairs("asend", others=("send", "recv", "clear", "close", "send recv")),
    *_pairs("arecv", others=("send", "recv", "send recv", "close")),
    *_pairs("ready_recv", "select_recv", others=("send", "send send")),
]
FANOUT = [
    *_pairs(*_SENDS),
    *_pairs("recv", "skip", "clear", others=("send", "leave")),
    "t recv | h open",
    *_pairs("recv_word", "recv_words", others=("send_word",)),
    "t open | h open",
    *_pairs("open", "leave", others=("send", "send_word_at", "look")),
    *_pairs("leave", others=("open", "leave", "recv", "send send")),
    "t leave open | h send send",
    "t leave open | h leave open",
    "t look | h send recv",
    "t close | h send",
]
LATEST = _pairs(
    "skip_to_latest", others=("send", "send send", "send_word_at", "recv", "open", "leave")
)
POLICY = [
    *_pairs("send", "send_word_at"),
    "t send | h recv",
    "t send send | h leave open",
    "t open | h open",
    "t leave | h leave",
    "t leave | h open",
    "t look | h send recv",
    "t close | h send",
    "t open | h send",
    "t leave | h send",
]
REQUEST_REPLY = [
    *_pairs("ask", "give_up", "ask_and_give_up", "take", "look", "ask_large"),
    "t ask ask | h ask",
    "t ask_and_give_up | h ask_and_give_up",
    *_pairs("call", others=("ask", "ask_and_give_up", "take", "give_up", "serve_one")),
    *_pairs("serve_one", others=("ask", "give_up", "ask_and_give_up")),
    *_pairs("answer", "answer_status", "answer_nobody"),
    "t serve_one | h answer_nobody",
    *_pairs("reset_stats", "stats", others=("take",)),
]


def _tables():
    for pattern, world, pairs in (
        ("Channel", QueueWorld, QUEUE),
        ("Channel IrqGuard", QueueWorld, [*_pairs(*_SENDS), "t send | h recv"]),
        ("PriorityChannel", QueueWorld, PRIORITY),
        ("Channel views", QueueWorld, VIEWS),
        ("Channel stats", QueueWorld, STATS),
        ("Channel waits", QueueWorld, WAITS),
        ("MulticastChannel", FanoutWorld, FANOUT + LATEST),
        ("ROUND_ROBIN", FanoutWorld, FANOUT if SOAK else [*POLICY, *_pairs(*_SENDS)]),
        ("LEAST_LOADED", FanoutWorld, FANOUT if SOAK else POLICY),
        ("RANDOM", FanoutWorld, FANOUT if SOAK else POLICY[:3]),
        ("AFFINITY_FIRST", FanoutWorld, FANOUT if SOAK else POLICY[:3]),
        ("RequestReplyChannel", RequestReplyWorld, REQUEST_REPLY),
    ):
        yield pattern, (world, list(dict.fromkeys(pairs)))


# pattern: (its world, the meetings)
PATTERNS = dict(_tables())
DOORS = {"soft": soft, "gil": functools.partial(gil, switches=2 if SOAK else 1)}


class Row(NamedTuple):
    """What was explored of a meeting, over its states and orders."""

    pattern: str
    meeting: str
    door: str
    schedules: int
    points: int


def scenario_of(pattern, meeting, state, buffers):
    """Return the scenario of that meeting."""

    def scenario():
        world = PATTERNS[pattern][0](pattern, meeting, state, buffers)
        return *world.calls(), world.check

    scenario.__name__ = f"scenario_of({pattern!r}, {meeting!r}, {state!r}, {buffers!r})"
    return scenario


def orders(meeting):
    """Return the meeting in every order, of who is the call, that makes a difference."""
    contexts = meeting.split(" | ")
    if len({context[1:] for context in contexts}) == 1:
        return [meeting]
    return [" | ".join(each) for each in itertools.permutations(contexts)]


def explore(pattern, meeting, door, found):
    """Explore a meeting as it finds those (state, buffers); return a Row.

    Raise ExplorationError if it does harm.

    In some states the two may have nothing in common, as nothing is there to take; not in all.
    """
    schedules = points = 0
    with tasks_by_hand():
        for state, buffers in found:
            for each in orders(meeting) if door == "soft" else [meeting]:
                try:
                    report = DOORS[door](scenario_of(pattern, each, state, buffers))
                except ExplorationError as error:
                    if "no handler came" not in str(error):
                        raise
                else:
                    if report.shared:
                        schedules += report.schedules
                        points += report.points
    return Row(pattern, meeting, door, schedules, points)
