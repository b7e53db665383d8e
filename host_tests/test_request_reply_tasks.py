"""Tasks that call and serve: the same source on CPython, on MicroPython, on an emulated RP2040."""

import ast
import asyncio
import importlib
import re
import sys

import pytest
from conftest import DEVICE

MODULE = "request_reply_tasks"
TREE = ast.parse((DEVICE / f"{MODULE}.py").read_text())
LISTED = next(
    node.value.elts
    for node in TREE.body
    if isinstance(node, ast.Assign) and node.targets[0].id == "SCENARIOS"
)
SCENARIOS = [name.id for name in LISTED]


def outcomes(printed):
    parts = re.split(rf"^({'|'.join(SCENARIOS)}) ", printed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def module():
    sys.path.insert(0, str(DEVICE))
    try:
        yield importlib.import_module(MODULE)
    finally:
        sys.path.remove(str(DEVICE))


@pytest.fixture(scope="module")
def on_micropython(micropython):
    return outcomes(micropython(f"import {MODULE}; {MODULE}.main()"))


@pytest.fixture(scope="module")
def on_rp2040(pico):
    return outcomes(pico.exec(f"import {MODULE}\n{MODULE}.main()"))


def test_every_scenario_is_listed():
    helpers = {"fails"}
    defined = {node.name for node in TREE.body if isinstance(node, ast.AsyncFunctionDef)}
    assert set(SCENARIOS) == defined - helpers and len(SCENARIOS) > 10


@pytest.mark.parametrize("name", SCENARIOS)
def test_on_cpython(module, name):
    asyncio.run(getattr(module, name)())


@pytest.mark.parametrize("name", SCENARIOS)
def test_on_micropython(on_micropython, name):
    assert on_micropython.get(name, "did not run") == "ok\n"


def test_on_an_emulated_rp2040(on_rp2040):
    assert on_rp2040 == dict.fromkeys(SCENARIOS, "ok\n")
