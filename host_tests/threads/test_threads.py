"""Two threads without a GIL on real MicroPython, truly parallel."""

import os
import re

import mutants
import pytest
from conftest import PACKAGE

# Messages, and what main() gets beside their number.
RUNS = {
    "mixed sizes and classes": (75_000, ""),
    "words": (40_000, ", True"),
    "two senders": (25_000, ", True, 2"),
}


@pytest.fixture(autouse=True)
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two threads in parallel need two cores; this machine gives one")


@pytest.mark.parametrize("run", RUNS)
def test_nothing_is_lost_torn_doubled_or_reordered(micropython, run):
    messages, rest = RUNS[run]
    printed = micropython(f"import two_threads; two_threads.main({messages}{rest})")
    count, empty, full = map(int, re.findall(r"\d+", printed))
    assert count == messages
    # Both sides overtook the other, so they ran at the same time.
    assert empty > 0 and full > 0


@pytest.mark.parametrize("verb", ["send", "send_word", "recv", "recv_word"])
def test_a_mutant_is_caught(micropython, no_gil, tmp_path, verb):
    broken = mutants.make(mutants.find("verbs", verb), PACKAGE, tmp_path)
    words = verb.endswith("_word")
    with pytest.raises(AssertionError, match="torn or out of order|lost"):
        micropython(f"import two_threads; two_threads.main(10**7, {words})", broken.parent)
