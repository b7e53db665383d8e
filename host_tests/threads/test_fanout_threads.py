"""Multicast and anycast between threads without a GIL on real MicroPython, truly parallel."""

import os
import re

import mutants
import pytest
from conftest import PACKAGE

POLICIES = ("ROUND_ROBIN", "LEAST_LOADED", "RANDOM", "AFFINITY_FIRST")


@pytest.fixture(autouse=True)
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("threads in parallel need two cores; this machine gives one")


@pytest.fixture
def run(micropython):
    """A function that runs a call of fanout_threads and returns the figures it printed."""

    def call(text):
        printed = micropython(f"import fanout_threads as f; f.{text}")
        pairs = re.findall(r"([a-z]+) (\d+)", printed)
        return {name: int(value) for name, value in pairs}

    return call


@pytest.mark.parametrize("deliveries, words", [(60_000, False), (25_000, True)])
def test_every_receiver_gets_each_message_in_order_or_counts_it(run, deliveries, words):
    figures = run(f"multicast({deliveries}, {words})")
    assert figures["deliveries"] >= deliveries
    # Each side overtook the other, so they ran at the same time.
    assert figures["empty"] > 0 and figures["dropped"] > 0


def test_a_receiver_that_opens_and_closes_sees_no_old_message(run):
    sessions = 1_500
    figures = run(f"reopening({sessions})")
    assert figures["sessions"] == sessions
    assert figures["used"] > sessions // 20, "too few sessions saw a message"
    assert figures["received"] > figures["used"] and figures["unread"] > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_one_receiver_gets_each_message_and_the_policy_says_which(run, policy):
    messages = 25_000
    figures = run(f"anycast(f.{policy}, {messages})")
    assert figures["messages"] == messages
    assert figures["empty"] > 0 and figures["full"] > 0
    assert figures["chosen"] > messages // 20, "the policy had hardly a choice"
    assert figures["passed"] > 0


def test_two_senders_meet_at_the_same_receivers(run):
    messages = 20_000
    figures = run(f"senders(f.ROUND_ROBIN, {messages})")
    assert figures["messages"] == messages
    assert figures["empty"] > 0 and figures["full"] > 0


@pytest.mark.parametrize("verb", ["send", "send_word"])
def test_a_mutant_is_caught(micropython, no_gil, tmp_path, verb):
    broken = mutants.make(mutants.find("fanout", verb), PACKAGE, tmp_path)
    words = verb.endswith("_word")
    with pytest.raises(AssertionError, match="torn|out of order"):
        micropython(f"import fanout_threads as f; f.multicast(10**8, {words})", broken.parent)
