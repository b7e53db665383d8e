"""A hard interrupt at every cycle of a client's or a server's verb, on an emulated RP2040.

The handler is the other side. `make soak` tries every meeting, and those of EVERY_CYCLE at every
cycle of one fill level; `make test` one meeting for each side.
"""

import pytest
from conftest import SOAK
from sweeps import broken_pico, is_caught, sweep

STEP = 13

# (task's verb, what the handler does)
EVERY_CYCLE = [
    ("send_request", "serve"),
    ("recv_response", "answer"),
    ("cancel", "answer"),
    ("recv_request", "ask"),
    ("send_response", "take"),
    ("send_status", "take"),
]
# (task's verb, what the handler does, requests before)
MEETINGS = [
    ("send_request", "serve", "0"),
    ("send_response", "reuse", "1"),
]
if SOAK:
    MEETINGS = [
        ("send_request", "serve", "012"),
        ("send_request", "answer", "12"),
        ("recv_response", "serve", "12"),
        ("recv_response", "answer", "12"),
        ("cancel", "serve", "12"),
        ("cancel", "answer", "12"),
        ("recv_request", "ask", "102"),
        ("recv_request", "cancel", "12"),
        ("recv_request", "reuse", "12"),
        ("send_response", "ask", "12"),
        ("send_response", "take", "12"),
        ("send_response", "cancel", "12"),
        ("send_response", "reuse", "12"),
        ("send_status", "take", "12"),
    ]

# What mutants.find() is asked for: the meeting that shows it.
MEETING_OF = {
    ("send_response",): ("send_response", "take", "1"),
    ("send_request", '"lane[_HEAD] = head + 1" before "entry[_ISSUED] ='): (
        "send_request",
        "serve",
        "0",
    ),
}


@pytest.mark.parametrize("task, handler, levels", MEETINGS)
def test_the_other_side_at_any_cycle_does_no_harm(pico, visited, task, handler, levels):
    meeting = f"request_reply_interrupts.Exchange({task!r}, {handler!r})"
    landed = sweep(pico, meeting, levels, STEP, (task, handler) in EVERY_CYCLE)
    assert landed.cycles > 500 * len(levels), "fewer cycles than any verb takes"
    visited(**landed._asdict())


@pytest.mark.skipif(not SOAK, reason="a chip for each mutant takes minutes: make soak")
@pytest.mark.parametrize("query", MEETING_OF)
def test_a_mutant_is_caught(uf2, tmp_path, query):
    task, handler, level = MEETING_OF[query]
    with broken_pico(uf2, tmp_path, ("request_reply", *query)) as pico:
        meeting = f"request_reply_interrupts.Exchange({task!r}, {handler!r})"
        is_caught(pico, meeting, level, STEP, "torn|lost|wrongly|rejected")
