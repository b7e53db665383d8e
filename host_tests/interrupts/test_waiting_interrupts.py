"""Hard interrupts that wake tasks, on an emulated RP2040: device/waiting_interrupts.py."""

import re

import pytest
from sweeps import HANDLER, MARKER

IMPORT = "import waiting_interrupts as w\n"
PATIENCE_S = 250  # a wake-up that is lost for good ends there
BEFORE_THE_WAIT, BEFORE_THE_SLEEP = 1, 2  # the looks of device/waiting_interrupts.py


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_hard_timer_wakes_tasks_with_each_message(pico, tasks):
    printed = pico.exec(IMPORT + f"w.by_timer(250, 300, {tasks})", PATIENCE_S)
    messages, waits = map(int, re.findall(r"\d+", printed))
    assert messages == 300
    assert waits >= 300 * tasks // 2, "the tasks were seldom asleep"


@pytest.mark.parametrize("tasks", [1, 2])
def test_an_interrupt_while_a_task_goes_to_sleep_wakes_it(pico, tasks):
    pico.exec(IMPORT + f"sweep = w.Sweep({tasks})")
    # From the first look on, until the task has been asleep for a while ...
    awake, asleep = land(pico, BEFORE_THE_WAIT, range(0, 150_000, 1501))
    assert awake > 5 and asleep > 5
    # ... and more closely between the last look and the sleep.
    awake, asleep = land(pico, BEFORE_THE_SLEEP, range(0, 4000, 41))
    assert asleep == 98 and not awake


def test_a_wait_ends_when_its_time_is_up(pico):
    pico.exec(IMPORT + "w.by_time(4, 20)", PATIENCE_S)


def land(pico, look, cycles):
    """Make a trial for each of `cycles` after that look; return how the tasks were found."""
    stop = pico.interrupt_after(MARKER, HANDLER, cycles)
    try:
        printed = pico.exec(f"sweep.run({look}, {len(cycles)})", PATIENCE_S)
    finally:
        stop()
    awake, asleep = map(int, re.findall(r"\d+", printed))
    assert awake + asleep == len(cycles)
    return awake, asleep
