"""The target of a board at a port: real mpremote, to a virtual board and to an emulated Pico."""

import os

import pytest
from ringlane_host.board import BoardError, port
from ringlane_host.board.port import PortBoard
from ringlane_host.boards import targets
from ringlane_host.boards.virtual import VirtualBoard
from test_guide import run

# A wire from pin 2 to pin 3: on the virtual board, in place of one on the desk.
JUMPER = """\
import machine.pins as pins

def jumper(pin, free):
    settle = free.settle
    def both():
        settle()
        pin.drive(free.latch if free.output else None)
    free.settle = both

jumper(pins.wire(2), pins.wire(3))
"""
OWN = "open('/ran', 'w').close()\n"  # the board's own main.py
FIRMWARE = """\
import asyncio
import helper
from machine import Pin
from ringlane import HIGH, Channel

ch = Channel(8, slot_size=4)
led = Pin(25, Pin.OUT)
button = Pin(2, Pin.IN, Pin.PULL_UP)

def on_edge(pin):
    ch.send_word(not pin.value(), HIGH)

async def main():
    button.irq(on_edge, hard=True)
    while m := await ch.arecv_word():
        led.value(m[0])
        print("pressed" if m[0] else "released", helper.name)

if __name__ == "__main__":
    with open("log.txt", "w") as file:
        file.write("begun")
    asyncio.run(main())
"""
TEST = """\
def test_a_press(board):
    board.run()
    board.pin(2).press(ms=200, after_ms=20)
    board.run_until(lambda: board.log.count("helped") == 2, ms=3000)
    assert board.log == "pressed helped\\nreleased helped\\n"
    board.run_until(lambda: board.pin("led").value() == 0)
"""


@pytest.fixture(scope="module")
def desk(interpreter):
    """A virtual board with a wire, and a main.py of its own."""
    with VirtualBoard() as board:
        targets.Target(board.port, "virtual board")  # it has started
        (board.flash / "boot.py").write_text(JUMPER)
        (board.flash / "main.py").write_text(OWN)
        yield board


@pytest.fixture
def at_desk(desk, tmp_path):
    """A function that runs a firmware, given as text, on the board at the desk."""
    made = []

    def start(text, wires=None):
        (tmp_path / "main.py").write_text(text)
        board = PortBoard(desk.port, pytest.fail, tmp_path, wires=wires or {})
        made.append(board)
        board.run()
        return board

    yield start
    for board in made:
        board.close()


def test_one_test_on_three_targets_leaves_the_boards_flash_alone(desk, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text('name = "helped"\n')
    (tmp_path / "main.py").write_text(FIRMWARE)
    (tmp_path / "test_it.py").write_text(TEST)
    targets = [f"--ringlane-target={each}" for each in ("sim", "unix", desk.port)]
    before = {each: each.read_bytes() for each in desk.flash.rglob("*") if each.is_file()}
    status, printed = run(tmp_path, *targets, "--ringlane-wires=2:3")
    assert not status and "3 passed" in printed, printed
    after = {each: each.read_bytes() for each in desk.flash.rglob("*") if each.is_file()}
    assert after == before


def test_what_takes_other_hardware_is_skipped_and_a_run_of_skips_fails(desk, tmp_path):
    asks = {
        "board.adc(26).set(1)": "board.adc takes a signal generator at the pin",
        "board.uart(0).receive(b'x')": "board.uart takes a serial adapter at its pins",
        "board.pwm(15)": "board.pwm takes a logic analyser at the pin",
        "board.channels": "shows from outside no board.channels",
        "board.bootsel = True": "has no board.bootsel",
        "board.pin(4).drive(1)": "wire it to a free pin, and say so: --ringlane-wires=4:FREE",
        "board.pin(25).history": "no history of pin 25: that takes an RP2040",
    }
    (tmp_path / "main.py").write_text("import time\ntime.sleep_ms(10)\n")
    lines = [f"def test_{n}(board):\n    board.run()\n    {ask}\n" for n, ask in enumerate(asks)]
    (tmp_path / "test_it.py").write_text("\n".join(lines))
    status, printed = run(tmp_path, f"--ringlane-target={desk.port}")
    assert status and f"{len(asks)} skipped" in printed, printed
    assert f"nothing ran on --ringlane-target={desk.port}" in printed
    for text in asks.values():
        assert text in printed, printed


def test_a_board_keeps_time_and_its_edges_are_as_planned(at_desk):
    board = at_desk(
        "import time\nfrom machine import Pin\ntimes = []\n"
        "Pin(2, Pin.IN).irq(lambda pin: times.append(time.ticks_us()))\n"
        "while True:\n    time.sleep_ms(5)\n    if len(times) == 6:\n        break\n"
        "print(*[time.ticks_diff(b, a) for a, b in zip(times, times[1:])])\n",
        wires={2: 3},
    )
    begin = board.us
    board.advance(ms=100)
    assert board.us >= begin + 100_000
    board.pin(2).edges(6, every_us=100_000)  # so slow that a busy host joins no two
    board.run_until(lambda: board.ended, ms=5000)
    gaps = [int(each) for each in board.log.split()]
    # A late edge takes from the next gap what it adds to its own.
    assert len(gaps) == 5 and abs(sum(gaps) - 500_000) < 100_000, gaps


LOOP = "import time\nwhile True:\n    time.sleep_ms(5)\n"
HOGS = "import micropython\nmicropython.schedule(lambda arg: time.sleep_ms(6000), 0)\n"


def test_a_board_that_is_unplugged_fails_the_test(interpreter, tmp_path):
    (tmp_path / "main.py").write_text(LOOP)
    with VirtualBoard() as other:
        board = PortBoard(other.port, pytest.fail, tmp_path)
        board.run()
    with pytest.raises(BoardError, match=f"board at {other.port}.* is gone: .*unplugged or reset"):
        board.advance(ms=1)
    board.close()


def test_a_helper_that_is_asked_too_much_or_cannot_answer_says_so(at_desk, monkeypatch):
    board = at_desk(LOOP)
    with pytest.raises(BoardError, match="501 changes at once.* holds 500"):
        board.pin(2).edges(501, every_us=1)
    board.close()
    monkeypatch.setattr(port, "_PATIENCE_S", 1.0)
    with pytest.raises(BoardError, match="does not answer in 1 s: .*fills the scheduler"):
        at_desk(LOOP.replace("\n", f"\n{HOGS}", 1))


def test_a_port_that_is_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_IDENTIFY_S", 2.0)
    port._target.cache_clear()
    (tmp_path / "main.py").write_text("")
    master, slave = os.openpty()  # nobody answers there
    try:
        for name, text in (
            ("/dev/ttyNONE", "no port /dev/ttyNONE: `mpremote connect list`"),
            (os.ttyname(slave), "no MicroPython answers at .*reset button"),
        ):
            board = PortBoard(name, pytest.fail, tmp_path)
            with pytest.raises(BoardError, match=text):
                board.run()
            board.close()
    finally:
        os.close(master)
        os.close(slave)


def test_a_port_in_use_is_named(desk, tmp_path):
    serial = pytest.importorskip("serial")
    (tmp_path / "main.py").write_text("")
    with serial.Serial(desk.port, exclusive=True):
        port._target.cache_clear()
        board = PortBoard(desk.port, pytest.fail, tmp_path)
        with pytest.raises(BoardError, match="close what else has the port open"):
            board.run()
        board.close()


ON_CHIP = """\
import asyncio
from machine import Pin

edges = bytearray(1)
led = Pin(25, Pin.OUT, value=0)
button = Pin(2, Pin.IN, Pin.PULL_UP)
flag = asyncio.ThreadSafeFlag()

def on_edge(pin):
    edges[0] += 1
    led.value(not pin.value())
    flag.set()

async def main():
    button.irq(on_edge, hard=True)
    while True:
        await flag.wait()
        print(edges[0])

asyncio.run(main())
"""


def test_a_chip_moves_its_own_pins_and_puts_them_back(uf2, tmp_path):
    (tmp_path / "main.py").write_text(ON_CHIP)
    with targets.connect("rp2040", uf2) as chip:
        board = PortBoard(chip.port, pytest.fail, tmp_path)
        board.run()
        led, button = board.pin("led"), board.pin(2)
        button.press(ms=30, after_ms=20)
        board.advance(ms=80)
        (on, up), (off, down) = led.history
        assert (up, down) == (1, 0) and 29_000 < off - on < 40_000, led.history
        button.edges(4, every_us=2000)
        board.advance(ms=40)
        assert board.log.split()[-1] == "6" and button.value() == 1
        with pytest.raises(
            pytest.fail.Exception, match="pin 2, as the firmware has its interrupt"
        ):
            len(button.history)
        button.drive(0)
        board.advance(ms=10)
        board.stop()
        # Nothing holds it any more, as no override is left.
        assert (
            chip.mpremote("exec", "from machine import mem32\nprint(mem32[0x40014014])") == "5\n"
        )


@pytest.mark.parametrize("wires", ["2", "2:2", "2:3 --ringlane-wires=2:4"])
def test_wrong_wires_are_named(wires, tmp_path):
    status, printed = run(tmp_path, *f"--ringlane-wires={wires}".split())
    assert status == 4 and "two pins' numbers, as 2:3, and each pin once" in printed
