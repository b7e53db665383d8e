"""FlightRecorder: what it records is found after a reset, and nothing else is taken for it."""

import re
from concurrent.futures import TimeoutError as Late

import pytest
from conftest import PACKAGE, command
from ringlane_host.boards.targets import BoardError, Target, run_in_place
from ringlane_host.boards.virtual import VirtualBoard

# The rings wrap, one end drops, another counts what was taken without a look, one has no name.
RUN = """
import time
from ringlane import HIGH, LOW, Channel, FlightRecorder, PriorityChannel
from ringlane import flight

recorder = FlightRecorder(events=8, head=4)
ch = PriorityChannel((4, 4, 0, 0, 4), 8, name="adc", tap=recorder)
long = "\\xe9" * 40
named = Channel(4, slot_size=4, name=long, tap=recorder)
Channel(2, slot_size=4, tap=recorder).send_word(9, HIGH)

def record():
    buf = bytearray(8)
    for number in range(11):
        ch.send_word(number, HIGH)
        named.send_word(number, LOW)
        if number % 2:
            ch.recv(buf)
        time.sleep_us(700)
    ch.skip()

def cut(events):
    # As they are kept: names of up to 29 bytes, of whole characters.
    return [repr((e[0] and e[0][:14],) + tuple(e)[1:]) for e in events]
"""
FILE = f"""
import os
os.chdir(FOLDER)
{RUN}
before = cut(recorder.before)
record()
recorder.save()
with open("expected", "a" if recorder.run > 1 else "w") as kept:
    kept.write("\\n".join([str(recorder.run)] + cut(recorder.events())) + "\\n")
print(recorder.where, recorder.run)
print("\\n".join(before))
"""


@pytest.fixture
def run(micropython, tmp_path):
    """Run FILE, whose file is in tmp_path; return (first line, the events before)."""

    def run():
        first, _, rest = micropython(FILE.replace("FOLDER", repr(str(tmp_path)))).partition("\n")
        return first, rest.splitlines()

    return run


def test_a_file_has_all_that_was_saved_at_the_next_run(run, tmp_path):
    assert run() == ("file 1", [""])
    number, *expected = (tmp_path / "expected").read_text().splitlines()
    assert number == "1" and len(expected) == 8 * 3 + 1 - 2  # an end of `adc` had less than 8
    first, before = run()
    assert first == "file 2" and sorted(before) == sorted(expected)
    times = [int(line.split(", ")[6]) for line in before]
    assert times == sorted(times)  # in one run of 10 ms the clock does not wrap, but see below
    assert run()[0] == "file 3"


@pytest.mark.parametrize("at", [0, 4, 8, 12, 16, 20, 64, 79])
def test_a_damaged_header_is_not_taken(run, tmp_path, at):
    run()
    path = tmp_path / "flight.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    first, before = run()
    # The header of all, or that of the first ring: what follows it cannot be found either.
    assert (first, before) == (("file 1", [""]) if at < 16 else ("file 2", [""]))


def test_a_file_cut_short_or_not_ours_is_not_taken(run, tmp_path):
    path = tmp_path / "flight.bin"
    for found in b"", b"RLF1", b"\xff" * 4096:
        path.write_bytes(found)
        assert run() == ("file 1", [""])
    path.write_bytes(path.read_bytes()[:700])
    first, before = run()
    assert first == "file 2" and 0 < len(before) < 23


HALF = """
from ringlane import Channel, FlightRecorder
from ringlane.flight import _events_of
from ringlane.lanes import store
recorder = FlightRecorder(events=4, head=4)
ch = Channel(8, slot_size=4, name="x", tap=recorder)
for number in range(6):
    ch.send_word(number, 1)
which = [ring.sender for ring in recorder.rings].index(0)
ring = recorder.rings[which]
def numbers():
    return [e.number for e in _events_of(bytes(recorder._kept))[which][2]]
print(numbers())
store(ring.at, 0, 7)  # the seventh is begun: it lies where the third was
print(numbers())
"""


def test_an_event_that_was_being_overwritten_is_left_out(micropython):
    assert micropython(HALF) == "[2, 3, 4, 5]\n[3, 4, 5]\n"


WRAPPED = """
from ringlane import Channel, Clock, FlightRecorder
from ringlane.flight import show
import ringlane.flight as flight
import micropython
from array import array
now = array("i", [1020])
@micropython.viper
def ticks() -> int:
    return ptr32(now)[0] & 1023
clock = Clock("own", 1000, ticks, 1024)
recorder = FlightRecorder(events=8, head=4, file=PATH)
a = Channel(8, slot_size=4, name="a", clock=clock, tap=recorder)
b = Channel(8, slot_size=4, name="b", clock=clock, tap=recorder)
for step in range(4):
    (a if step % 2 else b).send_word(step, 2)
    now[0] += 2
print(show())
recorder.save()
print(show())
recorder._rings_before = flight._events_of(bytes(recorder._kept))
print([e.channel for e in recorder.before])
"""


def test_events_are_shown_in_the_order_of_a_clock_that_wraps(micropython, tmp_path):
    assert micropython(WRAPPED.replace("PATH", repr(str(tmp_path / "saved")))) == (
        "no run before has left anything\n0\n"
        "run 1, its last 4 events, in ms back from the last one:\n"
        "      -6.000  b            queued   NORMAL   #0, 4 bytes, 1 queued 00000000\n"
        "      -4.000  a            queued   NORMAL   #0, 4 bytes, 1 queued 01000000\n"
        "      -2.000  b            queued   NORMAL   #1, 4 bytes, 2 queued 02000000\n"
        "       0.000  a            queued   NORMAL   #1, 4 bytes, 2 queued 03000000\n"
        "4\n['b', 'a', 'b', 'a']\n"
    )


# What MicroPython 1.29 has on an ESP32, by a module of the test on the unix port.
BACKUP = """
import sys
class machine:
    memory = bytearray(b"\\xa5" * 2048)
    def mem_backup():
        return View(machine.memory)
class View:
    itemsize = 1
    def __init__(self, of):
        self._of = memoryview(of)
    def __len__(self):
        return len(self._of)
    def __getitem__(self, at):
        return self._of[at]
sys.modules["machine"] = machine
from ringlane import Channel, FlightRecorder
try:
    FlightRecorder()
except ValueError as error:
    print(error)
for run in range(2):
    recorder = FlightRecorder(events=4, head=4, size=2048)
    print(recorder.where, recorder.run, [e.head for e in recorder.before])
    Channel(4, slot_size=4, tap=recorder).send_word(7, 1)
"""


def test_backup_memory_is_used_where_there_is_some(micropython):
    assert micropython(BACKUP) == (
        "size must be up to 2048 on this board, not 4096\n"
        "backup memory 1 []\nbackup memory 2 [b'\\x07\\x00\\x00\\x00']\n"
    )


WRONG = """
import ringlane
from ringlane import Channel, FlightRecorder, MulticastChannel, channels
for arguments in ({"events": 3}, {"head": 2}, {"size": 255}, {"size": 65537}, {"size": "4K"},
                  {"file": 5}, {"file": ""}):
    try:
        FlightRecorder(**arguments)
        print("made", arguments)
    except (TypeError, ValueError) as error:
        print(error)
recorder = FlightRecorder(events=64, head=4, size=1500)
try:
    Channel(4, slot_size=4, name="full", tap=recorder)
    print("made")
except ValueError as error:
    print(error)
print(list(channels()))
watch = ringlane.debug()
recorder = FlightRecorder(events=16, head=4, size=600)
bus = MulticastChannel(2, 2, slot_size=4, max_receivers=1, tap=recorder)
for _ in range(2):
    try:
        bus.add_receiver()
        print("made")
    except ValueError as error:
        print(error)
print(len(recorder.rings), list(bus._used), list(bus._epochs), watch)
"""


def test_wrong_arguments_and_a_channel_without_room_are_named(micropython):
    assert micropython(WRONG).splitlines() == [
        "events must be a power of two, not 3",
        "head must be a multiple of 4, not 2",
        "size must be 256 to 65536, not 255",
        "size must be 256 to 65536, not 65537",
        "size must be an int, not '4K'",
        "file must be a path, not 5",
        "file must be a path, not ''",
        "FlightRecorder: an end of channel 'full' takes 1408 bytes, and 76 of size=1500 are free",
        "[]",
        *["FlightRecorder: an end of channel None takes 448 bytes, and 120 of size=600 are free"]
        * 2,
        "1 [0] [0] no two contexts have met in 1 ends",
    ]


ON_CHIP = f"""
import machine
{RUN}
def keep(name):
    with open(name, "w") as kept:
        kept.write("\\n".join(cut(recorder.events())) + "\\n")
"""
CRASHES = {
    "a reset": "machine.reset()",
    "a watchdog that bites": "machine.WDT(timeout=20)\nwhile True:\n    pass",
}


def test_an_emulated_rp2040_keeps_its_memory_over(pico, visited):
    pico.reset()
    assert pico.exec(f"{ON_CHIP}\nprint(recorder.where, recorder.run, recorder.before)") == (
        "RAM 1 []\n"
    )
    for number, crash in enumerate(CRASHES.values(), 1):
        pico.exec("record()\nkeep('kept')")
        with pytest.raises((Late, TimeoutError)):  # the chip starts anew, and nothing answers
            pico.exec(crash, timeout=30)
        shown = pico.exec("from ringlane.flight import show\nshow()")
        assert shown.startswith(f"run {number}, its last 23 events"), shown
        found = pico.exec(
            f"{ON_CHIP}\nprint(recorder.run)\nprint(sorted(cut(recorder.before))"
            " == sorted(open('kept').read().splitlines()))"
        )
        assert found == f"{number + 1}\nTrue\n"
    visited(resets=len(CRASHES))


MAIN = """
import time
from ringlane import HIGH, Channel, FlightRecorder
recorder = FlightRecorder(events=8, head=4)
ch = Channel(8, slot_size=4, name="adc", tap=recorder)
try:
    for number in range(recorder.run):
        ch.send_word(number, HIGH)
    if recorder.run == 1:
        raise OSError(5)
    while True:
        time.sleep_ms(10)
finally:
    recorder.save()
"""


def post_mortem(port):
    status, out, err = command("post-mortem", port)
    return status, out + err


def test_post_mortem_shows_what_a_board_has_kept(interpreter, tmp_path):
    with VirtualBoard(tmp_path / "flash") as virtual:
        board = Target(virtual.port, "virtual board")
        assert post_mortem(board.port) == (
            1,
            f"ringlane post-mortem: {board.port}: no ringlane on this board: "
            "ringlane install PORT\n",
        )
        board.install(PACKAGE)
        assert post_mortem(board.port) == (0, "no run before has left anything\n")
        (tmp_path / "flash" / "main.py").write_text(MAIN)
        with pytest.raises(BoardError, match=r"OSError: \[Errno 5\] EIO"):
            board.mpremote("exec", "import main")
        board.mpremote("exec", "--no-follow", "import main")
        status, text = post_mortem(board.port)  # of the run before this one, which it stops
        assert status == 0
        assert re.fullmatch(
            r"run 1, its last 1 events, in ms back from the last one:\n"
            r" +0\.000  adc +queued   HIGH     #0, 4 bytes, 1 queued 00000000\n",
            text,
        )
        in_place = "from ringlane import flight\nprint(flight._latest.run)"
        assert run_in_place(board.port, in_place) == "2\n"


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("virtual", "post-mortem looks at a board that has run, by its port: virtual"),
        ("/dev/no-board", "no board at '/dev/no-board': a target is "),
    ],
)
def test_post_mortem_of_no_board_says_so(port, said):
    status, text = post_mortem(port)
    assert status == 1 and text.startswith(f"ringlane post-mortem: {said}")
