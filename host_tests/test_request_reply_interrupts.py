"""A hard interrupt at every cycle of a client's or a server's verb, on an emulated RP2040.

The handler is the other side. `make soak` tries every cycle; `make test` every seventh, and of
one meeting for each side.
"""

import mutants
import pytest
from conftest import DEVICE, PACKAGE
from test_interrupts import SOAK, STEP, sweep_level

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
        ("recv_request", "ask", "012"),
        ("recv_request", "cancel", "12"),
        ("recv_request", "reuse", "12"),
        ("send_response", "ask", "12"),
        ("send_response", "take", "12"),
        ("send_response", "cancel", "12"),
        ("send_response", "reuse", "12"),
    ]

# The meeting that shows each mutant.
MEETING_OF = {
    "request_reply.send_response: publishes before the payload": ("send_response", "take", "1"),
    "request_reply.send_request: issues after the request": ("send_request", "serve", "0"),
}


def prepare(pico):
    for name in ("payload", "interrupts", "request_reply_interrupts"):
        pico.put_module(DEVICE / f"{name}.py")
    return pico


def sweep(pico, task, handler, levels, step):
    """Land the interrupt at every `step`th cycle, level by level; return how many were tried."""
    pico.exec(f"import request_reply_interrupts as i\nm = i.Meeting({task!r}, {handler!r})")
    return sum(sweep_level(pico, task, int(level), step) for level in levels)


@pytest.fixture(scope="module")
def chip(pico):
    pico.reset()  # earlier tests have left their modules in memory
    return prepare(pico)


@pytest.mark.parametrize("task, handler, levels", MEETINGS)
def test_the_other_side_at_any_cycle_does_no_harm(chip, task, handler, levels):
    cycles = sweep(chip, task, handler, levels, STEP)
    assert cycles > 500 * len(levels), "fewer cycles than any verb takes"


@pytest.mark.skipif(not SOAK, reason="a chip for each mutant takes minutes: make soak")
@pytest.mark.parametrize("name", MEETING_OF)
def test_a_mutant_is_caught(uf2, tmp_path, name):
    emulated = pytest.importorskip(
        "ringlane_host.emulated", reason="no rp2040py: pip install rp2040py"
    )
    # A chip of its own: what a broken engine leaves behind is nobody else's.
    with emulated.EmulatedPico(uf2) as pico:
        pico.put_package(mutants.make(name, PACKAGE, tmp_path))
        prepare(pico)
        with pytest.raises(emulated.DeviceError, match="torn|lost|wrongly|refused"):
            sweep(pico, *MEETING_OF[name], 7)
