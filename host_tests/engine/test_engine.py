"""The engine's words and steps: stamped as lib/ringlane_host/engine.py says, and imports one way.

What `make stamp` would write is compared with what is there, formatted as ruff does.
"""

import ast
import graphlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, ROOT
from ringlane_host import engine

SCENARIOS = sorted((ROOT / "host_tests" / "device").glob("*_scenarios.py"))
MODULES = {path.stem: path.read_text() for path in PACKAGE.glob("*.py") if path.stem != "manifest"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
CONST = re.compile(r"\s*_([A-Z_]+) = const\(")

# Stamped copies


@pytest.fixture
def tree(tmp_path):
    """A copy of what `make stamp` reads and writes."""
    shutil.copytree(ROOT / "boards", tmp_path / "boards")
    hidden = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(PACKAGE.parent, tmp_path / "lib", ignore=hidden)
    (tmp_path / "host_tests" / "device").mkdir(parents=True)
    for path in [ROOT / "Makefile", ROOT / "pyproject.toml", *SCENARIOS]:
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    return tmp_path


def drifted(tree):
    """Stamp the copy; return the names of the files in which that changed something."""
    files = {path: path.read_text() for path in tree.glob("**/*.py")}
    tools = Path(sys.executable).parent
    command = ["make", "-C", tree, "-o", ".venv/.ready", "stamp", f"BIN={tools}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(path.name for path, text in files.items() if path.read_text() != text)


def alter(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_is_stamped_is_what_the_engine_says(tree):
    assert drifted(tree) == [], "run make stamp"


def test_a_copy_that_has_drifted_is_noticed(tree):
    alter(tree / "lib/ringlane/guard.py", "(priority & 7) << 2", "(priority & 3) << 2")
    alter(tree / "lib/ringlane/waiting.py", "_LIMIT = const(9)", "_LIMIT = const(8)")
    assert drifted(tree) == ["guard.py", "waiting.py"]
    assert drifted(tree) == []


def test_an_edit_of_the_engine_reaches_every_copy(tree):
    alter(tree / "lib/ringlane_host/engine.py", "now = part[_AT]", "now = part[_AT] + 1")
    assert drifted(tree) == [
        *("fanout.py", "request_reply.py", "trigger.py", "verbs.py"),
        *("verbs_direct.py", "verbs_fenced.py", "zero_copy.py"),
    ]
    alter(tree / "lib/ringlane_host/engine.py", '("HEAD", ', '("NEW", ""),\n        ("HEAD", ')
    assert "counter_scenarios.py" in drifted(tree)


def test_a_step_is_printed_with_its_values(capsys):
    engine.step("room", size="size + 1")
    text = capsys.readouterr().out
    assert "size + 1 - part[_LIMIT]) >> 31" in text and "<" not in text.replace("<<", "")


@pytest.mark.parametrize(
    "name, values, told",
    [
        ("no such step", {}, "no such step"),
        ("room", {}, "'room' needs a value for <size>"),
        ("known message", {"known": "part[_TX_KNOWN]"}, "'known message' needs .* <kept>"),
        ("publish", {"size": "4"}, "'publish' has no <size>"),
    ],
)
def test_a_step_that_is_not_there_or_lacks_a_value_is_an_error(name, values, told, capsys):
    with pytest.raises(KeyError, match=told):
        engine.step(name, **values)
    assert not capsys.readouterr().out


def test_every_step_and_word_is_used():
    text = "\n".join(MODULES.values())
    assert {*re.findall(r'#: step\("([a-z ]+)"', text)} == {*engine.STEPS}
    assert {f"_{name}" for name in engine.constants()} <= {*re.findall(r"\b_[A-Z_]+\b", text)}


def by_hand(text):
    """Return the engine's words that a module defines outside what is stamped."""
    rest = re.sub(r"(?ms)^ *#: (words|step|direct|facts)\(.*?^ *# stamped\.$", "", text)
    found = {each[1] for each in map(CONST.match, rest.splitlines()) if each}
    return sorted(found & {*engine.constants()})


@pytest.mark.parametrize("path", [*PACKAGE.glob("*.py"), *SCENARIOS], ids=lambda path: path.stem)
def test_no_word_of_the_engine_is_defined_by_hand(path):
    assert by_hand(path.read_text()) == []


def test_a_word_that_is_defined_by_hand_is_noticed():
    text = MODULES["lanes"] + "_HEAD = const(0)\n"
    assert by_hand(text) == ["HEAD"]


# Imports


def imports(text):
    """Return [(module of ringlane, names)] of every import in a module, and later()'s apart."""
    found, lazy = [], []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            module = "__init__" if node.module == "ringlane" else node.module or ""
            if module == "__init__" or node.level or module.split(".")[0] == "ringlane":
                found.append((module.split(".")[-1], [each.name for each in node.names]))
        elif isinstance(node, ast.Import):
            found += [
                (each.name.split(".")[1], [])
                for each in node.names
                if each.name.startswith("ringlane.")
            ]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
            if isinstance(node.value.func, ast.Name) and node.value.func.id == "later":
                lazy.append((node.value.args[0].value.split(".")[-1], [node.attr]))
    return found, lazy


def order(modules):
    """Return the modules, each after those that it imports; graphlib.CycleError if none is."""
    graph = {name: {module for module, _ in imports(text)[0]} for name, text in modules.items()}
    return [*graphlib.TopologicalSorter(graph).static_order()]


def top_level(text):
    """Return the names that a module defines."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTIONS) and node.col_offset in (0, 4):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and node.col_offset == 0:
            names = [name for each in node.targets for name in getattr(each, "elts", [each])]
            found |= {each.id for each in names if isinstance(each, ast.Name)}
    return found


def test_imports_go_one_way():
    assert {*order(MODULES)} == {*MODULES}
    circle = MODULES | {"lanes": MODULES["lanes"] + "\ndef f():\n    from .ends import Sender\n"}
    with pytest.raises(graphlib.CycleError):
        order(circle)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_is_imported_is_there_and_no_other_modules_own(module):
    here, lazy = imports(MODULES[module])
    for other, names in here + lazy:
        assert other in MODULES, other
        for name in names:
            assert not name.startswith("_"), f"{other}.{name}"
            assert name in top_level(MODULES[other]), f"{other}.{name}"


def test_a_name_of_another_modules_own_is_noticed():
    text = "from .lanes import _stride\nlater('ringlane.cold')._x\n"
    assert imports(text) == ([("lanes", ["_stride"])], [("cold", ["_x"])])
