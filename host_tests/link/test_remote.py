"""ringlane_host.remote(): a board's channels from a computer, over every link that there is."""

import asyncio
import time

import pytest
import ringlane_host
from conftest import DEVICE, PACKAGE, SOAK
from ringlane import BULK, HIGH, LOW, NORMAL, REALTIME
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.link import LinkError
from ringlane_host.link.remote import About, LiveBoard, NotDelivered, NotOpened, OutcomeUnknown
from ringlane_host.link.session import Status
from test_link import Noise, ProcessWire, word_of

COUNT = 100_000 if SOAK else 6_000
PROGRAM = "import remote_program; remote_program.main()"
QUIET = "import remote_program; remote_program.main(False)"


def within(seconds, coroutine):
    async def run():
        async with asyncio.timeout(seconds):
            return await coroutine

    return asyncio.run(run())


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A virtual board that runs the program by itself, at a pseudo-terminal."""
    flash = tmp_path_factory.mktemp("flash")
    (flash / "lib").mkdir()
    (flash / "lib" / "ringlane").symlink_to(PACKAGE)
    (flash / "remote_program.py").symlink_to(DEVICE / "remote_program.py")
    (flash / "main.py").write_text(PROGRAM)
    with VirtualBoard(flash) as board:
        yield board.port


def process(interpreter, program=QUIET, noise=None):
    """A board that is a MicroPython process."""
    return LiveBoard("a process", lambda: ProcessWire(interpreter, program, noise), 60)


def test_at_a_port_a_program_sends_receives_calls_and_serves(port):
    said = []

    async def use():
        async with ringlane_host.remote(port, text=said.append) as board:
            adc, there, back = map(board.channel, ("adc", "there", "back"))
            jobs, news, motor, ask = map(board.channel, ("jobs", "news", "motor", "ask"))
            assert board.channel("adc") is adc
            assert sorted(board.channels) == [
                *("adc", "ask", "back", "jobs", "motor", "news", "plain", "there"),
            ]

            # A copy of what goes through a tapped channel.
            one, two = await adc.arecv(2000), await adc.arecv(2000)
            assert (two.word - one.word, two.priority, two.size) == (1, HIGH, 4)
            assert two.whole and two.sender == 0 and two.latency_us is None
            assert 15_000 < two.us - one.us < 5e6

            # There and back.
            assert await there.asend(b"", LOW) == await there.asend_word(-5) == 1
            empty, word = await back.arecv(2000), await back.arecv(2000)
            assert (empty.data, empty.priority) == (b"", LOW) and not empty.again
            assert (word.word, word.priority, word.sender) == (-5, NORMAL, None)
            assert 0 <= word.latency_us < 2e6
            assert await back.arecv(50) is None

            # More than a frame.
            big = bytes(range(256)) * 2
            assert await jobs.asend(big, BULK) == 1
            assert await news.asend(b"news", LOW) == 1  # the host itself receives it
            assert (await news.arecv(2000)).data == b"news"

            assert await motor.call(b"speed?", 2000) == (7, b"speed?!")
            replies = await asyncio.gather(*(motor.call(bytes([n]), 5000) for n in range(20)))
            assert replies == [(7, bytes([n]) + b"!") for n in range(20)]

            async for request in ask.requests():
                assert request.data == b"what?" and 0 <= request.latency_us
                if await request.reply(b"that", 3):
                    assert not await request.reply(b"twice")
                    break
            while "asked 3 b'that'" not in "".join(said) or f"job 512 4 {sum(big)}" not in "".join(
                said
            ):
                await asyncio.sleep(0.05)
            assert adc.counters.received == 2 and adc.counters.missed == 0
            assert (there.counters.sent, back.counters.received) == (2, 2)
            assert motor.counters.called == 21 and ask.counters.served == 1
            assert ask.counters.late >= 1

    within(60, use())


def test_what_is_wrong_is_named_and_changes_nothing(port):
    async def use():
        async with ringlane_host.remote(port) as board:
            there, jobs, motor = map(board.channel, ("there", "jobs", "motor"))
            plain, back, ask = map(board.channel, ("plain", "back", "ask"))
            for wrong, error, said in (
                (
                    lambda: there.asend(bytes(41)),
                    ValueError,
                    "41 bytes is larger than .*'there', 40",
                ),
                (
                    lambda: motor.call(bytes(17)),
                    ValueError,
                    "17 bytes is larger than .*'motor', 16",
                ),
                (lambda: there.asend("text"), TypeError, "message must be bytes, not str"),
                (lambda: there.asend(b"", 5), ValueError, "'there': class must be 0 to 4, not 5"),
                (lambda: jobs.asend(b"", HIGH), ValueError, "'jobs': class HIGH has capacity 0"),
                (
                    lambda: plain.asend(b""),
                    NotOpened,
                    "'plain' takes nothing from a host: .*accept",
                ),
                (lambda: back.asend(b""), NotOpened, "'back' takes nothing from a host"),
                (lambda: plain.arecv(), NotOpened, "'plain' can be received from if .*Recorder"),
                (lambda: ask.call(b""), NotOpened, "'ask' takes no calls from a host"),
                (lambda: motor.asend(b""), TypeError, "'motor' is a RequestReplyChannel: call"),
                (lambda: there.call(b""), TypeError, "'there' is a Channel: asend"),
                (lambda: anext(motor.requests()), NotOpened, "'motor' is not served by a host"),
                (lambda: anext(there.requests()), TypeError, "'there' is a Channel: it has no"),
            ):
                with pytest.raises(error, match=said):
                    await wrong()
            with pytest.raises(
                LinkError, match=r"no channel 'adx' at /dev/.*; there are adc, ask,"
            ):
                board.channel("adx")
            assert there.counters.sent == 0

    within(60, use())


def test_a_port_that_is_busy_or_has_no_program_or_is_none(port):
    async def enter(*target):
        async with ringlane_host.remote(*target):
            pass

    async def twice():
        async with ringlane_host.remote(port):
            await enter(port)

    with pytest.raises(LinkError, match="another program has it open"):
        within(60, twice())
    with pytest.raises(LinkError, match="no board at"):
        within(60, enter("/dev/ttyACM77"))
    with pytest.raises(LinkError, match="virtual is a new board on which nothing runs"):
        within(60, enter("virtual"))
    with pytest.raises(FileNotFoundError, match="no file none.py"):
        within(60, enter("virtual", "none.py"))
    with VirtualBoard() as board:
        with pytest.raises(LinkError, match="the board shows its prompt"):
            within(60, enter(board.port))


@pytest.mark.parametrize(
    "program, said",
    [
        ("import ringlane.link as link; link.VERSION = 9; " + QUIET, "whose link is version 9"),
        ("import time\nwhile True:\n    time.sleep(1)", "no program there answers"),
    ],
)
def test_a_program_with_another_link_or_none(interpreter, program, said):
    async def use():
        wire = ProcessWire(interpreter, program)
        async with LiveBoard("a process", lambda: wire, 3):
            pass

    with pytest.raises(LinkError, match=said):
        within(60, use())


def test_a_program_that_has_opened_nothing(interpreter):
    program = """
import asyncio, ringlane.link
from ringlane import Channel
ch = Channel(4, name="ch")
asyncio.run(ringlane.link.serve())
"""

    async def use():
        async with process(interpreter, program) as board:
            ch = board.channel("ch")
            with pytest.raises(NotOpened, match="has to call ringlane.remote.accept"):
                await ch.asend(b"x")
            with pytest.raises(NotOpened, match=r"tap=ringlane.Recorder\(\), or calls"):
                await ch.arecv()
            assert ch.counters.failed == 0

    within(60, use())


async def there_and_back(board, count):
    """Send so many words, and receive them from `back`; check each; return the counters."""
    there, back = board.channel("there"), board.channel("back")

    async def send():
        for start in range(0, count, 1000):
            batch = range(start, min(count, start + 1000))
            sent = await asyncio.gather(*(there.asend(word_of(n), n % 5) for n in batch))
            assert sent == [1] * len(batch)

    sending = asyncio.create_task(send())
    for number in range(count):
        message = await back.arecv()
        assert (message.data, message.priority) == (word_of(number), number % 5), number
        assert not message.again
    await sending
    assert there.counters.sent == back.counters.received == count
    assert await back.arecv(300) is None  # nothing came twice


def test_many_messages_there_and_back_in_order_and_once_each(interpreter, visited):
    async def use():
        async with process(interpreter) as board:
            await there_and_back(board, COUNT)

    begin = time.monotonic()
    within(500, use())
    visited(messages=2 * COUNT)
    print(f"{2 * COUNT / (time.monotonic() - begin):,.0f} messages a second")


def test_with_bytes_lost_flipped_and_doubled_each_message_comes_once(interpreter, visited):
    noise = Noise(every=900, seed=11)
    count = COUNT // 20

    async def use():
        async with process(interpreter, noise=noise) as board:
            await there_and_back(board, count)

    within(300, use())
    assert noise.done > 15
    visited(messages=2 * count, faults=noise.done)


class CutWire(ProcessWire):
    """A process's wire that is off, both ways, while `off` is true."""

    off = False

    def read(self, timeout):
        data = super().read(timeout)
        return b"" if self.off else data

    def write(self, data):
        if not self.off:
            super().write(data)

    def kill(self):
        super().__exit__()

    def __exit__(self, *exc):
        pass


@pytest.fixture
def cut(interpreter):
    """A function that gives the wire of a program; it is not ended by the host's end."""
    made = []

    def wire(program=QUIET):
        made.append(CutWire(interpreter, program))
        return made[-1]

    yield wire
    for each in made:
        each.kill()


def test_over_an_outage_each_message_comes_once(cut):
    wire = cut()

    async def use():
        async with LiveBoard("a process", lambda: wire, 60) as board:
            running = asyncio.create_task(there_and_back(board, 3000))
            for seconds in (0.2, 4.0):  # shorter than a silence, and so long that it attaches anew
                await asyncio.sleep(0.5)
                assert not running.done()
                wire.off = True
                await asyncio.sleep(seconds)
                wire.off = False
            await running

    within(200, use())


def test_a_host_that_is_killed_loses_nothing_for_the_next_one(cut):
    wire = cut()

    async def first(count):
        board = LiveBoard("a process", lambda: wire, 60)
        await board._open()
        there, back = board.channel("there"), board.channel("back")
        back._begin_to_receive()
        for number in range(count):
            assert await there.asend(word_of(number)) == 1
        got = [(await back.arecv()).data for _ in range(count // 2)]
        wire.off = True  # killed, without a word
        await board._close()
        wire.off = False
        return got

    async def second(got, count):
        async with LiveBoard("a process", lambda: wire, 60) as board:
            there, back = board.channel("there"), board.channel("back")
            assert await there.asend(b"end") == 1
            while (message := await back.arecv()).data != b"end":
                got.append(message.data) if not message.again or message.data not in got else None
            assert back.counters.again <= count
        # What the first host's link had, and its program had not taken, is gone with it.
        sent = [word_of(number) for number in range(count)]
        assert got == [each for each in sent if each in got] and len(got) >= count // 2

    got = within(60, first(40))
    within(60, second(got, 40))


def test_a_full_channel_holds_up_its_class_alone_and_keeps_the_order(cut):
    wire = cut()
    program = """
import asyncio, ringlane.link, ringlane.remote
from ringlane import *
jobs = PriorityChannel((2, 0, 0, 0, 2), slot_size=4, senders=2, name="jobs")
seen = Channel(64, slot_size=4, name="seen")
ringlane.remote.accept(jobs)
ringlane.remote.forward(seen)

async def main():
    asyncio.create_task(ringlane.link.serve())
    while not (jobs.counters(REALTIME).sent == 3 and jobs.counters(BULK).queued == 2):
        while jobs.counters(REALTIME).queued:  # BULK stays full
            m = jobs.recv_word()
            seen.send_word(*m[:2])
        await asyncio.sleep_ms(1)
    await asyncio.sleep_ms(700)
    while m := await jobs.arecv_word():
        seen.send_word(*m[:2])

asyncio.run(main())
"""
    wire = cut(program)

    async def use():
        async with LiveBoard("a process", lambda: wire, 60) as board:
            jobs, seen = board.channel("jobs"), board.channel("seen")
            bulk = [asyncio.create_task(jobs.asend_word(n, BULK)) for n in range(5)]
            await asyncio.wait(bulk[:2])
            begin = time.monotonic()
            assert await jobs.asend_word(9, BULK, timeout_ms=0) == 0
            assert await jobs.asend_word(9, BULK, timeout_ms=100) == 0
            assert 0.1 < time.monotonic() - begin < 5
            assert jobs.counters.refused == 2
            bulk[3].cancel()  # it is refused, and comes no more
            for n in range(3):
                assert await jobs.asend_word(n, REALTIME, 5000) == 1
            assert not any(each.done() for each in (bulk[2], bulk[4]))
            done = await asyncio.gather(*bulk, return_exceptions=True)
            assert done[:3] + done[4:] == [1] * 4
            assert isinstance(done[3], asyncio.CancelledError)
            words = [(await seen.arecv(5000)) for _ in range(7)]
            by_class = [[m.word for m in words if m.priority == each] for each in (REALTIME, BULK)]
            assert by_class == [[0, 1, 2], [0, 1, 2, 4]]
            assert await seen.arecv(200) is None

    within(60, use())


RESET = """
import asyncio, ringlane.link, ringlane.remote
from ringlane import *
inbox = Channel(4, slot_size=4, senders=2, name="inbox")
rpc = RequestReplyChannel(2, slot_size=4, name="rpc")
ringlane.remote.accept(inbox)
ringlane.remote.accept(rpc)

async def main():
    asyncio.create_task(ringlane.link.serve())
    await asyncio.sleep(60)

asyncio.run(main())
"""


class TwoWires:
    """The wire of a board that is reset: another process."""

    name = "a process"
    careful_s = 0.0

    def __init__(self, first, second):
        self.now, self.then = first, second

    def read(self, timeout):
        return self.now.read(timeout)

    def write(self, data):
        self.now.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def test_after_a_reset_what_was_on_its_way_is_unknown_and_the_rest_is_sent(cut):
    wire = TwoWires(cut(RESET), cut(RESET))

    async def use():
        async with LiveBoard("a process", lambda: wire, 60) as board:
            inbox, rpc = board.channel("inbox"), board.channel("rpc")
            assert await inbox.asend_word(1) == 1
            asked = asyncio.create_task(rpc.call(b"x"))  # nobody serves
            await asyncio.sleep(0.5)
            wire.now.off = True
            sent = [asyncio.create_task(inbox.asend_word(n)) for n in range(2)]
            await asyncio.sleep(0.5)
            wire.now = wire.then
            for lost in (*sent, asked):
                with pytest.raises(OutcomeUnknown, match="the board was reset"):
                    await lost
            assert board.resets == 1
            assert inbox.counters.unknown == 2 and rpc.counters.unknown == 1
            assert await inbox.asend_word(5) == 1
            with pytest.raises(TimeoutError, match="'rpc': no reply in 200 ms"):
                await rpc.call(b"x", 200)
            assert rpc.counters.timed_out == 1
            # The request was cancelled, so there is room for more.
            for _ in range(4):
                with pytest.raises(TimeoutError):
                    await rpc.call(b"x", 100)

    within(60, use())


def test_without_a_board_a_send_says_whether_it_may_have_been_delivered(cut):
    wire = cut(RESET)

    async def use():
        async with LiveBoard("a process", lambda: wire, 60) as board:
            inbox = board.channel("inbox")
            assert await inbox.asend_word(1) == 1
            wire.off = True
            with pytest.raises(OutcomeUnknown, match="'inbox': the board does not answer"):
                await inbox.asend_word(2, timeout_ms=10)
            await asyncio.sleep(3)  # the link is down now, and nothing goes
            with pytest.raises(NotDelivered, match="'inbox': no link to the board"):
                await inbox.asend_word(3, timeout_ms=10)
            waiting = asyncio.create_task(inbox.asend_word(4))
            await asyncio.sleep(0.1)
        with pytest.raises(NotDelivered, match="the link is closed"):
            await waiting
        with pytest.raises(NotDelivered, match="the link is closed"):
            await inbox.asend_word(5)
        assert inbox.counters.failed == 3 and inbox.counters.unknown == 1
        wire.off = False
        async with LiveBoard("a process", lambda: wire, 60) as board:
            inbox = board.channel("inbox")
            assert [await inbox.asend_word(n, timeout_ms=0) for n in range(4)] == [1, 1, 1, 0]

    within(60, use())


def test_what_a_program_closes_is_over_and_so_is_what_it_ends(interpreter):
    program = """
import asyncio, ringlane.link, ringlane.remote
from ringlane import *
out = Channel(4, slot_size=4, name="out")
copy = Channel(4, slot_size=4, name="copy", tap=Recorder(16, head=4))
inbox = Channel(4, slot_size=4, senders=2, name="inbox")
rpc = RequestReplyChannel(2, slot_size=4, name="rpc")
ringlane.remote.forward(out)
ringlane.remote.accept(inbox)
ringlane.remote.accept(rpc)

async def main():
    task = asyncio.create_task(ringlane.link.serve())
    await inbox.arecv(bytearray(4))
    for ch in (out, copy):
        ch.send_word(7, LOW)
        ch.close()
    rpc.close()
    inbox.close()
    await asyncio.sleep_ms(1500)

asyncio.run(main())
"""

    async def use():
        async with process(interpreter, program) as board:
            names = ("out", "copy", "inbox", "rpc")
            out, copy, inbox, rpc = map(board.channel, names)
            assert await inbox.asend(b"go") == 1
            assert [m.word async for m in out] == [7]
            assert [m.word async for m in copy] == [7]
            assert await out.arecv() is False
            assert await inbox.asend(b"no") == 0 and inbox.counters.closed == 1
            with pytest.raises(ConnectionResetError, match="'rpc' is closed"):
                await rpc.call(b"no")
            await asyncio.sleep(2)
            with pytest.raises(NotDelivered, match="'inbox': "):
                await inbox.asend(b"x")

    within(60, use())


def test_requests_that_a_host_leaves_unanswered_fail(cut):
    wire = cut(PROGRAM)
    said = []

    async def use(replies):
        async with LiveBoard("a process", lambda: wire, 60, said.append) as board:
            async for request in board.channel("ask").requests():
                if not replies:
                    break  # and goes without a word to the caller
                if await request.reply(b"done"):
                    await asyncio.sleep(0.3)
                    break

    within(60, use(False))
    within(60, use(True))
    assert "asked 255 b''" in "".join(said) and "asked 0 b'done'" in "".join(said)


class PicoWire:
    """The USB console of an emulated Pico on which `program` is typed."""

    name = "an emulated RP2040"
    careful_s = 10.0  # it may be slow

    def __init__(self, pico, program):
        self.pico = pico
        self.program = program
        self.cdc = pico._device.cdc
        self.got = bytearray()
        self.waiting = bytearray()

    def __enter__(self):
        self.runs = self.pico._running()
        self.runs.__enter__()
        self.pico.call(lambda: setattr(self.cdc, "on_serial_data", self.got.extend))
        # Typed at the prompt, whose echo would look like a board on which nothing runs.
        self.write(b"\r\x03\x02" + self.program.encode() + b"\r\n")
        echo = b""
        while self.program.encode() + b"\r\n" not in echo:
            echo += self.read(1)
        return self

    def __exit__(self, *exc):
        self.write(b"\x03\x03")
        self.read(0.5)
        self.runs.__exit__(None, None, None)

    def read(self, timeout):
        end = time.monotonic() + timeout
        while not self.got and time.monotonic() < end:
            self.pico.call(self._pump)
            time.sleep(0.002)
        return self.pico.call(self._take)

    def _take(self):
        self._pump()
        taken = bytes(self.got)
        self.got.clear()
        return taken

    def _pump(self):
        room = self.cdc.tx_fifo.size - self.cdc.tx_fifo.item_count
        for byte in self.waiting[:room]:
            self.cdc.send_serial_byte(byte)
        del self.waiting[:room]

    def write(self, data):
        self.waiting += data
        self.pico.call(self._pump)


def test_who_waits_for_a_tap_is_told_that_another_host_has_its_events():
    board = LiveBoard("a board", lambda: None)
    board.learn({name: About(name, "Channel", 4, tapped=True) for name in ("adc", "late")})
    pump = board._pump
    for name in ("adc", "late"):  # one that is asked for before the board says so, and one behind
        waits = board.channel(name)
        for command in pump._commands:
            command()
        pump._commands.clear()
        pump._understand(Status(0, 0, 0, 0, True, 0))
        for tell in pump._batch:
            tell()
        with pytest.raises(NotOpened, match=f"'{name}': another host has this board's events"):
            within(5, waits.arecv())


def test_over_the_usb_of_an_emulated_pico(pico, visited):
    pico.reset()
    pico.exec("import remote_program")  # which takes the emulator a while
    wire = PicoWire(pico, QUIET)
    count = 10

    async def use():
        async with LiveBoard("a Pico", lambda: wire, 240) as board:
            await there_and_back(board, count)
            assert await board.channel("motor").call(b"on a chip") == (7, b"on a chip!")

    within(500, use())
    visited(messages=2 * count)
