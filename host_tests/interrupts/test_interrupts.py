"""A hard interrupt at every cycle of a task's verb, on an emulated RP2040.

From the call of the verb until it has returned. `make soak` tries every cycle at one fill level of
the lane, and every STEPth at the others; `make test` every STEPth at one.
"""

import pytest
from conftest import SOAK
from sweeps import broken_pico, is_caught, sweep

STEP = 11

# (task's verb, handler's verb, fill levels of the lane of two)
MEETINGS = [
    ("send", "send", "1"),
    ("recv", "send", "2"),
    ("send", "recv", "0"),
]
if SOAK:
    MEETINGS = [
        ("send", "send", "102"),
        ("recv", "send", "201"),
        ("send", "recv", "012"),
        ("send_word", "send_word", "102"),
        ("recv_word", "send_word", "201"),
        ("recv_words", "send_word", "201"),
        ("skip", "send", "201"),
        ("clear", "send", "201"),
        ("send_word", "recv_word", "012"),
        ("send_word", "recv_words", "012"),
        ("send_at", "recv", "012"),
        ("send_word_at", "recv_word", "012"),
    ]

# The meeting that shows the store of a verb out of order.
MEETING_OF = {
    "send": ("send", "recv", "0"),
    "send_word": ("send_word", "recv_word", "0"),
    "recv": ("recv", "send", "2"),
    "recv_word": ("recv_word", "send_word", "2"),
    "recv_words": ("recv_words", "send_word", "2"),
}


@pytest.mark.parametrize("task, handler, levels", MEETINGS)
def test_an_interrupt_at_any_cycle_does_no_harm(pico, visited, task, handler, levels):
    landed = sweep(pico, f"interrupts.Lane({task!r}, {handler!r})", levels, STEP, closely=True)
    assert landed.cycles > 500 * len(levels), "fewer cycles than any verb takes"
    visited(**landed._asdict())


@pytest.mark.parametrize("verb", MEETING_OF if SOAK else ["send", "recv"])
def test_a_mutant_is_caught(uf2, tmp_path, verb):
    task, handler, level = MEETING_OF[verb]
    module = "ends" if verb == "recv_words" else "verbs_direct"
    with broken_pico(uf2, tmp_path, (module, verb)) as pico:
        meeting = f"interrupts.Lane({task!r}, {handler!r})"
        is_caught(pico, meeting, level, STEP, "torn or out of order|lost|doubled")
