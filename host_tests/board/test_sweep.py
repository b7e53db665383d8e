"""Interrupts everywhere in firmware: board.sweep() and the mark ringlane_sweep.

Each firmware here either loses something where an interrupt comes at one of its places, and then
the sweep finds that place and repeats it, or is right, and then it is not blamed.
"""

import itertools
import re
import sys
import threading
from dataclasses import dataclass, field

import pytest
from ringlane_host.board import BoardError, HandlerRaised, SimulatedBoard, TwoContexts
from ringlane_host.explore import ExplorationError
from ringlane_host.simulate import memory
from test_guide import run as run_pytest

# A button whose presses are counted: in one step or in several, by a message or in a global.
COUNTING = """\
import asyncio
from machine import Pin, disable_irq, enable_irq
presses = 0
def on_press(pin):
    global presses
    presses += 1
def take():
    global presses
    {take}
    return n
async def main():
    button.irq(on_press, Pin.IRQ_FALLING{hard})
    while True:
        if n := take():
            print("pressed", n)
        await asyncio.sleep_ms(1)
button = Pin({pin}, Pin.IN, Pin.PULL_UP)
asyncio.run(main())
"""
IN_STEPS = "n = presses; presses -= n"
MASKED = "s = disable_irq(); n = presses; presses -= n; enable_irq(s)"
IN_ONE = "n = presses\n    if n:\n        presses = 0"

BY_MESSAGE = """\
import asyncio
from machine import Pin{more}
from ringlane import HIGH, Channel
ch = Channel(4, slot_size=4, name="presses"{options})
def on_press(pin):
    ch.send_word(1, HIGH)
async def main():
    button.irq(on_press, Pin.IRQ_FALLING{hard})
    while m := await ch.arecv_word():
        print("pressed", m[0])
button = Pin({pin}, Pin.IN, Pin.PULL_UP)
asyncio.run(main())
"""


@dataclass
class Case:
    """A firmware, what interrupts it, and what is found: None, or a pattern of what is said."""

    source: str
    found: str | None
    stimulus: str = "board.pin(2).press(ms=1)"
    board: str = "rpi_pico"
    values: dict = field(default_factory=dict)
    more: dict = field(default_factory=dict)

    def text(self):
        """Return the firmware."""
        esp32 = self.board == "esp32_generic"
        hard = "" if esp32 or self.values.get("soft") else ", hard=True"
        usual = {"hard": hard, "pin": 2, "more": "", "options": ""}
        return self.source.format(**{**usual, **self.values})

    def stimulate(self, board):
        """Interrupt."""
        eval(self.stimulus, {"board": board})


# A timer counts in a global what a task takes; so does a function that the test calls.
TICKS = """\
from machine import Timer
import time
ticks = 0
def on_tick(timer):
    global ticks
    ticks += 1
def main():
    global ticks
    timer = Timer(period=1000, hard=True, callback=on_tick)
    for _ in range(3):
        time.sleep_ms(1)
        {take}
    time.sleep_ms(1)
    timer.deinit()
    print("pressed", ticks)
main()
"""
SAME_SENDER = """\
import time
from machine import Pin
from ringlane import HIGH, LOW, Channel
ch = Channel(4, slot_size=4{options})
def on_press(pin):
    ch.send_word(1, HIGH)
Pin(2, Pin.IN, Pin.PULL_UP).irq(on_press, Pin.IRQ_FALLING, hard=True)
time.sleep_ms(1)
ch.send_word(2, LOW)
time.sleep_ms(2)
words = []
while m := ch.recv_word():
    words.append(m[0])
print("pressed 1" if sorted(words) == [1, 2] else words)
"""
CORES = """\
import _thread, time
from machine import disable_irq, enable_irq
total = 0
done = [0, 0]
def add(core):
    global total
    for _ in range(2):
        {add}
    done[core] = 1
_thread.start_new_thread(add, (1,))
add(0)
while done != [1, 1]:
    time.sleep_ms(1)
print("pressed 1" if total == 4 else total)
"""
NESTED = """\
import time
from machine import Pin
from ringlane import HIGH, Channel
low = Channel(4, slot_size=4)
high = Channel(4, slot_size=4)
def on_low(pin):
    low.send_word(1, HIGH)
def on_high(pin):
    {end}.send_word(2, HIGH)
Pin(2, Pin.IN, Pin.PULL_UP).irq(on_low, Pin.IRQ_FALLING, hard=True)
Pin(3, Pin.IN, Pin.PULL_UP).irq(on_high, Pin.IRQ_FALLING, hard=True)
time.sleep_ms(2)
words = []
time.sleep_ms(1)
for ch in (low, high):
    while m := ch.recv_word():
        words.append(m[0])
print("pressed 1" if words and sorted(set(words)) == words else words)
"""
FUNCTION = "board.interrupt(board.load('__main__').on_tick, None)"
THEN = {"nested": lambda board: board.pin(3).press(ms=1)}
CASES = {
    "a global in steps, hard": Case(COUNTING, "place .*, which writes", values={"take": IN_STEPS}),
    "a global in steps, masked": Case(COUNTING, None, values={"take": MASKED}),
    "a global in steps, soft": Case(
        COUNTING, "place soft:.*which writes", values={"take": IN_STEPS, "soft": True}
    ),
    "a global in steps, on an ESP32": Case(
        COUNTING,
        "place soft:.*which writes",
        "board.pin(4).press(ms=1)",
        "esp32_generic",
        {"take": IN_STEPS, "pin": 4},
    ),
    "a message, hard": Case(BY_MESSAGE, None),
    "a message, soft": Case(BY_MESSAGE, None, values={"soft": True}),
    "a message, on an ESP32": Case(
        BY_MESSAGE, None, "board.pin(4).press(ms=1)", "esp32_generic", {"pin": 4}
    ),
    "a timer": Case(
        TICKS,
        "Timer handler on_tick came at place .*, main.py:12, which writes",
        "board.timer('on_tick').fire()",
        values={"take": "n = ticks; ticks = n"},
    ),
    "a timer that nobody disturbs": Case(
        TICKS, None, "board.timer(0).fire()", values={"take": "n = ticks"}
    ),
    "a function": Case(
        TICKS, "on_tick came at place", FUNCTION, values={"take": "n = ticks; ticks = n"}
    ),
    "a function, soft": Case(
        TICKS,
        "on_tick came at place soft:",
        FUNCTION[:-1] + ", hard=False)",
        values={"take": "n = ticks; ticks = n"},
    ),
    "one sender": Case(SAME_SENDER, "TwoContexts"),
    "one sender under a guard": Case(
        SAME_SENDER.replace("HIGH, LOW, Channel", "HIGH, LOW, Channel, IrqGuard"),
        None,
        values={"options": ", send_guard=IrqGuard()"},
    ),
    "two cores": Case(
        CORES,
        "another core ran at place cores:.*main.py:8, which writes",
        "",
        values={"add": "total += 1"},
        more={"cores": True},
    ),
    "two cores, masked": Case(
        CORES,
        None,
        "",
        values={"add": "s = disable_irq(); total += 1; enable_irq(s)"},
        more={"cores": True},
    ),
    "nested, in a channel of its own": Case(
        NESTED, None, values={"end": "high"}, more={**THEN, "every": 9}
    ),
    "nested, in the channel of the other": Case(
        NESTED, r"came at place \d+/\d+", values={"end": "low"}, more={**THEN, "every": 3}
    ),
}


def press_at_each_place(case, folder, more=None, check=lambda board: None):
    """Sweep a Case's firmware; return what board.sweep() does."""
    (folder / "main.py").write_text(case.text())

    def one_press(board):
        if case.values.get("end") == "low":
            board.allow(TwoContexts)  # it is the loss that is to be found
        board.run("main.py")
        board.advance(ms=5)
        assert board.log == "pressed 1\n", board.log
        check(board)

    board = SimulatedBoard(case.board, folder)
    more = {"until_ms": 2.5, **case.more, **(more or {})}
    try:
        return board.sweep(one_press, None if "cores" in more else case.stimulate, **more)
    finally:
        board.close()


@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_found_at_its_place_and_repeated_and_nothing_else_is(name, tmp_path, visited):
    case = CASES[name]
    if case.found is None:
        swept = press_at_each_place(case, tmp_path)
        assert swept.points > 3 and swept.runs > swept.points
        visited(points=swept.points)
        return
    with pytest.raises(ExplorationError, match=case.found) as caught:
        press_at_each_place(case, tmp_path)
    told = str(caught.value)
    key = re.search(r"only='(.*?)'", told)[1]
    with pytest.raises(ExplorationError) as again:
        press_at_each_place(case, tmp_path, {"only": key})
    assert str(again.value) == told


# How it ends where nothing is wrong with the firmware


def test_what_shares_no_word_passes_and_says_so(tmp_path):
    swept = press_at_each_place(CASES["a timer that nobody disturbs"], tmp_path)
    assert not swept.shared
    assert str(swept).endswith("; no word of the simulated memory is written and shared")
    swept = press_at_each_place(CASES["a message, hard"], tmp_path, {"every": 9})
    assert swept.shared and "share" not in str(swept)


def test_every_and_times_thin_out_the_places(tmp_path):
    case = CASES["a message, soft"]
    all_of_them = press_at_each_place(case, tmp_path)
    some = press_at_each_place(case, tmp_path, {"every": 5})
    assert all_of_them.points // 5 <= some.points <= all_of_them.points // 5 + 1
    with pytest.raises(ExplorationError, match="nothing was interrupted: .* did not wait in 1 r"):
        press_at_each_place(case, tmp_path, {"from_ms": 3, "until_ms": 4})


def sweep_of(test, folder, interrupt=lambda board: board.pin(2).press(ms=1), **how):
    board = SimulatedBoard("rpi_pico", folder)
    try:
        return board.sweep(test, interrupt, **how)
    finally:
        board.close()


def run_main(board):
    board.run("main.py")
    board.advance(ms=3)


@pytest.fixture
def folder(tmp_path):
    """With a firmware that is right."""
    (tmp_path / "main.py").write_text(CASES["a message, hard"].text())
    return tmp_path


def test_an_interrupt_without_a_handler_is_no_sweep(folder):
    with pytest.raises(ExplorationError, match=r"the interrupt called no handler in \d+ runs$"):
        sweep_of(run_main, folder, lambda board: board.pin(3).press(ms=1), every=9)
    with pytest.raises(ExplorationError, match="no other core could run"):
        sweep_of(run_main, folder, None, cores=True)


def test_a_test_that_fails_by_itself_is_told_from_one_that_an_interrupt_breaks(folder):
    def wrong(board):
        run_main(board)
        assert board.ms == 4

    with pytest.raises(ExplorationError, match="wrong: AssertionError") as caught:
        sweep_of(wrong, folder)
    assert "presses" in str(caught.value)  # the accesses of its channel, by name

    def broken(board):
        board.run("none.py")

    with pytest.raises(
        ExplorationError, match=r"nothing was interrupted: .* in 1 runs; .*no firmware"
    ):
        sweep_of(broken, folder)


def test_a_test_that_is_not_the_same_every_time_is_found_out(folder):
    runs = itertools.count()

    def fickle(board):
        board.load("machine").odd = next(runs) % 2
        run_main(board)

    (folder / "main.py").write_text(
        "import machine, time\n"
        "pin = machine.Pin(2, machine.Pin.IN, machine.Pin.PULL_UP)\n"
        "pin.irq(lambda pin: None, hard=True)\n"
        "for _ in range(9):\n"
        "    if machine.odd:\n        machine.Pin(4)\n"
        "    time.sleep_us(1)\n"
    )
    with pytest.raises(ExplorationError, match=r"up to place \d+, .*, the test is not the same"):
        sweep_of(fickle, folder)


def test_an_interrupt_that_raises_is_the_tests_own_error(folder):
    with pytest.raises(
        ExplorationError, match="the sweep's interrupt raised BoardError.*GPIO 0 to 29, no pin 99"
    ):
        sweep_of(run_main, folder, lambda board: board.pin(99))


WRONG = {
    "no interrupt": (lambda: {"interrupt": None}, "takes interrupt=.*or cores=True"),
    "both": (lambda: {"cores": True}, "takes interrupt=.*or cores=True"),
    "no function": (lambda: {"interrupt": 2}, "interrupt is a function of the board, not 2"),
    "nested alone": (
        lambda: {"interrupt": None, "cores": True, "nested": print},
        "nested= lands within interrupt=",
    ),
    "every": (lambda: {"every": 0}, "1 or more, not 0"),
    "no time": (lambda: {"from_ms": 3, "until_ms": 3}, "no time between from_ms=3"),
    "no place": (lambda: {"only": "here"}, "'here' is no place of this sweep, such as 17"),
    "nested place": (lambda: {"only": "3/4"}, "'3/4' is no place of this sweep"),
    "cores' place": (lambda: {"only": "cores:4"}, "'cores:4' is no place of this sweep"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_use_is_named(name, folder):
    how, said = WRONG[name]
    with pytest.raises(BoardError, match=said):
        sweep_of(run_main, folder, **how())


def test_what_cannot_be_swept_is_named(folder):
    with pytest.raises(ExplorationError, match="there is no place 7000"):
        sweep_of(run_main, folder, only=7000)
    board = SimulatedBoard("rpi_pico", folder)
    try:
        with pytest.raises(BoardError, match="takes a function of the board, not 7"):
            board.sweep(7, lambda board: None)
        board.pin(2).drive(1)
        with pytest.raises(BoardError, match="sweep.* begins at reset"):
            board.sweep(run_main, lambda board: None)
        with pytest.raises(BoardError, match="no timer 'on_tick'; there are none"):
            board.timer("on_tick")
        with pytest.raises(BoardError, match="interrupt.* takes a function, not 5"):
            board.interrupt(5)
    finally:
        board.close()


def test_nothing_is_left_behind(folder):
    before = threading.active_count(), sys.gettrace()
    sweep_of(run_main, folder, every=50)
    with pytest.raises(ExplorationError):
        press_at_each_place(CASES["a global in steps, hard"], folder)
    assert (threading.active_count(), sys.gettrace()) == before and memory.hook is None
    # A board after it is not watched.
    board = SimulatedBoard("rpi_pico", folder)
    run_main(board)
    board.stop()


def test_a_timer_and_a_function_interrupt_by_hand_too(tmp_path):
    (tmp_path / "main.py").write_text(
        "import asyncio\nfrom machine import Timer\nfrom ringlane import HIGH, Channel\n"
        "ch = Channel(4, slot_size=4, senders=2)\nother = ch.add_sender()\n"
        "timer = Timer(period=50, hard=True, callback=lambda timer: ch.send_word(1, HIGH))\n"
        "def send(value):\n    other.send_word(value, HIGH)\n"
        "async def main():\n"
        "    while m := await ch.arecv_word():\n        print(m[0])\n"
        "asyncio.run(main())\n"
    )
    board = SimulatedBoard("rpi_pico", tmp_path)
    try:
        board.run("main.py")
        timer = board.timer(0)
        assert timer.running and timer.period == 50_000
        timer.fire()
        board.interrupt(board.load("__main__").send, 7)
        board.advance(ms=1)
        assert board.log == "1\n7\n"
        assert [each.context for each in board.channels[0].sent] == ["hard handler"] * 2
        board.interrupt(board.load("__main__").send, 8, hard=False)
        with pytest.raises(TwoContexts, match="interrupt handler send"):
            board.advance(ms=1)
        board.interrupt(lambda: 1 // 0)
        with pytest.raises(HandlerRaised, match="ZeroDivisionError"):
            board.advance(ms=60)
        assert board.log == "1\n7\n8\n1\n"
        board.stop()
    finally:
        board.close()


# The mark

MARKED = """
import pytest

alive = []


@pytest.fixture(scope="module")
def shared():
    alive.append(1)
    yield
    print("torn down after", len(alive))


@pytest.fixture
def running(board, tmp_path):
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").touch()
    board.run("main.py")
    yield board
    alive.append(board)


@pytest.mark.ringlane_sweep(interrupt=lambda board: board.pin(2).press(ms=1), until_ms=2)
def test_one_press(running, shared):
    running.advance(ms=4)
    assert running.log == "pressed 1\\n"


def test_two(board, shared):
    assert alive.count(1) == 1
"""


def test_a_marked_test_runs_at_each_place_with_its_fixtures_anew(folder):
    (folder / "test_main.py").write_text(MARKED)
    (folder / "pytest.ini").write_text("[pytest]\n")
    status, printed = run_pytest(folder, "-rA")
    assert not status and "2 passed" in printed, printed
    points, runs = map(int, re.search(r"(\d+) points in (\d+) runs", printed).groups())
    assert points > 50 and f"torn down after {runs + 1}" in printed, printed


def test_a_marked_test_that_fails_tells_its_place_and_the_command_that_repeats_it(folder):
    (folder / "main.py").write_text(CASES["a global in steps, hard"].text())
    (folder / "test_main.py").write_text(MARKED)
    (folder / "pytest.ini").write_text("[pytest]\n")
    status, printed = run_pytest(folder)
    assert status and "1 failed, 1 passed" in printed, printed
    assert re.search("on_press came at place .*, main.py:9, which writes global pres", printed)
    node, place = re.search(r"pytest '(\S+)' --ringlane-replay=(\d+)", printed).groups()
    assert node == "test_main.py::test_one_press"
    status, printed = run_pytest(folder, f"--ringlane-replay={place}", "-k", "one_press")
    assert status and "1 failed" in printed and "main.py:9, which writes" in printed, printed
    status, printed = run_pytest(folder, "--ringlane-replay=0")
    assert not status and "2 passed" in printed, printed


# The mark's arguments, what the test takes and does, and what is told of it.
FAILING = [
    ("", "board", "pass", "at setup of {}.*\\nringlane_sweep: a sweep takes interrupt="),
    ("print, every=3", "board", "pass", "at setup of {}.*\\n.*its arguments are keywords, as int"),
    ("interrupt=print, often=3", "board", "pass", "at setup of {}.*\\nringlane_sweep: .*'often'"),
    ("interrupt=print", "tmp_path", "pass", "at setup of {}.*\\n.*it needs the fixture board"),
    (
        "interrupt=lambda board: board.pin(2).press(ms=1), every=20",
        "board",
        "run_main(board); board._kernel.fault(TwoContexts, 'planted')",
        "ERROR .*{} - .*TwoContexts: planted",
    ),
    (
        "interrupt=lambda board: board.pin(5).press(ms=1), every=20",
        "board",
        "run_main(board)",
        "{} ___+\nnothing was interrupted: the interrupt called no handler",
    ),
    (
        "interrupt=lambda board: board.pin(99)",
        "board",
        "run_main(board)",
        "{} ___+\n(.*\n)*?.*the sweep's interrupt raised BoardError.*no pin 99",
    ),
]


def test_a_marked_test_that_fails_or_whose_mark_is_wrong_is_told_by_itself(folder):
    text = (
        "import pytest\nfrom ringlane_host.board import TwoContexts\n"
        "def run_main(board):\n    board.run()\n    board.advance(ms=3)\n"
        "def test_good():\n    pass\n"
    )
    for number, (mark, takes, body, _) in enumerate(FAILING):
        text += f"@pytest.mark.ringlane_sweep({mark})\ndef test_{number}({takes}):\n    {body}\n"
    (folder / "test_main.py").write_text(text)
    status, printed = run_pytest(folder, "-rfE")
    assert status and "2 failed, 2 passed, 5 errors" in printed, printed
    for number, (*_, said) in enumerate(FAILING):
        assert re.search(said.format(f"test_{number}"), printed), printed
