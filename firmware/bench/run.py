"""The bench's host part: runs the sections on a board and prints what they measured as tables.

    run.py                                    the virtual board
    run.py --uf2 RPI_PICO.uf2                 the virtual board, then the emulated RP2040
    run.py --target rp2040 --uf2 ...          the emulated RP2040
    run.py --target /dev/ttyACM0              a board
    run.py --section anycast                  one section of several

Exit status 0: measured, and every message that was passed came out right.
"""

import argparse
import json
import sys
from contextlib import contextmanager
from pathlib import Path

from ringlane_host.boards.targets import TARGETS, BoardError, Target, connect
from ringlane_host.boards.virtual import VirtualBoard
from tables import COLUMNS, PACKAGE, SECTIONS, Interrupt, Messages, scale_of

HERE = Path(__file__).resolve().parent
PROGRAMS = [
    HERE / f"{name}.py"
    for name in (
        "bench",
        "contenders",
        "rings",
        "sections",
        "patterns",
        "calls",
        "wakeup",
        "footprint",
    )
]
HEAP = 448  # KiB of the virtual board: a Pico has 240, of words half as wide
ROOM = 64 << 10  # bytes, for what channels a section makes
BOARD = "the board"  # beside the sections
PATIENCE_S = 1800  # for one program


@contextmanager
def open_board(target, uf2):
    """Give the Target; the virtual board with a heap as small as a chip's."""
    if target == "virtual":
        with VirtualBoard(heap=f"{HEAP}k") as board:
            yield Target(board.port, "virtual board")
    else:
        with connect(target, uf2) as board:
            yield board


def measure(target, uf2, sections, quick):
    """Run the sections on a board; return all that they measured. Raises BoardError."""
    with open_board(target, uf2) as board:
        scale = scale_of(board.platform != "linux", quick)
        programs = [
            [(section.key, call) for call in calls]
            for section in sections
            for calls in section.programs(scale)
        ]
        if scale.chip or quick:
            programs = joined(programs)
        ask = (BOARD, "bench.conditions()")
        if not programs:
            programs = [[ask]]
        elif module_of(programs[0][0][1]) == "footprint":  # which is alone
            programs.insert(0, [ask])
        else:
            programs[0].insert(0, ask)
        lines = {key: [] for key in (BOARD, *(section.key for section in sections))}
        for program in programs:
            for (key, _), line in zip(program, run(board, program), strict=True):
                lines[key].append(line)
        (conditions,) = lines[BOARD]
        found = {"target": target, "board": board.name, **conditions}
        for section in sections:
            if section.key != Interrupt.key:
                found[section.key] = section.read(lines[section.key], conditions, scale)
    for section in sections:
        if section.key == Interrupt.key:
            found[section.key] = section.read_from(target, uf2)
    return found


def joined(programs):
    """Make one program of all but the footprints: to start one takes long, on a chip above all."""
    alone = [each for each in programs if module_of(each[0][1]) == "footprint"]
    together = [call for each in programs if each not in alone for call in each]
    together.sort(key=lambda call: call[0] != "capacity")  # it needs the largest pieces
    return [together, *alone] if together else alone


def module_of(call):
    return call.partition(".")[0]


def run(board, program):
    """Run calls, pairs (section, call), in a fresh interpreter; return the JSON of each."""
    modules = list(dict.fromkeys(module_of(call) for _, call in program))
    code = [f"import {name}" for name in modules]
    if modules != ["footprint"]:
        # Modules leave holes where they are loaded; the channels get room without any.
        code = [f"room = bytearray({ROOM})", *code, "del room"]
    code += [call for _, call in program]
    results = []

    def collect(line):
        try:
            results.append(json.loads(line))
        except ValueError:
            return
        if len(results) < len(program):
            progress(board, program[len(results)][0])

    progress(board, program[0][0])
    status, text = board.run("\n".join(code), *PROGRAMS, PACKAGE, out=collect, timeout=PATIENCE_S)
    progress(board, "")
    if status or len(results) != len(program):
        wrong = [line for line in text.splitlines() if line.startswith("WrongResult: ")]
        raise BoardError(wrong[0] if wrong else f"the program failed on {board.name}:\n{text}")
    return results


def progress(board, title):
    """Show on a terminal what is being measured, or nothing any more."""
    if sys.stderr.isatty():
        text = f"{board.name}: {title:20}"
        end = "" if title else "\r"
        print("\r" + (text if title else " " * len(text)), end=end, file=sys.stderr, flush=True)


def show(found, sections):
    """Print the conditions, and each section's table."""
    cycles = found["unit"] == "cycles"
    print(f"{found['board']}: {found['version']}; {found['machine']}")
    if cycles:
        print(f"clock {found['hz'] / 1e6:.0f} MHz, heap {found['heap'] // 1024} KiB.")
    else:
        print(
            f"heap {found['heap'] // 1024} KiB; the ns are of this machine, compare ratios only."
        )
    print("Net of the empty loop; results checked; contenders in turn.")
    print(
        "Interrupts masked in the loop; no garbage collection falls into it."
        if cycles
        else "The collector is on: what a contender leaves to collect is in its time."
    )
    for section in sections:
        print(f"\n== {section.key}: {section.__doc__}")
        section.show(found[section.key])


def chosen(names, columns):
    """Return the sections asked for: all of them, or that of the columns, unless named."""
    if not names:
        names = [Messages.key] if columns else SECTIONS
    titles = tuple(title for title in COLUMNS if not columns or title in columns)
    return [
        Messages(titles) if each is Messages else each()
        for key, each in SECTIONS.items()
        if key in names
    ]


def main():
    """Measure on each board asked for; print and write the results; return the exit status."""
    parser = argparse.ArgumentParser(description="ringlane's channels against alternatives")
    parser.add_argument("--target", default="virtual", help=TARGETS)
    parser.add_argument("--uf2", help="firmware of the emulated RP2040")
    parser.add_argument("--out", default="build", help="folder of the JSON files (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="few messages: to try the bench")
    parser.add_argument(
        "--section", action="append", choices=SECTIONS, help="only this one; may be repeated"
    )
    parser.add_argument(
        "--column",
        action="append",
        choices=COLUMNS,
        help="only this one of the messages, and no other section unless named",
    )
    options = parser.parse_args()
    sections = chosen(options.section, options.column)
    targets = [options.target]
    if options.target == "virtual" and options.uf2:
        targets.append("rp2040")
    try:
        if options.uf2 and not Path(options.uf2).is_file():
            raise BoardError(f"no firmware file {options.uf2}")
        for target in targets:
            found = measure(target, options.uf2, sections, options.quick)
            show(found, sections)
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
