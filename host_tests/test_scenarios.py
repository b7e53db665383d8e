"""What each channel promises: device/*_scenarios.py on every kind of machine."""

import importlib

import pytest
from scenarios import anew, names, once, sets

SETS = sets("scenarios")
EACH = [(module, name) for module in SETS for name in names(module)]


def program(module, only):
    return f"import harness, {module}\nharness.run({module}, {only})"


@pytest.fixture(scope="module")
def on_micropython(micropython, request):
    return once(micropython, request, program)


@pytest.fixture(scope="module")
def on_rp2040(pico, request):
    return once(anew(pico), request, program)


def test_the_scenarios_are_found():
    assert "queue_scenarios" in SETS
    for module in SETS:
        assert len(names(module)) > 5, module


@pytest.mark.parametrize("module, name", EACH)
def test_on_cpython_with_simulated_memory(device, module, name):
    getattr(importlib.import_module(module), name)()


@pytest.mark.parametrize("module, name", EACH)
def test_on_micropython_under_a_locked_heap(on_micropython, module, name):
    assert on_micropython(module).get(name, "did not run") == "ok\n"


@pytest.mark.parametrize("module, name", EACH)
def test_on_an_emulated_rp2040_under_a_locked_heap(on_rp2040, module, name):
    assert on_rp2040(module).get(name, "did not run") == "ok\n"
