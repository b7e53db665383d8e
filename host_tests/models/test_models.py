"""Random programs on every channel, each call held against a plain model (models.py).

Hypothesis makes the programs, and prints the shortest that fails as a list of calls. They are the
same in every normal run. RINGLANE_SOAK runs many more, and others each time: a failure prints its
seed, which RINGLANE_SEED takes.
"""

import functools
import os
import random
from array import array
from collections import Counter
from typing import NamedTuple

import hypothesis.strategies as st
import models
import pytest
import ringlane
from conftest import MUTANT, SOAK
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies._internal.featureflags import FeatureFlags
from ringlane_host.simulate import SimulationError, memory, ptr32, viper

# What fails on purpose is not worth shrinking.
HUNT_PHASES = [Phase.generate]
NORMAL_RUN = settings(
    max_examples=40,
    stateful_step_count=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=HUNT_PHASES if MUTANT else [Phase.generate, Phase.shrink],
)
LONG_RUN = settings(NORMAL_RUN, max_examples=150, stateful_step_count=120, derandomize=False)
HUNT = settings(NORMAL_RUN, max_examples=400, phases=HUNT_PHASES, report_multiple_bugs=False)

REGISTER = 0x40058000  # of the simulated clock
FILL = 0xA5  # what a receive buffer holds where nothing was written
WORD = 4
NO_CLASSES = (-1, 5, 255, 1 << 20)
NO_MESSAGES = {
    "str": "text",
    "array of H": array("H", [1, 2]),
    "view of i": memoryview(array("i", [1, 2])),
    "list": [1, 2],
    "None": None,
    "int": 4,
}
NO_BUFFERS = {
    "bytes": bytes(64),
    "view of bytes": memoryview(bytes(64)),
    "str": "x" * 64,
    "array of H": array("H", [0] * 64),
    "None": None,
}
NO_WORDS = {
    "bytearray": bytearray(64),
    "array of h": array("h", [0] * 64),
    "array of q": array("q", [0] * 64),
    "bytes": bytes(64),
}


class Buffer(NamedTuple):
    """`size` bytes that begin `at` bytes past a multiple of 16, where the kind lets them."""

    kind: str
    size: int
    at: int


def now_from(choose):
    """Return the strategy choose(machine), for the state that the machine is in by then."""
    return st.runner().flatmap(choose)


def buffers(*kinds):
    def choose(machine):
        slot = machine.slot_size
        sizes = st.sampled_from((slot, WORD, *range(slot + 3)))
        return st.builds(Buffer, st.sampled_from(kinds), sizes, st.integers(0, 7))

    return now_from(choose)


def waits(machine):
    longest = machine.patience()
    return st.integers(0, min(longest, 9)) | st.integers(0, longest)


def agos(machine):
    first, last = machine.stamps()
    near, far = st.integers(max(first, -3), min(last, 3)), st.integers(first, last)
    return st.none() | st.none() | near | far


MESSAGES = buffers("view", "bytes", "bytearray", "array of B")
BUFFERS = buffers("view", "bytearray", "array of B")
CLASSES = st.sampled_from((2, 0, 2, 1, 2, 3, 2, 4))  # so that senders meet in one
AGOS = now_from(agos)  # None: not stamped by hand
WORDS = st.sampled_from((0, 1, -1, 2**31 - 1, -(2**31), 0x12345678))
SENDERS = now_from(lambda machine: st.integers(0, len(machine.senders) - 1))
PERIODS = st.sampled_from((1 << 30, 1 << 24, 64, 16))
SENDS = ("send", "send_word", "send_at", "send_word_at")
# (verb, what is wrong), as Machine.do_misuse takes it.
SENDS_MISUSED = [
    *[(verb, what) for verb in ("send", "send_at", "check") for what in NO_MESSAGES],
    *[(verb, what) for verb in (*SENDS, "free") for what in NO_CLASSES],
]
RECVS_MISUSED = [
    *[("recv", what) for what in NO_BUFFERS],
    *[("recv_words", what) for what in NO_WORDS],
]
CLAIMS_MISUSED = [(verb, what) for verb in ("claim", "commit", "abort") for what in NO_CLASSES]


def call(**arguments):
    """As rule(); the channel and its model have to agree after it.

    An invariant would do, but fill the printed program.
    """

    def decorate(verb):
        @rule(**arguments)
        @functools.wraps(verb)
        def step(self, **drawn):
            verb(self, **drawn)
            self.steps += 1
            self.agree()

        return step

    return decorate


@viper
def read_register() -> int:
    return ptr32(REGISTER)[0] & 0x3FFFFFFF


class Machine(RuleBasedStateMachine):
    """A channel and its model. `model`, `slot_size`, `senders` and `seen` are there in each."""

    package = ringlane
    seen = Counter()  # what the programs of one run came to, to show that they came to it
    wanted = ()  # and what they must have come to
    steps = 0

    def __init__(self):
        RuleBasedStateMachine.__init__(self)
        # Hypothesis leaves most rules out of most programs: too few then send, receive and close.
        self._rules_strategy.enabled_rules_strategy = st.just(FeatureFlags())

    def saw(self, what):
        self.seen[what] += 1

    def begin(self, period, until_wrap, by_register):
        """Return the clock, which wraps after `until_wrap` ticks."""
        self.period = period
        self.now = 4 * period - until_wrap
        self.sent = 0
        self.outbox = bytearray(64)
        self.inbox = bytearray(64)
        self.registers = memory.device(REGISTER, 4)
        self.set_register()
        register = REGISTER if by_register else 0
        return self.package.Clock("model", 1000000, read_register, period, register)

    def set_register(self):
        self.registers[:] = (self.now & 0xFFFFFFFF).to_bytes(4, "little")

    def pass_ticks(self, ticks):
        before = self.now // self.period
        self.now += ticks
        self.set_register()
        if self.now // self.period != before:
            self.saw("clock wrapped")

    def teardown(self):
        self.seen["programs"] += 1
        self.seen["calls"] += self.steps
        memory.misalign = 0

    def queued_stamps(self):
        """Return the stamps that are going to be compared with others."""
        return []

    def stamps(self):
        """Return (first, last) of how long ago a message may be said to have been sent.

        Which of two is older is only asked of the last seven eighths of a period and the next one.
        """
        if len(self.senders) == 1:
            return 1 - self.period, self.period - 1
        ahead = self.period - 1 >> 3
        return -ahead, self.period - 1 - ahead

    def patience(self):
        """Return how long the clock may go on, as stamps()."""
        queued = self.queued_stamps()
        if len(self.senders) == 1 or not queued:
            return 3 * self.period
        return min([*queued, self.now]) + self.stamps()[1] - self.now

    def payload(self, size):
        """Return the content of the next message, unlike that of the others."""
        self.sent += 1
        return bytes((self.sent * 37 + place * 11 + 1) & 0xFF for place in range(size))

    def message(self, buffer):
        """Return (object, content) of a message to be sent."""
        data = self.payload(buffer.size)
        if buffer.at & 3 and buffer.kind in ("view", "bytes"):
            self.saw("odd address")
        if buffer.kind == "view":
            self.outbox[buffer.at : buffer.at + buffer.size] = data
            return memoryview(self.outbox)[buffer.at : buffer.at + buffer.size], data
        if buffer.kind == "bytes":
            memory.misalign = buffer.at
            return bytes(data), data
        return array("B", data) if buffer.kind == "array of B" else bytearray(data), data

    def check(self, end, data, args, in_use=True):
        """Check check(*args), which says beforehand what would come of sending `data`."""
        if self.model.closed or len(data) > self.slot_size or not in_use:
            self.raises(ValueError, end.check, *args)
        else:
            end.check(*args)

    def sends_at(self, ago, verb, what, sender, data, priority):
        if ago is None:
            return self.sends(verb, (what, priority), sender, data, priority, self.now)
        self.saw("stamped by hand")
        stamp = self.now - ago
        # Bits beyond the clock's period have no meaning: its register may have them.
        ticks = stamp % (1 << 30)
        self.sends(verb + "_at", (what, priority, ticks), sender, data, priority, stamp)

    def sent_on(self):
        """Overwrite what was sent from: it has been copied."""
        self.outbox[:] = bytes([FILL ^ 0xFF]) * len(self.outbox)

    def room(self, buffer):
        """Return a buffer to receive into."""
        self.inbox[:] = bytes([FILL]) * len(self.inbox)
        if buffer.kind == "view":
            return memoryview(self.inbox)[buffer.at : buffer.at + buffer.size]
        fill = bytes([FILL]) * buffer.size
        return array("B", fill) if buffer.kind == "array of B" else bytearray(fill)

    def holds(self, buffer, into, data):
        """Check that `data` was written to the start of `into`, and nothing beside it."""
        assert bytes(into) == data + bytes([FILL]) * (buffer.size - len(data))
        if buffer.kind == "view":
            before, after = self.inbox[: buffer.at], self.inbox[buffer.at + buffer.size :]
            assert set(before + after) <= {FILL}, "written beyond the buffer"

    def raises(self, kind, act, *args):
        try:
            value = act(*args)
        except kind as error:
            assert str(error)
            self.saw(kind.__name__)
        else:
            raise AssertionError(f"returned {value!r}, where it has to raise {kind.__name__}")

    def model_says(self, act, args, verb, *its_args):
        """Return (what the channel did, what its model did); (None, None) if both raised."""
        try:
            says = verb(*its_args)
        except models.Wrong as wrong:
            self.raises(wrong.kind, act, *args)
            return None, None
        return act(*args), says

    def latency(self, stamp):
        return (self.now - stamp) % self.period

    def check_stats(self, end, latencies):
        count, average, p50, p99, most = end.stats()
        exact = models.exact_stats(latencies)
        assert (count, average, most) == (exact[0], exact[1], exact[4])
        assert close_to(p50, exact[2], most) and close_to(p99, exact[3], most)

    # What receivers share; the rules name the receiver.

    def saw_order(self, model):
        for row in model.rows:
            lane = models.oldest(row)
            if lane is not None and any(each.queued for each in row[: row.index(lane)]):
                self.saw("a later sender's was older")

    def do_recv(self, end, model, buffer):
        self.saw_order(model)
        into = self.room(buffer)
        got, message = self.model_says(end.recv, (into,), model.recv, buffer.size)
        if message is None:
            assert got is None
            return self.holds(buffer, into, b"")
        assert got == [len(message.data), message.priority, self.latency(message.stamp)]
        self.holds(buffer, into, message.data)
        model.latencies.append(got[2])
        self.saw("received")

    def do_recv_word(self, end, model):
        self.saw_order(model)
        got, message = self.model_says(end.recv_word, (), model.recv_word)
        if message is None:
            assert got is None
            return
        assert got == [message.word(), message.priority, self.latency(message.stamp)]
        model.latencies.append(got[2])
        self.saw("word received")

    def do_recv_words(self, end, model, typecode, count):
        self.saw_order(model)
        words = array(typecode, [7] * count)
        got, says = self.model_says(end.recv_words, (words,), model.recv_words, count)
        if says is None:
            says = []
        else:
            assert got == len(says)
        signed = array("i", words.tobytes()).tolist()
        assert signed == says + [7] * (count - len(says))
        if len(says) > 1:
            self.saw("words received")

    def do_misuse(self, end, verb, what):
        """Call a verb with `what`, a class that there is not or the name of a wrong buffer."""
        if isinstance(what, int):
            args = (1 if "word" in verb else b"data", what, 3)[: 2 + ("_at" in verb)]
            if verb == "commit":
                args = (what, 1)
            elif verb in ("claim", "abort", "free"):
                args = (what,)
            return self.raises(ValueError, getattr(end, verb), *args)
        if verb == "recv":
            args = (NO_BUFFERS[what],)
        elif verb == "recv_words":
            args = (NO_WORDS[what],)
        else:
            args = (NO_MESSAGES[what], 2, 3)[: 2 + ("_at" in verb)]
        self.raises(TypeError, getattr(end, verb), *args)

    def do_skip(self, end, model):
        self.saw_order(model)
        assert end.skip() is model.skip()

    def do_clear(self, end, model):
        count = model.clear()
        assert end.clear() == count
        if count > 1:
            self.saw("cleared")


def close_to(percentile, exact, most):
    if percentile > most or percentile < exact:
        return False
    return percentile == exact if exact < 32 else (percentile - exact) * 16 < exact


def late_enough(machine):
    # Otherwise most programs would be about a channel that is closed. They have some 90 of these
    # steps, 180 in a soak.
    return machine.steps > (120 if SOAK else 40)


class SendingMachine(Machine):
    """What the channels with senders have in common.

    Theirs are in_use() and free() of a sender's lane, and take_words(), take() and take_all(),
    which receive what each receiver has.
    """

    @call(sender=SENDERS, message=MESSAGES, priority=CLASSES, ago=AGOS)
    def send(self, sender, message, priority, ago):
        sent, data = self.message(message)
        in_use = self.in_use(sender, priority)
        self.check(self.senders[sender], data, (sent, priority), in_use)
        self.sends_at(ago, "send", sent, sender, data, priority)

    @call(sender=SENDERS, value=WORDS, priority=CLASSES, ago=AGOS)
    def send_word(self, sender, value, priority, ago):
        data = (value & 0xFFFFFFFF).to_bytes(4, "little")
        self.sends_at(ago, "send_word", value, sender, data, priority)

    @call(sender=SENDERS, count=st.integers(2, 4), priority=CLASSES, received=st.booleans())
    def send_words(self, sender, count, priority, received):
        """A burst; `received`: in one call."""
        for value in range(count):
            self.send_word(sender=sender, value=value, priority=priority, ago=None)
        if received:
            self.take_words(count)

    @precondition(lambda self: len(self.senders) > 1)
    @call(sender=SENDERS, message=MESSAGES, priority=CLASSES, received=st.booleans())
    def send_older(self, sender, message, priority, received):
        """Two senders, and what the second sends was earlier."""
        self.send(sender=0, message=message, priority=priority, ago=None)
        ago = min(1, self.stamps()[1])
        self.send(sender=sender or 1, message=message, priority=priority, ago=ago)
        if received:
            self.take(Buffer("bytearray", self.slot_size, 0))

    @call(sender=SENDERS, message=MESSAGES, priority=CLASSES, cleared=st.booleans())
    def fill(self, sender, message, priority, cleared):
        """Send until there is no room, and once more."""
        for _ in range(self.free(sender, priority) + 1):
            self.send(sender=sender, message=message, priority=priority, ago=None)
        if cleared:
            self.take_all()

    @call(ticks=now_from(waits))
    def wait(self, ticks):
        self.pass_ticks(ticks)


class QueueMachine(SendingMachine):
    """Channel and PriorityChannel."""

    wanted = (
        *("queued", "dropped", "rejected", "too large", "received", "word received"),
        *("words received", "cleared", "full", "index wrapped", "clock wrapped", "odd address"),
        *("TypeError", "ValueError", "sent while claimed", "committed", "committed late"),
        *("aborted", "peeked", "peeked again", "released", "released too late", "closed"),
        *("stamped by hand", "a later sender's was older"),
    )

    def make(self, capacities, slot_size, senders, views, stats, clock):
        self.slot_size = slot_size
        self.model = models.Queue(capacities, slot_size, senders)
        capacity = capacities if len(capacities) > 1 else capacities[0]
        kind = self.package.PriorityChannel if len(capacities) > 1 else self.package.Channel
        self.ch = kind(
            capacity, slot_size, senders=senders, clock=clock, zero_copy=views, stats=stats
        )
        self.views, self.stats = views, stats
        self.senders = [self.ch] + [self.ch.add_sender() for _ in range(1, senders)]
        self.claims = {}  # by the model's lane

    def queued_stamps(self):
        return [each.stamp for lane in self.model.lanes for each in lane.queued]

    def claims_to_end(self):
        """Return the strategy of (sender, class): mostly of a claim that is open."""
        pairs = [(sender, each) for sender in range(self.model.senders) for each in range(5)]
        is_open = [pair for pair in pairs if self.model.lane(*pair).claimed]
        return st.sampled_from(is_open or pairs) | st.sampled_from(pairs)

    CLAIMS = now_from(claims_to_end)

    def sends(self, verb, args, sender, data, priority, stamp):
        lane = None
        if 0 <= priority <= 4:
            lane = self.model.lane(sender, priority)
        claimed = lane is not None and lane.claimed
        act = getattr(self.senders[sender], verb)
        got, says = self.model_says(act, args, self.model.send, sender, data, priority, stamp)
        self.sent_on()
        if says is None:
            return
        assert got is (says == "queued")
        self.saw(says)
        if claimed and says == "rejected":
            self.saw("sent while claimed")
        if len(data) > self.slot_size:
            self.saw("too large")
        if lane.has_wrapped():
            self.saw("index wrapped")

    def in_use(self, sender, priority):
        return self.model.lane(sender, priority).capacity

    def free(self, sender, priority):
        return self.model.lane(sender, priority).free

    def take_words(self, count):
        self.recv_words(typecode="i", count=4)

    def take(self, buffer):
        self.recv(buffer=buffer)

    def take_all(self):
        self.clear()

    @call(sender=SENDERS, misuse=st.sampled_from(SENDS_MISUSED + CLAIMS_MISUSED))
    def misuse_sender(self, sender, misuse):
        if self.views or misuse not in CLAIMS_MISUSED:
            self.do_misuse(self.senders[sender], *misuse)

    @call(misuse=st.sampled_from(RECVS_MISUSED))
    def misuse_receiver(self, misuse):
        self.do_misuse(self.ch, *misuse)
        self.raises(ValueError, self.ch.counters, 5 if self.model.by_class else 0)

    @call(buffer=BUFFERS)
    def recv(self, buffer):
        self.do_recv(self.ch, self.model, buffer)

    @call()
    def recv_word(self):
        self.do_recv_word(self.ch, self.model)

    @call(typecode=st.sampled_from("iI"), count=st.integers(0, 5))
    def recv_words(self, typecode, count):
        self.do_recv_words(self.ch, self.model, typecode, count)

    @call()
    def skip(self):
        self.do_skip(self.ch, self.model)

    @call()
    def clear(self):
        self.do_clear(self.ch, self.model)

    @precondition(lambda self: self.views)
    @call(claim=CLAIMS, size=now_from(lambda m: st.integers(0, m.slot_size + 1)))
    def claim_and_commit(self, claim, size):
        self.claim(sender=claim[0], priority=claim[1])
        self.commit(claim=claim, size=size)

    @precondition(lambda self: self.views)
    @call(sender=SENDERS, priority=CLASSES)
    def claim(self, sender, priority):
        claim = self.senders[sender].claim
        view, says = self.model_says(claim, (priority,), self.model.claim, sender, priority)
        if says is None:
            return
        if says == "claimed":
            assert len(view) == self.slot_size
            self.claims[self.model.lane(sender, priority)] = view
        else:
            assert view is None
            self.saw(says)

    @precondition(lambda self: self.views)
    @call(claim=CLAIMS, size=now_from(lambda m: st.integers(0, m.slot_size + 2)))
    def commit(self, claim, size):
        sender, priority = claim
        data = self.payload(size)
        view = self.claims.get(self.model.lane(sender, priority))
        if view is not None:
            view[:size] = data[: len(view)]
        commit = self.senders[sender].commit
        args = (sender, data, priority, self.now)
        got, says = self.model_says(commit, (priority, size), self.model.commit, *args)
        if says is None:
            return
        assert got is (says == "queued")
        self.saw("committed" if got else "committed late")
        del self.claims[self.model.lane(sender, priority)]

    @precondition(lambda self: self.views)
    @call(claim=CLAIMS)
    def abort(self, claim):
        sender, priority = claim
        abort = self.senders[sender].abort
        before = self.model.lane(sender, priority).claimed
        self.model_says(abort, (priority,), self.model.abort, sender, priority)
        if before:
            self.saw("aborted")
            del self.claims[self.model.lane(sender, priority)]

    @precondition(lambda self: self.views)
    @call()
    def peek(self):
        before = self.model.peeked
        message = self.model.peek()
        got = self.ch.peek()
        if message is None:
            assert got is None
            return
        assert got == [len(message.data), message.priority, self.latency(message.stamp)]
        assert bytes(self.ch.view[: got[0]]) == message.data
        self.peeked_latency = got[2]
        self.saw("peeked again" if before and before[1] is message else "peeked")

    @precondition(lambda self: self.views)
    @call(skipped=st.booleans())
    def take_by_view(self, skipped):
        self.peek()
        if skipped:
            self.skip()
        self.release()

    @precondition(lambda self: self.views)
    @call()
    def release(self):
        peeked = self.model.peeked is not None
        says = self.model.release()
        assert self.ch.release() is says
        if says:
            self.model.latencies.append(self.peeked_latency)
        if peeked:
            self.saw("released" if says else "released too late")

    @precondition(late_enough)
    @call(claim=st.none() | CLAIMS)
    def close(self, claim):
        if claim and self.views:
            self.claim(sender=claim[0], priority=claim[1])
        self.ch.close()
        self.model.closed = True
        self.saw("closed")
        if claim and self.views:
            self.commit(claim=claim, size=1)

    def agree(self):
        # In turn: each class of each sender after every call would take most of the time.
        turn = self.steps % 5
        ch, model = self.ch, self.model
        counters = model.counters()
        assert ch.counters() == counters
        names = ("sent", "received", "dropped", "rejected", "high_water")
        assert len(ch) == counters[0]
        assert getattr(ch, names[turn]) == counters[turn + 1], names[turn]
        assert ch.closed is model.closed
        assert ch.timestamp() == model.last_stamp % self.period
        if model.by_class:
            assert ch.counters(turn) == model.counters(turn)
        number = self.steps % len(self.senders)
        sender = self.senders[number]
        lanes = model.of_sender(number)
        free = 0 if model.closed else min(lane.free for lane in lanes if lane.capacity)
        assert sender.free() == free
        assert sender.is_full() is (not free)
        lane = model.lane(number, turn)
        if lane.capacity:
            free = 0 if model.closed else lane.free
            assert sender.free(turn) == free
            assert sender.is_full(turn) is (not free)
            if not lane.free:
                self.saw("full")
        else:
            self.raises(ValueError, sender.free, turn)
        if number:
            counts = models.total(lanes, "dropped"), models.total(lanes, "rejected")
            assert (sender.dropped, sender.rejected) == counts
            assert sender.high_water == max(lane.high_water for lane in lanes)
        if self.stats:
            self.check_stats(ch, model.latencies)


class ChannelMachine(QueueMachine):
    @initialize(
        capacity=st.integers(1, 4),
        slot_size=st.sampled_from((4, 5, 16, 19, 3)),
        senders=st.sampled_from((2, 3, 1)),
        views=st.sampled_from((True, True, False)),
        stats=st.booleans(),
        period=PERIODS,
        until_wrap=st.integers(1, 12),
        by_register=st.booleans(),
    )
    def begin_with(
        self, capacity, slot_size, senders, views, stats, period, until_wrap, by_register
    ):
        clock = self.begin(period, until_wrap, by_register)
        self.make((capacity,), slot_size, senders, views, stats, clock)


class PriorityMachine(QueueMachine):
    @initialize(
        capacities=st.lists(st.sampled_from((1, 2, 3, 0)), min_size=5, max_size=5).filter(any),
        slot_size=st.sampled_from((4, 5, 16, 19, 3)),
        senders=st.sampled_from((2, 3, 1)),
        views=st.sampled_from((True, True, False)),
        stats=st.booleans(),
        period=PERIODS,
        until_wrap=st.integers(1, 12),
        by_register=st.booleans(),
    )
    def begin_with(
        self, capacities, slot_size, senders, views, stats, period, until_wrap, by_register
    ):
        clock = self.begin(period, until_wrap, by_register)
        self.make(tuple(capacities), slot_size, senders, views, stats, clock)


class FanoutMachine(SendingMachine):
    """MulticastChannel and AnycastChannel; their receivers go by the order they opened in."""

    wanted = (
        *("queued", "dropped", "rejected", "too large", "received", "word received"),
        *("words received", "cleared", "index wrapped", "clock wrapped", "odd address"),
        *("TypeError", "ValueError", "opened", "reopened", "no room for a receiver"),
        *("left unread", "used after close", "closed", "stamped by hand"),
    )

    def any_end(self):
        every = range(len(self.ends))
        is_open = [each for each in every if self.ends[each][2].open]
        return st.sampled_from([*is_open * 3, *every])

    RECEIVERS = now_from(any_end)

    def begin_ends(self, stats):
        self.ends = []  # (receiver, its verbs as they were at first, its model)
        self.stats = stats

    def queued_stamps(self):
        lanes = [lane for _, _, model in self.ends for lane in model.lanes]
        return [each.stamp for lane in lanes for each in lane.queued]

    def opens(self, act, args, limit, core=0):
        anew = any(not model.open for _, _, model in self.ends)
        full = None not in self.model.places
        end, model = self.model_says(act, args, self.model.add_receiver, limit, core)
        if model is None:
            if full:
                self.saw("no room for a receiver")
            return
        assert end.id == model.place
        kept = {verb: getattr(end, verb) for verb in VERBS}
        self.ends.append((end, kept, model))
        self.saw("reopened" if anew else "opened")

    def saw_sent(self, data, took):
        self.saw("queued" if took else "dropped")
        if len(data) > self.slot_size:
            self.saw("too large")
        if self.model.closed or len(data) > self.slot_size:
            self.saw("rejected")
        for end in took:
            if any(lane.sent > 2 * self.model.capacity for lane in end.lanes):
                self.saw("index wrapped")

    def in_use(self, sender, priority):
        return True

    def free(self, sender, priority):
        return self.model.free(sender)

    def open_ends(self):
        return [(end, model) for end, _, model in self.ends if model.open]

    def take_words(self, count):
        for end, model in self.open_ends():
            self.do_recv_words(end, model, "i", count)

    def take(self, buffer):
        for end, model in self.open_ends():
            self.do_recv(end, model, buffer)

    def take_all(self):
        self.clear_all()

    @call(sender=SENDERS, misuse=st.sampled_from(SENDS_MISUSED))
    def misuse_sender(self, sender, misuse):
        self.do_misuse(self.senders[sender], *misuse)

    @precondition(lambda self: self.ends)
    @call(receiver=RECEIVERS, misuse=st.sampled_from(RECVS_MISUSED))
    def misuse_receiver(self, receiver, misuse):
        self.do_misuse(self.ends[receiver][0], *misuse)

    def receives(self, receiver, do, verb, given, *args):
        """Let do(end, model, *given) receive; verb(*args) of one that is closed is refused."""
        end, _, model = self.ends[receiver]
        if model.open:
            do(end, model, *given)
        else:
            self.refuses(getattr(end, verb), *args)

    @precondition(lambda self: self.ends)
    @call(receiver=RECEIVERS, buffer=BUFFERS)
    def recv(self, receiver, buffer):
        self.receives(receiver, self.do_recv, "recv", (buffer,), self.room(buffer))

    @precondition(lambda self: self.ends)
    @call(receiver=RECEIVERS)
    def recv_word(self, receiver):
        self.receives(receiver, self.do_recv_word, "recv_word", ())

    @precondition(lambda self: self.ends)
    @call(receiver=RECEIVERS, typecode=st.sampled_from("iI"), count=st.integers(1, 5))
    def recv_words(self, receiver, typecode, count):
        words = array(typecode, [0] * count)
        self.receives(receiver, self.do_recv_words, "recv_words", (typecode, count), words)

    @precondition(lambda self: self.ends)
    @call(receiver=RECEIVERS)
    def skip(self, receiver):
        self.receives(receiver, self.do_skip, "skip", ())

    @call()
    def clear_all(self):
        for end, model in self.open_ends():
            self.do_clear(end, model)

    @precondition(lambda self: self.ends)
    @call(receiver=RECEIVERS)
    def clear(self, receiver):
        self.receives(receiver, self.do_clear, "clear", ())

    @precondition(lambda self: self.ends and self.steps % 3 == 0)
    @call(receiver=RECEIVERS)
    def close_receiver(self, receiver):
        end, kept, model = self.ends[receiver]
        unread = self.model.close_receiver(model)
        assert end.close() == unread
        if unread:
            self.saw("left unread")

    @precondition(lambda self: any(not model.open for _, _, model in self.ends))
    @call(verb=st.sampled_from(("recv", "recv_word", "recv_words", "skip", "clear", "timestamp")))
    def use_what_was_kept_of_a_closed_receiver(self, verb):
        kept = next(kept for _, kept, model in self.ends if not model.open)[verb]
        args = {"recv": (bytearray(32),), "recv_words": (array("i", [0] * 2),)}
        self.refuses(kept, *args.get(verb, ()))

    def refuses(self, verb, *args):
        self.raises(ValueError, verb, *args)
        self.saw("used after close")

    @precondition(late_enough)
    @call()
    def close(self):
        self.ch.close()
        self.model.closed = True
        self.saw("closed")

    def agree(self):
        # In turn, as in QueueMachine: what counts is wrong later, too.
        ch, model = self.ch, self.model
        received = sum(end.received for end in model.ends)
        figures = {
            "sent": received + len(model) + model.unread,
            "received": received,
            "dropped": model.dropped(),
            "rejected": sum(model.rejected),
            "high_water": model.high_water(),
            "unread": model.unread,
        }
        name = [*figures][self.steps % len(figures)]
        assert getattr(ch, name) == figures[name], name
        assert len(ch) == len(model)
        assert ch.closed is model.closed
        assert [end.id for end in ch.receivers] == [each.place for each in model.is_open()]
        number = self.steps % len(self.senders)
        sender = self.senders[number]
        assert sender.free() == sender.free(2) == model.free(number)
        assert sender.is_full() is (not model.free(number))
        if number:
            assert sender.dropped == model.dropped(number)
            assert sender.rejected == model.rejected[number]
            assert sender.high_water == model.high_water(number)
        for end, _, its in self.ends:
            assert (len(end), end.id) == (len(its), its.place)
            if its.open:
                assert end.timestamp() == its.last_stamp % self.period
        if self.ends:
            end, _, its = self.ends[self.steps % len(self.ends)]
            assert end.received == its.received
            assert end.closed is (model.closed or not its.open)
            if its.open and self.stats:
                self.check_stats(end, its.latencies)
            self.end_agrees(end, its)

    def end_agrees(self, end, model):
        raise NotImplementedError


VERBS = ("recv", "recv_word", "recv_words", "skip", "clear", "timestamp")


class MulticastMachine(FanoutMachine):
    wanted = (*FanoutMachine.wanted, "missed by one, not by all", "skipped to the latest")

    @initialize(
        capacity=st.integers(1, 4),
        slot_size=st.sampled_from((4, 5, 16, 3)),
        max_receivers=st.integers(1, 4),
        senders=st.sampled_from((2, 3, 1)),
        stats=st.booleans(),
        period=PERIODS,
        until_wrap=st.integers(1, 12),
        by_register=st.booleans(),
        data=st.integers(1, 4),
    )
    def begin_with(
        self,
        capacity,
        slot_size,
        max_receivers,
        senders,
        stats,
        period,
        until_wrap,
        by_register,
        data,
    ):
        clock = self.begin(period, until_wrap, by_register)
        self.slot_size = slot_size
        self.max_lag = min(data, capacity)
        self.model = models.Multicast(capacity, slot_size, max_receivers, senders)
        self.ch = self.package.MulticastChannel(
            capacity, self.max_lag, slot_size, max_receivers, senders, clock=clock, stats=stats
        )
        self.senders = [self.ch] + [self.ch.add_sender() for _ in range(1, senders)]
        self.begin_ends(stats)
        self.opens(self.ch.add_receiver, (), self.max_lag)

    @call(max_lag=st.none() | st.integers(0, 5))
    def add_receiver(self, max_lag):
        self.raises(TypeError, self.ch.add_receiver, 7)  # no name
        limit = self.max_lag if max_lag is None else max_lag
        self.opens(self.ch.add_receiver, (None, max_lag), limit)

    def sends(self, verb, args, sender, data, priority, stamp):
        took = self.model.send(sender, data, priority, stamp)
        assert getattr(self.senders[sender], verb)(*args) == len(took)
        self.sent_on()
        self.saw_sent(data, took)
        rejected = self.model.closed or len(data) > self.slot_size
        if took and not rejected and len(took) < len(self.model.is_open()):
            self.saw("missed by one, not by all")

    @precondition(lambda self: self.ends)
    @call(receiver=FanoutMachine.RECEIVERS)
    def skip_to_latest(self, receiver):
        end, _, model = self.ends[receiver]
        if not model.open:
            return self.refuses(end.skip_to_latest)
        count = model.skip_to_latest()
        assert end.skip_to_latest() == count
        if count:
            self.saw("skipped to the latest")

    def end_agrees(self, end, model):
        assert (end.lag, end.dropped) == (len(model), model.dropped)


POLICIES = ("ROUND_ROBIN", "LEAST_LOADED", "RANDOM", "AFFINITY_FIRST")


class AnycastMachine(FanoutMachine):
    wanted = (
        *FanoutMachine.wanted,
        *("chosen from several", "passed over", "all were full"),
    )
    policy = None

    @initialize(
        capacity=st.integers(1, 3),
        slot_size=st.sampled_from((4, 5, 16, 3)),
        max_receivers=st.sampled_from((2, 3, 4, 1)),
        cores=st.lists(st.integers(0, 1), min_size=1, max_size=2),
        stats=st.booleans(),
        period=PERIODS,
        until_wrap=st.integers(1, 12),
        by_register=st.booleans(),
    )
    def begin_with(
        self,
        capacity,
        slot_size,
        max_receivers,
        cores,
        stats,
        period,
        until_wrap,
        by_register,
    ):
        clock = self.begin(period, until_wrap, by_register)
        self.slot_size = slot_size
        # The first sender is on the core that runs it: the only one there is here.
        self.model = models.Anycast(capacity, slot_size, max_receivers, [0, *cores], self.policy)
        self.ch = self.package.AnycastChannel(
            capacity,
            getattr(self.package, self.policy),
            slot_size,
            max_receivers,
            1 + len(cores),
            clock=clock,
            stats=stats,
        )
        self.senders = [self.ch] + [self.ch.add_sender(core) for core in cores]
        self.begin_ends(stats)
        for core in range(max_receivers - 1):
            self.opens(self.ch.add_receiver, (None, core & 1), capacity, core & 1)

    @call(core=st.integers(-1, 2))
    def add_receiver(self, core):
        if core < 0:
            return self.raises(ValueError, self.ch.add_receiver, None, core)
        self.opens(self.ch.add_receiver, (None, core), self.model.capacity, core)

    def sends(self, verb, args, sender, data, priority, stamp):
        model = self.model
        able = model.may_send(sender, data, priority)
        before = [(end, its, len(end)) for end, _, its in self.ends]
        full = len([each for each in model.is_open() if each.lanes[sender].free == 0])
        assert getattr(self.senders[sender], verb)(*args) == (1 if able else 0)
        self.sent_on()
        took = [its for end, its, queued in before if len(end) != queued]
        if able:
            assert len(took) == 1, "one gets it"
            assert took[0] in able, "not by the policy"
            model.deliver(sender, took[0], data, priority, stamp)
            if len(model.is_open()) > 1:
                self.saw("chosen from several")
            if full:
                self.saw("passed over")
        else:
            assert not took
            if able is not None and full:
                self.saw("all were full")
        self.saw_sent(data, took)

    def end_agrees(self, end, model):
        assert (end.pending, end.processed) == (len(model), model.received)
        share = len(model) / (self.model.capacity * self.model.senders)
        assert end.load_factor == share


class RoundRobinMachine(AnycastMachine):
    policy = "ROUND_ROBIN"


class LeastLoadedMachine(AnycastMachine):
    policy = "LEAST_LOADED"


class RandomMachine(AnycastMachine):
    policy = "RANDOM"


class AffinityFirstMachine(AnycastMachine):
    policy = "AFFINITY_FIRST"


GENERATIONS = 0x1FFF00  # where they start anew


class RequestReplyMachine(Machine):
    wanted = (
        *("queued", "dropped", "rejected", "replied", "late", "reply rejected", "reply taken"),
        *("taken out of order", "cancelled", "cancelled with a reply", "not outstanding"),
        *("pending", "status", "requests passed over", "served", "closed", "clock wrapped"),
        *("index wrapped", "odd address", "TypeError", "ValueError", "an id's entry used again"),
        *("generations started anew", "all outstanding", "lane full of cancelled ones"),
    )

    @initialize(
        capacity=st.sampled_from((1, 2, 3, 4)),
        slot_size=st.sampled_from((4, 5, 16, 19, 1)),
        uses=st.sampled_from((0, 0xFD, GENERATIONS - 3)),
        period=PERIODS,
        until_wrap=st.integers(1, 12),
        by_register=st.booleans(),
    )
    def begin_with(self, capacity, slot_size, uses, period, until_wrap, by_register):
        """`uses`: how often each entry seems to have been used before."""
        clock = self.begin(period, until_wrap, by_register)
        self.slot_size = slot_size
        self.senders = [None]  # one stamps
        self.model = models.RequestReply(capacity, slot_size)
        self.ch = ch = self.package.RequestReplyChannel(capacity, slot_size, clock=clock)
        self.uses = [uses] * capacity
        self.order = []  # the ids of the replies not yet taken, in the order of their requests
        if uses:
            load, store = self.package.words.load, self.package.lanes.store
            for index in range(capacity):
                entry = load(ch._table, 1) + index * load(ch._table, 2)
                store(ch._table, entry >> 2, 1 << 29 | uses << 8 | index)

    def ids(self):
        known = [*self.model.requests]
        waiting = [each.id for each in self.model.outstanding]
        last = known[-1] if known else 0x100
        never = (0, -1, last + 0x100, last | 0xFF, last + (1 << 29), 1 << 29, 77 << 8)
        # Three times as likely: what is outstanding.
        return st.sampled_from([*waiting * 3, *known[-6:], *never])

    IDS = now_from(ids)

    @call(message=MESSAGES)
    def send_request(self, message):
        sent, data = self.message(message)
        model = self.model
        self.check(self.ch, data, (sent,))
        says = model.may_request(data)
        if len(model.outstanding) == model.capacity:
            self.saw("all outstanding")
        elif says == "dropped":
            self.saw("lane full of cancelled ones")
        id = self.ch.send_request(sent)
        self.sent_on()
        self.saw(says)
        if says != "queued":
            assert id == 0
            return
        index, generation = id & 0xFF, id >> 8
        assert 0 < id < 1 << 29 and index < model.capacity
        assert id not in model.requests, "given twice"
        assert index not in [each.id & 0xFF for each in model.outstanding], "two in one entry"
        use = self.uses[index] + 1
        if use < GENERATIONS:
            assert generation == use
        else:
            assert 0 < generation < use
            assert generation & 0xFF == use & 0xFF, "the server tells requests apart by this"
            self.saw("generations started anew")
        self.uses[index] = generation
        if any(each & 0xFF == index for each in model.requests):
            self.saw("an id's entry used again")
        model.request(id, data, self.now)
        if model.lane.has_wrapped():
            self.saw("index wrapped")

    @call(id=IDS, message=st.sampled_from(sorted(NO_MESSAGES)))
    def misuse_sending(self, id, message):
        data = NO_MESSAGES[message]
        self.raises(TypeError, self.ch.send_request, data)
        self.raises(TypeError, self.ch.check, data)
        self.raises(TypeError, self.ch.send_response, id, data)
        self.raises(TypeError, self.ch.send_status, id, data, 9)  # nor is 9 the next one's

    @call(id=IDS, buffer=st.sampled_from(sorted(NO_BUFFERS)))
    def misuse_receiving(self, id, buffer):
        self.raises(TypeError, self.ch.recv_request, NO_BUFFERS[buffer])
        self.raises(TypeError, self.ch.recv_response, id, NO_BUFFERS[buffer])

    @call(buffer=BUFFERS)
    def recv_request(self, buffer):
        into = self.room(buffer)
        given_up = any(each.over for each in self.model.lane.queued)
        got, request = self.model_says(
            self.ch.recv_request, (into,), self.model.recv_request, buffer.size
        )
        if given_up:
            self.saw("requests passed over")
        if request is None:
            assert got is None
            return
        assert got == [len(request.data), request.id, self.latency(request.stamp)]
        assert bytes(into)[: got[0]] == request.data
        self.saw("served")

    @call(id=IDS, message=MESSAGES)
    def send_response(self, id, message):
        sent, data = self.message(message)
        self.replies(self.ch.send_response(id, sent), id, data, 0)

    @call(id=IDS, message=MESSAGES, status=st.sampled_from((0, 1, 255)))
    def send_status(self, id, message, status):
        sent, data = self.message(message)
        self.replies(self.ch.send_status(id, sent, status), id, data, status)

    def replies(self, got, id, data, status):
        says = self.model.send_status(id, data, status)
        self.sent_on()
        assert got is (says == "replied")
        self.saw("reply rejected" if says == "rejected" else says)

    @call(id=IDS, buffer=BUFFERS)
    def recv_response(self, id, buffer):
        into = self.room(buffer)
        first = next((each.id for each in self.model.outstanding), None)
        found = self.model.find(id)
        got, request = self.model_says(
            self.ch.recv_response, (id, into), self.model.recv_response, id, buffer.size
        )
        if request is None:
            assert got is None
            self.holds(buffer, into, b"")
            self.saw("not outstanding" if found is None else "pending")
            return
        data, status = request.reply
        assert got == [len(data), status, self.latency(request.stamp)]
        self.holds(buffer, into, data)
        self.model.latencies.append(got[2])
        self.saw("reply taken")
        if id != first:
            self.saw("taken out of order")
        if status:
            self.saw("status")

    @call(id=IDS)
    def cancel(self, id):
        found = self.model.find(id)
        says = self.model.cancel(id)
        assert self.ch.cancel(id) is says
        if says:
            self.saw("cancelled" if found.reply is None else "cancelled with a reply")

    @call(ticks=now_from(waits))
    def wait(self, ticks):
        self.pass_ticks(ticks)

    @call(message=MESSAGES, buffer=BUFFERS)
    def serve(self, message, buffer):
        """What most servers do, so that most programs get to a reply."""
        into = self.room(buffer)
        got, request = self.model_says(
            self.ch.recv_request, (into,), self.model.recv_request, buffer.size
        )
        assert (got is None) is (request is None)
        if request is not None:
            sent, data = self.message(message)
            self.replies(self.ch.send_response(got[1], sent), request.id, data, 0)

    @call(message=MESSAGES, reply=MESSAGES)
    def round_trip(self, message, reply):
        large = Buffer("bytearray", self.slot_size, 0)
        self.send_request(message=message)
        self.serve(message=reply, buffer=large)
        for each in [each for each in self.model.outstanding if each.reply]:
            self.recv_response(id=each.id, buffer=large)

    @call(message=MESSAGES, answered=st.booleans(), read=st.booleans())
    def give_up(self, message, answered, read):
        """A request that the server has not read; `read`: it reads after that."""
        before = len(self.model.requests)
        self.send_request(message=message)
        if len(self.model.requests) == before:
            return
        id = [*self.model.requests][-1]
        if answered:
            self.send_response(id=id, message=Buffer("bytearray", 1, 0))
        self.cancel(id=id)
        if read:
            self.recv_request(buffer=Buffer("bytearray", self.slot_size, 0))

    @call()
    def reset_stats(self):
        self.ch.reset_stats()
        self.model.latencies.clear()

    @precondition(late_enough)
    @call()
    def close(self):
        self.ch.close()
        self.model.closed = True
        self.saw("closed")

    def agree(self):
        ch, model = self.ch, self.model
        lane = model.lane
        assert ch.pending == len(model.outstanding)
        assert ch.answered == model.answered
        assert ch.dropped == lane.dropped + model.no_id
        assert ch.rejected == lane.rejected + model.too_large
        assert ch.late == model.late
        assert (len(ch), ch.sent, ch.received) == (len(lane.queued), lane.sent, lane.received)
        assert ch.high_water == lane.high_water
        assert ch.free() == model.free()
        assert ch.is_full() is (not model.free())
        assert ch.closed is model.closed
        self.check_stats(ch, model.latencies)


TICKS = (
    st.integers(0, 40)
    | st.integers(0, 30).map(lambda bits: (1 << bits) - 1)
    | st.integers(5, 29).map(lambda bits: 1 << bits)
    | st.integers(0, 2**30 - 1)
)


class HistogramMachine(Machine):
    wanted = (
        *("small", "large", "beyond 30 bits", "many", "reset", "sum carried", "TypeError"),
        *("ValueError", "percentile within a bucket", "figures written"),
    )

    @initialize()
    def begin_with(self):
        self.waits = self.package.LatencyHistogram()
        self.added = []

    @call(ticks=TICKS)
    def add(self, ticks):
        self.waits.add(ticks)
        self.added.append(ticks)
        self.saw("small" if ticks < 32 else "large")

    @call(ticks=TICKS, spread=st.integers(0, 1000), count=st.integers(2, 60))
    def add_a_run(self, ticks, spread, count):
        for number in range(count):
            self.added.append((ticks + number * spread) % (1 << 30))
            self.waits.add(self.added[-1])
        self.saw("many")

    @call(ticks=st.sampled_from((-1, -5, 1 << 30, (1 << 30) + 7, (1 << 31) - 1)))
    def add_beyond_30_bits(self, ticks):
        self.waits.add(ticks)
        self.added.append(ticks & 0x3FFFFFFF)
        self.saw("beyond 30 bits")

    @call(percent=st.sampled_from((0.5, 1, 12.5, 25, 50, 75, 90, 95, 99, 99.5, 100)))
    def percentile(self, percent):
        got = self.waits.percentile(percent)
        if not self.added:
            assert got == 0
            return
        exact = models.ranked_at(sorted(self.added), percent)
        assert close_to(got, exact, max(self.added))
        if got != exact:
            self.saw("percentile within a bucket")

    @call(percent=st.sampled_from((0, -1, 100.5, 101)))
    def percentile_of_no_share(self, percent):
        self.raises(ValueError, self.waits.percentile, percent)

    @call(typecode=st.sampled_from("iI"), count=st.integers(5, 7))
    def stats_into(self, typecode, count):
        words = array(typecode, [9] * count)
        self.waits.stats_into(words)
        assert words.tolist() == [*self.waits.stats(), *[9] * (count - 5)]
        self.saw("figures written")

    @call(count=st.integers(0, 4))
    def stats_into_too_few(self, count):
        self.raises(ValueError, self.waits.stats_into, array("i", [0] * count))

    @call(what=st.sampled_from(sorted(NO_WORDS)))
    def stats_into_no_words(self, what):
        self.raises(TypeError, self.waits.stats_into, NO_WORDS[what])

    @call()
    def reset(self):
        if self.added:
            self.saw("reset")
        self.waits.reset()
        self.added.clear()

    def agree(self):
        added = self.added
        self.check_stats(self.waits, added)
        assert (self.waits.count, self.waits.max) == (len(added), max(added, default=0))
        assert self.waits.average == (sum(added) // len(added) if added else 0)
        if sum(added) > 1 << 20:
            self.saw("sum carried")


MACHINES = (
    ChannelMachine,
    PriorityMachine,
    MulticastMachine,
    RoundRobinMachine,
    LeastLoadedMachine,
    RandomMachine,
    AffinityFirstMachine,
    RequestReplyMachine,
    HistogramMachine,
)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_program_tells_a_channel_from_its_model(visited, machine):
    run = NORMAL_RUN
    if SOAK:
        run = LONG_RUN
        number = int(os.environ.get("RINGLANE_SEED") or random.SystemRandom().getrandbits(32))
        print(f"RINGLANE_SEED={number}")
        machine = seed(number)(type(machine.__name__, (machine,), {}))
    machine.seen = Counter()
    run_state_machine_as_test(machine, settings=run)
    missed = [what for what in machine.wanted if not machine.seen[what]]
    assert not missed, f"no program came to this: {missed} {machine.seen}"
    visited(programs=machine.seen["programs"], calls=machine.seen["calls"])


@pytest.mark.parametrize("policy", POLICIES)
def test_each_policy_gives_every_receiver_its_share(policy):
    receivers, rounds = 5, 2000
    ch = ringlane.AnycastChannel(2, getattr(ringlane, policy), 4, receivers, 2)
    senders = [ch, ch.add_sender(1)]
    # Nobody else is on the second sender's core; two are on the first one's.
    ends = [ch.add_receiver(core=core) for core in (0, 2, 0, 3, 3)]
    for sender in senders:
        before = [end.received for end in ends]
        for number in range(rounds):
            assert sender.send_word(number, 2) == 1
            for end in ends:
                end.clear()
        shares = [end.received - old for end, old in zip(ends, before, strict=True)]
        assert sum(shares) == rounds
        if policy == "RANDOM":
            # Five standard deviations; the sequence is the same in every run.
            spread = 5 * (rounds / receivers * (1 - 1 / receivers)) ** 0.5
            assert all(abs(share - rounds / receivers) < spread for share in shares), shares
            assert len(set(shares)) > 1, "in turn"
        elif policy == "AFFINITY_FIRST" and sender is ch:
            assert shares == [rounds // 2, 0, rounds // 2, 0, 0]
        else:
            assert shares == [rounds // receivers] * receivers


# machine: the mutants that it is to find, as mutants.find() is asked for them
FINDS = {
    ChannelMachine: [
        ("zero_copy", "release", '_PEEK_TAIL]:" never'),
        ("oldest", "next_lane", "the younger comes first at the wrap"),
    ],
    PriorityMachine: [
        ("verbs", "send", '"part[_AT_SET] = 0" left out'),
        ("ends", "_admit", '"lane[_CLAIMED]" is 0'),
        ("verbs", "send", "3 is 2", "if int(words) & 3:"),
    ],
    MulticastMachine: [
        ("fanout", "send", '"lane[_DROPPED] = lane[_DROPPED] + 1" left out'),
        ("fanout", "send_word", '"used < room & 65535" with <='),
    ],
    RoundRobinMachine: [
        ("fanout", "send", '"if took:" always'),
        ("fanout", "send_word", '"part[_TURN] = row" left out'),
    ],
    LeastLoadedMachine: [
        ("anycast", "choose", '"load += its[_HEAD] - its[_TAIL]', "left out"),
        ("anycast", "choose", '"load < least" with <='),
    ],
    RandomMachine: [("fanout", "send", '"ptr32(own)[_DROPPED] = ', "left out")],
    AffinityFirstMachine: [
        ("anycast", "choose", '< room & 65535:" always'),
        ("anycast", "choose", "!= core", "never"),
    ],
    RequestReplyMachine: [
        ("request_reply", "send_response", '"entry[_REPLIED] == id" is 0'),
        ("request_reply", "recv_request", '"not issued & _OVER" is 1'),
        ("request_reply", "send_request", "a generation is used twice"),
    ],
    HistogramMachine: [
        ("latency", "average", '"rest >= count" with >'),
        ("latency", "summarise", "1 is 0", "half = count - (count >> 1)"),
    ],
}


@pytest.mark.parametrize(
    "machine, query",
    [(machine, query) for machine in MACHINES for query in FINDS[machine][: None if SOAK else 1]],
)
def test_a_mutant_is_found_and_its_program_printed(broken, machine, query):
    package = broken(*query)
    faulty = type(machine.__name__, (machine,), {"package": package, "seen": Counter()})
    with pytest.raises((AssertionError, SimulationError, ValueError)) as found:
        run_state_machine_as_test(faulty, settings=HUNT)
    program = found.value.__notes__
    text = "\n".join(program)
    assert f"state = {machine.__name__}()" in text
    assert "state.begin_with(" in text
    assert "state.teardown()" in text
