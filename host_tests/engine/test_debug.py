"""ringlane.debug(): which contexts share an end, on each kind of machine, and who is not blamed.

The firmware is device/debugging.py.
"""

import re

import pytest
from conftest import DEVICE
from ringlane_host.board import SimulatedBoard, TwoContexts

BY_HANDLERS = [
    r"raised: Channel 'turns': .* on core 0 and .* on core 0 .* one sender.*by add_sender\(\)",
    "and the handler still comes: True",
    r"raised: PriorityChannel 'taken': .*one receiver.*by recv_guard= and add_receiver\(\)",
    r"raised: Channel 'pulses': .* on core 0 and .* on core 0 .* one sender.*by add_sender\(\)",
    "right: 0 found, True",
]
BY_GUARDS = [
    r"Channel 'soft': tasks on core 0 and hard handlers on core 0 were in one sender at once "
    r"\(1 times\): this guard does not keep them apart",
    "guarded found: False soft found: True",
]
TURNS = r"raised: Channel 'two': {0} and {0} take turns at one sender.*"
BY_CORES = [*[TURNS.format(r"tasks on core \d")] * 2, "right: 0 found"]
THREAD = "(another thread|the thread that called debug..)"
BY_THREADS = [*[TURNS.format(THREAD)] * 2, "right: 0 found"]
# Real ones may be within the sender together, too.
AT_ONCE = r"were in one sender at once \(\d+ times\): give each its own, by add_sender\(\)"
MET = rf"{TURNS}|raised: Channel 'two': {{0}} and {{0}} {AT_ONCE}".format(THREAD)
BY_REAL_THREADS = [MET, MET, "right: 0 found"]


def program(what):
    return f"import debugging\ndebugging.{what}()\n"


def match(printed, expected):
    lines = printed.splitlines()
    assert len(lines) == len(expected), printed
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), printed
    for line in lines:
        found = re.search(r": (\S.*?) and (.*?) (?:were|take)", line)
        if found:
            assert found[1] != found[2], line


@pytest.fixture
def simulated(tmp_path):
    """A function that runs a program on a simulated board; returns what it printed."""
    made = []

    def run(what, name="rpi_pico", ms=20000):
        (tmp_path / "main.py").write_text(program(what))
        for module in ("debugging", "harness"):
            (tmp_path / f"{module}.py").write_bytes((DEVICE / f"{module}.py").read_bytes())
        board = SimulatedBoard(name, tmp_path)
        made.append(board)
        board.allow(TwoContexts)  # the board's own check sees it, too
        board.run("main.py")
        board.run_until(lambda: board.ended, ms=ms)
        board.advance(ms=1)
        return board

    yield run
    for board in made:
        board.close()


def test_right_firmware_is_not_blamed_on_simulated_boards(simulated):
    for name in ("rpi_pico", "rpi_pico2_riscv", "esp32_generic"):
        board = simulated("right", name)
        assert board.log == "right: 0 found\n"
        board.stop()


def test_handlers_and_tasks_on_a_simulated_board(simulated):
    match(simulated("handlers").log, BY_HANDLERS)


SHARED = """\
import ringlane, time
from machine import Pin
watch = ringlane.debug()
ch = ringlane.Channel(8, slot_size=4, send_guard=ringlane.{guard}(), name="shared")
def on_edge(pin):
    ch.send_word(1, ringlane.HIGH)
Pin(2, Pin.IN).irq(on_edge, Pin.IRQ_RISING, hard=True)
time.sleep_ms(1)
ch.send_word(2, ringlane.LOW)
time.sleep_ms(1)
print(watch.met, watch)
"""


@pytest.mark.parametrize("guard", ["SoftGuard", "IrqGuard"])
def test_an_interrupt_within_a_guarded_send_of_a_simulated_board(guard, tmp_path):
    (tmp_path / "main.py").write_text(SHARED.format(guard=guard))
    logs = []

    def in_one_send(board):
        board.run("main.py")
        board.advance(ms=4)
        logs.append(board.log)

    board = SimulatedBoard("rpi_pico", tmp_path)
    board.sweep(in_one_send, lambda board: board.pin(2).drive(1), from_ms=1, until_ms=2)
    said = (
        "Channel 'shared': tasks on core 0 and hard handlers on core 0 were in one sender at once"
    )
    found = [log for log in logs if said in log]
    assert len(found) > 10 if guard == "SoftGuard" else not found
    # Twice where it is found: by the scheduler, and by the firmware.
    assert all(log.count(said) == 2 for log in found)
    assert "0 no two contexts have met in 2 ends\n" in logs


def test_two_cores_of_a_simulated_board(simulated):
    match(simulated("threads").log, BY_CORES)


def test_two_threads_of_a_simulated_board(simulated):
    match(simulated("threads", "esp32_generic").log, BY_THREADS)


def test_right_firmware_and_two_threads_on_micropython(micropython):
    assert micropython(program("right")) == "right: 0 found\n"
    match(micropython(program("threads")), BY_REAL_THREADS)


def test_right_firmware_handlers_and_tasks_on_the_emulated_rp2040(pico):
    pico.reset()
    assert pico.exec(program("right")) == "right: 0 found\n"
    match(pico.exec(program("handlers")), BY_HANDLERS)
    match(pico.exec(program("guards")), BY_GUARDS)
