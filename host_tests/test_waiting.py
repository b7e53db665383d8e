"""What waiting promises: tasks that run as they are on each kind of machine."""

import ast
import importlib
import re
import sys

import pytest
from conftest import DEVICE
from sweeps import HANDLER, MARKER


def scenarios():
    """Return the names of the scenarios without importing them."""
    tree = ast.parse((DEVICE / "waiting_tasks.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    return [name for name in names if not name.startswith("_")]


NAMES = scenarios()


def outcomes(printed):
    """Return what a board printed, by scenario."""
    parts = re.split(rf"^({'|'.join(NAMES)}) ", printed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def on_cpython():
    sys.path.insert(0, str(DEVICE))
    try:
        yield importlib.import_module("waiting_tasks")
    finally:
        sys.path.remove(str(DEVICE))


@pytest.fixture(scope="module")
def on_micropython(micropython):
    return outcomes(micropython(f"import waiting_tasks; waiting_tasks.run({NAMES})"))


@pytest.fixture(scope="module")
def on_rp2040(pico):
    printed = pico.exec(f"import waiting_tasks\nwaiting_tasks.run({NAMES})")
    pico.reset()  # so that what follows finds its memory as new
    return outcomes(printed)


def test_the_scenarios_are_found():
    assert len(NAMES) > 40


@pytest.mark.parametrize("name", NAMES)
def test_on_cpythons_event_loop(on_cpython, capsys, name):
    on_cpython.run([name])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name} ok"), printed


@pytest.mark.parametrize("name", NAMES)
def test_on_micropython(on_micropython, name):
    printed = on_micropython.get(name, "did not run")
    assert re.fullmatch(r"ok .*\n", printed), printed
    print(printed)


@pytest.mark.parametrize("name", NAMES)
def test_on_an_emulated_rp2040(on_rp2040, name):
    printed = on_rp2040.get(name, "did not run")
    assert re.fullmatch(r"ok .*\n", printed), printed
    print(printed)


# From hard interrupts

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
