"""The streams of remote channels, the board's code against the host's, in simulated time."""

import random
import struct

import pytest
from conftest import SOAK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ringlane_host.link.session import Session
from ringlane_host.link.stream import (
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
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    every=st.sampled_from([0, 0, 900, 300]),
    careful=st.booleans(),
    sizes=st.lists(st.integers(0, 90), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 8), max_size=2),
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


def pair(every=0, seed=1, there=8, back=8):
    """A board with channels `there`, which a host sends into, and `back`, which goes to it."""
    from ringlane import LOW, Channel, RequestReplyChannel

    board = Board(every, seed)
    board.there = Channel(there, slot_size=40, name="there")
    board.back = Channel(back, slot_size=40, name="back")
    board.rpc = RequestReplyChannel(4, slot_size=40, name="rpc")
    board.ask = RequestReplyChannel(4, slot_size=40, name="ask")
    board.closed_to_hosts = Channel(4, slot_size=40, name="other")
    board.remote.accept(board.there, board.there)
    board.remote.accept(board.rpc)
    board.remote.forward(board.back)
    board.remote.forward(board.ask)
    buf = bytearray(40)

    def echo():
        while board.back.free() and (m := board.there.recv(buf)):
            assert board.back.send(bytes(buf[: m[0]]), LOW)

    board.run = echo
    return board


def index_of(session):
    return opened(until(session, lambda records: len(opened(records)) == 4))


def put(session, index, what, body, seconds=20):
    """Put a record; return its result and the records that came before it."""
    results = []
    session.stream.put(index, what, body, results.append)
    records = until(session, lambda records: results, seconds)
    return results[0], records


def test_what_comes_back_is_what_was_sent(visited):
    from ringlane import LOW

    total = faults = 0
    for seed in range(12 if SOAK else 4):
        board = pair(250, seed)
        session = board.session()
        index = index_of(session)
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
    assert faults > 300


def test_behind_a_hub_that_takes_small_frames_only_messages_arrive_and_then_large_ones_again():
    board = pair(there=250)
    board.run = lambda: None
    session = board.session()
    index = index_of(session)["there"]
    write = board.write

    def hub(data):
        return write(data) if board.turns or len(data) <= 29 else None

    board.write = hub
    results = []
    begin = clock.now_us()
    for number in range(40):
        session.stream.put(index, SEND | 3 << 3, bytes([number]) * 40, results.append)
    until(session, lambda records: len(results) == 40)
    assert clock.now_us() - begin < 30e6
    board.write = write
    board.frames.clear()
    for number in range(200):
        session.stream.put(index, SEND | 3 << 3, bytes([number]) * 40, results.append)
    until(session, lambda records: len(results) == 240)
    assert results == [1] * 240 and max(board.frames) > 200
    buf = bytearray(40)
    got = [bytes(buf[: board.there.recv(buf)[0]]) for _ in range(240)]
    assert got == [bytes([number]) * 40 for count in (40, 200) for number in range(count)]


def test_of_a_host_that_is_killed_the_calls_are_cancelled_and_its_requests_fail():
    board = pair()
    session = board.session()
    index = index_of(session)
    buf = bytearray(40)
    asked = board.ask.send_request(b"who?")
    grant(session.stream, index["ask"], 4)
    got = until(session, lambda records: [each for each in records if each.kind == REQUEST])
    assert struct.unpack_from("<I", got[-1].body)[0] == asked
    result, _ = put(session, index["rpc"], CALL, b"\7\0ping")
    assert result == 1 and board.rpc.pending == 1
    assert board.ask.pending == 1
    other = board.session()
    assert index_of(other) == index
    assert board.ask.recv_response(asked, buf)[:2] == [0, 255]  # FAILED
    assert board.rpc.pending == 0  # cancelled


def test_what_was_not_confirmed_comes_again_marked_and_only_that():
    from ringlane import LOW

    board = pair()
    board.run = lambda: None
    session = board.session()
    index = index_of(session)
    grant(session.stream, index["back"], 8)
    board.back.send(b"first", LOW)
    until(session, lambda records: messages(records) == [b"first"])
    for _ in range(200):
        session.poll(0)  # it is confirmed
    board.cut = True
    board.back.send(b"second", LOW)
    for _ in range(5):
        session.poll(0)
    board.cut = False
    other = board.session()
    board.back.send(b"third", LOW)
    records = until(other, lambda records: len(opened(records)) == 4)
    grant(other.stream, index["back"], 8)
    records += until(other, lambda records: b"third" in messages(records))
    seen = [(each.body[8:], each.again) for each in records if each.kind == MESSAGE]
    assert seen == [(b"second", True), (b"third", False)]


def test_a_stream_that_the_board_has_forgotten_is_lost_and_not_begun_again():
    board = pair()
    session = board.session()
    index = index_of(session)
    assert put(session, index["there"], SEND | 3 << 3, b"once")[0] == 1
    board.desk._end()  # as at a reset
    session.stream.begin()
    session.stream.put(index["there"], SEND | 3 << 3, b"never", lambda result: 1 / 0)
    until(session, lambda records: session.stream.lost)
    assert "forgotten this host" in session.stream.lost
    assert board.there.sent == 1


def test_only_what_is_opened_can_be_touched():
    board = pair()
    session = board.session()
    index = index_of(session)
    before = board.closed_to_hosts.counters()
    for where, what, body, result in (
        (7, SEND, b"x", NOT_OPEN),
        (255, GRANT, b"\1\0", NOT_OPEN),
        (index["back"], SEND, b"x", NOT_OPEN),  # it is forwarded only
        (index["there"], GRANT, b"\1\0", NOT_OPEN),
        (index["there"], CALL, b"\0\0x", NOT_OPEN),
        (index["ask"], CALL, b"\0\0x", NOT_OPEN),
        (index["rpc"], REPLY, bytes(5), NOT_OPEN),
        (index["rpc"], SEND, b"x", NOT_OPEN),
        (index["there"], SEND, bytes(41), REJECTED),
        (index["rpc"], CALL, bytes(43), REJECTED),
        (index["ask"], REPLY, struct.pack("<IB", 12345, 0), 0),  # nobody has asked that
        (index["there"], SEND | 5 << 3, b"x", 254),
        (index["there"], SEND | 4 << 3, b"x", 1),
    ):
        assert put(session, where, what, body)[0] == result, (where, what, body)
    assert board.closed_to_hosts.counters() == before
    assert board.there.sent == 1


def test_a_full_lane_refuses_all_behind_it_until_the_first_comes_again():
    board = pair(there=2)
    board.run = lambda: None
    session = board.session()
    index = index_of(session)["there"]
    results = []
    for word in range(4):
        session.stream.put(index, SEND | 3 << 3, bytes([word]), results.append)
    until(session, lambda records: len(results) == 4)
    assert results == [1, 1, FULL, FULL]
    board.there.recv(bytearray(40))
    assert put(session, index, SEND | 3 << 3, b"\3")[0] == FULL  # it would overtake number 2
    assert put(session, index, SEND | FIRST | 3 << 3, b"\2")[0] == 1
    assert board.there.dropped == 0 and board.there.sent == 3
    assert (board.desk.taken, board.desk.refused) == (3, 3)


def test_a_call_and_what_a_board_asks():
    board = pair()
    session = board.session()
    index = index_of(session)
    buf = bytearray(40)

    def serve():
        if m := board.rpc.recv_request(buf):
            board.rpc.send_status(m[1], bytes(buf[: m[0]]) + b"!", 9)

    board.run = serve
    result, records = put(session, index["rpc"], CALL, b"\5\1ping")
    records += until(session, lambda r: [e for e in records + r if e.kind == RESPONSE])
    (response,) = [each for each in records if each.kind == RESPONSE]
    assert struct.unpack_from("<HB", response.body) == (0x105, 9)
    assert response.body[7:] == b"ping!"
    grant(session.stream, index["ask"], 1)
    one, two = board.ask.send_request(b"one"), board.ask.send_request(b"two")
    records = until(session, lambda records: [e for e in records if e.kind == REQUEST])
    for _ in range(50):
        session.poll(0)
    assert not session.stream.records  # the second was not granted
    reply = struct.pack("<IB", one, 4) + b"here"
    assert put(session, index["ask"], REPLY, reply)[0] == 1
    assert put(session, index["ask"], REPLY, reply)[0] == 0  # twice
    assert board.ask.recv_response(one, buf) and bytes(buf[:4]) == b"here"
    assert board.ask.cancel(two)


def test_what_accept_and_forward_say(device):
    from ringlane import Channel, RequestReplyChannel
    from ringlane.remote import accept, forward

    ch = Channel(4, senders=2, name="ch")
    for wrong, error, said in (
        (lambda: accept(Channel(4, senders=2)), ValueError, "needs a name, by which a host"),
        (lambda: accept(Channel(4, name="one")), ValueError, "senders=1, all taken"),
        (lambda: accept(ch, Channel(4, name="x")), ValueError, "is not one of"),
        (lambda: accept(ch, 3), ValueError, "sender 3 is not one of"),
        (lambda: accept(5), TypeError, "a host can use channels, not 5"),
        (lambda: accept(RequestReplyChannel(2, name="r"), ch), TypeError, "has no senders"),
        (lambda: forward(ch, 7), TypeError, "receiver must have recv, not 7"),
        (lambda: forward(Channel(1, 20_000, name="big")), ValueError, "up to 16384 for a host"),
    ):
        with pytest.raises(error, match=said):
            wrong()
    accept(ch)
    with pytest.raises(ValueError, match="'ch' is open for that already"):
        accept(ch)
    forward(ch)
    ch.close()
    late = Channel(4, name="late")
    late.close()
    with pytest.raises(ValueError, match="'late' is closed"):
        forward(late)


@pytest.mark.parametrize("rounds", [100_000 if SOAK else 4_000])
def test_a_hostile_host_costs_a_board_no_memory_and_touches_nothing_else(micropython, rounds):
    printed = micropython(f"import link_fuzz\nprint(*link_fuzz.run_desk({rounds}))")
    taken, refused, grown, begun = map(int, printed.split())
    assert taken > rounds // 50 and refused > rounds // 50 and begun > rounds // 400
    assert grown < 4096, grown


def test_a_hostile_host_writes_outside_nothing_on_the_simulated_memory():
    import link_fuzz

    taken, refused, _, begun = link_fuzz.run_desk(1500)
    assert taken > 30 and refused > 30 and begun > 10
