"""A hard interrupt at every cycle of a verb, on an emulated RP2040: what the sweeps share.

A meeting, of device/meetings.py, is a verb of a task and one of a handler on the chip. Its
run(level, rounds) makes a trial for each cycle that the host has chosen, with so many messages
queued before, checks what came of it, and prints "+" if the handler ran before the verb returned.
"""

from typing import NamedTuple

import mutants
import pytest
from conftest import PACKAGE, SOAK, emulated_pico

MARKER, HANDLER, PAST = 2, 3, 20  # as in device/meetings.py
CYCLES_MAX = 20000  # what a verb may take
JITTER = 250  # cycles by which it differs from trial to trial, with what the flash's cache holds


class Landed(NamedTuple):
    """What a sweep has visited."""

    interrupts: int  # within the verb, each at another cycle or with another number of messages
    cycles: int  # which the verb took, all levels together


def sweep(pico, meeting, levels, step, closely=False, cycles_max=CYCLES_MAX):
    """Land the interrupt at every `step`th cycle of a meeting, level by level; return a Landed.

    With `closely`, in a soak, it is every cycle of the first level. `meeting` is its module and
    how it is made: "interrupts.Lane('send', 'recv')".
    """
    pico.exec(f"import {meeting.split('.')[0]}\nm = {meeting}")
    interrupts = cycles = 0
    for level in levels:
        every = SOAK and closely and level == levels[0]
        landed = _sweep_level(pico, meeting, level, 1 if every else step, cycles_max)
        interrupts += landed.interrupts
        cycles += landed.cycles
    return Landed(interrupts, cycles)


def _sweep_level(pico, meeting, level, step, cycles_max):
    cycles = range(0, cycles_max, step)
    stop = pico.interrupt_after(MARKER, HANDLER, cycles)
    try:
        marks = pico.exec(f"m.run({level}, {len(cycles)})").strip()
    finally:
        stop()
    ended = marks.endswith("-" * PAST)
    assert ended, f"the handler still runs before {meeting} ends: {marks[-80:]}"
    # From the first cycle on, until the verb had returned and never after; it does not take quite
    # the same time in every trial.
    interrupted = marks.rstrip("-")
    assert interrupted and "-" not in interrupted[: -max(PAST, JITTER // step)], marks
    return Landed(interrupted.count("+"), len(interrupted) * step)


def broken_pico(uf2, tmp_path, query):
    """Return a chip, to be entered, with ringlane broken by mutants.find(*query).

    It is nobody else's, as who knows what a broken engine leaves behind.
    """
    return emulated_pico(uf2, mutants.make(mutants.find(*query), PACKAGE, tmp_path))


def is_caught(pico, meeting, levels, step, said, **more):
    """Sweep until a trial fails; what it says must match the pattern `said`."""
    from ringlane_host.boards.emulated import DeviceError  # there, as there is a chip

    with pytest.raises(DeviceError, match=said):
        sweep(pico, meeting, levels, step, **more)
