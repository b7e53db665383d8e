"""Soft handlers on real MicroPython, and threads under a GIL, that share a channel with a task.

The programs are in device/soft_handlers.py. On the unix port a thread asks for the handler as fast
as it can; on the emulated RP2040 a pin does, at a chosen cycle of the task's verbs.
"""

import pytest
from conftest import SOAK
from sweeps import sweep

PARTIES = ["sends", "requests", "calls", "results", "stats", "latest", "receivers"]
TIMES = 10000 if SOAK else 300
# (cycles between two interrupts, the most that a step of the task takes)
STEPS = dict.fromkeys(PARTIES, (2999, 400_000))

NO_GIL = (
    "these threads need a MicroPython with a GIL: build its unix port with MICROPY_PY_THREAD_GIL=1 "
    "and give it, make test MICROPYTHON=ports/unix/build-standard/micropython"
)


def counts(printed):
    steps, handled = printed.split()[-2:]
    return int(steps), int(handled)


@pytest.mark.parametrize("party", PARTIES)
def test_a_soft_handler_that_is_asked_for_all_the_time_does_no_harm(micropython, visited, party):
    printed = micropython(f"import soft_handlers; soft_handlers.storm({party!r}, {TIMES})")
    steps, handled = counts(printed)
    assert steps >= TIMES and handled >= TIMES
    visited(steps=steps, handlers=handled)


@pytest.fixture(scope="module")
def gil(micropython):
    """A function that runs a program on a MicroPython with a GIL."""
    said = micropython("import sys; print(getattr(sys.implementation, '_thread', ''))")
    if said.strip() != "GIL":
        pytest.skip(NO_GIL)
    return micropython


@pytest.mark.parametrize("party", PARTIES)
def test_a_thread_under_a_gil_does_no_harm(gil, visited, party):
    printed = gil(f"import soft_handlers; soft_handlers.threads({party!r}, {TIMES})")
    steps, handled = counts(printed)
    assert steps >= TIMES and handled >= TIMES
    visited(steps=steps, handlers=handled)


@pytest.mark.parametrize("party", PARTIES)
def test_a_soft_handler_asked_for_at_any_cycle_does_no_harm(pico, visited, party):
    step, cycles_max = STEPS[party]
    landed = sweep(
        pico,
        f"soft_meetings.Soft({party!r})",
        "0",
        step // (8 if SOAK else 1),
        cycles_max=cycles_max,
    )
    assert landed.cycles > 2 * step, "fewer cycles than any of its verbs takes"
    visited(**landed._asdict())
