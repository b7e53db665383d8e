"""A hard interrupt at every cycle of a multicast or anycast verb, on an emulated RP2040.

`make soak` tries every meeting, and those of EVERY_CYCLE at every cycle of one fill level;
`make test` some of each.
"""

import pytest
from conftest import SOAK
from sweeps import broken_pico, is_caught, sweep

# Apart by primes, so that each meeting tries cycles of its own.
STEP = {"multicast": 13, "ROUND_ROBIN": 37, "LEAST_LOADED": 41, "RANDOM": 43, "AFFINITY_FIRST": 47}
POLICIES = ("ROUND_ROBIN", "LEAST_LOADED", "RANDOM", "AFFINITY_FIRST")

# (rule, what the task does)
EVERY_CYCLE = [(rule, task) for rule in ("multicast", "ROUND_ROBIN") for task in ("send", "recv")]
# (rule, what the task does, fill levels of the lanes of two); the handler sends
MEETINGS = [
    ("multicast", "send", "0"),
    ("multicast", "recv", "2"),
    *[(policy, task, "1") for policy in POLICIES for task in ("send", "recv")],
]
if SOAK:
    MEETINGS = [
        (rule, task, "102" if task[:4] == "send" else "201")
        for rule in ("multicast", *POLICIES)
        for task in ("send", "send_word", "recv", "recv_word")
    ]


@pytest.mark.parametrize("rule, task, levels", MEETINGS)
def test_a_handler_that_sends_at_any_cycle_does_no_harm(chip, visited, rule, task, levels):
    meeting = f"fanout_interrupts.Fanouts({rule!r}, {task!r})"
    landed = sweep(chip, meeting, levels, STEP[rule], (rule, task) in EVERY_CYCLE)
    assert landed.cycles > 500 * len(levels), "fewer cycles than any verb takes"
    visited(**landed._asdict())


def test_a_mutant_is_caught(uf2, tmp_path):
    name = "lanes.recv: releases before the copy"
    with broken_pico(uf2, tmp_path, name) as pico:
        meeting = "fanout_interrupts.Fanouts('multicast', 'recv')"
        is_caught(pico, meeting, "2", STEP["multicast"], "torn or out of order|lost|doubled")
