"""ringlane_host.remote(): a board's channels from a computer, over every link that there is."""

import asyncio
import time

import pytest
import ringlane_host
from conftest import DEVICE, PACKAGE, SOAK
from ringlane import BULK, HIGH, LOW, NORMAL
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.link import LinkError
from ringlane_host.link.remote import LiveBoard, NotOpened
from test_link import Noise, ProcessWire, word_of

COUNT = 100_000 if SOAK else 10_000
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
                (lambda: there.asend(b"", 5), ValueError, "class must be 0 to 4, not 5"),
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
    with pytest.raises(LinkError, match="no such port"):
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
    count = COUNT // 10

    async def use():
        async with process(interpreter, noise=noise) as board:
            await there_and_back(board, count)

    within(300, use())
    assert noise.done > 30
    visited(messages=2 * count, faults=noise.done)
