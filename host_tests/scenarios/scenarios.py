"""Sets of scenarios: what test_scenarios.py and test_tasks.py share.

A set is a module of device/; a scenario is a function in it without arguments whose name does not
begin with "_". Those of *_tasks.py are async, and beside them functions that are not are no
scenarios.
"""

import ast
import re

from conftest import ASKED, DEVICE


def sets(kind):
    """Return the names of the sets of device/*_{kind}.py."""
    return sorted(path.stem for path in DEVICE.glob(f"*_{kind}.py"))


def names(module):
    """Return the names of a set's scenarios without importing it."""
    kind = ast.AsyncFunctionDef if module.endswith("_tasks") else ast.FunctionDef
    tree = ast.parse((DEVICE / f"{module}.py").read_text())
    found = [node.name for node in tree.body if isinstance(node, kind)]
    return [name for name in found if not name.startswith("_")]


def chosen(request, module):
    """Return those of a set that the tests of this file are to run: with -k they are not all.

    `request` is pytest's, of a fixture; the tests have the parameters "module" and "name".
    """
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path
        and hasattr(item, "callspec")
        and item.callspec.params.get("module") == module
    }
    return [name for name in names(module) if name in asked]


def outcomes(printed, module):
    """Return what a board printed, by scenario."""
    parts = re.split(rf"^({'|'.join(names(module))}) ", printed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def once(execute, request, program):
    """Return a function that gives the outcomes of a set, which it runs at the first call.

    `execute(source)` runs a program and returns what it printed; `program(module, names)` is its
    source; `request` as for chosen().
    """
    done = {}

    def run(module):
        if module not in done:
            printed = execute(program(module, chosen(request, module)))
            done[module] = outcomes(printed, module)
        return done[module]

    return run


def anew(pico):
    """Return pico.exec, of a chip with nothing in memory: the set before has left its modules."""

    def execute(source):
        pico.reset()
        return pico.exec(ASKED + source)

    return execute
