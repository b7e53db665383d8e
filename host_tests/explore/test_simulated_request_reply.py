"""A client and a server on the simulated memory, one interrupting the other at every access."""

import importlib
import itertools

import pytest
import ringlane
from ringlane.lanes import store
from ringlane.words import load
from ringlane_host.explore import ExplorationError, interrupts
from ringlane_host.simulate import memory, viper

CAPACITY = 2
SLOT = 6  # a word, and a rest of bytes
CLIENT = ("ask", "take", "give_up")
SERVER = ("read", "answer", "answer_status")

# What has happened before: a ask, c give up the newest, r read, w answer the oldest that was read,
# t take; so "arca" is a request in an entry whose last request the server still holds.
BEFORE = ("", "a", "aa", "ac", "aac", "aca", "acac", "ar", "aar", "arw", "aarw", "aarrw")
BEFORE += ("arc", "arca", "arcar", "arwca", "aarrwt", "aarcrca", "aaca")


def request(number):
    return bytes((number * 37 + place * 11 + 1) & 0xFF for place in range(number % (SLOT + 1)))


def reply(number):
    return bytes((number * 53 + place * 7 + 3) & 0xFF for place in range(number * 5 % (SLOT + 1)))


class World:
    """A channel, what its client and its server know, and what must then be true."""

    def __init__(self, channel):
        self.ch = channel(CAPACITY, SLOT)
        self.numbers = itertools.count(1)
        self.ids = {}  # id: number, of every request that was sent
        self.outstanding = []
        self.given_up = []
        self.held = []  # ids that the server has read and not answered
        self.read_ids = []
        self.dropped = self.late = self.taken = self.pending = 0
        self.buf = bytearray(SLOT)
        self.server_buf = bytearray(SLOT)

    # The client.

    def ask(self):
        number = next(self.numbers)
        # What the server learns at once, before send_request has returned.
        self.now_sent = number
        id = self.ch.send_request(request(number))
        self.now_sent = None
        if not id:
            self.dropped += 1
            return
        assert self.ids.get(id, number) == number, "id used twice"
        self.ids[id] = number
        self.outstanding.append(id)

    def take(self):
        if not self.outstanding:
            return
        id = self.outstanding[0]
        m = self.ch.recv_response(id, self.buf)
        if m is None:
            self.pending += 1
            return
        size, status, _ = m
        number = self.ids[id]
        assert bytes(self.buf[:size]) == reply(number), (number, bytes(self.buf[:size]))
        assert status in (0, number & 0xFF), (number, status)
        self.outstanding.remove(id)
        self.taken += 1

    def give_up(self):
        if self.outstanding:
            id = self.outstanding.pop()
            self.given_up.append(id)  # first: within cancel a reply may already be rejected
            assert self.ch.cancel(id) is True

    def use_again(self):
        self.give_up()
        self.ask()

    # The server.

    def read(self):
        m = self.ch.recv_request(self.server_buf)
        if m is None:
            return
        size, id, _ = m
        number = self.ids.get(id)
        if number is None:  # it came before send_request had returned the id
            number = self.ids[id] = self.now_sent
            assert number is not None, "a request that nobody sent"
        assert bytes(self.server_buf[:size]) == request(number), (number, self.server_buf)
        assert id not in self.read_ids, "doubled"
        self.read_ids.append(id)
        self.held.append(id)

    def answer(self, verb="send_response"):
        if not self.held:
            return
        id = self.held.pop(0)
        number = self.ids[id]
        if verb == "send_response":
            sent = self.ch.send_response(id, reply(number))
        else:
            sent = self.ch.send_status(id, reply(number), number & 0xFF)
        if not sent:
            self.late += 1
            assert id in self.given_up, "rejected, and it was outstanding"
        assert self.ch.send_response(id, b"again") is False
        self.late += 1

    def answer_status(self):
        self.answer("send_status")

    def serve(self):
        self.read()
        while self.held:
            self.answer()

    # What must be true after all of it.

    def check(self):
        before = None
        while before != len(self.read_ids):
            before = len(self.read_ids)
            self.serve()
        missing = [id for id in self.ids if id not in self.read_ids and id not in self.given_up]
        assert not missing, f"lost: {missing}"
        while self.outstanding:
            pending = self.pending
            self.take()
            assert self.pending == pending, "read and answered, but still pending"
        ch = self.ch
        assert (ch.pending, ch.answered, len(ch)) == (0, self.taken, 0), ch
        assert (ch.dropped, ch.late, ch.rejected) == (self.dropped, self.late, 0), ch
        assert ch.free() == CAPACITY
        # And every entry is usable, once each.
        ids = [ch.send_request(b"") for _ in range(CAPACITY)]
        assert len(set(ids)) == CAPACITY and min(ids) > 0 and ch.send_request(b"") == 0


def scenario_of(channel, call, handler, before, start=0):
    """Return a scenario: `before` has happened, the lane's indices are `start` slots on."""
    steps = {"a": "ask", "c": "give_up", "r": "read", "w": "answer_status", "t": "take"}

    def scenario():
        world = World(channel)
        for _ in range(start):
            world.ask()
            world.serve()
            world.take()
        for step in before:
            getattr(world, steps[step])()
        return getattr(world, call), getattr(world, handler), world.check

    return scenario


@pytest.fixture
def channel():
    return importlib.import_module("ringlane").RequestReplyChannel


@pytest.mark.parametrize("handler", ["serve", "read", "answer", "answer_status"])
@pytest.mark.parametrize("call", CLIENT)
def test_a_server_at_any_access_of_a_client_does_no_harm(channel, call, handler):
    sweeps = []
    for before in BEFORE:
        for start in range(2 * CAPACITY) if len(before) < 2 else (0,):
            sweeps.append(accesses(channel, call, handler, before, start))
    tried = [points for points in sweeps if points]
    assert len(tried) > 5 and sum(tried) > 100, sweeps


@pytest.mark.parametrize("handler", ["ask", "take", "give_up", "use_again"])
@pytest.mark.parametrize("call", SERVER)
def test_a_client_at_any_access_of_a_server_does_no_harm(channel, call, handler):
    sweeps = []
    for before in BEFORE:
        for start in range(2 * CAPACITY) if len(before) < 2 else (0,):
            sweeps.append(accesses(channel, call, handler, before, start))
    tried = [points for points in sweeps if points]
    assert len(tried) > 5 and sum(tried) > 100, sweeps


def accesses(channel, call, handler, before, start):
    """Return at how many accesses the call was interrupted: none, with nothing to call it for."""
    scenario = scenario_of(channel, call, handler, before, start)
    try:
        return interrupts(scenario, merge=False).points
    except ExplorationError as error:
        if "the call accesses no simulated memory" not in str(error):
            raise
        return 0


def test_a_server_between_and_within_a_cancel_and_the_next_request(channel):
    points = 0
    for before in ("a", "ar", "arca"):
        points += accesses(channel, "use_again", "serve", before, 0)
    assert points > 100, points


def test_a_full_lane_of_one_entry_keeps_generations_apart_as_they_start_anew(channel):
    # The entry is used 255 times and more, across the end of its generations, and nobody reads.
    def scenario():
        ch = channel(255, 1)
        entry = load(ch._table, 1) >> 2
        store(ch._table, entry, 1 << 29 | 0x1FFE90 << 8)
        for _ in range(255):
            assert ch.cancel(ch.send_request(b"-"))
        seen = []

        def handler():
            buf = bytearray(1)
            while (m := ch.recv_request(buf)) is not None:
                seen.append((m[1], bytes(buf)))

        def check():
            handler()
            assert all(data == b"+" for _, data in seen), "a cancelled request came alive"
            assert len(seen) == ch.pending <= 1, (seen, ch)

        return lambda: ch.send_request(b"+"), handler, check

    assert interrupts(scenario, merge=False).points > 8


@pytest.mark.parametrize(
    "verb, texts, call, handler, before",
    [
        ("send_response", [], "answer", "take", "ar"),
        (
            "send_request",
            ['"lane[_HEAD] = head + 1" before "entry[_ISSUED] ='],
            "ask",
            "serve",
            "",
        ),
    ],
)
def test_a_mutant_is_caught(broken, verb, texts, call, handler, before):
    channel = broken("request_reply", verb, *texts).RequestReplyChannel
    with pytest.raises(ExplorationError, match="replay"):
        interrupts(scenario_of(channel, call, handler, before), merge=False)


def test_latencies_are_by_the_clocks_register():
    @viper
    def ticks() -> int:
        return 7777  # it stands still

    register = memory.device(0x40058000, 4)
    clock = ringlane.Clock("test", 1000, ticks, register=0x40058000)
    ch = ringlane.RequestReplyChannel(2, 4, clock=clock)
    buf = bytearray(4)
    register[:] = (100).to_bytes(4, "little")
    id = ch.send_request(b"x")
    register[:] = (130).to_bytes(4, "little")
    assert ch.recv_request(buf)[2] == 30
    ch.send_response(id, b"y")
    register[:] = (145).to_bytes(4, "little")
    assert ch.recv_response(id, buf)[2] == 45
