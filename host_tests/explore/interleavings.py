"""What may meet on a channel: a scenario of the explorer for every pair of verbs, and some threes.

    explore("Channel", "a send | r recv", "late")   # a Row; ExplorationError if it did harm
    replay(scenario_of("Channel", "a send | r recv", "full"), "cores: 0*4 1*7 0")

A pair is written as the contexts that meet, each a role and the verbs that it calls one after the
other. Who has which role is up to the pattern's world: the class that makes the channel, has the
verbs as its methods, keeps what came of them and checks it once everybody has returned. A state is
what the channel is found in: empty, one message, full, and about to wrap.
"""

import asyncio
import contextlib
import functools
import itertools
from array import array
from typing import NamedTuple

import ringlane
import ringlane.waiting  # noqa: F401  before anything is explored
from conftest import MUTANT, SOAK
from engine_words import WORD, start_at
from ringlane.lanes import store
from ringlane.words import load
from ringlane_host.explore import cores, fence, interrupts, name_words, random_cores
from ringlane_host.simulate import ptr8, ptr32, viper

SEED = 1
EVERYTHING = SOAK or MUTANT

_CAPACITY = 2
_SLOT = 24  # not all of it is used: what a message does not fill must not come back
_SIZE = 5  # of a message: a word and a byte, or up to two more
_LARGE = 21  # four words at once, a word and a byte
_WRAP = 2 * _CAPACITY - 1  # the last index

# (messages queued by each sender, the indices before them)
STATES = {"empty": (0, 0), "one": (1, 1), "full": (_CAPACITY, 0), "wrap": (1, _WRAP - 1)}


class Row(NamedTuple):
    """What was explored of a pair in one mode, over so many meetings: its orders and states."""

    pattern: str
    pair: str
    mode: str
    meetings: int
    schedules: int
    points: int


def message(number, size):
    """Return a message like no other of the scenario, in every byte of it."""
    return bytes((number * 37 + place * 11 + 1) & 0xFF for place in range(size))


@viper
def _write(view, data, size: int):
    to = ptr8(view)
    source = ptr8(data)
    for place in range(size):
        to[place] = source[place]


@viper
def _read(view, data, size: int):
    to = ptr8(data)
    source = ptr8(view)
    for place in range(size):
        to[place] = source[place]


@viper
def _look(block, word: int) -> int:
    return ptr32(block)[word]


@viper
def _tell(block, word: int):
    count = ptr32(block)
    count[word] = count[word] + 1


class World:
    """A channel, the contexts that use it, what came of that, and what must then be true."""

    def __init__(self, package, rule, pair, state):
        self.package = package
        self.rule = rule
        self.contexts = [context.split() for context in pair.split(" | ")]
        self.roles = {role for role, *_ in self.contexts}
        self.verbs = {verb for _, *verbs in self.contexts for verb in verbs}
        self.sends = {  # by each sender
            role: sum(
                verb.startswith(("send", "claim"))
                for each, *verbs in self.contexts
                if each == role
                for verb in verbs
            )
            for role in self.roles
        }
        self.numbers = itertools.count(1)
        self.words = array("I", [0] * 4)
        self.first_word = array("I", [0])
        self.classes = {}  # message: its class
        self.stamps = {}  # message: the clock before and after its send
        self.dated = []  # (message, its stamp and latency, the clock before and after its recv)
        self.set_up(state)

    def calls(self):
        """Return the contexts as the explorer wants them."""
        return [functools.partial(self.run, role, verbs) for role, *verbs in self.contexts]

    def run(self, role, verbs):
        for verb in verbs:
            getattr(self, verb)(role)

    def set_indices(self, start):
        """Let every lane, which is empty, go on at this index."""
        self.since = start_at(self.ch, start)

    def close(self, role):
        # The attribute `closed` is seen at once, which a store of this core's might not be.
        fence()
        self.ch.close()

    def fenced(self):
        """Where lanes are fenced, so is what the contexts tell each other by other means."""
        if self.package.fenced:
            fence()

    def next_message(self, size, priority=None):
        """Return a message, after it is noted, and its class: None for another each time."""
        number = next(self.numbers)
        data = message(number, size + number % 3 if size == _SIZE else size)
        self.classes[data] = number % 5 if priority is None else priority
        return data, self.classes[data]

    def now(self):
        return self.ch.clock.ticks()

    def sent_at(self, data, since, until=None):
        self.stamps[data] = since, self.now() if until is None else until

    def check_stamps(self):
        """Each message had its own stamp, and its latency is from that to its recv."""
        for data, stamp, latency, since, until in self.dated:
            first, last = self.stamps[data]
            assert first <= stamp <= last, f"the stamp of another: {stamp}, not {first}..{last}"
            if latency is not None:
                taken = (stamp + latency) % self.ch.clock.period
                assert since <= taken <= until, f"a wrong latency: {latency} after {stamp}"


class QueueWorld(World):
    """Channel or PriorityChannel: senders a and b, the receiver r, c who closes or looks.

    Every message of a sender arrives once, whole, in its sender's order within the class; what is
    skipped is counted, and so is what was not queued.
    """

    def set_up(self, state):
        level, start = STATES[state]
        self.level = level
        self.by_class = self.rule == "PriorityChannel"
        senders = 1 + ("b" in self.roles)
        views = any(verb.startswith(("claim", "peek")) for verb in self.verbs)
        channel = getattr(self.package, self.rule)
        self.ch = name_words(channel(_CAPACITY, _SLOT, senders, zero_copy=views))
        self.set_indices(start)
        self.ends = {"a": self.ch}
        if "b" in self.roles:
            self.ends["b"] = self.ch.add_sender()
        self.size = 4 if any("word" in verb for verb in self.verbs) else _SIZE
        self.sent = []  # (sender, class, message)
        self.unsent = 0
        self.got = []  # (class, message)
        self.consumed = []  # the same, or how many were dropped
        self.claims = {}
        self.peeked = None
        for _ in range(level):
            for role in self.ends:
                self.send(role)
        self.before = [data for _, _, data in self.sent]
        self.buf = bytearray(_SLOT)

    def queued(self, role, priority, data, outcome):
        if outcome:
            self.sent.append((role, priority, data))
        else:
            self.unsent += 1
        return outcome

    def put(self, role, priority, size):
        # A channel's classes are labels: each message has another.
        data, priority = self.next_message(size, priority if self.by_class else None)
        since = self.now()
        outcome = self.ends[role].send(data, priority)
        self.sent_at(data, since)
        return self.queued(role, priority, data, outcome)

    def send(self, role):
        return self.put(role, ringlane.NORMAL, self.size)

    def send_large(self, role):
        self.put(role, ringlane.NORMAL, _LARGE)

    def send_urgent(self, role):
        self.put(role, ringlane.REALTIME, self.size)

    def send_word(self, role):
        data, priority = self.next_message(4, 2 if self.by_class else None)
        value = int.from_bytes(data, "little")
        since = self.now()
        outcome = self.ends[role].send_word(value, priority)
        self.sent_at(data, since)
        return self.queued(role, priority, data, outcome)

    def send_at(self, role):
        data, priority = self.next_message(self.size, 2 if self.by_class else None)
        outcome = self.ends[role].send_at(data, priority, 1 << 20)
        self.sent_at(data, 1 << 20, 1 << 20)
        return self.queued(role, priority, data, outcome)

    def send_if_open(self, role):
        """Who has seen the channel closed, sends no more."""
        closed = self.ch.closed
        assert not (self.send(role) and closed), "sent, after it was seen closed"

    def send_word_if_open(self, role):
        closed = self.ch.closed
        assert not (self.send_word(role) and closed), "sent, after it was seen closed"

    def send_at_if_open(self, role):
        closed = self.ch.closed
        assert not (self.send_at(role) and closed), "sent, after it was seen closed"

    def claim_if_open(self, role):
        closed = self.ch.closed
        self.claim(role)
        assert not (role in self.claims and closed), "claimed, after it was seen closed"

    def commit_if_open(self, role):
        closed = self.ch.closed
        assert not (self.commit(role) and closed), "sent, after it was seen closed"

    def send_free(self, role):
        """What free() promises its sender, there is room for."""
        for _ in range(self.ends[role].free(ringlane.NORMAL)):
            assert self.send(role), "free() promised too much"

    def claim(self, role):
        view = self.ends[role].claim(ringlane.NORMAL)
        if view is None:
            self.unsent += 1
            return
        data, _ = self.next_message(self.size, ringlane.NORMAL)
        self.claims[role] = data
        _write(view, data, len(data))

    def commit(self, role):
        if role not in self.claims:
            return None
        data = self.claims.pop(role)
        since = self.now()
        outcome = self.ends[role].commit(ringlane.NORMAL, len(data))
        self.sent_at(data, since)
        return self.queued(role, ringlane.NORMAL, data, outcome)

    def abort(self, role):
        if self.claims.pop(role, None):
            self.ends[role].abort(ringlane.NORMAL)

    def take(self, priority, data):
        self.got.append((priority, data))
        self.consumed.append((priority, data))

    def recv(self, role):
        since = self.now()
        m = self.ch.recv(self.buf)
        if m:
            data = bytes(self.buf[: m[0]])
            self.take(m[1], data)
            self.dated.append((data, self.ch.timestamp(), m[2], since, self.now()))
        return m

    def recv_word(self, role):
        since = self.now()
        m = self.ch.recv_word()
        if m:
            data = (m[0] & 0xFFFFFFFF).to_bytes(4, "little")
            self.take(m[1], data)
            self.dated.append((data, self.ch.timestamp(), m[2], since, self.now()))

    def take_words(self, words):
        count = self.ch.recv_words(words)
        for value in words[:count]:
            data = value.to_bytes(4, "little")
            self.take(self.classes.get(data), data)
        if count:  # the stamp is that of the last
            self.dated.append((data, self.ch.timestamp(), None, 0, 0))

    def recv_words(self, role):
        self.take_words(self.words)

    def recv_first_word(self, role):
        self.take_words(self.first_word)

    def recv_len(self, role):
        """What len() promises the receiver, is there."""
        for _ in range(len(self.ch)):
            assert self.recv(role), "len() promised too much"

    def recv_until_closed(self, role):
        """What a consumer does: after the end that it sees, nothing may be left."""
        closed = self.ch.closed
        self.fenced()
        if not self.recv(role) and closed:
            self.ended = True

    def skip(self, role):
        self.consumed.append(int(self.ch.skip()))

    def clear(self, role):
        self.consumed.append(self.ch.clear())

    def peek(self, role):
        since = self.now()
        m = self.ch.peek()
        if not m:
            return
        data = self.copy(m[0])
        assert self.peeked in (None, (m[1], data)), "peek chose another"
        self.peeked = m[1], data
        self.dated.append((data, self.ch.timestamp(), m[2], since, self.now()))

    def copy(self, size):
        _read(self.ch.view, self.buf, size)
        return bytes(self.buf[:size])

    def release(self, role):
        peeked, self.peeked = self.peeked, None
        if peeked:
            assert self.copy(len(peeked[1])) == peeked[1], "it changed before it was released"
            self.take(*peeked)
        assert self.ch.release() is bool(peeked)

    def look(self, role):
        """Anybody may look; it is a guess, but one within bounds."""
        ch = self.ch
        lanes = len(self.ends) * (5 if self.by_class else 1)
        assert 0 <= ch.free(ringlane.NORMAL) <= _CAPACITY
        assert 0 <= len(ch) < lanes * 2 * _CAPACITY and ch.sent >= 0 and repr(ch)
        assert self.level <= ch.high_water <= _CAPACITY

    def look_within(self, role):
        """Of its own lane nobody has seen more queued than high_water tells from then on."""
        queued = len(self.ch)
        assert self.ch.high_water >= queued, f"{queued} queued, high_water {self.ch.high_water}"

    def recv_within(self, role):
        got = bool(self.recv(role))
        assert self.ch.high_water >= got, "received what high_water does not know of"

    def clear_within(self, role):
        self.clear(role)
        assert self.ch.high_water >= self.consumed[-1], "cleared more than high_water tells"

    ended = False

    def check(self):
        ch = self.ch
        for role in list(self.claims):  # a claim left open: the lane is its own
            assert not self.send(role)
            self.commit(role)
        if "close" in self.verbs:
            assert ch.closed
            for role in self.ends:
                assert not self.send(role)
        if self.peeked:
            self.release("r")
        taken = len(self.got)
        stamps = []
        while self.recv("r"):
            stamps.append((self.got[-1][0] if self.by_class else 0, ch.timestamp()))
        if self.ended and not self.roles & {"b"}:
            assert not stamps, "ended, with a message queued"
        # Nothing lost, torn or doubled.
        sent = {data: (role, priority) for role, priority, data in self.sent}
        skipped = sum(each for each in self.consumed if isinstance(each, int))
        for priority, data in self.got:
            assert data in sent, f"torn: {data}"
            assert sent[data][1] == priority
        self.check_stamps()
        found = [data for _, data in self.got]
        assert len(set(found)) == len(found), "doubled"
        assert len(found) + skipped == len(sent), (self.consumed, self.sent)
        # Nothing reordered: within a lane, of what was there before, and in what is left.
        lanes = {}
        for role, priority, data in self.sent:
            lanes.setdefault((role, priority if self.by_class else 0), []).append(data)
        # What was not queued in the end has not raised it either.
        assert (
            self.level <= ch.high_water <= min(_CAPACITY, max(map(len, lanes.values()), default=0))
        )
        for lane in [*lanes.values(), self.before]:
            assert [each for each in found if each in lane] == [
                each for each in lane if each in found
            ], "reordered"
        if "send_at" not in self.verbs:
            assert stamps == sorted(stamps), "not the oldest of the most urgent first"
        if len(lanes) == 1:  # then it is known which ones were dropped
            (lane,) = lanes.values()
            for each in self.consumed:
                count = each if isinstance(each, int) else 1
                assert isinstance(each, int) or lane[0] == each[1], "another was dropped"
                del lane[:count]
        # The counters.
        assert self.since(ch.sent) == self.since(ch.received) == len(sent) and not len(ch), ch
        assert ch.dropped + ch.rejected == self.unsent, ch
        if not self.verbs & {"close", "claim"}:
            assert not ch.rejected, ch
        if all(self.level + count <= _CAPACITY for count in self.sends.values()):
            assert not ch.dropped, ch
        assert taken <= len(self.got)


class Sent(NamedTuple):
    """A message, how many will get it, and how many receivers had closed before it was sent."""

    role: str
    data: bytes
    took: int
    past: int


class Life:
    """One receiver of several, from its opening to its end."""

    def __init__(self, end, before, first):
        self.end = end
        self.first = first  # there all along
        self.before = before  # messages it must not get
        self.got = []
        self.skipped = 0
        self.unread = None  # or, once closed, a number
        self.only_newest = False  # skip_to_latest was the last verb


class FanoutWorld(World):
    """MulticastChannel or AnycastChannel: senders a and b, receivers x and y, and z if it opens.

    A sender is told how many get its message, and so many do; a message that was on its way to a
    receiver that closed is lost with it. A receiver gets each message once, whole, in its sender's
    order, and none from before it opened.
    """

    _SLOTS = _CAPACITY + 1  # of a lane of multicast, whose max_lag is less ...

    def set_up(self, state):
        level, start = STATES[state]
        senders = 1 + ("b" in self.roles)
        name, _, lag = self.rule.partition(" ")
        self.multicast = name == "MulticastChannel"
        package = self.package
        if self.multicast:
            slots = _CAPACITY if lag else self._SLOTS  # ... or not: what is freed is used at once
            self.ch = package.MulticastChannel(slots, _CAPACITY, _SLOT, 3, senders)
        else:
            policy = getattr(package, self.rule)
            self.ch = package.AnycastChannel(_CAPACITY, policy, _SLOT, 3, senders)
        name_words(self.ch)
        self.set_indices(start + 2 * (self.ch.capacity - _CAPACITY) if start > 1 else start)
        self.ends = {"a": self.ch}
        if "b" in self.roles:
            self.ends["b"] = self.ch.add_sender()
        self.sent = []
        self.size = 4 if any("word" in verb for verb in self.verbs) else _SIZE
        self.lives = {}
        self.past = []
        self.open("x", True)
        if not self.multicast:  # as many for each, whatever the policy
            for _ in range(level):
                self.send("a")
            headers = [self.ch._header(number, 0) for number in range(senders)]
            room = load(self.ch._base, headers[0] + WORD["ROOM"])
            for header in headers:
                store(self.ch._base, header + WORD["ROOM"], 0)
        self.open("y", True)
        for _ in range(level):
            self.send("a")
        if not self.multicast:
            for header in headers:
                store(self.ch._base, header + WORD["ROOM"], room)
        assert all(each.took for each in self.sent)
        self.queued = len(self.sent)  # all that is known to have arrived
        self.levels = {role: len(life.end) for role, life in self.lives.items()}
        self.bufs = {role: bytearray(_SLOT) for role in "xyz"}

    def send(self, role):
        data, priority = self.next_message(self.size)
        past, since = len(self.past), self.now()
        self.fenced()
        took = self.ends[role].send(data, priority)
        self.sent_at(data, since)
        return self.has_sent(Sent(role, data, took, past))

    def send_word(self, role):
        data, priority = self.next_message(4)
        value = int.from_bytes(data, "little")
        past, since = len(self.past), self.now()
        self.fenced()
        took = self.ends[role].send_word(value, priority)
        self.sent_at(data, since)
        return self.has_sent(Sent(role, data, took, past))

    def send_as_a(self, role):
        """The sender a belongs to this receiver's context."""
        return self.send("a")

    def send_if_open(self, role):
        """Who has seen the channel closed, sends no more."""
        closed = self.ch.closed
        assert not (self.send(role) and closed), "sent, after it was seen closed"

    def send_word_if_open(self, role):
        closed = self.ch.closed
        assert not (self.send_word(role) and closed), "sent, after it was seen closed"

    def has_sent(self, sent):
        if "open" in self.verbs:
            fence()  # as of here nobody who opens may be told that it comes
        self.sent.append(sent)
        return sent.took

    def open(self, role, first=False):
        before = [each.data for each in self.sent]
        options = {} if self.multicast else {"core": "xyz".index(role) & 1}
        closed = self.ch.closed
        try:
            end = self.ch.add_receiver(role, **options)
        except ValueError:
            assert self.ch.closed, "it was not opened"
            return
        assert not closed, "opened, after it was seen closed"
        self.lives[role] = Life(end, before, first)
        assert self.lives[role].end.received == 0

    def leave(self, role):
        life = self.lives.pop(role)
        life.unread = life.end.close()
        fence()  # as of here it has closed for everybody
        self.past.append(life)

    def recv(self, role):
        life = self.lives.get(role)
        if life is None:  # the channel was closed before it opened
            return None
        buf = self.bufs[role]
        since = self.now()
        m = life.end.recv(buf)
        if m:
            data = bytes(buf[: m[0]])
            assert self.classes.get(data) in (None, m[1]), "the class of another"
            self.dated.append((data, life.end.timestamp(), m[2], since, self.now()))
            epochs = self.epochs_of(data, life.end.id)
            assert not epochs or life.end._told >> 16 & 0xFF in epochs, "for an earlier receiver"
            life.got.append(data)
            life.only_newest = False
        return m

    def epochs_of(self, data, row):
        """Return the epochs of the messages in that row's slots, taken or not, that are `data`."""
        block, found = self.ch._block, set()
        words = memoryview(block).cast("I")
        stride = words[WORD["STRIDE"]]
        for number in range(self.ch.senders):
            lane = self.ch._header(number, row)
            for slot in range(words[lane + WORD["FIRST"]], words[lane + WORD["END"]], stride):
                at = 4 * lane + slot
                size = block[at] | block[at + 1] << 8
                if block[at + WORD["SLOT_BYTES"] :][:size] == data:
                    found.add(block[at + 3])
        return found

    def recv_word(self, role):
        life = self.lives[role]
        since = self.now()
        m = life.end.recv_word()
        if m:
            data = (m[0] & 0xFFFFFFFF).to_bytes(4, "little")
            assert self.classes.get(data) in (None, m[1]), "the class of another"
            self.dated.append((data, life.end.timestamp(), m[2], since, self.now()))
            life.got.append(data)

    def take_words(self, life, words):
        count = life.end.recv_words(words)
        life.got += [value.to_bytes(4, "little") for value in words[:count]]
        if count:  # the stamp is that of the last
            self.dated.append((life.got[-1], life.end.timestamp(), None, 0, 0))

    def recv_words(self, role):
        self.take_words(self.lives[role], self.words)

    def recv_first_word(self, role):
        self.take_words(self.lives[role], self.first_word)

    def look_within(self, role):
        """Nobody has seen more queued for it than high_water tells from then on."""
        queued = len(self.lives[role].end)
        assert self.ch.high_water * len(self.ends) >= queued, f"{queued} queued, {self.ch}"

    def recv_within(self, role):
        got = bool(self.recv(role))
        assert self.ch.high_water >= got, "received what high_water does not know of"

    def skip(self, role):
        self.lives[role].skipped += self.lives[role].end.skip()

    def clear(self, role):
        self.lives[role].skipped += self.lives[role].end.clear()

    def skip_to_latest(self, role):
        self.lives[role].skipped += self.lives[role].end.skip_to_latest()
        self.lives[role].only_newest = True

    def recv_len(self, role):
        """What len() promises a receiver, is there."""
        for _ in range(len(self.lives[role].end)):
            assert self.recv(role), "len() promised too much"

    def drain(self):
        """Take what is left; return how many each life had."""
        left = {}
        for role, life in self.lives.items():
            latest = life.only_newest
            left[role] = 0
            while self.recv(role):
                left[role] += 1
            if latest and life.skipped:
                assert left[role], "the newest was skipped"
        return left

    def check(self):
        ch = self.ch
        lags = {role: len(life.end) for role, life in self.lives.items()}
        left = self.drain()
        lives = [*self.past, *self.lives.values()]
        # What was on its way to a receiver that closed is lost with it, and is no other's; it may
        # be counted until the place's next receiver has looked.
        on_its_way = sum(len(self.past) - each.past for each in self.sent[self.queued :])
        for role, lag in lags.items():
            life = self.lives[role]
            most = 0 if life.first else len(self.sent) - len(life.before) - len(life.got)
            assert 0 <= lag - left[role] <= max(0, most), (role, lag, left)
        # Nothing torn, doubled, reordered or from before.
        senders = {
            role: [each.data for each in self.sent if each.role == role] for role in self.ends
        }
        for life in lives:
            assert len(set(life.got)) == len(life.got), "doubled"
            assert not set(life.got) & set(life.before), "from before it opened"
            assert sum(map(len, (set(life.got) & set(each) for each in senders.values()))) == len(
                life.got
            ), "torn"
            for each in senders.values():
                assert [data for data in life.got if data in each] == [
                    data for data in each if data in life.got
                ], "reordered"
            assert life.end.received == len(life.got) + life.skipped
        # Nothing lost: as many got it as the sender was told.
        took = sum(each.took for each in self.sent)
        told = sum(len(life.got) + life.skipped + (life.unread or 0) for life in lives)
        assert 0 <= took - told <= on_its_way, (took, told, self.sent)
        assert self.since(ch.sent) == took, ch
        for _, data, count, _ in self.sent:
            found = sum(data in life.got for life in lives)
            assert found <= count if self.multicast else found <= min(1, count), "doubled"
        self.check_stamps()
        refusals = [each.data for each in self.sent if not each.took]
        if not ch.closed:
            assert not ch.rejected
        if self.multicast:
            self.check_multicast()
            # What is dropped is some receiver's, but for one on its way as that closed.
            counted = ch.dropped - sum(life.end.dropped for life in lives)
            assert 0 <= counted <= on_its_way, (counted, ch)
        else:
            assert ch.dropped + ch.rejected == len(refusals), ch
            if not ch.closed and any(
                self.levels[role] + self.most() <= _CAPACITY
                for role, life in self.lives.items()
                if life.first
            ):
                assert not refusals, "one had room"
        # And it goes on.
        count = ch.send(b"next", ringlane.NORMAL)
        assert count == 0 if ch.closed else count == (len(self.lives) if self.multicast else 1)
        left = self.drain()
        assert sum(left.values()) == count

    def most(self):
        return max(self.sends.values())

    def check_multicast(self):
        """What each receiver that was there all along missed, it knows of."""
        ch = self.ch
        for role, life in self.lives.items():
            if not life.first:
                continue
            rejected = ch.rejected if ch.closed else 0
            missed = len(self.sent) - rejected - len(life.got) - life.skipped
            assert life.end.dropped == missed, (role, missed, life.end.dropped)
            if self.levels[role] + self.most() <= _CAPACITY:
                assert not missed, "it had room"


class RequestReplyWorld(World):
    """RequestReplyChannel: the client k, the server s, c who closes.

    A state is what has happened: a ask, c give up, r read, w answer, t take, and from which index
    of the lane on. A request is read once, whole and in order, unless it was cancelled; its reply
    is the one to it, and is taken or rejected.
    """

    _SLOT = 6

    def set_up(self, state):
        self.ch = name_words(self.package.RequestReplyChannel(_CAPACITY, self._SLOT))
        before, _, start = state.partition("@")
        self.set_indices(int(start or 0))
        self.buf, self.server_buf = bytearray(self._SLOT), bytearray(self._SLOT)
        # The client's.
        self.asked = {}  # id: request
        self.unsent = 0
        self.outstanding = []
        self.cancelled = set()
        self.taken = {}  # id: (status, reply)
        # The server's.
        self.held = []
        self.reads = []  # (id, request)
        self.answers = []  # (id, whether it was sent)
        steps = {
            "a": self.ask,
            "c": self.give_up,
            "r": self.read,
            "w": self.answer,
            "t": self.take,
        }
        for step in before:
            steps[step]("")

    @staticmethod
    def reply(request):
        return bytes(byte ^ 0x5A for byte in request[: 1 + request[0] % len(request)])

    def ask(self, role):
        request = message(next(self.numbers), self._SLOT - next(self.numbers) % 3)
        since = self.now()
        id = self.ch.send_request(request)
        if id:
            assert id not in self.asked, "an id used twice"
            self.asked[id] = request
            self.stamps[id] = since, self.now()
            self.outstanding.append(id)
        else:
            self.unsent += 1
        return id

    def ask_if_open(self, role):
        """Who has seen the channel closed, asks no more."""
        closed = self.ch.closed
        assert not (self.ask(role) and closed), "asked, after it was seen closed"

    def look_within(self, role):
        """The server has not seen more requests queued than high_water tells from then on."""
        queued = len(self.ch)
        assert self.ch.high_water >= queued, f"{queued} queued, {self.ch.high_water}"

    def take(self, role):
        if self.outstanding:
            id = self.outstanding[0]
            since = self.now()
            m = self.ch.recv_response(id, self.buf)
            if m:
                self.dated.append((id, m[2], since, self.now()))
                self.outstanding.remove(id)
                self.taken[id] = m[1], bytes(self.buf[: m[0]])

    def give_up(self, role):
        if self.outstanding:
            id = self.outstanding.pop()
            assert self.ch.cancel(id) is True
            self.cancelled.add(id)
            assert self.ch.cancel(id) is False

    def read(self, role):
        since = self.now()
        m = self.ch.recv_request(self.server_buf)
        if m:
            self.dated.append((m[1], m[2], since, self.now()))
            self.reads.append((m[1], bytes(self.server_buf[: m[0]])))
            self.held.append(self.reads[-1])
        return m

    def answer(self, role):
        if self.held:
            id, request = self.held.pop(0)
            self.answers.append((id, self.ch.send_response(id, self.reply(request))))

    def answer_status(self, role):
        if self.held:
            id, request = self.held.pop(0)
            sent = self.ch.send_status(id, self.reply(request), request[0])
            self.answers.append((id, sent))

    def repeat(self, role):
        if self.answers:
            id = self.answers[-1][0]
            assert self.ch.send_response(id, b"again") is False
            self.answers.append((id, False))

    def check(self):
        ch = self.ch
        while self.read("s") or self.held:
            self.answer("s")
        for _ in tuple(self.outstanding):
            count = len(self.outstanding)
            self.take("k")
            assert len(self.outstanding) < count, "answered, and still pending"
        assert ch.recv_request(self.server_buf) is None
        # Every request is read once, whole, in order, or cancelled.
        ids = [id for id, _ in self.reads]
        for id, request in self.reads:
            assert self.asked.get(id) == request, f"torn, or another's: {id}, {request}"
        assert len(set(ids)) == len(ids), "doubled"
        assert ids == [id for id in self.asked if id in ids], "reordered"
        assert {*self.asked} == {*ids} | self.cancelled, "lost"
        for id, latency, since, until in self.dated:
            first, last = self.stamps[id]
            assert since - last <= latency <= until - first, f"the latency of another: {latency}"
        # Every reply is taken, by who asked for it, or rejected.
        assert {*self.asked} == {*self.taken} | self.cancelled
        assert not {*self.taken} & self.cancelled
        for id, (status, reply) in self.taken.items():
            request = self.asked[id]
            assert reply == self.reply(request), "torn, or another's"
            assert status == (request[0] if "answer_status" in self.verbs else 0) or not status
        sent = [id for id, sent in self.answers if sent]
        assert len(set(sent)) == len(sent) and {*self.taken} <= {*sent}
        for id, was_sent in self.answers:
            assert was_sent or id in self.cancelled or id in sent, "rejected, and it was wanted"
        # The counters, and that every entry can be used again.
        assert (ch.answered, ch.pending, len(ch)) == (len(self.taken), 0, 0), ch
        assert ch.late == len(self.answers) - len(sent), ch
        assert ch.dropped + ch.rejected == self.unsent, ch
        if not ch.closed:
            assert not ch.rejected and ch.free() == _CAPACITY, ch
            again = [ch.send_request(b"") for _ in range(_CAPACITY)]
            assert 0 not in again and not {*again} & {*self.asked} and not ch.send_request(b"")
        else:
            assert not ch.send_request(b"")


class _ByHand:
    """In place of the event loop's queue: a task that waits has only stopped."""

    def queue_read(self, stream):
        return None


@contextlib.contextmanager
def tasks_by_hand():
    """Let coroutines of waiting.py be advanced by send(None), without an event loop."""
    queue, asyncio.core._io_queue = asyncio.core._io_queue, _ByHand()
    try:
        yield
    finally:
        asyncio.core._io_queue = queue


class WaitWorld(World):
    """A task w waits for what a, b, c, r, k or s does, who then say so: by an event, as notify().

    It looks, goes to sleep only if no event has come since before it looked, and is woken by the
    next. Once a verb has returned, whoever looks is told; and nobody sleeps for ever.
    """

    _LOOKS = 4

    def set_up(self, state):
        level, start = STATES[state]
        package = self.package
        rule, _, what = self.rule.partition(" ")
        self.what = what
        if rule == "RequestReplyChannel":
            self.ch = package.RequestReplyChannel(_CAPACITY, _SLOT)
            self.set_indices(start)
            self.end = self.ch
            if what == "call":
                self.task = self.ch.call(b"ask", bytearray(_SLOT))
        else:
            senders = 1 + ("b" in self.roles)
            if rule == "MulticastChannel":
                self.ch = package.MulticastChannel(_CAPACITY, None, _SLOT, 2, senders)
            elif rule == "AnycastChannel":
                self.ch = package.AnycastChannel(
                    _CAPACITY, ringlane.ROUND_ROBIN, _SLOT, 2, senders
                )
            else:
                self.ch = getattr(package, rule)(_CAPACITY, _SLOT, senders)
            self.set_indices(start)
            self.end = self.ch if hasattr(self.ch, "recv") else self.ch.add_receiver()
            self.ends = {"a": self.ch}
            if "b" in self.roles:
                self.ends["b"] = self.ch.add_sender()
        name_words(self.ch)
        self.buf = bytearray(_SLOT)
        self.events = bytearray(4 * 26)  # a word for each role, its own
        if what == "ready":
            self.task = self.end.ready()
        elif what == "arecv":
            self.task = self.end.arecv(self.buf)
        elif what == "asend":
            for _ in range(_CAPACITY):
                self.ch.send(b"here", ringlane.NORMAL)
            self.task = self.ch.asend(b"more", ringlane.NORMAL)
        elif what == "select":
            other = package.Channel(1)
            other.close()  # passed over
            self.task = package.select(other, self.end)
        self.asleep = False
        self.outcome = None
        self.told = []
        self.got = []
        self.sent = 0
        self.late = 0

    def event(self, role):
        # SEV after the store, as notify() does: the next look comes after it.
        self.fenced()
        _tell(self.events, ord(role) - ord("a"))

    def seen(self):
        events = [_look(self.events, ord(role) - ord("a")) for role in sorted(self.roles - {"w"})]
        self.fenced()
        return events

    def send(self, role):
        self.sent += self.ends[role].send(message(self.sent, _SIZE), ringlane.NORMAL)
        self.event(role)

    def send_word(self, role):
        self.sent += self.ends[role].send_word(1, ringlane.NORMAL)
        self.event(role)

    def close(self, role):
        World.close(self, role)
        self.event(role)

    def recv(self, role):
        assert self.end.recv(self.buf)
        self.event(role)

    def clear(self, role):
        assert self.end.clear() == _CAPACITY
        self.event(role)

    def ask(self, role):
        assert self.ch.send_request(message(1, _SIZE))
        self.event(role)

    def serve(self, role):
        """Answer what is there, and again once more: a client may ask meanwhile."""
        for _ in range(2):
            m = self.ch.recv_request(self.buf)
            if m:
                self.late += not self.ch.send_response(m[1], b"reply")
                self.event(role)

    def wait(self, role):
        for _ in range(self._LOOKS):
            seen = self.seen()
            try:
                self.task.send(None)
            except StopIteration as done:
                self.outcome = done
                self.asleep = False
                return
            except OSError as error:
                self.outcome = error
                self.asleep = False
                return
            if sum(seen):
                self.told.append(seen)
            self.asleep = True
            self.slept_at = seen
            if self.seen() == seen:
                return

    def check(self):
        assert not self.told, f"not told of what had returned: events {self.told}"
        if self.outcome is None:
            if self.what == "call" and self.seen() == self.slept_at:
                self.serve("s")
            assert self.seen() != self.slept_at, "asleep, and nobody will wake it"
            self.wait("w")
        outcome = self.outcome
        assert outcome is not None, "woken, and not told why"
        closed = "close" in self.verbs
        if self.what == "ready":
            if outcome.value is not True:
                assert outcome.value is False and closed
            assert bool(self.end.recv(self.buf)) == outcome.value
        elif self.what == "select":
            if outcome.value is not self.end:
                assert outcome.value is False and closed
            else:
                assert self.end.recv(self.buf)
        elif self.what == "arecv":
            # A task of its own closes at any time; a sender that closes has sent before.
            m = outcome.value
            over = m is False and closed
            assert m or over and not self.sends.get("a"), "ended, with a message queued"
            if m and self.rule != "RequestReplyChannel arecv":
                size = 4 if "send_word" in self.verbs else _SIZE
                assert m[0] == size
        elif self.what == "asend":
            assert outcome.value is True or closed and outcome.value is False
            assert closed or not self.ch.dropped
            received = self.since(self.ch.received)
            assert len(self.ch) + received == _CAPACITY + outcome.value
        else:
            # A call that finds the channel closed gives its request up, be it read or not.
            reset = closed and isinstance(outcome, OSError)
            assert reset or outcome.value[0] == len(b"reply")
            assert self.late <= reset and self.ch.late == self.late
            assert self.ch.pending == 0


_TAKES = ("recv", "recv_word", "recv_words", "recv_first_word", "skip", "clear")
_SENDS_AND_TAKES = [
    *(f"a send | r {verb}" for verb in ("recv", "skip", "clear")),
    *(f"a send_word | r {verb}" for verb in _TAKES),
]
QUEUE = [
    *_SENDS_AND_TAKES,
    "a send send | r recv recv",
    "a send_large | r recv",
    "a send_at | r recv",
    "a send_urgent | r recv",
    "a send send_urgent | r recv clear",
    "a send_free | r recv",
    "a send | r recv_len",
    "a send | r peek release",
    "a send_urgent | r peek peek release",
    "a send_word | r peek release recv_word",
    "a claim commit | r recv",
    "a claim commit | r peek release",
    "a claim commit | r clear",
    "a claim send commit | r recv",
    "a claim abort | r recv",
    "a claim abort send | r peek release",
    "a claim | r recv",
    "a claim | r peek release",
    "a claim | r clear",
    "a claim | c close",
    "a claim commit | c close",
    "a claim abort | c close",
    "a send | c close",
    "a send_word | c close close",
    "a send close | r recv_until_closed",
    "a send | c look",
    "r recv | c look",
    "a send send | r look_within",
    "a send | r recv_within",
    "a send_word | r look_within",
    "a send_at | r clear_within",
    "a claim commit | r look_within",
    "a send_if_open | c close",
    "a send_word_if_open | c close",
    "a send_at_if_open | c close",
    "a claim_if_open | c close",
    "a claim commit_if_open | c close",
]
_QUEUE_OF_THREE = [
    "a send | b send | r recv",
    "a send | b send_urgent | r recv",
    "a send_word | b send_word | r recv_word",
    "a send | b send | r clear",
    "a send | b send_urgent | r peek release",
    "a claim commit | b send | r recv",
    "a send | r recv | c close",
    "a send_word | r recv_words | c close",
    "a claim commit | r peek release | c close",
    "a send_if_open | b send_word_if_open | c close",
]
_PRIORITY_OF_THREE = [
    "a send | b send_urgent | r recv",
    "a send | b send_urgent | r peek release",
    "a send_urgent | r clear | c close",
    "a send_if_open | b send_if_open | c close",
]
_FANOUT = [
    *(f"a send | x {verb}" for verb in ("recv", "skip", "clear")),
    *(f"a send_word | x {verb}" for verb in _TAKES),
    "a send send | x recv recv",
    "a send | x recv_len",
    "a send | x leave",
    "a send | z open",
    "a send | x leave open recv",
    "a send send | x leave open recv",
    "a send | x leave open",
    "a send | c close",
    "a send_if_open | c close",
    "a send_word_if_open | c close",
    "a send send | x look_within",
    "a send_word | x recv_within",
]
_FANOUT_OF_THREE = [
    "a send | b send | x recv",
    "a send | x recv | y recv",
    "a send | x leave open recv | y recv",
    "a send | x recv | c close",
    "a send | x leave | c close",
    "a send_word | z open recv | c close",
    "a send | x recv | z open",
    "a send_if_open | b send_if_open | c close",
]
MULTICAST = [
    *_FANOUT,
    *_FANOUT_OF_THREE,
    "a send send | x skip_to_latest",
    "a send send | x recv skip_to_latest recv",
    "a send send | x leave open skip_to_latest",
    "a send | x leave open | y skip_to_latest",
    "b send | x leave open send_as_a skip_to_latest",
]
MULTICAST_OF_ALL = [
    *(f"a send | x {verb}" for verb in ("recv", "skip", "clear")),
    *(f"a send_word | x {verb}" for verb in _TAKES),
    "a send send | x recv skip_to_latest recv",
    "a send | b send | x recv",
]
ANYCAST = [
    "a send | x recv",
    "a send_word | x recv_word",
    "a send send | x recv recv",
    "a send | x leave",
    "a send | z open",
    "a send | x leave open recv",
    "a send | c close",
    "a send_word | x recv_first_word",
    "a send_if_open | c close",
    "a send_word_if_open | c close",
    "a send send | x look_within",
    "a send_word | x recv_within",
    "a send | b send | x recv",
    "a send | x recv | y leave",
    "a send | x recv | c close",
    "a send | x leave | c close",
    "a send_word | z open recv | c close",
    "a send_if_open | b send_if_open | c close",
]
# (the pair, the states that it may meet in)
REQUEST_REPLY = {
    "k ask | s read": ("", "a@1", "acac", "ac@2"),
    "k ask take | s read answer": ("", "a@1"),
    "k take | s answer": ("ar", "aar@2"),
    "k take | s answer_status repeat": ("ar",),
    "k take take | s read answer": ("a", "aa@2"),
    "k take ask | s answer read": ("ar", "aar@2"),
    "k give_up | s read": ("a", "a@2", "aca"),
    "k give_up | s answer": ("ar", "arcar@2"),
    "k give_up ask | s read": ("a", "aca@2"),
    "k give_up ask | s answer": ("ar", "ar@2"),
    "k give_up ask take | s answer read answer": ("ar",),
    "k ask | s answer": ("arc", "arc@2"),
    "k ask take | s answer read answer": ("arc",),
    "k give_up ask give_up | s read answer": ("a",),
    "k ask | s look_within": ("", "a@1"),
    "k ask | c close": ("", "acac@2"),
    "k ask_if_open | c close": ("", "acac@2"),
    "k ask take | s read answer | c close": ("",),
    "k give_up ask | s read answer | c close": ("a",),
}
WAIT = {
    **{
        f"{channel} {what}": ("a send | w wait", "c close | w wait", "a send close | w wait")
        for channel, what in itertools.product(
            ("Channel", "PriorityChannel", "MulticastChannel", "AnycastChannel"),
            ("ready", "arecv"),
        )
    },
    "Channel select": ("a send_word | w wait", "a send | b send | w wait"),
    "PriorityChannel select": ("a send | c close | w wait",),
    "Channel asend": ("r recv | w wait", "r clear | w wait", "c close | w wait"),
    "PriorityChannel asend": ("r recv | w wait", "r recv | c close | w wait"),
    "RequestReplyChannel arecv": ("k ask | w wait", "c close | w wait"),
    "RequestReplyChannel ready": ("k ask | w wait",),
    "RequestReplyChannel call": ("s serve | w wait", "s serve | c close | w wait"),
}
# Contexts that share no word that one of them writes: nothing can come of that.
STRANGERS = {
    "Channel": ("a send | b send", "r recv | c close", "r clear | c close"),
    "PriorityChannel": ("a send | b send_urgent", "r recv | c close"),
    "MulticastChannel": (
        "a send | b send",
        "x recv | y recv",
        "x recv | c close",
        "x leave | y recv",
        "z open | c close",
    ),
    "ROUND_ROBIN": ("a send | b send", "x recv | y leave", "x recv | c close"),
}
_WRAPPING = "empty", "wrap"


# The states that three contexts meet in, and that what takes long is tried in.
_FOR_THREE = tuple(STATES) if SOAK else ("wrap",)
_FEW = tuple(STATES) if SOAK else ("full", "wrap")
_MOST = tuple(STATES) if SOAK else ("empty", "wrap")  # about to wrap it holds one, too


def _states_of(pattern, pair):
    contexts = pair.split(" | ")
    verbs = sum(len(context.split()) - 1 for context in contexts)
    if len(contexts) > 2:
        return _FOR_THREE
    # Some share nothing unless the receiver has something to move, or the sender no room.
    if {"a claim", "a claim abort"} & {*contexts} and contexts[-1] != "c close":
        return tuple(state for state in _FEW if state != "empty")
    if "look_within" in pair:
        return tuple(state for state in (STATES if verbs < 3 else _MOST) if state != "full")
    if pair == "r recv | c look" or pattern == "RANDOM":
        return tuple(state for state in _FEW if state != "empty")
    if pair == "a send | z open" and pattern == "ROUND_ROBIN":
        return ("full",)
    if pair == "a send | b send":
        return "empty", "one", "wrap"
    if "leave open" in pair or pattern == "AFFINITY_FIRST" or (verbs > 2 and pattern != "Channel"):
        return _FEW
    if pattern == "Channel":
        return _MOST if verbs > 2 else tuple(STATES)
    # Full, what is sent meanwhile goes where the message has been that is being taken.
    takes = contexts[-1].split()[1:] in ([verb] for verb in _TAKES)
    return tuple(STATES) if SOAK else ("empty", "full", "wrap") if takes else _MOST


def _with_states(pattern, pairs):
    return {pair: _states_of(pattern, pair) for pair in pairs}


def _tables():
    # pattern: (its world, {pair: states})
    for pattern, world, pairs in (
        ("Channel", QueueWorld, QUEUE + _QUEUE_OF_THREE),
        ("PriorityChannel", QueueWorld, QUEUE + _PRIORITY_OF_THREE),
        ("MulticastChannel", FanoutWorld, MULTICAST),
        ("MulticastChannel max_lag", FanoutWorld, MULTICAST_OF_ALL),
        ("ROUND_ROBIN", FanoutWorld, ANYCAST),
        ("LEAST_LOADED", FanoutWorld, [*ANYCAST, "a send | b send"]),
        ("RANDOM", FanoutWorld, ANYCAST),
        ("AFFINITY_FIRST", FanoutWorld, ANYCAST),
    ):
        yield pattern, (world, _with_states(pattern, pairs))
    yield "RequestReplyChannel", (RequestReplyWorld, REQUEST_REPLY)
    for rule, pairs in WAIT.items():
        yield f"wait: {rule}", (WaitWorld, dict.fromkeys(pairs, _WRAPPING))


# pattern: (its world, {pair: the states it may meet in})
PATTERNS = dict(_tables())


def _late(pair):
    # Whether a channel is closed is no word of the simulated memory: others see it at once, so
    # what is stored before it must not be late.
    return "at once" if "_if_open" in pair else "late"


def _cores(scenario, pair, stores):
    # How many switches; one less of three contexts, which start and end in six orders already,
    # and one less with late stores, each of which is as good as a switch.
    count = len(pair.split(" | "))
    switches = 2 + SOAK - (count > 2) - (stores == "late")
    return cores(scenario, switches, stores)


MODES = {
    "interrupts": lambda scenario, pair: interrupts(scenario),
    "cores": lambda scenario, pair: _cores(scenario, pair, "at once"),
    "late": lambda scenario, pair: _cores(scenario, pair, _late(pair)),
    "fenced": lambda scenario, pair: cores(scenario, 1 + SOAK, "reordered"),
    "random": lambda scenario, pair: random_cores(scenario, 100 if SOAK else 6, SEED, _late(pair)),
}


def explored(pattern, mode):
    """Return the pairs of a pattern that are explored in that mode here.

    `make soak`, and tests of mutants: all. Late stores may be late by no time, and who comes in
    between may run to his end: so as cores with late stores two contexts meet in all the ways
    that there are with one switch. Two switches are tried where each has one verb, and three
    contexts where they nest, as handlers: with one anycast policy, as by then the receiver is
    chosen.
    """
    pairs = tuple(PATTERNS[pattern][1])
    if mode == "fenced":  # of contexts that share no more than words, see _late()
        pairs = tuple(pair for pair in pairs if "_if_open" not in pair)
    if EVERYTHING or mode == "random":
        return pairs
    if mode == "cores":
        return tuple(pair for pair in pairs if len(pair.split()) == 5)
    if mode == "interrupts":
        pairs = () if pattern in ("LEAST_LOADED", "RANDOM", "AFFINITY_FIRST") else pairs
        return tuple(pair for pair in pairs if pair.count("|") > 1)
    return tuple(pair for pair in pairs if pair.count("|") == 1)


def meetings(pattern, pair, mode):
    """Return [(the pair in an order, the state it meets in), ...]: all that there are."""
    states = PATTERNS[pattern][1].get(pair, STATES)
    return [*itertools.product(orders(pair) if mode == "interrupts" else [pair], states)]


def sample(pattern, pair, mode):
    """Return those of the meetings that are explored here: every third, another one for each."""
    found = meetings(pattern, pair, mode)
    if EVERYTHING:
        return found
    return found[list(PATTERNS[pattern][1]).index(pair) % min(3, len(found)) :: 3]


def scenario_of(pattern, pair, state, package=ringlane):
    """Return the scenario of that pair, whose contexts find the channel in that state."""
    world_of = PATTERNS[pattern][0]
    rule = pattern.removeprefix("wait: ")

    def scenario():
        world = world_of(package, rule, pair, state)
        return *world.calls(), world.check

    scenario.__name__ = f"scenario_of({pattern!r}, {pair!r}, {state!r})"
    return scenario


def orders(pair):
    """Return the pair in every order: who is the call, and which handler is the more urgent."""
    return [" | ".join(each) for each in itertools.permutations(pair.split(" | "))]


def explore(pattern, pair, mode, package=ringlane, chosen=meetings):
    """Explore a pair in the meetings that are chosen; return a Row, or ExplorationError."""
    schedules = points = 0
    with tasks_by_hand():
        for each, state in (found := chosen(pattern, pair, mode)):
            report = MODES[mode](scenario_of(pattern, each, state, package), each)
            assert report.shared, f"{pattern}: {each}, {state}: they never meet in a word"
            schedules += report.schedules
            points += report.points
    return Row(pattern, pair, mode, len(found), schedules, points)
