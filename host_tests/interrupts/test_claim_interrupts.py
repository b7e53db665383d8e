"""A hard interrupt at every cycle of a claim, a peek and a guarded verb, on an emulated RP2040.

`make soak` tries every meeting, and those of EVERY_CYCLE at every cycle of one fill level;
`make test` some of each.
"""

import pytest
from conftest import SOAK
from sweeps import is_caught, sweep

STEP = 29
CYCLES_MAX = 60000  # a guarded recv into a buffer it has not met takes half of that

# (what the task does, what the handler does)
EVERY_CYCLE = [("claim", "recv"), ("peek", "send")]
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
        ("claim", "recv", "012"),
        ("claim", "peek", "012"),
        ("peek", "send", "201"),
        ("peek", "claim", "201"),
        ("recv", "claim", "201"),
        ("send", "peek", "012"),
        ("claim", "claim", "102"),
        ("claim", "send", "102"),
        ("send", "claim", "102"),
    ]
    GUARDED = [("send", "send", "01"), ("recv", "recv", "21"), ("recv", "send", "201")]


@pytest.mark.parametrize("task, handler, levels", CLAIMS)
def test_an_interrupt_at_any_cycle_of_a_claim_or_a_peek_does_no_harm(
    pico, visited, task, handler, levels
):
    meeting = f"claim_interrupts.Claims({task!r}, {handler!r})"
    closely = (task, handler) in EVERY_CYCLE
    landed = sweep(pico, meeting, levels, STEP, closely, CYCLES_MAX)
    assert landed.cycles > 1000 * len(levels), "fewer than any takes"
    visited(**landed._asdict())


@pytest.mark.parametrize("task, handler, levels", GUARDED)
def test_a_handler_and_a_task_share_a_verb_under_an_irq_guard(
    pico, visited, task, handler, levels
):
    meeting = f"claim_interrupts.Claims({task!r}, {handler!r}, 'guard')"
    step = 97 if task == "recv" else STEP
    landed = sweep(pico, meeting, levels, step, cycles_max=CYCLES_MAX)
    assert landed.cycles > 1000 * len(levels)
    visited(**landed._asdict())


@pytest.mark.parametrize("task, handler, levels", [each for each in GUARDED if each[0] == each[1]])
def test_the_same_without_the_guard_goes_wrong(pico, task, handler, levels):
    meeting = f"claim_interrupts.Claims({task!r}, {handler!r}, 'bare')"
    step = 7 if task == "send" else 97
    is_caught(pico, meeting, levels, step, "torn|lost|doubled|dropped at", cycles_max=CYCLES_MAX)
