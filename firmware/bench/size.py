"""What ringlane takes: .mpy and RAM, by module, by pattern and per channel.

RAM is of .mpy in the chip's file system, all of ringlane in one folder, and ms of import and first
channel by the chip's own clock. What names take is counted apart: see BY_MODULE.

    size.py                       .mpy only
    size.py --uf2 RPI_PICO.uf2    RAM too, on the emulated RP2040, and how long an import takes

Exit status 0: measured.
"""

import argparse
import ast
import graphlib
import json
import sys
from pathlib import Path

import ringlane
from ringlane_host.boards.emulated import DeviceError, EmulatedPico, compiled

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "lib" / "ringlane"
# The arguments of a channel of each pattern.
PATTERNS = {
    "PriorityChannel": "16",
    "Channel": "16",
    "MulticastChannel": "16",
    "AnycastChannel": "16, 1",
    "RequestReplyChannel": "16",
}

# RAM after each import, and what of it are names. MicroPython keeps those in tables that double
# when they are full, so they are counted apart: a module would get what others have filled.
BY_MODULE = """
import gc, micropython, sys
def step(name):
    gc.collect()
    __import__(name)
    gc.collect()
    print("module", name, gc.mem_alloc())
    micropython.qstr_info()
step("errno"), step("errno")
for name in {names}: step(name)
"""

BY_PATTERN = """
import gc, json, sys, time
def modules():
    return [name[9:] for name in sys.modules if name.startswith("ringlane.")]
def size():
    gc.collect()
    return gc.mem_alloc()
def measure():
    start = size()
    began = time.ticks_us()
    from ringlane import {kind}
    took = time.ticks_diff(time.ticks_us(), began)
    first = modules()
    imported = size()
    began = time.ticks_us()
    channel = {kind}({arguments})
    took += time.ticks_diff(time.ticks_us(), began)
    made = size()
    further = {kind}({arguments})
    each = size() - made
    block = len(channel._block)
    return dict(imported=imported - start, first=made - imported, modules=modules(),
        beside=each - block, block=block, us=took, early=first)
print(json.dumps(measure()))
"""


def imports():
    """Return {module: the modules that it imports at its top}."""
    graph = {}
    for path in PACKAGE.glob("*.py"):
        if path.stem != "manifest":
            body = ast.parse(path.read_text()).body
            found = [each for each in body if isinstance(each, ast.ImportFrom) and each.level == 1]
            graph[path.stem] = {each.module for each in found if each.module}
    return graph


def order():
    """Return the modules, each after those that it imports at its top; the root first."""
    names = graphlib.TopologicalSorter(imports()).static_order()
    return ["__init__", *(name for name in names if name != "__init__")]


def needed(kind):
    """Return the modules that a pattern's import takes."""
    graph, found, left = imports(), {"__init__"}, [ringlane.PATTERNS[kind]]
    while left:
        name = left.pop()
        found.add(name)
        left += graph[name] - found
    return found


def ram_by_module(pico, modules):
    """Return {module: (bytes without names, names, bytes of those)}."""
    names = ["ringlane" if name == "__init__" else f"ringlane.{name}" for name in modules]
    pico.reset()
    lines = pico.exec("import asyncio\n" + BY_MODULE.format(names=names)).splitlines()
    found, last = {}, None
    for at in range(0, len(lines), 2):
        _, name, used = lines[at].split()
        info = dict(each.split("=") for each in lines[at + 1].partition(": ")[2].split(", "))
        now = int(used), *(int(info[key]) for key in ("n_total_bytes", "n_qstr"))
        if name in names:
            memory, table, count = (a - b for a, b in zip(now, last, strict=True))
            found[name] = memory - table, count
        last = now
    return dict(zip(modules, (found[name] for name in names), strict=True))


def ram_by_pattern(pico):
    """Return {pattern: what it takes}, each on a chip that has been started anew."""
    found = {}
    for kind, arguments in PATTERNS.items():
        pico.reset()
        code = BY_PATTERN.format(kind=kind, arguments=arguments)
        found[kind] = json.loads(pico.exec(code))
    return found


def table(rows):
    widths = [max(len(str(row[at])) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [
            f"{cell:>{width},}" if isinstance(cell, int) else f"{cell:>{width}}"
            for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        print("  ".join([f"{row[0]:<{widths[0]}}", *cells]).rstrip())
    print()


def main():
    """Measure, print, return the exit status."""
    parser = argparse.ArgumentParser(description="what ringlane takes")
    parser.add_argument("--uf2", help="firmware of the emulated RP2040")
    options = parser.parse_args()
    files = compiled(PACKAGE)
    mpy = {name: len(files[f"lib/ringlane/{name}.mpy"]) for name in order()}
    if not options.uf2:
        table([("bytes", ".mpy"), *mpy.items(), ("in all", sum(mpy.values()))])
        rows = [(kind, sum(mpy[name] for name in needed(kind))) for kind in PATTERNS]
        table([("to import", ".mpy"), *rows])
        return 0
    try:
        with EmulatedPico(options.uf2, files) as pico:
            ram = ram_by_module(pico, list(mpy))
            patterns = ram_by_pattern(pico)
    except (DeviceError, FileNotFoundError) as error:
        print(f"size: {error}", file=sys.stderr)
        return 1
    rows = [(name, mpy[name], *ram[name]) for name in mpy]
    table([("bytes", ".mpy", "RAM", "names"), *rows])
    head = ("", "import", "first channel", "further, beside its block", "block", ".mpy", "ms")
    rows = []
    for kind, took in patterns.items():
        used = sum(mpy[name] for name in ["__init__", *took["modules"]])
        rows.append(
            (
                kind,
                took["imported"],
                took["first"],
                took["beside"],
                took["block"],
                used,
                took["us"] // 1000,
            )
        )
    table([head, *rows])
    for kind, took in patterns.items():
        late = sorted(set(took["modules"]) - set(took["early"]))
        print(f"{kind}: {' '.join(took['early'])}; with the first channel {' '.join(late)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
