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

TASKS = ("send", "send_word", "recv", "recv_word")

# (rule, what the task does); all policies receive as ROUND_ROBIN does, and words as bytes
EVERY_CYCLE = [
    *[("multicast", task) for task in (*TASKS, "send_at", "send_word_at")],
    *[(policy, "send") for policy in POLICIES],
    ("ROUND_ROBIN", "recv"),
]
# (rule, what the task does, fill levels of the lanes of two); the handler sends. With one message
# each, what there is to receive is up to RANDOM, and so is the time that it takes.
MEETINGS = [
    ("multicast", "send", "0"),
    ("multicast", "recv", "2"),
    *[(policy, *how) for policy in POLICIES for how in (("send", "1"), ("recv", "2"))],
]
if SOAK:
    MEETINGS = [
        (rule, task, "102" if task[:4] == "send" else "20" if rule == "RANDOM" else "201")
        for rule in ("multicast", *POLICIES)
        for task in TASKS
    ]
    MEETINGS += [("multicast", task, "102") for task in ("send_at", "send_word_at")]


@pytest.mark.parametrize("rule, task, levels", MEETINGS)
def test_a_handler_that_sends_at_any_cycle_does_no_harm(pico, visited, rule, task, levels):
    meeting = f"fanout_interrupts.Fanout({rule!r}, {task!r})"
    landed = sweep(pico, meeting, levels, STEP[rule], (rule, task) in EVERY_CYCLE)
    assert landed.cycles > 500 * len(levels), "fewer cycles than any verb takes"
    visited(**landed._asdict())


@pytest.mark.skipif(not SOAK, reason="bytecode takes long: make soak")
def test_a_handler_that_sends_while_a_receiver_skips_does_no_harm(pico, visited):
    # The verb is bytecode: the handler comes within it and within what it calls.
    meeting = "fanout_interrupts.Fanout('multicast', 'skip_to_latest')"
    landed = sweep(pico, meeting, "21", 89, cycles_max=60000)
    assert landed.cycles > 10000
    visited(**landed._asdict())


def test_a_mutant_is_caught(uf2, tmp_path):
    with broken_pico(uf2, tmp_path, ("verbs_direct", "recv")) as pico:
        meeting = "fanout_interrupts.Fanout('multicast', 'recv')"
        is_caught(pico, meeting, "2", STEP["multicast"], "torn or out of order|lost|doubled")
