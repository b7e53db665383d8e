"""What each channel promises: sets of scenarios, each run on every kind of machine.

A set is a module host_tests/device/*_scenarios.py; a scenario is a function in it without
arguments whose name does not begin with "_".
"""

import ast
import importlib
import re
import sys

import pytest
from conftest import DEVICE

SETS = sorted(path.stem for path in DEVICE.glob("*_scenarios.py"))


def scenarios(module):
    """Return the names of a set's scenarios without importing it."""
    tree = ast.parse((DEVICE / f"{module}.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if not name.startswith("_")]


EACH = [(module, name) for module in SETS for name in scenarios(module)]


def outcomes(printed, module):
    """Return what a board printed, by scenario."""
    parts = re.split(rf"^({'|'.join(scenarios(module))}) ", printed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def on_cpython():
    sys.path.insert(0, str(DEVICE))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(DEVICE))


@pytest.fixture(scope="module")
def on_micropython(micropython):
    done = {}

    def run(module):
        if module not in done:
            program = f"import harness, {module}; harness.run({module})"
            done[module] = outcomes(micropython(program), module)
        return done[module]

    return run


@pytest.fixture(scope="module")
def on_rp2040(pico):
    done = {}

    def run(module):
        if module not in done:
            pico.reset()  # the set before has left its modules in memory
            program = f"import harness, {module}\nharness.run({module})"
            done[module] = outcomes(pico.exec(program), module)
        return done[module]

    return run


def test_the_scenarios_are_found():
    assert "queue_scenarios" in SETS
    for module in SETS:
        assert len(scenarios(module)) > 5, module


@pytest.mark.parametrize("module, name", EACH)
def test_on_cpython_with_simulated_memory(on_cpython, module, name):
    getattr(on_cpython(module), name)()


@pytest.mark.parametrize("module, name", EACH)
def test_on_micropython_under_a_locked_heap(on_micropython, module, name):
    assert on_micropython(module).get(name, "did not run") == "ok\n"


@pytest.mark.parametrize("module, name", EACH)
def test_on_an_emulated_rp2040_under_a_locked_heap(on_rp2040, module, name):
    assert on_rp2040(module).get(name, "did not run") == "ok\n"
