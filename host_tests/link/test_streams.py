"""The streams of remote channels, the board's code against the host's, in simulated time."""

import random
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ringlane_host.link.session import Session
from ringlane_host.link.stream import (
    AGAIN,
    CALL,
    FIRST,
    FULL,
    GRANT,
    MESSAGE,
    NOT_OPEN,
    OPENED,
    REJECTED,
    REPLY,
    REQUEST,
    RESPONSE,
    SEND,
    Stream,
)
from ringlane_host.simulate.ticks import clock

SLOW = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Board:
    """ringlane.link and ringlane.remote on CPython, at the other end of a wire that may be bad.

    `every`: of so many bytes one is lost, flipped or doubled; 0: none. It is a session's wire.
    """

    name = "a simulated board"

    def __init__(self, every=0, seed=1, careful_s=0.0):
        from ringlane import link, remote

        clock.set(1_000_000)
        self.careful_s = careful_s
        self.random = random.Random(seed)
        self.every = every
        self.cut = False
        self.faults = 0
        self.remote = remote
        self.to_board = bytearray()
        self.to_host = bytearray()
        self.frames = []  # of the host's
        link.opened.clear()
        self.desk = remote._desk = remote.Desk()
        link.opened.append(self.desk)
        self.link = link.Link(self)
        self.run = lambda: None  # the program

    def now(self):
        return clock.now_us() / 1e6

    def session(self):
        session = Session(self, period_ms=10_000, clock=self.now)
        session.attach(20)
        session.stream = Stream(self.now)
        return session

    # The stream of the link.
    def readinto(self, buf):
        count = min(len(buf), len(self.to_board))
        buf[:count] = self.to_board[:count]
        del self.to_board[:count]
        return count

    def _spoilt(self, data):
        if self.cut:
            return b""
        out = bytearray()
        for byte in data:
            fault = self.random.randrange(3 * self.every) if self.every else 9
            self.faults += fault < 3
            if fault:
                out.append(byte ^ 1 << self.random.randrange(8) if fault == 1 else byte)
            if fault == 2:
                out.append(byte)
        return bytes(out)

    # Of the link and of the session: told apart by who has the turn.
    def write(self, data):
        if self.turns:
            self.to_host += self._spoilt(data)
            return len(data)
        self.frames.append(len(data))
        self.to_board += self._spoilt(data)

    turns = False

    def read(self, timeout):
        clock.advance(10_000)
        self.turns = True
        self.link.turn()
        self.run()
        self.turns = False
        found = bytes(self.to_host)
        self.to_host.clear()
        return found


@pytest.fixture(autouse=True)
def a_desk(device):
    yield
    from ringlane import link, remote

    clock.run()
    link.opened.clear()
    remote._desk = remote.Desk()
    link.opened.append(remote._desk)


def until(session, condition, seconds=300):
    records = []
    end = clock.now_us() + seconds * 1_000_000
    while not condition(records):
        assert clock.now_us() < end, (records[-3:], session.counts)
        session.poll(0)
        while session.stream.records:
            records.append(session.stream.records.popleft())
    return records


def opened(records):
    return {
        each.body[4:].decode().partition(";")[2]: each.index
        for each in records
        if each.kind == OPENED
    }


def messages(records):
    return [each.body[8:] for each in records if each.kind == MESSAGE]


def grant(stream, index, limit):
    stream.put(index, GRANT, struct.pack("<H", limit & 0xFFFF), lambda result: None)


@given(
    seed=st.integers(0, 1 << 30),
    every=st.sampled_from([0, 0, 300, 60]),
    careful=st.booleans(),
    sizes=st.lists(st.integers(0, 90), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 60), max_size=3),
)
@SLOW
def test_both_ways_each_message_comes_once_and_in_order_whatever_the_wire_does(
    seed, every, careful, sizes, cuts
):
    from ringlane import LOW, Channel

    board = Board(every, seed, 0.2 if careful else 0.0)
    there, back = Channel(64, slot_size=90, name="there"), Channel(4, slot_size=90, name="back")
    board.remote.accept(there, there)
    board.remote.forward(back)
    buf = bytearray(90)

    def echo():
        while back.free() and (m := there.recv(buf)):
            assert back.send(bytes(buf[: m[0]]), LOW)

    board.run = echo
    session = board.session()
    sent = [bytes((n + place & 0xFF) for place in range(size)) for n, size in enumerate(sizes)]
    results = []
    stream = session.stream
    first = until(session, lambda records: {"there", "back"} <= {*opened(records)})
    index = opened(first)
    grant(stream, index["back"], len(sent))
    for each in sent:
        stream.put(index["there"], SEND | LOW << 3, each, results.append)
    for cut in cuts:  # the wire is off for up to a minute
        until(session, lambda records: board.random.random() < 0.2)
        board.cut = True
        end = clock.now_us() + cut * 1_000_000
        until(session, lambda records, end=end: clock.now_us() > end)
        board.cut = False
    rest = until(session, lambda records: len(results) == len(sent))
    rest += until(session, lambda records: there.sent == back.received == len(sent))
    until(session, lambda records: clock.now_us() > 0)
    assert results == [1] * len(sent)
    assert there.sent == len(sent)
    assert stream.lost == ""
    if careful:
        assert max(board.frames) <= 29


def test_what_comes_back_is_what_was_sent(visited):
    from ringlane import LOW, Channel

    total = faults = 0
    for seed in range(12):
        board = Board(70, seed)
        there, back = Channel(8, slot_size=40, name="there"), Channel(8, slot_size=40, name="back")
        board.remote.accept(there, there)
        board.remote.forward(back)
        buf = bytearray(40)

        def echo(there=there, back=back, buf=buf):
            while back.free() and (m := there.recv(buf)):
                assert back.send(bytes(buf[: m[0]]), LOW)

        board.run = echo
        session = board.session()
        index = opened(until(session, lambda records: len(opened(records)) == 2))
        rng = random.Random(seed)
        sent = [rng.randbytes(rng.randrange(41)) for _ in range(150)]
        grant(session.stream, index["back"], 150)
        waiting = list(sent)
        results = []
        got = []
        end = clock.now_us() + 600_000_000
        while len(got) < len(sent):
            assert clock.now_us() < end, (len(got), session.counts, results[-9:])
            if not session.stream._flying and waiting:
                # Those that were refused go again, in their order.
                done = results.count(1)
                waiting = sent[done:]
                again = results[-1:] == [FULL]
                for number, each in enumerate(waiting[:20]):
                    what = SEND | LOW << 3 | (FIRST if again and not number else 0)
                    session.stream.put(index["there"], what, each, results.append)
            session.poll(0)
            while session.stream.records:
                got += messages([session.stream.records.popleft()])
        assert got == sent
        total += len(got)
        faults += board.faults
    visited(messages=total, faults=faults)
    assert faults > 1000
