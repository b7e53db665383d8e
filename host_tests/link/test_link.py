"""A link, from real MicroPython to a session: whole, damaged, cut off, hostile, missing."""

import random
import re
import time

import micropython
import pytest
from conftest import PACKAGE, SOAK
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from process_wire import ProcessWire
from ringlane import LOW, Channel, Clock, MulticastChannel, Recorder
from ringlane_host.board.virtual import RealTimeBoard
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.link import LinkError, commands, frames
from ringlane_host.link.recording import Recorder as Recorded
from ringlane_host.link.recording import Recording, advise
from ringlane_host.link.session import BoardClock, Events, Hello, Session, Snapshot, Status, Text
from ringlane_host.link.session import Channel as ToldChannel
from ringlane_host.link.watch import Watch
from ringlane_host.link.wires import PortWire, open_wire
from ringlane_host.simulate.ticks import clock

COUNT = 100_000 if SOAK else 20_000


class Noise:
    """Loses, flips and doubles bytes, one of `every` on average, until it is `quiet`.

    `cut`: all is lost.
    """

    def __init__(self, every, seed):
        self.random = random.Random(seed)
        self.every = every
        self.quiet = self.cut = False
        self.done = 0

    def __call__(self, data):
        if self.quiet or self.cut:
            return b"" if self.cut else data
        out = bytearray()
        for byte in data:
            fault = self.random.randrange(3 * self.every)
            if fault < 3:
                self.done += 1
            if fault == 0:
                continue
            out.append(byte ^ 1 << self.random.randrange(8) if fault == 1 else byte)
            if fault == 2:
                out.append(byte)
        return bytes(out)


def word_of(number):
    return (number * 40503 & 0x3FFFFFFF).to_bytes(4, "little")


def follow(session, count, patience=120.0):
    """Poll until all of `count` messages are told or missed, at either end; check each payload."""
    got = {(0, None): 0, (None, 0): 0}
    text = b""
    end = time.monotonic() + patience
    while [session.ends.get(("flood", *each)) for each in got] != [count, count]:
        assert time.monotonic() < end, (session.ends, session.counts)
        for each in session.poll(0.05):
            if isinstance(each, Events):
                for place, event in enumerate(each.events):
                    assert event.number == each.first + place
                    assert event.head == word_of(event.number), event
                    assert event.outcome == ("received" if each.sender is None else "queued")
                got[each.sender, each.receiver] += len(each.events)
            elif isinstance(each, Text):
                text += each.data
    return got, text


def test_every_message_is_told_and_the_program_prints_on(interpreter):
    program = f"import link_flood; link_flood.main({COUNT})"
    with ProcessWire(interpreter, program) as wire, Session(wire, events=True) as session:
        hello = session.attach()
        assert hello.ringlane == "0.2.0" and hello.micropython.startswith("1.")
        got, text = follow(session, COUNT)
        assert [int(n) for n in re.findall(rb"sent (\d+)", text)] == [
            *range(1000, COUNT + 1, 1000)
        ]
        counts = session.counts
        assert counts.damaged == counts.frames_lost == counts.events_lost == 0
        assert sum(got.values()) + counts.events_overwritten == 2 * COUNT
        assert got[0, None] > COUNT // 4  # on a busy machine the recorder overwrites more


def test_a_snapshot_holds_what_the_channels_count(interpreter):
    program = "import link_flood; link_flood.main(40)"
    with ProcessWire(interpreter, program) as wire, Session(wire, period_ms=100) as session:
        session.attach()
        tables, shots, states, end = {}, {}, [], time.monotonic() + 20
        while not (shots.get("flood") and shots["flood"].rows[0].sent == 40):
            assert time.monotonic() < end, shots
            for each in session.poll(0.1):
                if isinstance(each, ToldChannel):
                    tables[each.name] = each
                elif isinstance(each, Snapshot):
                    shots[each.channel.name] = each
                elif isinstance(each, Status):
                    states.append(each)
        flood, quiet = tables["flood"], tables["quiet"]
        assert (flood.pattern, flood.slot_size, flood.senders) == ("Channel", 4, 1)
        assert (flood.tapped, flood.measured, flood.hz) == (True, True, 1_000_000)
        assert (quiet.tapped, quiet.measured) == (False, False)
        (row,) = shots["flood"].rows
        assert (row.capacity, row.queued, row.sent, row.received) == (64, 0, 40, 40)
        assert (row.dropped, row.rejected, row.high_water) == (0, 0, 20)
        assert row.last == word_of(39)
        count, average, p50, p99, most = shots["flood"].latency
        assert count == 40 and p50 <= p99 <= most and average <= most
        (row,) = shots["quiet"].rows
        assert (row.queued, row.last, row.last_size) == (1, b"hello", 5)
        assert states[-1].heap_free > 10_000 and states[-1].damaged == 0
        seconds, wrong = session.board_clock.at(shots["flood"].us)
        assert abs(time.monotonic() - seconds) < 2 and 0 < wrong < 0.1


def test_with_bytes_lost_flipped_and_doubled_no_payload_is_wrong_and_each_gap_is_counted(
    interpreter, visited
):
    noise = Noise(every=900, seed=7)
    program = f"import link_flood; link_flood.main({COUNT})"
    lost = frames_lost = told = overwritten = resumed = cut_off = 0
    reached = {}
    with ProcessWire(interpreter, program, noise) as wire:
        for number in range(4):  # hosts: the first three are killed without a word
            session = Session(wire, events=True)
            session.attach(60)
            last = number == 3
            end = time.monotonic() + (120 if last else 1.0 if number else 2.0)
            firsts, cut = {}, 0
            while time.monotonic() < end:
                # Once the first host has had some, its wire is cut for a while.
                noise.cut = bool(not number and firsts and cut < 8)
                cut += noise.cut
                for each in session.poll(0.05):
                    noise.quiet |= last and isinstance(each, Text) and b"all" in each.data
                    if not isinstance(each, Events):
                        continue
                    key = each.channel.name, each.sender, each.receiver
                    if key not in firsts:
                        firsts[key] = each.first - each.lost - each.overwritten
                        resumed += firsts[key] - reached.get(key, 0)
                    for place, event in enumerate(each.events):
                        assert event.number == each.first + place
                        assert event.head == word_of(event.number), event
                    told += len(each.events)
                    cut_off += each.lost if cut == 8 else 0
                if list(session.ends.values()) == [COUNT] * 2:
                    break
            reached |= session.ends  # one may have heard of one end only
            lost += session.counts.events_lost
            overwritten += session.counts.events_overwritten
            frames_lost += session.counts.frames_lost + session.counts.damaged
    assert list(reached.values()) == [COUNT] * 2
    assert told + lost + overwritten + resumed == 2 * COUNT
    assert told > COUNT // 8 and noise.done > 50 and frames_lost > 10 and lost >= cut_off > 0
    visited(messages=2 * COUNT, faults=noise.done, told=told)


class InProcess:
    """A session's wire to ringlane.link on CPython, in simulated time.

    `room`: for so many frames of the board; `cut`: what it sends is lost.
    """

    name = "a simulated board"
    careful_s = 0.0

    def __init__(self):
        from ringlane import link

        self.room, self.cut = 1 << 30, False
        self.to_board, self.to_host = bytearray(), bytearray()
        self.link = link.Link(self)
        self.its_turn = False

    def readinto(self, buf):
        count = min(len(buf), len(self.to_board))
        buf[:count] = self.to_board[:count]
        del self.to_board[:count]
        return count

    def write(self, data):
        if not self.its_turn:
            self.to_board += data
            return None
        if not self.room:
            return 0
        self.room -= 1
        self.to_host += b"" if self.cut else data
        return len(data)

    def read(self, timeout):
        clock.advance(10_000)
        self.its_turn = True
        self.link.turn()
        self.its_turn = False
        found = bytes(self.to_host)
        self.to_host.clear()
        return found

    def session(self, followed=None):
        now = lambda: clock.now_us() / 1e6  # noqa: E731
        session = Session(self, events=True, period_ms=100, followed=followed, clock=now)
        session.attach(20)
        return session


def told(session, seconds=1):
    """Return how many (events came, were overwritten, were lost) in so long."""
    found = [0, 0, 0]
    for _ in range(seconds * 100):
        for each in session.poll(0):
            if isinstance(each, Events):
                figures = len(each.events), each.overwritten, each.lost
                found = [a + b for a, b in zip(found, figures, strict=True)]
                for event in each.events:
                    assert abs(event.seconds - clock.now_us() / 1e6) < 30, event
    return tuple(found)


@pytest.fixture
def in_process(device):
    clock.set(1_000_000)
    yield InProcess()
    clock.run()


def test_what_a_host_misses_is_counted_from_its_first_moment_on(in_process):
    wire, tap = in_process, Recorder(events=4, head=4)
    bus = MulticastChannel(2, 2, slot_size=4, max_receivers=3, name="bus", tap=tap)

    def send(count, *receivers):
        for number in range(count):
            bus.send_word(number, LOW)
            for each in receivers:
                each.recv_word()

    send(10)  # the last four are for the host
    wire.room = 1  # for hello
    session = wire.session()
    send(2)  # two of those are overwritten before they can be told
    wire.room = 1 << 30
    assert told(session) == (4, 2, 0)
    first = bus.add_receiver()
    send(9, first)
    assert told(session) == (8, 10, 0)
    wire.cut = True
    second = bus.add_receiver()
    send(3, first, second)
    assert told(session) == (0, 0, 0)
    wire.cut = False
    send(1, first, second)
    assert told(session) == (3, 0, 9)
    # Another channel of that name, of which the first numbers are lost.
    wire.cut = True
    bus.close()
    bus = Channel(2, slot_size=4, name="bus", tap=tap)
    send(30, bus)
    assert told(session) == (0, 0, 0)
    wire.cut = False
    send(2, bus)
    assert told(session) == (4, 2 * 26, 2 * 4)
    # The next session goes on from there, with an end that came in between, too.
    send(6, bus)
    late = Channel(4, slot_size=4, name="late", tap=tap)
    for number in range(6):
        late.send_word(number, LOW)
    followed = session._followed
    session = wire.session(followed)
    assert told(session) == (2 * 4 + 4, 2 * 2 + 2, 0)
    # Another host begins anew, and takes what would have been the first one's.
    send(5, bus)
    assert told(wire.session()) == (8, 0, 0)
    send(1, bus)
    assert told(wire.session(followed)) == (2, 0, 2 * 5)
    bus.close()
    late.close()


def test_the_last_message_is_that_of_the_sender_that_sent_last(in_process):
    ch = Channel(4, slot_size=4, senders=2, name="adc")
    session, second = in_process.session(), ch.add_sender()
    for number, sender in enumerate((second, ch, second, second, ch)):
        clock.advance(1000)
        sender.send_word(number, LOW)
        shots = [each for _ in range(30) for each in session.poll(0) if isinstance(each, Snapshot)]
        assert shots[-1].rows[0].last == number.to_bytes(4, "little")
        ch.recv_word()
    ch.close()


def test_a_host_is_told_of_how_many_channels_it_is_not_told(in_process, monkeypatch):
    kept = [Channel(2, name=f"c{number:02}") for number in range(67)]
    session = in_process.session()
    told = [each for _ in range(60) for each in session.poll(0)]
    assert [each.untold for each in told if isinstance(each, Status)][-1] == 3
    assert len(session.table) == 64
    monkeypatch.setattr(commands, "_TABLE_S", 0)
    with pytest.raises(LinkError, match="c63, and 3 that the link does not tell, as it tells 64"):
        list(commands.follow(in_process.session(), "zz", None))
    for each in kept:
        each.close()


class UartWire:
    """A session's wire to a UART of a board that runs."""

    name = "a UART"
    careful_s = 0.0

    def __init__(self, uart):
        self.uart = uart

    def read(self, timeout):
        time.sleep(timeout)
        return self.uart.take()

    def write(self, data):
        self.uart.receive(data)


OVER_UART = """
import asyncio
import ringlane.link
from machine import UART
from ringlane import LOW, Channel, Recorder

ch = Channel(8, slot_size=4, name="adc", tap=Recorder(64, head=4))

async def main():
    asyncio.create_task(ringlane.link.serve(UART(0, 115200, timeout=0)))
    await ringlane.link.attached()
    for number in range(50):
        ch.send_word(number, LOW)
        ch.recv_word()
        await asyncio.sleep_ms(10)
        print(number)
    await asyncio.sleep_ms(60_000)

asyncio.run(main())
"""


def test_a_link_over_a_uart_leaves_the_console_to_the_program(interpreter, tmp_path):
    (tmp_path / "main.py").write_text(OVER_UART)
    board = RealTimeBoard(pytest.fail, tmp_path)
    try:
        board.run()
        with Session(UartWire(board.uart(0)), events=True, period_ms=100) as session:
            session.attach(20)
            words, end = [], time.monotonic() + 60
            while len(words) < 50 or session.ends != {("adc", 0, None): 50, ("adc", None, 0): 50}:
                assert time.monotonic() < end, words
                for each in session.poll(0.02):
                    assert not isinstance(each, Text), each
                    if isinstance(each, Events) and each.sender == 0:
                        words += [int.from_bytes(event.head, "little") for event in each.events]
            assert words == list(range(50)) and session.counts.damaged == 0
        board.run_until(lambda: board.log.count("\n") == 50)
        assert board.log == "".join(f"{number}\n" for number in range(50))
    finally:
        board.close()


def test_a_console_gets_little_at_once(micropython):
    code = "import ringlane.link\nprint(ringlane.link._Console().write(b'a' * 200))"
    assert micropython(code) == "a" * 64 + "64\n"


def test_two_hosts_take_no_events_from_each_other(in_process, monkeypatch):
    from ringlane import link

    first, second = in_process, InProcess()
    monkeypatch.setattr(link, "_links", [first.link, second.link])
    ch = Channel(8, slot_size=4, name="adc", tap=Recorder(events=16, head=4))

    def turn(session):
        for number in range(5):
            ch.send_word(number, LOW)
            ch.recv_word()
        found = [each for each in session.poll(0) if isinstance(each, (Events, Status))]
        got = sum(len(each.events) for each in found if isinstance(each, Events))
        return got, [each.elsewhere for each in found if isinstance(each, Status)][-1:]

    followed, waits = first.session(), second.session()
    assert [len(session.ends) for session in (followed, waits)] == [2, 0]
    assert any(turn(followed)[0] for _ in range(20))
    assert {turn(waits)[0] for _ in range(20)} == {0}
    with pytest.raises(LinkError, match="another host has this board's events"):
        list(commands.follow(waits, "adc", None))
    followed.close()
    first.read(0)
    events, elsewhere = zip(*(turn(waits) for _ in range(40)), strict=True)
    assert sum(events) > 40 and [False] in elsewhere
    assert (followed.counts.events_lost, waits.counts.events_lost) == (0, 0)
    ch.close()


@micropython.viper
def _soon_wrapped() -> int:
    return clock.now_us() & 0x1FFFF


def test_times_are_right_of_a_clock_that_wraps_soon(in_process):
    # After 131 ms, as cycles() of an RP2040. Messages come every 10 to 300 ms, and for a while
    # nothing gets through.
    fast = Clock("fast", 1_000_000, _soon_wrapped, period=1 << 17)
    ch = Channel(16, slot_size=4, name="adc", clock=fast, tap=Recorder(events=64, head=4))
    session, sent, found = in_process.session(), [], []
    for number in range(120):
        ch.send_word(number, LOW)
        sent.append(clock.now_us())
        ch.recv_word()
        in_process.room = 0 if 2 < number % 30 < 9 else 1 << 30
        for _ in range(1 + number % 30):
            found += [each for each in session.poll(0) if isinstance(each, Events)]
    told = [event for batch in found for event in batch.events]
    assert [each.us for each in told if each.outcome == "queued"] == sent
    assert [each.us for each in told if each.outcome == "received"] == sent
    ch.close()


@pytest.mark.parametrize("rounds", [200_000 if SOAK else 5_000])
def test_a_hostile_host_costs_a_board_no_memory(micropython, rounds):
    printed = micropython(
        f"import link_fuzz\nwhole, damaged, grown, written, ch = link_fuzz.run({rounds})\n"
        "print(whole, damaged, grown, written, ch)"
    )
    whole, damaged, grown, written = map(int, printed.split()[:4])
    assert whole > rounds // 2 and damaged > rounds // 8 and written > 1000
    assert grown < 4096, grown


def test_a_hostile_host_writes_outside_nothing_on_the_simulated_memory(device):
    import link_fuzz

    whole, damaged, _, written, _ = link_fuzz.run(400)
    assert whole > 100 and damaged > 20 and written > 1000


def test_a_host_that_asks_but_gives_no_credit_fills_no_memory(device):
    import link_fuzz
    from ringlane import link

    kept = [Channel(2, name=name) for name in "abc"]
    pipe = link_fuzz.Pipe()
    ours = link.Link(pipe)
    clock.set(0)
    try:
        pipe.data = link_fuzz.frame(1, 7, b"\0\0\x32\0\1")
        for number in range(200):
            clock.advance(50_000)
            pipe.data += link_fuzz.frame(2, 7, b"\0\0" + number.to_bytes(4, "little"))
            ours.turn()
            pipe.data = b""
    finally:
        clock.run()
    assert ours.attached and len(ours._to_tell) < 20 and ours.skipped > 190
    assert kept


def test_a_board_takes_no_frame_of_which_one_bit_is_wrong(device):
    import link_fuzz
    from ringlane import link

    def attached_by(data):
        pipe = link_fuzz.Pipe()
        ours = link.Link(pipe)
        pipe.data = data
        ours.turn()
        return ours.attached

    whole = link_fuzz.frame(1, 7, b"\x40\x00\xe8\x03\x01")
    assert attached_by(whole) and attached_by(b"#ringlane" + whole)
    for place in range(1, len(whole) - 1):
        for bit in range(8):
            spoilt = bytearray(whole)
            spoilt[place] ^= 1 << bit
            assert not attached_by(bytes(spoilt)), (place, bit)
        assert not attached_by(whole[:place] + whole[place + 1 :])
        assert not attached_by(whole[:place] + whole[place : place + 1] + whole[place:])


@given(st.binary(max_size=700))
@example(b"\0" + b"a" * 700)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_board_hears_a_host_whatever_came_before(device, data):
    import link_fuzz
    from ringlane import link

    pipe = link_fuzz.Pipe()
    ours = link.Link(pipe)
    pipe.data = data + link_fuzz.frame(1, 7, b"\x40\x00\xe8\x03\x01")
    while pipe.data:
        ours.turn()
    assert ours.attached
    # Text, then what stands between two zeros; each is counted once, however long.
    assert ours.damaged == sum(map(bool, data.split(b"\0")[1:]))


@given(st.data())
@settings(deadline=None)
def test_a_moment_of_the_board_lies_within_the_error_that_is_told(data):
    # Two crystals of which each is wrong by 40 ppm, and delays that differ by the way.
    skew = 1 + data.draw(st.floats(-80e-6, 80e-6))
    read = lambda seconds: round((seconds - 100) * 1e6 * skew) & 0x3FFFFFFF  # noqa: E731
    delays, board, now = st.floats(0, 0.2), BoardClock(), 1000.0
    for _ in range(data.draw(st.integers(1, 8))):
        there, back = data.draw(delays), data.draw(delays)
        board.add(now, now + there + back, read(now + there))
        now += there + back + data.draw(st.floats(0, 60))
    for moment in (now, now - data.draw(st.floats(0, 100)), now + data.draw(st.floats(0, 100))):
        seconds, wrong = board.at(read(moment))
        assert abs(seconds - moment) <= wrong + 2e-6  # a reading is whole microseconds


BODY = st.binary(max_size=frames.BODY_MAX)
UNTIMED = settings(deadline=None)  # a busy host takes its time


@given(kind=st.integers(0, 255), session=st.integers(0, 65535), body=BODY)
@UNTIMED
def test_a_frame_comes_back_and_passes_every_console(kind, session, body):
    wire = frames.encode(kind, session, 7, body)
    assert not set(wire[1:-1]) & set(range(0x1B))
    assert frames.Splitter().feed(b"text" + wire + b"more") == [
        b"text",
        frames.Frame(kind, session, 7, body),
        b"more",
    ]


@given(body=BODY)
@settings(UNTIMED, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_board_and_host_agree_on_a_frame(device, body):
    import link_fuzz
    from ringlane import link

    assert link_fuzz.frame(2, 300, body) == frames.encode(2, 300, 0, body)
    chunk = bytearray(frames.encode(2, 300, 0, body)[1:-1])
    size = link.unstuff(chunk, len(chunk))
    assert bytes(chunk[6 : size - 4]) == body


@given(st.lists(st.one_of(st.binary(max_size=700), BODY.map(lambda b: frames.encode(1, 2, 3, b)))))
@UNTIMED
def test_whatever_comes_is_text_a_frame_or_damage(chunks):
    splitter = frames.Splitter()
    sizes = 0
    for chunk in chunks:
        for each in splitter.feed(chunk):
            sizes += each.size if isinstance(each, frames.Damaged) else 0
            if isinstance(each, frames.Frame):
                # Whatever the bytes are: what is taken for a frame has its CRC.
                assert (
                    frames.decode(
                        frames.encode(
                            each.kind, each.session, each.number, each.body, each.version
                        )[1:-1]
                    )
                    == each
                )
    assert sizes <= sum(map(len, chunks))


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10_000), st.integers(1, 255))
@UNTIMED
def test_a_frame_with_a_flipped_byte_is_never_taken(body, place, flip):
    wire = bytearray(frames.encode(1, 2, 3, body))
    wire[1 + place % (len(wire) - 2)] ^= flip
    found = [
        each
        for each in frames.Splitter().feed(bytes(wire) + b"\0")
        if isinstance(each, frames.Frame)
    ]
    assert found in ([], [frames.Frame(1, 2, 3, body)])  # an escape may be written in two ways


RESETS = """
import asyncio, ringlane.link
from ringlane import LOW, Channel, Recorder
ch = Channel(4, slot_size=4, name="{name}", tap=Recorder(64, head=4))
for n in range(3):
    ch.send_word(n, LOW)
asyncio.run(ringlane.link.serve())
"""


def test_it_survives_a_reset_of_the_board(tmp_path):
    path, watch = tmp_path / "out.mcap", Watch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ringlane").symlink_to(PACKAGE)
    main = tmp_path / "main.py"
    main.write_text(RESETS.format(name="before"))
    with VirtualBoard(tmp_path) as board:
        wire = PortWire(board.port)
        with Session(wire, period_ms=100, events=True) as session:
            first = session.attach(20)
            recorder = Recorded(path, session)
            poll = session.poll

            def seen(timeout):
                items = poll(timeout)
                recorder.add(items)
                watch.update(items)
                return items

            session.poll = seen
            wait_for(session, lambda each: isinstance(each, Events) and each.events)
            main.write_text(RESETS.format(name="after"))
            wire.write(b"\x03")
            wait_for(session, lambda each: isinstance(each, Text) and b">>>" in each.data)
            wire.write(b"\x03\x04")  # Ctrl-C empties the line of what the session had typed there
            hello = wait_for(session, lambda each: isinstance(each, Hello))
            assert hello.again and hello.boot != first.boot and session.counts.resets == 1
            wait_for(
                session, lambda each: isinstance(each, Snapshot) and each.channel.name == "after"
            )
            recorder.close()
        wire.close()
    assert list(watch.channels) == ["after"] and {name for name, _ in watch.lanes} == {"after"}
    recording = Recording(path)
    (reset,) = recording.resets
    found = [(each.channel, each.word, each.us > reset) for each in recording.events]
    assert found == [(name, n, name == "after") for name in ("before", "after") for n in range(3)]
    for each in advise(recording):
        # What the reset found in the queue has waited until then.
        begin = recording.events[0 if each.channel == "before" else 3].us
        over = reset if each.channel == "before" else recording.events[-1].us
        assert (each.needed, each.longest_wait_us) == (3, over - begin), each


def wait_for(session, wanted, patience=30.0):
    end = time.monotonic() + patience
    seen = []
    while time.monotonic() < end:
        seen += session.poll(0.1)
        for each in seen:
            if wanted(each):
                return each
    raise AssertionError(str(seen)[-1000:])


# -- what may be wrong


def test_without_a_program_the_prompt_is_named():
    with VirtualBoard() as board:
        wire = PortWire(board.port)
        with pytest.raises(
            LinkError, match=r"no link at /dev/pts/\d+: the board shows its prompt"
        ):
            Session(wire).attach(1.5)
        wire.close()
        # Nothing is left on its line.
        assert board.mpremote("exec", "print(6 * 7)") == "42\n"


def test_a_program_without_a_link_is_told_apart(interpreter):
    program = "import time\nwhile True:\n    print('busy')\n    time.sleep_ms(50)"
    with ProcessWire(interpreter, program) as wire:
        with pytest.raises(LinkError, match="no program there answers; it must run"):
            Session(wire).attach(1)


def test_a_port_that_is_busy_or_missing_is_named():
    with VirtualBoard() as board:
        wire = PortWire(board.port)
        with pytest.raises(LinkError, match="another program has it open"):
            PortWire(board.port)
        wire.close()
    with pytest.raises(LinkError, match="no board at"):
        PortWire("/dev/ttyACM77")
    with pytest.raises(LinkError, match="virtual is a new board"), open_wire("virtual"):
        pass


def test_another_version_of_the_link_is_named(interpreter, tmp_path):
    program = (
        "import ringlane.link as link\nlink.VERSION = 9\nimport link_flood\nlink_flood.main(1)"
    )
    with ProcessWire(interpreter, program) as wire:
        with pytest.raises(LinkError, match=f"version 9; this one is version {frames.VERSION}"):
            Session(wire).attach(5)
