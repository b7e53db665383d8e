"""A client and a server in two threads without a GIL, on real MicroPython, truly parallel."""

import os
import re

import mutants
import pytest
from conftest import PACKAGE

REQUESTS = 18_000
CALLS = 800


@pytest.fixture(autouse=True)
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two threads in parallel need two cores; this machine gives one")


def test_every_request_gets_its_own_reply_or_is_given_up(micropython):
    printed = micropython(f"import request_reply_threads as t; t.main({REQUESTS})")
    seen = dict(re.findall(r"([a-z ]+) (\d+)", printed))
    seen = {name.strip(): int(count) for name, count in seen.items()}
    assert seen["requests"] == seen["answered"] + seen["given up"] == REQUESTS, seen
    # Each side overtook the other, requests were given up, and replies came too late.
    assert min(seen.values()) > 0 and len(seen) == 7, seen


def test_call_wait_is_answered_by_serve_wait_in_another_thread(micropython):
    printed = micropython(f"import request_reply_threads as t; t.calls({CALLS})")
    assert printed == f"calls {CALLS}\n"


# The other mutant's gap closes before any other thread can have come to it.
def test_a_mutant_is_caught(micropython, no_gil, tmp_path):
    broken = mutants.make(mutants.find("request_reply", "send_response"), PACKAGE, tmp_path)
    with pytest.raises(AssertionError, match="torn|wrong id"):
        micropython("import request_reply_threads as t; t.main(10**7)", broken.parent)
