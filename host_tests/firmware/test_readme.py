"""The README: each block of code runs, on real MicroPython or where its hardware is."""

import re

import pytest
from conftest import PACKAGE
from readme import CHIP, FIRST, FRAGMENTS, README, SWEEP, USES, on_esp32, whole
from ringlane_host.boards.targets import connect
from ringlane_host.boards.virtual import VirtualBoard

# By a fragment's first words: what shows that it did what the text says.
THEN = {
    "async def consume():": """ch.send_word(1, LOW)
ch.close()
asyncio.run(consume())
assert not len(ch)
""",
    "from uctypes": """\
samples[0] = 513
buf = bytearray(64)
assert ch.send(raw, NORMAL) and ch.recv(buf)[0] == ch.recv(buf)[0] == 64
assert buf[:2] == b"\\x01\\x02"
""",
    "edges =": """\
out = Pin(3, Pin.OUT)
out.value(0)
out.value(1)
""",
    "bus =": "assert display.recv_word()[0] == logger.recv_word()[0] == 21",
    "jobs =": "assert sorted(len(each) for each in workers) == [0, 1]",
    "rpc =": "asyncio.run(main()); assert rpc.stats()[0] == 1",
    "async def consume(ch, buf):": """\
ch.send(b"one", LOW)
ch.close()
asyncio.run(consume(ch, bytearray(4)))
asyncio.run(watch(ch, bytearray(4)))
assert seen[1:] == [b"one"]
""",
    "import ringlane\n": """\
assert ch.send_word(1, LOW) and ch.recv_word() and not watch.met
""",
    "import ringlane.link": "asyncio.run(main())",
    "import ringlane.remote": """\
assert ringlane.remote.ACCEPTS and len(commands._senders) == 2
""",
    "recorder =": """\
samples.send_word(7, NORMAL)
assert recorder.events()[0].head == b"\\x07\\0\\0\\0"
""",
    "flight =": """\
samples.send_word(7, NORMAL)
assert flight.where and flight.run and flight.before is not None
assert flight.events()[0].head == b"\\x07\\0\\0\\0"
""",
    "ch = PriorityChannel": "assert ch.counters(HIGH).queued == len(ch) == 2",
    "ch = Channel": """\
assert ch.send(b"", LOW) and jobs.send(b"", LOW) and timed.send(b"", LOW)
assert other.recv(bytearray(32)) and of_timer.recv(bytearray(32))
""",
}


def program(first):
    """The fragment that begins with `first` as a program that prints "done"."""
    (fragment,) = (each for each in FRAGMENTS if each.startswith(first))
    return f"{whole(fragment)}{THEN[first]}\nprint('done')\n"


def test_every_fragment_is_shown_to_work():
    assert len(FRAGMENTS) == len(THEN)


@pytest.mark.parametrize("first", THEN)
def test_a_fragment_on_micropython(micropython, first):
    text = program(first)
    if CHIP.search(text):
        pytest.skip("it needs a chip's pins: test_a_fragment_on_the_emulated_rp2040 runs it")
    assert micropython(text) == "done\n"


@pytest.mark.parametrize("first", THEN)
def test_a_fragment_on_the_emulated_rp2040(pico, first):
    pico.reset()  # one of them leaves debug() on
    assert pico.exec(program(first)) == "done\n"


def test_the_first_program_on_the_emulated_rp2040(pico):
    low, high, line = re.search(
        r"waits of (\d+) to (\d+) µs:\n\n    (0 waited .*)", README
    ).groups()
    pico.reset()
    for each in [line, *(printed := pico.exec(FIRST).splitlines())]:
        # The chip's time, not the host's.
        (us,) = re.fullmatch(r"0 waited (\d+) us, 0 dropped", each).groups()
        assert int(low) <= int(us) <= int(high), printed
    assert len(printed) == 10


def test_the_first_program_on_real_micropython(interpreter, tmp_path):
    for program in FIRST, on_esp32(FIRST):
        (tmp_path / "first.py").write_text(program)
        with connect("virtual") as board:
            status, printed = board.run("import first", PACKAGE, tmp_path / "first.py", out=None)
        # A busy host lets the board's timer catch up all at once, and then some find no room.
        line = r"0 waited \d+ us, \d+ dropped\n"
        assert not status and re.fullmatch(f"({line}){{10}}", printed), printed


def test_the_sweep(capsys):
    exec(compile(SWEEP, "README.md", "exec"), {"__name__": "sweep"})
    told = re.match(r"\d+ schedules, (\d+) points in \d+ accesses", capsys.readouterr().out)
    assert int(told[1]) > 5


SERVES = """
import ringlane.link

async def obey():
    buf = bytearray(16)
    assert await commands.arecv(buf) and buf[:5] == b"start"
    for number in range(5):
        await samples.asend(number.to_bytes(4, "little"), NORMAL)
    await commands.ready(500)
    samples.close()

async def main():
    asyncio.create_task(ringlane.link.serve())
    await obey()
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_computer_uses_a_boards_channels(tmp_path, capsys):
    (fragment,) = (each for each in FRAGMENTS if each.startswith("import ringlane.remote"))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ringlane").symlink_to(PACKAGE)
    (tmp_path / "main.py").write_text(whole(fragment) + SERVES)
    assert "/dev/ttyACM0" in USES
    with VirtualBoard(tmp_path) as board:
        exec(compile(USES.replace("/dev/ttyACM0", board.port), "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r"(\d) \d+ Counters\(received=", each)[1] for each in lines] == [*"01234"]
