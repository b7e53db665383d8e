"""The rules of the README's "Who may call what", each by a program that keeps it and one that
breaks it: the first holds, the second visibly goes wrong.

The LockGuard in a handler is not here: it waits for ever for the task that it interrupts.
"""

import importlib
import os
import sys

import micropython as simulated_micropython
import pytest
import sweeps
from conftest import DEVICE
from ringlane import NORMAL, Channel
from ringlane_host.interrupts import InterruptError, sweep

# What needs threads that run in parallel, and what is one event loop's affair.
THREADS_KEEP = [
    "a_task_and_soft_handlers_share_a_sender",
    "threads_have_a_sender_each",
    "threads_share_a_sender_under_a_guard",
    "threads_have_a_receiver_each_under_recv_guard",
]
THREADS_BREAK = ["threads_share_a_sender", "threads_share_a_receiver"]
LOOP_KEEPS = [
    "tasks_of_one_loop_share_a_receiver",
    "a_task_keeps_a_copy_of_the_result_over_an_await",
]
LOOP_BREAKS = ["a_task_keeps_the_result_over_an_await"]
WRONG = "AssertionError: .*(lost|torn|doubled)"


@pytest.fixture
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("threads in parallel need two cores; this machine gives one")


@pytest.fixture
def contexts(monkeypatch):
    monkeypatch.syspath_prepend(str(DEVICE))
    yield importlib.import_module("contexts")
    for name in ("contexts", "guard_threads", "payload"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", THREADS_KEEP)
def test_threads_that_keep_the_rule_lose_nothing(micropython, needs_two_cores, name):
    assert micropython(f"import contexts; contexts.{name}(); print('ok')").endswith("ok\n")


@pytest.mark.parametrize("name", THREADS_BREAK)
def test_threads_that_break_the_rule_go_wrong(micropython, needs_two_cores, name):
    with pytest.raises(AssertionError, match=WRONG):
        micropython(f"import contexts; contexts.{name}()")


@pytest.mark.parametrize("name", LOOP_KEEPS)
def test_tasks_that_keep_the_rule_lose_nothing(micropython, contexts, name):
    getattr(contexts, name)()
    assert micropython(f"import contexts; contexts.{name}(); print('ok')") == "ok\n"


@pytest.mark.parametrize("name", LOOP_BREAKS)
def test_tasks_that_break_the_rule_go_wrong(micropython, contexts, name):
    with pytest.raises(AssertionError, match="torn"):
        getattr(contexts, name)()
    with pytest.raises(AssertionError, match=WRONG):
        micropython(f"import contexts; contexts.{name}()")


def of_one_sender(soft):
    """Return a scenario: a handler, soft or hard, and a task send by the same verb."""

    def scenario():
        ch = Channel(3, 8)
        ran = []

        def handler(arg):
            ran.append(ch.send(b"handler!", NORMAL))

        def interrupt():
            simulated_micropython.schedule(handler, None) if soft else handler(None)

        def check():
            buf, got = bytearray(8), []
            while m := ch.recv(buf):
                got.append(bytes(buf[: m[0]]))
            assert ran == [True] and sorted(got) == [b"handler!", b"task"], got

        return lambda: ch.send(b"task", NORMAL), interrupt, check

    return scenario


def test_a_soft_handler_at_any_access_shares_the_sender_of_the_task():
    assert sweep(of_one_sender(soft=True)) > 10


def test_a_hard_handler_that_shares_the_sender_of_the_task_goes_wrong():
    with pytest.raises(InterruptError, match="interrupted before access"):
        sweep(of_one_sender(soft=False))


MEETING = "claim_interrupts.Claims('send', 'send', {!r}, hard={})"
STEP = 29


def test_a_soft_handler_asked_for_at_any_cycle_shares_the_sender_of_the_task(pico):
    assert sweeps.sweep(pico, MEETING.format("bare", False), "0", STEP).cycles > 500


def test_a_hard_handler_at_any_cycle_needs_a_sender_of_its_own(pico):
    assert sweeps.sweep(pico, MEETING.format("", True), "0", STEP).cycles > 500
    sweeps.is_caught(pico, MEETING.format("bare", True), "0", STEP, "torn|lost|doubled")
