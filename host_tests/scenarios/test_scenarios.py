"""What each channel promises: device/*_scenarios.py on every kind of machine."""

import importlib

import mutants
import pytest
from conftest import FENCED, MUTANT, PACKAGE, SOAK, in_form
from scenarios import anew, names, once, sets

SETS = sets("scenarios")
EACH = [(module, name) for module in SETS for name in names(module)]
# The portable form is what a MicroPython of 64 bits takes, too.
FORMS = [(*each, "direct", FENCED) for each in EACH]
FORMS += [(*each, "portable", FENCED) for each in EACH[:: 1 if SOAK or MUTANT else 3]]
FORMS += [(*each, "direct", True) for each in EACH[1 :: 1 if SOAK or MUTANT else 3]]


def program(module, only):
    return f"import harness, {module}\nharness.run({module}, {only})"


@pytest.fixture(scope="module")
def on_micropython(micropython, request):
    return once(micropython, request, program)


@pytest.fixture(scope="module")
def on_rp2040(pico, request):
    return once(anew(pico), request, program)


def test_the_scenarios_are_found(visited):
    assert "queue_scenarios" in SETS
    for module in SETS:
        assert len(names(module)) > 5, module
    visited(scenarios=len(FORMS))


@pytest.mark.parametrize("module, name, form, fenced", FORMS)
def test_on_cpython_with_simulated_memory(device, module, name, form, fenced):
    with in_form(form, fenced):
        getattr(importlib.import_module(module), name)()


@pytest.mark.parametrize("module, name", EACH)
def test_on_micropython_under_a_locked_heap(on_micropython, module, name):
    assert on_micropython(module).get(name, "did not run") == "ok\n"


@pytest.mark.parametrize("module, name", EACH)
def test_on_an_emulated_rp2040_under_a_locked_heap(on_rp2040, module, name):
    assert on_rp2040(module).get(name, "did not run") == "ok\n"


# Where a small int has 31 bits. The scenario is to notice what comes before there is memory.
EARLY = ['"lane[_TAIL] = lane[_TAIL] + 1" before', '"part[_STAMP] = stamp" before']


@pytest.mark.parametrize("early", EARLY)
@pytest.mark.parametrize("form, store", [("verbs", "result[0] = value")])
def test_a_mutant_that_counts_a_word_before_it_has_memory_is_caught(
    micropython, tmp_path, form, store, early
):
    if int(micropython("import sys; print(sys.maxsize)")) > 1 << 32:
        pytest.skip("every word is a small int here: make test MICROPYTHON= of 32 bits")
    mutant = mutants.find(form, "recv_word", f'{early} "{store}"')
    broken = mutants.make(mutant, PACKAGE, tmp_path)
    name = "a_word_that_finds_no_memory_stays_queued"
    printed = micropython(program("queue_scenarios", [name]), broken.parent)
    assert printed.startswith(f"{name} failed\n")
