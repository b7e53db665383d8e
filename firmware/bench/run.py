"""The bench's host part: runs bench.py on a board and prints what it measured as tables.

    run.py                                    the virtual board
    run.py --uf2 RPI_PICO.uf2                 the virtual board, then the emulated RP2040
    run.py --target rp2040 --uf2 ...          the emulated RP2040
    run.py --target /dev/ttyACM0              a board

Exit status 0: measured, and every message that was passed came out right.
"""

import argparse
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import ringlane_host
from ringlane_host.targets import TARGETS, BoardError, Target, connect
from ringlane_host.virtual_board import VirtualBoard

HERE = Path(__file__).resolve().parent
PACKAGE = Path(ringlane_host.__file__).resolve().parent.parent / "ringlane"
PROGRAMS = [HERE / name for name in ("bench.py", "contenders.py", "footprint.py")]
ENGINE = ("__init__", "lanes", "clock", "priority")  # what a PriorityChannel needs
HEAP = 256  # KiB of the virtual board, about a Pico's
COLUMNS = {  # title: size in bytes, one word, all classes in turn
    "4 B": (4, False, False),
    "16 B": (16, False, False),
    "64 B": (64, False, False),
    "256 B": (256, False, False),
    "16 B, 5 classes": (16, False, True),
    "one word": (4, True, False),
}
CAPACITIES = (8, 1024)
SLOTS = "16 B"  # the size at which capacities, and long runs, are compared
OURS = "ringlane"
MICROSECONDS = {"unit": "us", "hz": 1_000_000}


@contextmanager
def open_board(target, uf2):
    """Give the Target; the virtual board with a heap as small as a chip's."""
    if target == "virtual":
        with VirtualBoard(heap=f"{HEAP}k") as board:
            yield Target(board.port, "virtual board")
    else:
        with connect(target, uf2) as board:
            yield board


def measure(target, uf2, columns, quick):
    """Run the bench on a board; return all that it measured. Raises BoardError."""
    with open_board(target, uf2) as board:
        # A chip's cycles repeat exactly; a computer's time does not, so there it is the best of
        # many rounds, long enough to have the collector at work.
        chip = board.platform != "linux"
        repeat, rounds = (1, 1 if quick else 2) if chip else (50, 2) if quick else (250, 50)
        plan = ["import footprint; footprint.footprint()", "import bench; bench.conditions()"]
        for title in columns:
            plan.append(f"bench.column(*{COLUMNS[title]}, {repeat}, {rounds})")
        plan.append(f"bench.capacity({COLUMNS[SLOTS][0]}, {CAPACITIES}, {repeat}, {rounds})")
        titles = ["the import", "the board", *columns, "capacity"]
        if chip:  # elsewhere the rounds are long enough
            plan.append(f"bench.long_run({COLUMNS[SLOTS][0]}, {5 if quick else 200})")
            titles.append("long run")
        results = []

        def collect(line):
            try:
                results.append(json.loads(line))
            except ValueError:
                return
            if sys.stderr.isatty() and len(results) < len(titles):
                print(f"\r{board.name}: {titles[len(results)]:20}", end="", file=sys.stderr)

        status, text = board.run("\n".join(plan), *PROGRAMS, PACKAGE, out=collect)
        if sys.stderr.isatty():
            print("\r" + " " * (len(board.name) + 22), end="\r", file=sys.stderr, flush=True)
        if status or len(results) != len(titles):
            wrong = [line for line in text.splitlines() if line.startswith("WrongResult: ")]
            raise BoardError(wrong[0] if wrong else f"the program failed on {board.name}:\n{text}")
        long_run = results.pop() if chip else None
        footprint, conditions, *measured, capacity = results
        return {
            "target": target,
            "board": board.name,
            **conditions,
            "messages": measured[0]["messages"],
            "rounds": rounds,
            "columns": columns,
            "rows": rows_of(dict(zip(columns, measured, strict=True)), conditions),
            "capacity": {
                slots: per_message(time, capacity, conditions) for slots, time in capacity["times"]
            },
            "long_run": long_run
            and {
                "messages": long_run["messages"],
                "ns": {
                    name: per_message(time, long_run, MICROSECONDS)
                    for name, time in long_run["times"]
                },
            },
            "footprint": {**footprint, "mpy": mpy_sizes(board), "mpy_arch": board.architecture},
        }


def per_message(time, result, conditions):
    """Return what a message takes: in cycles, or in ns if the clock counts microseconds."""
    ticks = (time - result["empty_loop"]) / result["messages"]
    return ticks if conditions["unit"] == "cycles" else ticks * 1e9 / conditions["hz"]


def rows_of(columns, conditions):
    """Return one row for each contender and column: its time, and ringlane's as a share of it."""
    rows = []
    for title, result in columns.items():
        allocated = dict(result["allocated"])
        times = {name: per_message(time, result, conditions) for name, time in result["times"]}
        for name, time in times.items():
            rows.append(
                {
                    "contender": name,
                    "column": title,
                    "time": round(time, 1),
                    "unit": "cycles" if conditions["unit"] == "cycles" else "ns",
                    "ratio": round(times[OURS] / time, 3),
                    "allocated": allocated[name],
                }
            )
    return rows


def mpy_sizes(board):
    """Return the bytes of each of the engine's modules as .mpy for the board's processor."""
    if not board.architecture:
        return None
    with tempfile.TemporaryDirectory() as folder:
        board.stage(folder, PACKAGE)
        made = Path(folder) / "lib" / PACKAGE.name
        return {name: (made / f"{name}.mpy").stat().st_size for name in ENGINE}


def show(found):
    """Print the conditions, the table and what was measured beside it."""
    cycles = found["unit"] == "cycles"
    unit = "cycles" if cycles else "ns"
    columns, rounds = found["columns"], found["rounds"]
    print(f"{found['board']}: {found['version']}; {found['machine']}")
    if cycles:
        print(f"clock {found['hz'] / 1e6:.0f} MHz, heap {found['heap'] // 1024} KiB.")
    else:
        print(
            f"heap {found['heap'] // 1024} KiB; the ns are of this machine, compare ratios only."
        )
    print(
        "A message is sent, then received and unpacked; net of the empty loop; results checked.\n"
        f"{found['messages']:,} messages a round, contenders in turn, the best of {rounds}."
    )
    print(
        "Interrupts masked in the loop; no garbage collection falls into it."
        if cycles
        else "The collector is on: what a contender leaves to collect is in its time."
    )
    print()
    rows = {(row["contender"], row["column"]): row for row in found["rows"]}
    names = list(dict.fromkeys(row["contender"] for row in found["rows"]))
    names.remove(OURS)
    table = [["", *columns]]
    table.append([f"{OURS}, {unit}", *(f"{rows[OURS, title]['time']:,.0f}" for title in columns)])
    for name in names:
        cells = [f"{rows[name, title]['ratio']:.2f}" for title in columns]
        if cycles:
            counts = [f"{rows[name, title]['time']:,.0f}" for title in columns]
            cells = [f"{count}  {cell}" for count, cell in zip(counts, cells, strict=True)]
        table.append([f"{OURS} / {name}", *cells])
    if cycles:
        table[0][0] = "cycles  ratio"
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    for row in table:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells]))
    print()
    print("Bytes allocated per message (0: the loop also ran on a locked heap)")
    for name in (OURS, *names):
        each = [f"{rows[name, title]['allocated']:.0f}" for title in columns]
        same = each[0] if len(set(each)) == 1 else ", ".join(each)
        print(f"    {name}: {same}")
    slots = ", ".join(f"{count} slots {time:,.0f}" for count, time in found["capacity"].items())
    print(f"Capacity, {SLOTS}, {unit}: {slots}")
    if found["long_run"]:
        times = found["long_run"]["ns"]
        shares = ", ".join(
            f"{times[OURS] / time:.2f} of {name}" for name, time in times.items() if name != OURS
        )
        print(
            f"{found['long_run']['messages']:,} messages of {SLOTS} in one run, collections "
            f"included: {OURS} takes {shares}"
        )
    footprint = found["footprint"]
    print(
        f"RAM: {footprint['import']:,} B to import PriorityChannel; a channel takes "
        f"{footprint['channel']:,} B beside its memory()"
    )
    if footprint["mpy"]:
        each = ", ".join(f"{name} {size:,}" for name, size in footprint["mpy"].items())
        total = sum(footprint["mpy"].values())
        print(f".mpy for {footprint['mpy_arch']}: {total:,} B ({each})")


def main():
    """Measure on each board asked for; print and write the results; return the exit status."""
    parser = argparse.ArgumentParser(description="PriorityChannel against its alternatives")
    parser.add_argument("--target", default="virtual", help=TARGETS)
    parser.add_argument("--uf2", help="firmware of the emulated RP2040")
    parser.add_argument("--out", default="build", help="folder of the JSON files (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="few messages: to try the bench")
    parser.add_argument(
        "--column", action="append", choices=COLUMNS, help="only this one; may be repeated"
    )
    options = parser.parse_args()
    columns = [title for title in COLUMNS if not options.column or title in options.column]
    targets = [options.target]
    if options.target == "virtual" and options.uf2:
        targets.append("rp2040")
    try:
        if options.uf2 and not Path(options.uf2).is_file():
            raise BoardError(f"no firmware file {options.uf2}")
        for target in targets:
            found = measure(target, options.uf2, columns, options.quick)
            show(found)
            out = Path(options.out) / f"bench-{Path(target).name}.json"
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(found, indent=2) + "\n")
            print(f"written to {out}\n")
    except (BoardError, FileNotFoundError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
