"""Threads without a GIL on real MicroPython share a sender, or a receiver, under a LockGuard."""

import os
import re

import pytest

MESSAGES = 75_000
ROUNDS_MAX = 50  # within which it has to go wrong without the guard; it does in the first

# What runs, and the arguments beside the number of messages.
SHARED = {
    "two threads, one sender": ("share_sender", ""),
    "two threads, one channel to receive from": ("share_receiver", ", 2"),
    "three threads, one channel to receive from": ("share_receiver", ", 3"),
}


@pytest.fixture(autouse=True)
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("threads in parallel need two cores; this machine gives one")


@pytest.mark.parametrize("shared", SHARED)
def test_nothing_is_lost_torn_doubled_or_reordered_under_the_guard(micropython, shared):
    name, rest = SHARED[shared]
    printed = micropython(f"import guard_threads; guard_threads.{name}({MESSAGES}{rest})")
    count, empty, full, turns, *shares = map(int, re.findall(r"\d+", printed))
    assert count == MESSAGES
    # Each side overtook the other, and the threads that share each other, so all ran at once.
    assert empty > 0 and full > 0 and turns > 2, printed
    assert all(share > 0 for share in shares), printed


@pytest.mark.parametrize(
    "program", [f"share_sender({MESSAGES}, False)", f"share_receiver({MESSAGES}, 2, False)"]
)
def test_the_same_without_the_guard_goes_wrong(micropython, no_gil, program):
    with pytest.raises(AssertionError, match="AssertionError: .*(torn|lost|doubled)"):
        micropython(f"import guard_threads\nfor _ in range({ROUNDS_MAX}): guard_threads.{program}")
