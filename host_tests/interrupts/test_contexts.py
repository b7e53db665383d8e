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
from ringlane import NORMAL, Channel, SoftGuard
from ringlane_host.explore import ExplorationError, interrupts, soft

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
SOFT_KEEPS = [
    "a_soft_handler_has_an_end_of_its_own",
    "a_soft_handler_takes_replies_while_the_task_calls",
]
SOFT_BREAKS = [
    "a_soft_handler_receives_from_the_end_of_the_task",
    "a_soft_handler_and_a_task_take_replies",
]
GIL_KEEPS = ["threads_under_a_gil_share_a_sender", "threads_under_a_gil_have_an_end_each"]
GIL_BREAKS = ["threads_under_a_gil_share_a_receiver"]
WRONG = "AssertionError: .*(lost|torn|doubled)"


@pytest.fixture
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("threads in parallel need two cores; this machine gives one")


@pytest.fixture
def contexts(monkeypatch):
    monkeypatch.syspath_prepend(str(DEVICE))
    yield importlib.import_module("contexts")
    for name in ("contexts", "guard_threads", "payload", "soft_handlers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", THREADS_KEEP)
def test_threads_that_keep_the_rule_lose_nothing(micropython, needs_two_cores, name):
    assert micropython(f"import contexts; contexts.{name}(); print('ok')").endswith("ok\n")


@pytest.mark.parametrize("name", THREADS_BREAK)
def test_threads_that_break_the_rule_go_wrong(micropython, no_gil, needs_two_cores, name):
    with pytest.raises(AssertionError, match=WRONG):
        micropython(f"import contexts; contexts.{name}()")


@pytest.mark.parametrize("name", SOFT_KEEPS)
def test_soft_handlers_that_keep_the_rule_lose_nothing(micropython, name):
    assert micropython(f"import contexts; contexts.{name}(); print('ok')") == "ok\n"


@pytest.mark.parametrize("name", SOFT_BREAKS)
def test_soft_handlers_that_break_the_rule_go_wrong(micropython, name):
    with pytest.raises(AssertionError, match=WRONG):
        micropython(f"import contexts; contexts.{name}()")


@pytest.mark.parametrize("name", GIL_KEEPS)
def test_threads_under_a_gil_that_keep_the_rule_lose_nothing(gil, name):
    assert gil(f"import contexts; contexts.{name}(); print('ok')").endswith("ok\n")


@pytest.mark.parametrize("name", GIL_BREAKS)
def test_threads_under_a_gil_that_break_the_rule_go_wrong(gil, name):
    with pytest.raises(AssertionError, match=WRONG):
        gil(f"import contexts; contexts.{name}()")


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
    assert interrupts(of_one_sender(soft=True), merge=False).points > 10


def test_a_soft_handler_between_any_two_bytecodes_shares_the_sender_of_the_task():
    assert soft(sending).points >= 2


def sending():
    """The scenario of a task and a soft handler that send by one sender, with new buffers."""
    ch = Channel(3, 8)

    def check():
        buf, got = bytearray(8), []
        while m := ch.recv(buf):
            got.append(bytes(buf[: m[0]]))
        assert sorted(got) == [b"handler!", b"task"], got

    return (
        lambda: ch.send(bytearray(b"task"), NORMAL),
        lambda: ch.send(bytearray(b"handler!"), NORMAL),
        check,
    )


def receiving(own_end):
    """Return the scenario of README's loop, and a soft handler that receives."""

    def scenario():
        ch = Channel(4, 4, recv_guard=SoftGuard())
        end = ch.add_receiver() if own_end else ch
        for value in range(4):
            ch.send_word(value, NORMAL)
        got, others = [], []

        def task():
            while m := ch.recv_word():
                value, priority, latency = m
                got.append(value)

        def handler():
            m = end.recv_word()
            if m:
                others.append(m[0])

        def check():
            assert sorted(got + others) == [0, 1, 2, 3], (got, others)

        return task, handler, check

    return scenario


def test_a_soft_handler_with_an_end_of_its_own_takes_nothing_from_the_task():
    assert soft(receiving(own_end=True)).points > 4


def test_a_soft_handler_that_receives_from_the_end_of_the_task_goes_wrong():
    with pytest.raises(ExplorationError, match="the check failed"):
        soft(receiving(own_end=False))


def test_a_hard_handler_that_shares_the_sender_of_the_task_goes_wrong():
    with pytest.raises(ExplorationError, match="replay"):
        interrupts(of_one_sender(soft=False), merge=False)


MEETING = "claim_interrupts.Claims('send', 'send', {!r}, hard={})"
STEP = 29


def test_a_soft_handler_asked_for_at_any_cycle_shares_the_sender_of_the_task(pico):
    assert sweeps.sweep(pico, MEETING.format("bare", False), "0", STEP).cycles > 500


def test_a_hard_handler_at_any_cycle_needs_a_sender_of_its_own(pico):
    assert sweeps.sweep(pico, MEETING.format("", True), "0", STEP).cycles > 500
    sweeps.is_caught(pico, MEETING.format("bare", True), "0", STEP, "torn|lost|doubled")
