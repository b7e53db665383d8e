"""remote() of a recording and of the simulated board: the same object as of a board that runs."""

import asyncio
import re
import time

import pytest
import ringlane_host
from conftest import PACKAGE
from ringlane import HIGH, LOW, REALTIME
from ringlane_host.board import SimulatedBoard
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.link import LinkError
from ringlane_host.link.recording import Recording
from ringlane_host.link.remote import NotOpened
from test_record import recorded, ringlane  # noqa: F401  the first is a fixture

FIRMWARE = """
import asyncio
import ringlane.link
import ringlane.remote
from machine import Timer
from ringlane import *

samples = Channel(8, slot_size=4, name="samples", tap=Recorder(64, head=4))
commands = PriorityChannel((2, 2, 0, 0, 0), slot_size=16, senders=2, name="commands")
out = Channel(4, slot_size=16, name="out")
motor = RequestReplyChannel(2, slot_size=16, name="motor")
ask = RequestReplyChannel(2, slot_size=16, name="ask")
ringlane.remote.accept(commands)
ringlane.remote.accept(motor)
ringlane.remote.forward(out)
ringlane.remote.forward(ask)

def on_sample(timer):
    samples.send_word(timer_counts(), HIGH)

counted = [0]
def timer_counts():
    counted[0] += 1
    return counted[0]

async def obey():
    buf = bytearray(16)
    while m := await commands.arecv(buf):
        out.send(bytes(buf[:m[0]]), m[1])
        await asyncio.sleep_ms(200)

async def ask_host():
    buf = bytearray(16)
    await asyncio.sleep_ms(500)
    print("told", await ask.call(b"may I?", buf, 20000), bytes(buf[:3]))

async def main():
    asyncio.create_task(obey())
    asyncio.create_task(motor.serve(lambda request: bytes(request) + b"!"))
    asyncio.create_task(ask_host())
    timer = Timer(-1, freq=100, hard=True, callback=on_sample)
    while True:
        await samples.ready()
        samples.recv_word()

asyncio.run(main())
"""


@pytest.fixture
def simulated(tmp_path):
    (tmp_path / "main.py").write_text(FIRMWARE)
    board = SimulatedBoard("rpi_pico", tmp_path)
    try:
        yield board
    finally:
        board.close()


def test_a_host_program_and_firmware_in_virtual_time(simulated):
    board = simulated
    board.run("main.py")

    async def use():
        async with board.remote() as there:
            samples, commands = there.channel("samples"), there.channel("commands")
            out, motor, ask = map(there.channel, ("out", "motor", "ask"))
            first = await samples.arecv()
            words = [(await samples.arecv(100)) for _ in range(20)]
            assert [m.word - first.word for m in words] == list(range(1, 21))
            assert {b.us - a.us for a, b in zip(words, words[1:], strict=False)} == {10_000}
            begin = board._kernel.now
            assert await out.arecv(300) is None
            assert 300_000 <= board._kernel.now - begin < 310_000
            assert await commands.asend(b"go", REALTIME) == 1
            message = await out.arecv(1000)
            assert (message.data, message.priority) == (b"go", REALTIME)
            # One is taken every 200 ms: two find room, and the third has to wait.
            for _ in range(2):
                assert await commands.asend(b"x", HIGH, timeout_ms=0) == 1
            assert await commands.asend(b"x", HIGH, timeout_ms=0) == 0
            begin = board._kernel.now
            assert await commands.asend(b"y", HIGH, timeout_ms=500) == 1
            assert board._kernel.now - begin < 300_000
            assert await motor.call(b"on", 100) == (0, b"on!")
            async for request in ask.requests():
                assert request.data == b"may I?" and await request.reply(b"yes", 5)
                break
            with pytest.raises(LinkError, match="no channel 'x' at .*; there are ask, commands"):
                there.channel("x")

    asyncio.run(use())
    assert "told (3, 5," in board.log and "b'yes'" in board.log
    assert board.channels["commands"].sent[0].data == b"go"
    board.stop()


def test_what_the_firmware_raises_meanwhile_is_raised_to_the_host(simulated, tmp_path):
    text = FIRMWARE.replace("await samples.ready()", "await asyncio.sleep_ms(50); 1 / 0")
    (tmp_path / "main.py").write_text(text)
    simulated.run("main.py")

    async def use():
        async with simulated.remote() as there:
            async for _ in there.channel("samples"):
                pass

    with pytest.raises(ZeroDivisionError):
        asyncio.run(use())


def test_of_a_recording_what_was_sent_is_received_in_order(recorded):  # noqa: F811
    async def use():
        async with ringlane_host.remote(recorded) as board:
            adc = board.channel("adc")
            got = [message async for message in adc]
            assert await adc.arecv() is False
            with pytest.raises(NotOpened, match="out.mcap is a recording: nothing can be sent"):
                await adc.asend(b"x", LOW)
            with pytest.raises(NotOpened, match="has no messages of 'plain': no tap"):
                await board.channel("plain").arecv()
            with pytest.raises(LinkError, match="no channel 'x' at .*; there are adc, plain"):
                board.channel("x")
            with pytest.raises(ValueError, match="9 bytes is larger than a slot of 'adc', 8"):
                await adc.asend(bytes(9))
            return got, adc.counters

    got, counters = asyncio.run(use())
    events = Recording(recorded).of("adc")
    queued = [each for each in events if each.outcome == "queued"]
    assert [(m.data, m.priority, m.us) for m in got] == [
        (each.head, each.priority, each.us) for each in queued
    ]
    assert counters.received == len(queued)
    assert counters.dropped == len([each for each in events if each.outcome == "dropped"])

    async def missing():
        async with ringlane_host.remote("none.mcap"):
            pass

    with pytest.raises(LinkError, match="no recording none.mcap"):
        asyncio.run(missing())


RECORDED = """
import asyncio
import ringlane.link
from ringlane import *

samples = Channel(16, slot_size=4, name="samples", tap=Recorder(256, head=4))

async def main():
    asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    for n in range(40):
        samples.send_word(n * n, n % 5)
        samples.recv_word()
        await asyncio.sleep_ms(20)
    await asyncio.sleep_ms(500)

asyncio.run(main())
"""
REPLAYED = """
import asyncio
import ringlane.link
import ringlane.remote
from ringlane import *

samples = Channel({capacity}, slot_size={slot}, senders=2, name="samples")
{accept}

async def main():
    asyncio.create_task(ringlane.link.serve())
    while m := await samples.arecv_word():
        print("got", m[0], m[1])
        if not {capacity} > 1:
            await asyncio.sleep_ms(1000)

asyncio.run(main())
"""


def test_a_recording_is_sent_into_a_running_board(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ringlane").symlink_to(PACKAGE)
    made, out = tmp_path / "made.py", tmp_path / "out.mcap"
    made.write_text(RECORDED)
    status, _, err = ringlane("record", "virtual", out, made)
    assert status == 0, err

    def at(**how):
        how = {"capacity": 64, "slot": 4, "accept": "ringlane.remote.accept(samples)"} | how
        (tmp_path / "main.py").write_text(REPLAYED.format(**how))
        return VirtualBoard(tmp_path)

    with at() as board:
        begin = time.monotonic()
        status, said, err = ringlane("replay", out, board.port, "--speed", "2")
        assert status == 0, err
        assert "samples: 40 sent, 0 found no room, 0 not delivered, 0 unknown" in said
        assert "40 messages at 2 times their speed" in said
        assert time.monotonic() - begin > 0.4
        status, _, err = ringlane("replay", out, board.port, "--speed", "0")
        assert status == 1 and "--speed is above 0, not 0" in err
        status, _, err = ringlane("replay", out, board.port, "--channel", "x")
        assert status == 1 and "can be sent there: it has x; channels that take" in err
    with at(capacity=1) as board:
        status, said, err = ringlane("replay", out, board.port, "--speed", "4")
        assert status == 0, err
        sent, refused = map(int, re.search(r": (\d+) sent, (\d+) found no room", said).groups())
        assert sent + refused == 40 and refused > 20
    with at(slot=2) as board:
        status, _, err = ringlane("replay", out, board.port)
        assert status == 1 and "4 bytes for 'samples', whose slots there have 2" in err
    with at(accept="") as board:
        status, _, err = ringlane("replay", out, board.port)
        assert status == 1 and "by ringlane.remote.accept(): none" in err
