"""What the package ringlane is made of: its modules, its patterns, and what each pattern needs.

    modules("priority")  # the files of a ringlane that has PriorityChannel only
    modules("priority", "link")  # and ringlane.link

All of it is read from the source: the imports, at a module's top and inside functions, the names
that later() imports, and the names that the root imports when they are first used.
"""

import ast
import json
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "ringlane"
NOT_FOR_BOARDS = {"manifest"}
# What looks into a running board, or reaches in: with patterns only those that are asked for.
EXTRAS = ("debug", "flight", "link", "remote")
_PATTERN = "Channel"  # how the root's names of patterns end


@cache
def every_module() -> tuple[str, ...]:
    """Return the names of all modules that go onto a board, sorted."""
    return tuple(
        sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_FOR_BOARDS)
    )


@cache
def version() -> str:
    """Return ringlane's version."""
    return ast.literal_eval(_assigned("__version__"))


@cache
def patterns() -> dict[str, str]:
    """Return {module: class} of the patterns, as {"priority": "PriorityChannel"}."""
    return {module: name for name, module in _offered().items() if name.endswith(_PATTERN)}


def modules(*wanted: str) -> tuple[str, ...]:
    """Return the modules that the patterns `wanted` need, sorted; without any, all modules.

    That is each pattern with all its options, and what else the root offers, as report(); of
    EXTRAS those that are `wanted`, too. Raises LookupError if there is no such pattern.
    """
    if not wanted:
        return every_module()
    for name in wanted:
        if name not in patterns() and name not in EXTRAS:
            raise LookupError(f"no pattern {name!r}; there are {', '.join(sorted(patterns()))}")
    found: set[str] = set()
    left_out = {*patterns(), *EXTRAS}
    waiting = ["__init__", "names", *wanted, *set(_offered().values()) - left_out]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += imported(module)
    return tuple(sorted(found))


@cache
def imported(module: str) -> frozenset[str]:
    """Return which modules of ringlane `module` imports, at once or later."""
    found = set()
    for node in ast.walk(ast.parse((FOLDER / f"{module}.py").read_text())):
        match node:
            case ast.ImportFrom(module=str(name), level=1):
                found.add(name)
            case ast.ImportFrom(module=None, level=1, names=names):
                found |= {alias.name for alias in names}
            case ast.Call(func=ast.Name(id="later")):
                found |= {
                    each.value.partition(".")[2]
                    for each in ast.walk(node)
                    if isinstance(each, ast.Constant)
                    and isinstance(each.value, str)
                    and each.value.startswith("ringlane.")
                }
    unknown = found - set(every_module())
    assert not unknown, f"{module}.py imports {unknown}"
    return frozenset(found)


def for_mip(*wanted: str, suffix: str = ".py") -> str:
    """Return the package.json for mip of those patterns, its files beside it; see modules().

    It lists all files: a dependency would need the address that the files are served at.
    """
    names = [f"{name}{suffix}" for name in modules(*wanted)]
    lines = ",\n".join(f"        {json.dumps([f'ringlane/{name}', name])}" for name in names)
    return f'{{\n    "urls": [\n{lines}\n    ],\n    "version": "{version()}"\n}}\n'


def mip_files() -> dict[str, str]:
    """Return {name: text} of the files for mip that lie in the package's folder."""
    files = {f"{pattern}.json": for_mip(pattern) for pattern in patterns()}
    return {"package.json": for_mip(), **files}


def manifest() -> str:
    """Return the text of manifest.py with the modules that there are."""
    text = (FOLDER / "manifest.py").read_text()
    files = "".join(f'        "{name}.py",\n' for name in every_module())
    return re.sub(r"(    files=\[\n).*?(    \],\n)", rf"\1{files}\2", text, flags=re.S)


def to_freeze(*wanted: str) -> str:
    """Return the line of a board's manifest that freezes those; see modules()."""
    if not wanted:
        return f'include("{FOLDER.as_posix()}/manifest.py")'
    files = ", ".join(f'"{name}.py"' for name in modules(*wanted))
    return f'package("ringlane", files=[{files}], base_path="{FOLDER.parent.as_posix()}")'


@cache
def _offered() -> dict[str, str]:
    # {name: module} of what the root imports when it is first used.
    offered: dict[str, str] = ast.literal_eval(_assigned("PATTERNS"))
    return offered | ast.literal_eval(_assigned("MODULES", "names"))


def _assigned(name: str, module: str = "__init__") -> ast.expr:
    for node in ast.parse((FOLDER / f"{module}.py").read_text()).body:
        match node:
            case ast.Assign([ast.Name(id=target)], value) if target == name:
                return value
    raise LookupError(f"ringlane/{module}.py has no {name}")


def main() -> None:
    """Write the files for mip and the list in manifest.py: `make stamp` calls this."""
    for name, text in {**mip_files(), "manifest.py": manifest()}.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
