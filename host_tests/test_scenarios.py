"""What every channel promises: one set of scenarios, run on each kind of machine."""

import ast
import importlib.util
import re

import pytest
from conftest import DEVICE

SOURCE = DEVICE / "scenarios.py"


def scenarios():
    """Return the names of the scenarios without importing them."""
    tree = ast.parse(SOURCE.read_text())
    helpers = {"raises", "pattern", "at", "not_bytes", "names", "main"}
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name not in helpers and not name.startswith("_")]


NAMES = scenarios()


def outcomes(printed):
    """Return what a board printed, by scenario."""
    parts = re.split(rf"^({'|'.join(NAMES)}) ", printed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def scenario_module():
    spec = importlib.util.spec_from_file_location("scenarios", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def on_micropython(micropython):
    return outcomes(micropython("import scenarios; scenarios.main()"))


@pytest.fixture(scope="module")
def on_rp2040(pico):
    pico.put_module(SOURCE)
    return outcomes(pico.exec("import scenarios; scenarios.main()"))


def test_the_scenarios_are_found():
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", NAMES)
def test_on_cpython_with_simulated_memory(scenario_module, name):
    getattr(scenario_module, name)()


@pytest.mark.parametrize("name", NAMES)
def test_on_micropython_under_a_locked_heap(on_micropython, name):
    assert on_micropython.get(name, "did not run") == "ok\n"


@pytest.mark.parametrize("name", NAMES)
def test_on_an_emulated_rp2040_under_a_locked_heap(on_rp2040, name):
    assert on_rp2040.get(name, "did not run") == "ok\n"
