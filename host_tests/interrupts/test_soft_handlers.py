"""Soft handlers on real MicroPython, and threads under a GIL, that share a channel with a task.

The programs are in device/soft_handlers.py. On the unix port a thread asks for the handler as fast
as it can; on the emulated RP2040 a pin does, at a chosen cycle of the task's verbs.
"""

import pytest
from conftest import SOAK
from sweeps import sweep

PARTIES = ["sends", "requests", "calls", "results", "stats", "latest", "receivers"]
TIMES = 10000 if SOAK else 100
ROUNDS = 200 if SOAK else 20
# Those whose steps take about the same time in every trial.
BY_PIN = ["sends", "requests", "results", "latest"]
EVERY = 1499 if SOAK else 4999  # cycles: every step has three at the least
CYCLES_MAX = 400_000


def counts(printed):
    steps, handled = printed.split()[-2:]
    return int(steps), int(handled)


@pytest.mark.parametrize("party", PARTIES)
def test_a_soft_handler_at_every_place_where_the_scheduler_runs(micropython, visited, party):
    places = int(micropython(f"import soft_handlers; soft_handlers.sweep({party!r}, {ROUNDS})"))
    assert places >= 4 * ROUNDS
    visited(places=places)


@pytest.mark.parametrize("party", PARTIES)
def test_a_soft_handler_at_every_place_where_the_scheduler_runs_on_a_chip(pico, visited, party):
    places = int(pico.exec(f"import soft_handlers; soft_handlers.sweep({party!r}, {ROUNDS // 5})"))
    assert places >= 4 * (ROUNDS // 5)
    visited(places=places)


@pytest.mark.parametrize("party", PARTIES)
def test_a_soft_handler_that_is_asked_for_all_the_time_does_no_harm(micropython, visited, party):
    printed = micropython(f"import soft_handlers; soft_handlers.storm({party!r}, {TIMES})")
    steps, handled = counts(printed)
    assert steps >= TIMES and handled >= TIMES
    visited(steps=steps, handlers=handled)


@pytest.mark.parametrize("party", PARTIES)
def test_a_thread_under_a_gil_does_no_harm(gil, visited, party):
    printed = gil(f"import soft_handlers; soft_handlers.threads({party!r}, {TIMES})")
    steps, handled = counts(printed)
    assert steps >= TIMES and handled >= TIMES
    visited(steps=steps, handlers=handled)


@pytest.mark.parametrize("party", BY_PIN)
def test_a_soft_handler_asked_for_at_any_cycle_does_no_harm(pico, visited, party):
    meeting = f"soft_meetings.Soft({party!r})"
    landed = sweep(pico, meeting, "0", EVERY, cycles_max=CYCLES_MAX)
    assert landed.cycles > 2 * EVERY, "fewer cycles than any of its verbs takes"
    visited(**landed._asdict())
