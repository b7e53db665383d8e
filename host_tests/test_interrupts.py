"""A hard interrupt at every cycle of a task's verb, on an emulated RP2040.

From the call of the verb until it has returned, at each fill level of the lane. `make soak` tries
every cycle; `make test` every seventh.
"""

import os

import mutants
import pytest
from conftest import DEVICE, PACKAGE

MARKER, HANDLER = 2, 3  # as in device/interrupts.py
BATCH = 100
CYCLES_MAX = 20000
SOAK = os.environ.get("RINGLANE_SOAK")
STEP = 1 if SOAK else 7

# (task's verb, handler's verb, fill levels)
MEETINGS = [
    ("send", "send", "1"),
    ("recv", "send", "2"),
    ("send", "recv", "0"),
]
if SOAK:
    MEETINGS = [
        ("send", "send", "012"),
        ("recv", "send", "012"),
        ("send", "recv", "012"),
        ("send_word", "send_word", "012"),
        ("recv_word", "send_word", "012"),
        ("recv_words", "send_word", "012"),
        ("send_word", "recv_word", "012"),
        ("send_word", "recv_words", "012"),
    ]

# The meeting that shows each mutant.
MEETING_OF = {
    "lanes.send: publishes before the payload": ("send", "recv", "0"),
    "lanes.send_word: publishes before the payload": ("send_word", "recv_word", "0"),
    "lanes.recv: releases before the copy": ("recv", "send", "2"),
    "lanes.recv_word: releases before the copy": ("recv_word", "send_word", "2"),
    "lanes.recv_words: releases before the copy": ("recv_words", "send_word", "2"),
}


def sweep(pico, task, handler, levels, step):
    """Land the interrupt at every `step`th cycle, level by level; return how many were tried."""
    pico.exec(f"import interrupts\nm = interrupts.Meeting({task!r}, {handler!r})")
    return sum(sweep_level(pico, task, int(level), step) for level in levels)


def sweep_level(pico, task, level, step):
    marks = ""
    cycle = 0
    while not marks.endswith("-" * 20):
        cycles = range(cycle, cycle + BATCH * step, step)
        stop = pico.interrupt_after(MARKER, HANDLER, cycles)
        try:
            marks += pico.exec(f"m.run({level}, {BATCH})").strip()
        finally:
            stop()
        cycle = cycles.stop
        assert cycle < CYCLES_MAX, f"the handler still runs before {task} returns: {marks[-80:]}"
    # From the first cycle on, until the verb had returned and never after; it does not take quite
    # the same time in every trial.
    interrupted = marks.rstrip("-")
    assert interrupted and "-" not in interrupted[:-20], marks
    return len(interrupted) * step


def prepare(pico):
    for name in ("payload", "interrupts"):
        pico.put_module(DEVICE / f"{name}.py")
    return pico


@pytest.fixture(scope="module")
def chip(pico):
    return prepare(pico)


@pytest.mark.parametrize("task, handler, levels", MEETINGS)
def test_an_interrupt_at_any_cycle_does_no_harm(chip, task, handler, levels):
    cycles = sweep(chip, task, handler, levels, STEP)
    assert cycles > 500 * len(levels), "fewer cycles than any verb takes"


@pytest.mark.parametrize("name", MEETING_OF if SOAK else list(MEETING_OF)[::2][:2])
def test_a_mutant_is_caught(uf2, tmp_path, name):
    emulated = pytest.importorskip(
        "ringlane_host.emulated", reason="no rp2040py: pip install rp2040py"
    )
    # A chip of its own: what a broken engine leaves behind is nobody else's.
    with emulated.EmulatedPico(uf2) as pico:
        pico.put_package(mutants.make(name, PACKAGE, tmp_path))
        prepare(pico)
        with pytest.raises(emulated.DeviceError, match="torn or out of order|lost|doubled"):
            sweep(pico, *MEETING_OF[name], 7)
