"""Run an example on a board, by mpremote; its console appears here as it comes.

Runs on the host: `python firmware/examples/run.py encoder`. Nothing is left on the board. The exit
status is 0 if the example ends well, else 1.
"""

import argparse
import sys
from pathlib import Path

import ringlane_host
from ringlane_host.boards.targets import TARGETS, run_program

HERE = Path(__file__).resolve().parent
PACKAGE = Path(ringlane_host.__file__).resolve().parent.parent / "ringlane"
EXAMPLES = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("board", "run"))

_TIMEOUT_S = 600


def main():
    """Deploy and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("example", choices=EXAMPLES)
    parser.add_argument("--target", default="virtual", help=f"{TARGETS}; default: virtual")
    parser.add_argument("--uf2", help="firmware for the emulated RP2040")
    parser.add_argument(
        "--wired",
        action="store_true",
        help="with the hardware that the example names; default: with nothing attached",
    )
    options = parser.parse_args()
    arguments = "wired=True" if options.wired else ""
    return run_program(
        "example",
        options.target,
        options.uf2,
        f"import {options.example}\n{options.example}.main({arguments})",
        PACKAGE,
        HERE / "board.py",
        HERE / f"{options.example}.py",
        timeout=_TIMEOUT_S,
    )


if __name__ == "__main__":
    sys.exit(main())
