"""Interrupts everywhere in firmware: board.sweep() and the mark ringlane_sweep.

Each firmware here either loses something where an interrupt comes at one of its places, and then
the sweep finds that place and repeats it, or is right, and then it is not blamed.
"""

import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import pytest
from ringlane_host.board import BoardError, SimulatedBoard, TwoContexts
from ringlane_host.explore import ExplorationError
from ringlane_host.simulated import memory
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
        "another core ran at place cores:.*main.py:7, which writes",
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
    "nested, in a channel of its own": Case(NESTED, None, values={"end": "high"}, more=THEN),
    "nested, in the channel of the other": Case(
        NESTED, r"came at place \d+/\d+", values={"end": "low"}, more=THEN
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
